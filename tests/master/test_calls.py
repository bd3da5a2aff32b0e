"""Calls from arrival to answer: numbers, order, deadlines, bounds (DESIGN §4 Sessions; §5, last line)."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.types.calls import (
    Acquire,
    Close,
    CreateMode,
    Delete,
    GetContentsAndStat,
    GetSequencer,
    GetStat,
    Mode,
    Open,
    ReadDir,
    Release,
    SetContents,
    SetSequencer,
    Transact,
)
from chubby.types.results import (
    Contents,
    Done,
    Listing,
    LockGranted,
    Opened,
    SequencerResult,
    StatResult,
    Transacted,
)
from chubby.types.stream import Acknowledge, CallFrame
from chubby.types.time import MILLISECOND, SECOND
from chubby.types.transaction import Exists, Read, Write
from tests.master.calling import pipelined, requests
from tests.master.cell import Cell, code_of

# ----------------------------------------------------------------------------------------------------------- numbers


def test_a_repeat_of_a_pending_call_is_not_proposed_again() -> None:
    """DESIGN §4: a repeated number is answered from the pending table, never proposed twice while pending."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    call = alice.start(SetContents(handle, b"x"))
    alice.resume()
    alice.again(call)
    alice.again(call)
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(call), StatResult) and requests(cell, call) == 1


def test_a_repeat_of_an_answered_call_is_answered_from_the_table() -> None:
    """The reply was lost with the stream: the result is the same, the effect is one."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    call = alice.start(SetContents(handle, b"x"))
    first = alice.replies.pop(call)
    alice.resume()
    alice.again(call)
    again = alice.replies[call]
    assert again.answer == first.answer and not again.cacheable and requests(cell, call) == 1


def test_an_answer_goes_to_the_stream_the_call_last_came_on() -> None:
    """Resumed, and not repeated yet: the answer waits for the repeat, or it would come twice."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    call = alice.start(SetContents(handle, b"x"))
    alice.resume()
    cell.applying = True
    cell.settle()
    assert alice.answer(call) is None
    alice.again(call)
    assert isinstance(alice.answer(call), StatResult)


def test_acknowledged_numbers_are_void() -> None:
    """DESIGN §4: numbers at or below `acknowledged` are void; so that nothing hangs, they are told so."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    alice.call(GetStat(handle))
    alice.replies.clear()
    alice.send(CallFrame(1, 2, 0, SetContents(handle, b"late")))
    assert code_of(alice.replies[1].answer) is ErrorCode.BAD_ARGUMENT and requests(cell, 1) == 1


def test_what_the_client_gave_up_is_dropped() -> None:
    """An Acquire that was sent again under a new number counts as answered under the old one."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/l"), bob.open_handle("/l")
    alice.call(Acquire(handle))
    old = bob.start(Acquire(other))
    new = bob.number = bob.number + 1
    bob.send(CallFrame(new, old, 0, Acquire(other)))
    assert cell.master.statistics().calls_pending == 1
    alice.call(Release(handle))
    assert bob.answer(old) is None and isinstance(bob.answer(new), LockGranted)


def test_acknowledgements_reach_the_machine() -> None:
    """The reply table forgets what the client has seen."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    for number in range(3):
        alice.call(SetContents(handle, b"%d" % number))
    assert cell.machine.acknowledged(alice.session) == 3
    assert cell.machine.reply(alice.session, 3) is None and cell.machine.reply(alice.session, 4) is not None


# --------------------------------------------------------------------------------------------------------- deadlines


def test_past_its_deadline_before_it_is_proposed() -> None:
    """DESIGN §4: a call past its deadline is dropped before it is proposed; it took no effect."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    bob.call(GetStat(bob.open_handle("/f")))
    bob.auto_ack = False
    call = alice.start(SetContents(handle, b"x"), patience=SECOND)
    cell.advance(SECOND)
    assert code_of(alice.answer(call)) is ErrorCode.DEADLINE_EXCEEDED and requests(cell, call) == 0
    assert cell.master.statistics().calls_late == 1
    bob.send(Acknowledge(1))
    assert requests(cell, call) == 0 and cell.master.statistics().uncachable_keys == 0


def test_the_deadline_counts_to_the_instant_of_proposing() -> None:
    """The acknowledgement comes late, and before the timer has fired: it is not proposed all the same."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    bob.call(GetStat(bob.open_handle("/f")))
    bob.auto_ack = False
    call = alice.start(SetContents(handle, b"x"), patience=SECOND)
    bob.read()
    cell.now += SECOND
    bob.send(Acknowledge(1))
    assert code_of(alice.answer(call)) is ErrorCode.DEADLINE_EXCEEDED and requests(cell, call) == 0


def test_once_proposed_the_deadline_means_nothing_here() -> None:
    """Only the log knows; the client says *outcome unknown*."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    call = alice.start(SetContents(handle, b"x"), patience=SECOND)
    cell.advance(2 * SECOND)
    assert alice.answer(call) is None
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(call), StatResult)


def test_a_lock_that_is_waited_for_has_no_deadline() -> None:
    """The client leaves the queue by CancelAcquire, so that both know what became of it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.call(Acquire(alice.open_handle("/l")))
    waiting = bob.start(Acquire(bob.open_handle("/l")), patience=SECOND)
    cell.advance(3 * SECOND)
    assert bob.answer(waiting) is None


# ------------------------------------------------------------------------------------------------------ master lease


def test_reads_wait_for_a_live_master_lease() -> None:
    """DESIGN §5: a read call is answered under a live master lease, from state at or after the call's arrival."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f", contents=b"old")
    cell.live = False
    call = alice.start(GetContentsAndStat(handle))
    assert alice.answer(call) is None
    cell.live = True
    cell.tick()
    assert isinstance(alice.answer(call), Contents)


def test_or_for_their_deadline() -> None:
    """Never answered from state that may be somebody else's past."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.live = False
    call = alice.start(GetStat(handle), patience=500 * MILLISECOND)
    cell.advance(500 * MILLISECOND)
    assert code_of(alice.answer(call)) is ErrorCode.DEADLINE_EXCEEDED


def test_the_lease_is_judged_at_the_time_of_the_call() -> None:
    """etcd reads stale values after a process pause; here the clock is read when the call arrives."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    lease_until = cell.now + SECOND
    cell.now += SECOND
    alice.number += 1
    cell.master.receive(alice.stream, CallFrame(alice.number, 0, 0, GetStat(handle)), cell.now, lease_until)
    cell.settle()
    assert alice.answer(alice.number) is None


def test_a_read_sees_ones_own_earlier_write() -> None:
    """Calls in flight are ordered per node."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f", contents=b"old")
    _, read, stat = pipelined(cell, alice, SetContents(handle, b"new"), GetContentsAndStat(handle), GetStat(handle))
    assert isinstance(read, Contents) and read.contents == b"new"
    assert isinstance(stat, StatResult) and stat.stat.content_generation == 2


def test_somebody_elses_write_holds_up_no_read() -> None:
    """It is answered at once, with the state as it is."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f", contents=b"old"), bob.open_handle("/f")
    cell.applying = False
    alice.start(SetContents(handle, b"new"))
    answer = bob.call(GetContentsAndStat(other))
    assert isinstance(answer, Contents) and answer.contents == b"old"


def test_reads_of_other_nodes_overtake() -> None:
    """Only the node itself counts."""
    cell = Cell()
    alice = cell.client()
    handle, other = alice.open_handle("/f"), alice.open_handle("/g")
    cell.applying = False
    alice.start(SetContents(handle, b"new"))
    assert isinstance(alice.call(GetStat(other)), StatResult)


def test_a_listing_sees_ones_own_create_and_delete() -> None:
    """The names below the parent are what both touch."""
    cell = Cell()
    alice = cell.client()
    root, gone = alice.open_handle("/", Mode.READ), alice.open_handle("/gone")
    opening = Open(50, "/new", Mode.READ | Mode.WRITE, create=CreateMode.MAY)
    *_, listing = pipelined(cell, alice, opening, Delete(gone), ReadDir(root))
    assert isinstance(listing, Listing) and [entry.name for entry in listing.entries] == ["acl", "new"]


def test_a_condition_sees_ones_own_earlier_write() -> None:
    """Compare-and-set in a row, in one breath."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    one, two, three = pipelined(
        cell,
        alice,
        SetContents(handle, b"1"),
        SetContents(handle, b"2", generation=2),
        Transact((Exists("/f"),), (Read("/f"),)),
    )
    assert isinstance(one, StatResult) and isinstance(two, StatResult)
    assert isinstance(three, Transacted) and three.result.results[0].contents == b"2"


def test_writes_are_applied_in_order() -> None:
    """Pipelined, without waiting for each other."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    calls = [alice.start(SetContents(handle, b"%d" % number)) for number in range(5)]
    assert len(cell.log) == 5
    cell.applying = True
    cell.settle()
    answers = [alice.answer(call) for call in calls]
    stats = [answer.stat for answer in answers if isinstance(answer, StatResult)]
    assert [stat.content_generation for stat in stats] == [2, 3, 4, 5, 6]


def test_a_handle_may_be_used_before_its_open_is_answered() -> None:
    """The client chose its number."""
    cell = Cell()
    alice = cell.client()
    opening = Open(1, "/f", Mode.READ | Mode.WRITE, create=CreateMode.MAY)
    answers = pipelined(cell, alice, opening, SetContents(1, b"x"), GetContentsAndStat(1), Close(1), GetStat(1))
    assert isinstance(answers[0], Opened) and isinstance(answers[1], StatResult)
    assert isinstance(answers[2], Contents) and answers[2].contents == b"x"
    assert isinstance(answers[3], Done) and code_of(answers[4]) is ErrorCode.HANDLE_INVALID


def test_an_open_that_fails_lets_its_followers_fail() -> None:
    """They are not stuck behind it."""
    cell = Cell()
    alice = cell.client()
    answers = pipelined(cell, alice, Open(1, "/no/where", Mode.READ, create=CreateMode.MAY), GetStat(1), Close(1))
    assert [code_of(answer) for answer in answers[:2]] == [ErrorCode.NO_NODE, ErrorCode.HANDLE_INVALID]
    assert isinstance(answers[2], Done)


def test_a_sequencer_is_asked_for_in_one_breath_with_its_lock() -> None:
    """GetSequencer comes after the Acquire, SetSequencer before what it guards."""
    cell = Cell()
    alice = cell.client()
    handle, guarded = alice.open_handle("/l"), alice.open_handle("/f")
    granted, sequencer = pipelined(cell, alice, Acquire(handle), GetSequencer(handle))
    assert isinstance(granted, LockGranted) and isinstance(sequencer, SequencerResult)
    bound, released, write = pipelined(
        cell, alice, SetSequencer(guarded, sequencer.sequencer), Release(handle), SetContents(guarded, b"x")
    )
    assert isinstance(bound, Done) and isinstance(released, Done)
    assert code_of(write) is ErrorCode.SEQUENCER_INVALID


def test_a_transaction_over_two_nodes_keeps_its_turn_on_both() -> None:
    """It waits for a slow reader of one; later writes of the other do not overtake it."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/f")
    other = alice.open_handle("/g")
    bob.call(GetStat(bob.open_handle("/f")))
    bob.auto_ack = False
    both = alice.start(Transact((), (Write("/f", b"1"), Write("/g", b"1"))))
    later = alice.start(SetContents(other, b"2"))
    assert requests(cell, later) == 0
    bob.send(Acknowledge(1))
    assert isinstance(alice.answer(both), Transacted) and isinstance(alice.answer(later), StatResult)
    node = cell.machine.node("/g")
    assert node is not None and node.contents == b"2"
