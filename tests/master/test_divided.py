"""While replicas disagree about the state nothing is written, and what need not write goes on (DESIGN §3 Digest)."""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master.failover import Phase
from chubby.namespace.commands import CheckDigest, CloseSession, EndLockDelay, ExpireSession, Request
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    ChangeMembers,
    Close,
    CreateMode,
    GetContentsAndStat,
    GetStat,
    MemberAction,
    Mode,
    Open,
    Release,
    SetContents,
    StepDown,
    Transact,
)
from chubby.types.events import EventMask
from chubby.types.results import Contents, Done, LockGranted, Opened, StatResult, Transacted
from chubby.types.stream import CloseSession as CloseSessionFrame
from chubby.types.stream import Redirect, SessionClosed
from chubby.types.time import SECOND
from chubby.types.transaction import Exists, Read
from tests.master.caching import acknowledge, reader_and_writer
from tests.master.cell import Cell, code_of
from tests.master.locking import contenders

RW = Mode.READ | Mode.WRITE


def divide(cell: Cell, divided: bool = True) -> None:
    """The digests say that nobody can tell who is right; or that all is well again."""
    cell.master.divided(divided, cell.now)
    cell.settle()
    cell.let_read()


def stopped(answer: object) -> bool:
    """Whether a call was answered that writes are stopped."""
    return isinstance(answer, Failure) and answer.code is ErrorCode.REPLICAS_DISAGREE


def test_a_call_that_needs_a_command_is_answered_at_once() -> None:
    """DESIGN §3 Digest: "with no majority writes stop"; whoever asks is told so, and nothing is proposed."""
    cell = Cell()
    alice, bob = cell.client("alice"), cell.client("bob")
    handle = alice.open_handle("/a")
    other = bob.open_handle("/a")
    alice.call(Acquire(handle))
    waiting = bob.start(Acquire(other))
    ephemeral = alice.open_handle("/e", ephemeral=True)
    divide(cell)
    before = len(cell.commands)
    for call in (
        SetContents(handle, b"x"),
        Release(handle),
        Close(ephemeral),
        Open(9, "/new", RW, create=CreateMode.MAY),
        Open(9, "/e", RW),
    ):
        assert stopped(alice.call(call)), call
    assert stopped(bob.call(CancelAcquire(other)))
    assert bob.answer(waiting) is None, "whoever waits in the queue goes on waiting"
    assert len(cell.commands) == before and not cell.log


def test_the_answer_tells_what_is_wrong_and_where_to_read_on() -> None:
    """An operator reads it, and there is something to read where it points to."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a")
    divide(cell)
    answer = alice.call(SetContents(handle, b"x"))
    assert isinstance(answer, Failure)
    for part in ("replicas disagree about the state", "writes are stopped", "docs/operations.md"):
        assert part in answer.message
    assert answer.code.retryable, "it took no effect"


def test_what_needs_no_command_goes_on() -> None:
    """Reads, KeepAlives, handles on permanent files, conditions that do not hold, resumption, changes of members."""
    cell = Cell()
    alice = cell.client("root")
    handle = alice.open_handle("/a", contents=b"v")
    divide(cell)
    cell.advance(5 * SECOND)
    assert isinstance(alice.call(GetContentsAndStat(handle)), Contents)
    assert isinstance(alice.call(GetStat(handle)), StatResult)
    assert isinstance(alice.call(Open(8, "/a", Mode.READ)), Opened)
    assert isinstance(alice.call(Close(8)), Done)
    assert code_of(alice.call(SetContents(handle, b"x", generation=9))) is ErrorCode.GENERATION_MISMATCH
    assert isinstance(alice.call(Transact((Exists("/a"),), (Read("/a"),))), Transacted)
    reply = alice.keep_alive()
    assert reply is not None and reply.session_lease > 0
    alice.disconnect()
    alice.resume()
    assert alice.resumed is not None and not alice.resumed.lost
    alice.start(ChangeMembers(MemberAction.REMOVE, 3))
    assert isinstance(alice.call(StepDown(0)), Done)
    assert len(cell.requests) == 2


def test_what_waited_to_be_proposed_gets_the_same_answer_and_frees_its_keys() -> None:
    """A writer that waits for an acknowledgement is answered; nothing stays uncachable on its account."""
    cell, alice, bob, handle = reader_and_writer()
    first = alice.start(SetContents(handle, b"one"))
    second = alice.start(SetContents(handle, b"two"))
    assert alice.answer(first) is None
    assert cell.master.statistics().uncachable_keys == 1
    divide(cell)
    assert stopped(alice.answer(first)) and stopped(alice.answer(second))
    assert cell.master.statistics().uncachable_keys == 0
    assert cell.master.statistics().commands_waiting == 0
    acknowledge(bob)
    assert not [command for command in cell.log if isinstance(command.body, Request)]
    divide(cell, divided=False)
    assert isinstance(alice.call(SetContents(handle, b"three")), StatResult)


def test_what_stood_behind_another_call_is_answered_too() -> None:
    """A call that is looked at only now finds writes stopped."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a")
    before = alice.call(GetStat(handle))
    assert isinstance(before, StatResult)
    cell.applying = False
    first = alice.start(SetContents(handle, b"one"))
    second = alice.start(SetContents(handle, b"two", generation=before.stat.content_generation + 1))
    divide(cell)
    assert alice.answer(first) is None and alice.answer(second) is None
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(first), StatResult), "what was proposed is in the log"
    assert stopped(alice.answer(second)), "its condition holds now, so it would write"


def test_sessions_that_hold_nothing_come_and_go() -> None:
    """An operator's session is one like any other: without it nobody could ask for a change of members."""
    cell = Cell()
    handle = cell.client("alice").open_handle("/a", contents=b"v")
    divide(cell)
    root = cell.client("root")
    assert isinstance(root.call(Open(handle, "/a", Mode.READ)), Opened)
    assert isinstance(root.call(GetContentsAndStat(handle)), Contents)
    root.start(ChangeMembers(MemberAction.REMOVE, 3))
    assert len(cell.requests) == 1
    root.send(CloseSessionFrame())
    assert isinstance(root.end, SessionClosed)
    forgetful = cell.client("mallory")
    cell.advance(60 * SECOND)
    assert cell.machine.session(forgetful.session) is None


def test_digests_are_compared() -> None:
    """Else nobody would ever find out that the replicas agree again."""
    cell = Cell()
    divide(cell)
    cell.master.propose(CheckDigest(), cell.now)
    cell.settle()
    assert len(cell.proposed(CheckDigest)) == 1


def test_a_new_master_begins_its_epoch_and_serves_reads() -> None:
    """The office may change hands; the state that is told is the one of whoever is master."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a", contents=b"v")
    epoch = cell.epoch
    cell.log.clear()
    cell.master = cell.new_master()
    cell.master.divided(True, cell.now)
    cell.elect()
    assert cell.epoch > epoch and cell.master.serving
    alice.resume()
    assert isinstance(alice.call(GetContentsAndStat(handle)), Contents)
    assert stopped(alice.call(SetContents(handle, b"x")))


def test_the_same_master_elected_again_still_knows() -> None:
    """Deposed and elected again, with nothing healed in between."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a", contents=b"v")
    divide(cell)
    cell.depose()
    alice.read()
    assert isinstance(alice.end, Redirect)
    cell.elect()
    assert cell.master.phase in (Phase.RECOVERING, Phase.SERVING)
    alice.resume()
    assert stopped(alice.call(SetContents(handle, b"x")))


def test_what_waited_under_an_earlier_epoch_is_forgotten() -> None:
    """The new epoch of the same replica has errands of its own."""
    cell, (holder, other), handles = contenders()
    holder.call(Acquire(handles[0]))
    waiting = other.start(Acquire(handles[1]))
    divide(cell)
    holder.send(CloseSessionFrame())
    cell.depose()
    cell.elect()
    divide(cell, divided=False)
    assert not cell.proposed(CloseSession)
    other.resume()
    other.again(waiting)
    cell.advance(6 * SECOND)
    other.keep_alive()
    cell.advance(6 * SECOND)
    assert len(cell.proposed(ExpireSession)) == 1
    assert isinstance(other.answer(waiting), LockGranted)


def test_the_masters_own_errands_wait_and_go_on() -> None:
    """Expiry and the end of a lock-delay are proposed when the replicas agree again, not before."""
    cell, (holder, other), handles = contenders()
    second = holder.open_handle("/m")
    holder.call(Acquire(handles[0], lock_delay=2 * SECOND))
    holder.call(Acquire(second))
    waiting = other.start(Acquire(handles[1]))
    divide(cell)
    for _ in range(4):
        cell.advance(4 * SECOND)
        other.keep_alive()
    assert not cell.proposed(ExpireSession)
    assert other.answer(waiting) is None
    divide(cell, divided=False)
    assert cell.proposed(ExpireSession)
    for _ in range(2):
        cell.advance(2 * SECOND)
        other.keep_alive()
    assert cell.proposed(EndLockDelay)
    assert isinstance(other.answer(waiting), LockGranted)


def test_a_lock_delay_that_ended_meanwhile_is_ended_afterwards() -> None:
    """The time passes, the command waits."""
    cell, (holder, other), handles = contenders()
    holder.call(Acquire(handles[0], lock_delay=5 * SECOND))
    waiting = other.start(Acquire(handles[1]))
    for _ in range(4):
        cell.advance(4 * SECOND)
        other.keep_alive()
        if cell.proposed(ExpireSession):
            break
    divide(cell)
    for _ in range(4):
        cell.advance(4 * SECOND)
        other.keep_alive()
    assert not cell.proposed(EndLockDelay) and other.answer(waiting) is None
    divide(cell, divided=False)
    assert isinstance(other.answer(waiting), LockGranted)


def test_a_session_that_is_closed_meanwhile_ends_afterwards() -> None:
    """CloseSession is not refused: there is nobody left to try again."""
    cell = Cell()
    alice, bob = cell.client("alice"), cell.client("bob")
    alice.call(Acquire(alice.open_handle("/l")))
    waiting = bob.start(Acquire(bob.open_handle("/l")))
    divide(cell)
    alice.send(CloseSessionFrame())
    assert alice.end is None and not cell.proposed(CloseSession)
    divide(cell, divided=False)
    assert isinstance(alice.end, SessionClosed)
    assert isinstance(bob.answer(waiting), LockGranted)


def test_an_ephemeral_file_outlives_its_dead_session_meanwhile() -> None:
    """The end of a session that holds nothing but a file waits as well; so do its readers' caches."""
    cell = Cell()
    alice, bob = cell.client("alice"), cell.client("bob")
    alice.open_handle("/e", ephemeral=True)
    divide(cell)
    for _ in range(4):
        cell.advance(4 * SECOND)
        bob.keep_alive()
    assert cell.machine.node("/e") is not None and not cell.proposed(ExpireSession)
    divide(cell, divided=False)
    assert cell.machine.node("/e") is None


def test_a_member_of_an_open_set_leaves_afterwards() -> None:
    """Also where the file stays, for others keep it open: who is in the set may decide later who goes."""
    cell = Cell()
    alice, bob = cell.client("alice"), cell.client("bob")
    alice.open_handle("/e", ephemeral=True)
    bob.open_handle("/e", ephemeral=True)
    divide(cell)
    alice.send(CloseSessionFrame())
    assert cell.machine.open_count("/e") == 2
    divide(cell, divided=False)
    assert cell.machine.open_count("/e") == 1


def test_a_close_that_was_refused_left_everything_as_it_was() -> None:
    """The handle is open still, and so is the place in the queue of an acquire through it."""
    cell, (holder, other), handles = contenders()
    holder.call(Acquire(handles[0]))
    waiting = other.start(Acquire(handles[1]))
    divide(cell)
    assert stopped(other.call(Close(handles[1])))
    assert other.answer(waiting) is None
    divide(cell, divided=False)
    assert isinstance(holder.call(Release(handles[0])), Done)
    assert isinstance(other.answer(waiting), LockGranted)


def test_a_repeat_is_answered_from_the_reply_table() -> None:
    """What took effect before is not denied: DESIGN §4, at most once."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a", events=EventMask.NONE)
    number = alice.start(SetContents(handle, b"done"))
    first = alice.replies.pop(number)
    divide(cell)
    alice.again(number)
    assert alice.replies[number].answer == first.answer


def test_it_may_be_told_again_and_again() -> None:
    """The shell tells at every step; only a change matters."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/a")
    for divided in (False, True, True, False, False):
        divide(cell, divided=divided)
        assert stopped(alice.call(SetContents(handle, b"x"))) is divided
