"""Cache leases, conditions that fail, ephemerals and bounds (DESIGN §5 "Three leases", "Invalidate first")."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.master.footprints import children_key, node_key
from chubby.namespace.commands import CloseHandle, CloseSession, ExpireSession, Request
from chubby.types.calls import (
    Call,
    Close,
    CreateMode,
    Delete,
    GetStat,
    Mode,
    Open,
    ReadDir,
    SetAcl,
    SetContents,
    Transact,
)
from chubby.types.nodes import AclNames
from chubby.types.results import Done, Opened, StatResult, Transacted
from chubby.types.stream import CloseSession as CloseSessionFrame
from chubby.types.stream import KeepAlive
from chubby.types.time import SECOND
from chubby.types.transaction import Absent, Create, Read
from tests.master.caching import acknowledge, reader_and_writer
from tests.master.cell import Cell, code_of

# ----------------------------------------------------------------------------------------------------------- leases


def test_an_acknowledgement_owed_withholds_the_cache_lease() -> None:
    """DESIGN §5: never the session lease."""
    _, alice, bob, handle = reader_and_writer()
    alice.start(SetContents(handle, b"new"))
    renewed = bob.keep_alive()
    assert renewed is not None and renewed.cache_lease == 0 and renewed.session_lease == 12 * SECOND
    bob.call(GetStat(bob.open_handle("/g")))
    assert bob.last.cache_lease == 0
    acknowledge(bob)
    renewed = bob.keep_alive()
    assert renewed is not None and renewed.cache_lease == 4 * SECOND


def test_a_dead_reader_delays_a_writer_by_what_is_left_of_its_lease() -> None:
    """DESIGN §5: when a cache lease lapses writers stop waiting for that client."""
    cell, alice, bob, handle = reader_and_writer()
    begun = cell.now
    bob.disconnect()
    cell.advance(SECOND)
    call = alice.start(SetContents(handle, b"new"))
    cell.advance(3 * SECOND - 1)
    assert alice.answer(call) is None
    cell.advance(1)
    assert isinstance(alice.answer(call), StatResult) and cell.now == begun + 4 * SECOND
    assert cell.master.statistics().cache_lapses == 1
    assert isinstance(alice.call(SetContents(handle, b"newer")), StatResult), "only the first writer waits"


def test_a_deaf_reader_cannot_stretch_the_wait() -> None:
    """It sends KeepAlives and never acknowledges: its cache lease is not renewed, so it runs out."""
    cell, alice, bob, handle = reader_and_writer()
    call = alice.start(SetContents(handle, b"new"))
    for _ in range(4):
        cell.advance(SECOND)
        bob.keep_alive()
    assert isinstance(alice.answer(call), StatResult)


def test_invalidations_come_before_the_renewal() -> None:
    """DESIGN §5: its invalidations are queued and delivered before the renewal."""
    cell, alice, bob, handle = reader_and_writer()
    cell.advance(5 * SECOND)
    assert isinstance(alice.call(SetContents(handle, b"new")), StatResult), "it had lapsed"
    bob.read()
    assert bob.invalidated == [node_key("/f")]
    renewed = bob.keep_alive()
    assert renewed is not None and renewed.cache_lease == 0
    acknowledge(bob)
    renewed = bob.keep_alive()
    assert renewed is not None and renewed.cache_lease == 4 * SECOND


def test_overflow_empties_the_cache() -> None:
    """DESIGN §5: overflow: "empty all". The window is full, so the keys pile up."""
    cell = Cell(MasterSettings(replica=1, push_window=1, invalidations_per_session=2))
    alice, bob = cell.client(), cell.client("bob")
    handles = [alice.open_handle(f"/{name}") for name in "abcdef"]
    for name in "abcdef":
        bob.open_handle(f"/{name}")
    bob.auto_ack = False
    calls = [alice.start(SetContents(handle, b"x")) for handle in handles]
    bob.read()
    assert [push.everything for push in bob.pushes] == [False]
    acknowledge(bob)
    bob.read()
    assert bob.pushes[-1].everything
    bob.call(GetStat(1))
    assert not bob.last.cacheable, "nothing is cacheable until it is empty"
    acknowledge(bob)
    assert all(isinstance(alice.answer(call), StatResult) for call in calls)
    bob.call(GetStat(1))
    assert bob.last.cacheable and cell.master.statistics().cached_keys == 7


def test_resume_is_the_acknowledgement() -> None:
    """The client has emptied its cache before it sends Resume."""
    cell, alice, bob, handle = reader_and_writer()
    call = alice.start(SetContents(handle, b"new"))
    assert alice.answer(call) is None
    bob.resume()
    assert isinstance(alice.answer(call), StatResult)
    assert bob.resumed is not None and bob.resumed.cache_lease == 4 * SECOND
    assert cell.master.statistics().cached_keys == 1, "alice's own, from her reply"


def test_a_session_that_ends_is_not_waited_for() -> None:
    """Its cache is out of use when it asks to be closed."""
    _, alice, bob, handle = reader_and_writer()
    call = alice.start(SetContents(handle, b"new"))
    bob.send(CloseSessionFrame())
    assert isinstance(alice.answer(call), StatResult)


def test_a_stall_extends_cache_leases_too() -> None:
    """DESIGN §3: every session and cache deadline moves."""
    cell, alice, _, handle = reader_and_writer()
    call = alice.start(SetContents(handle, b"new"))
    cell.now += 3 * SECOND
    cell.master.stalled(3 * SECOND, cell.now)
    cell.advance(4 * SECOND - 1)
    assert alice.answer(call) is None
    cell.advance(1)
    assert alice.answer(call) is not None


# -------------------------------------------------------------------------------------------- conditions that fail


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (SetContents(1, b"x", generation=7), ErrorCode.GENERATION_MISMATCH),
        (SetAcl(1, AclNames("anyone", "anyone", "anyone"), generation=7), ErrorCode.GENERATION_MISMATCH),
        (Open(9, "/f", create=CreateMode.MUST), ErrorCode.NODE_EXISTS),
        (SetContents(1, b"x" * 300_000), ErrorCode.TOO_LARGE),
        (Open(9, "/no/where", create=CreateMode.MAY), ErrorCode.NO_NODE),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_condition_that_fails_already_disturbs_no_cache(call: Call, code: ErrorCode) -> None:
    """DESIGN §5: it is answered as a read and disturbs no cache."""
    cell, alice, bob, _ = reader_and_writer()
    before = len(cell.proposed(Request))
    assert code_of(alice.call(call)) is code
    bob.read()
    assert bob.pushes == [] and len(cell.proposed(Request)) == before


def test_deleting_a_node_with_children_disturbs_no_cache() -> None:
    """NOT_EMPTY, like a read."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/d")
    alice.open_handle("/d/x")
    bob.call(ReadDir(bob.open_handle("/d")))
    assert code_of(alice.call(Delete(handle))) is ErrorCode.NOT_EMPTY and bob.pushes == []


def test_a_transaction_whose_branch_only_reads_is_a_read() -> None:
    """Neither branch is proposed; the result is the machine's own."""
    cell, alice, bob, _ = reader_and_writer()
    before = len(cell.proposed(Request))
    answer = alice.call(Transact((Absent("/f"),), (Create("/f"),), (Read("/f"),)))
    assert isinstance(answer, Transacted) and not answer.result.succeeded and answer.result.failed_guard == 0
    assert answer.result.results[0].contents == b"old"
    bob.read()
    assert bob.pushes == [] and len(cell.proposed(Request)) == before


def test_a_failing_condition_stands_behind_what_is_in_flight() -> None:
    """DESIGN §5: answered as a read behind the proposals in flight on its nodes; then it may hold."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), bob.open_handle("/f")
    cell.applying = False
    alice.start(SetContents(handle, b"1"))
    call = bob.start(SetContents(other, b"2", generation=2))
    assert bob.answer(call) is None
    cell.applying = True
    cell.settle()
    answer = bob.answer(call)
    assert isinstance(answer, StatResult) and answer.stat.content_generation == 3


def test_a_condition_that_failed_before_its_turn_is_not_proposed() -> None:
    """It held when it arrived; somebody else was first; the caches had to be disturbed anyway."""
    cell, alice, bob, handle = reader_and_writer()
    first = alice.start(SetContents(handle, b"1"))
    carol = cell.client("carol")
    second = carol.start(SetContents(carol.open_handle("/f"), b"2", generation=1))
    before = len(cell.proposed(Request))
    acknowledge(bob)
    assert isinstance(alice.answer(first), StatResult)
    assert code_of(carol.answer(second)) is ErrorCode.GENERATION_MISMATCH
    assert len(cell.proposed(Request)) <= before + 2


# --------------------------------------------------------------------------------------------------------- ephemerals


def test_the_last_close_of_an_ephemeral_invalidates_first() -> None:
    """DESIGN §5: Close of a session that deletes ephemerals also invalidates first."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/e", ephemeral=True)
    bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    bob.auto_ack = False
    call = alice.start(Close(handle))
    assert alice.answer(call) is None
    bob.read()
    assert set(bob.invalidated) == {node_key("/e"), children_key("/")}
    acknowledge(bob)
    assert isinstance(alice.answer(call), Done) and cell.machine.node("/e") is None


def test_a_close_that_deletes_nothing_disturbs_nobody() -> None:
    """One of many who have it open: no cache is touched."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/e", ephemeral=True)
    other = bob.open_handle("/e")
    carol = cell.client("carol")
    carol.open_handle("/e")
    assert isinstance(bob.call(Close(other)), Done) and carol.pushes == []
    assert len([one for one in cell.proposed(Request) if _is_close(one.body)]) == 1


def _is_close(body: object) -> bool:
    return isinstance(body, Request) and isinstance(body.action, CloseHandle)


def test_the_last_two_closes_together() -> None:
    """Both are on their way at once: the one that is proposed last is the one that invalidates."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    one, two = alice.open_handle("/e", ephemeral=True), bob.open_handle("/e")
    carol.call(ReadDir(carol.open_handle("/", Mode.READ)))
    carol.auto_ack = False
    cell.applying = False
    first, second = alice.start(Close(one)), bob.start(Close(two))
    assert len(cell.log) == 1, "the second waits for carol"
    carol.read()
    assert node_key("/e") in carol.invalidated
    acknowledge(carol)
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(first), Done) and isinstance(bob.answer(second), Done)
    assert cell.machine.node("/e") is None


def test_a_cascade_invalidates_every_ephemeral_it_takes_away() -> None:
    """DESIGN §4: an empty set and no children deletes the node: the parent goes with its last child."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    above = alice.open_handle("/e", ephemeral=True)
    below = alice.open_handle("/e/x")
    alice.call(Close(above))
    assert cell.machine.node("/e") is not None, "its child keeps it"
    bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    bob.auto_ack = False
    call = alice.start(Delete(below))
    assert alice.answer(call) is None, "bob caches /e, from the listing"
    acknowledge(bob)
    assert isinstance(alice.answer(call), Done)
    assert cell.machine.node("/e") is None and {node_key("/e"), children_key("/")} <= set(bob.invalidated)


@pytest.mark.parametrize("expired", [False, True])
def test_the_end_of_a_session_invalidates_its_ephemerals(expired: bool) -> None:
    """Expiry and CloseSession are changes like any other."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.open_handle("/e", ephemeral=True)
    if expired:
        alice.disconnect()
        cell.advance(9 * SECOND)
        bob.keep_alive()
    bob.call(ReadDir(bob.open_handle("/", Mode.READ)))
    bob.auto_ack = False
    if expired:
        cell.advance(3 * SECOND)
    else:
        alice.send(CloseSessionFrame())
    kind = ExpireSession if expired else CloseSession
    assert cell.proposed(kind) == [] and cell.machine.node("/e") is not None
    acknowledge(bob)
    assert len(cell.proposed(kind)) == 1 and cell.machine.node("/e") is None


def test_an_ending_session_is_drained_before_its_ephemerals_are_counted() -> None:
    """What it has on its way may open another one: that one is invalidated, too."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    root = bob.open_handle("/", Mode.READ)
    cell.applying = False
    alice.start(Open(1, "/e", Mode.READ | Mode.WRITE, create=CreateMode.MUST, ephemeral=True))
    assert len(cell.log) == 1
    alice.send(CloseSessionFrame())
    assert len(cell.log) == 1, "not before the Open is applied"
    cell.apply()
    assert [type(command.body) for command in cell.log] == [CloseSession]
    bob.call(ReadDir(root))
    assert not bob.last.cacheable, "what its end will delete is uncachable from now on"
    cell.apply()
    bob.call(ReadDir(root))
    assert cell.machine.node("/e") is None and bob.last.cacheable


# --------------------------------------------------------------------------------------------------------- bounds


def test_a_session_that_caches_too_much_starts_afresh() -> None:
    """Registrations are bounded: the client is told to empty its cache, and may fill it again."""
    cell = Cell(MasterSettings(replica=1, keys_per_session=4))
    alice = cell.client()
    for number in range(4):
        alice.open_handle(f"/{number}")
        assert alice.last.cacheable
    alice.open_handle("/4")
    assert not alice.last.cacheable
    assert [push.everything for push in alice.pushes] == [True] and cell.master.statistics().cached_keys == 0
    alice.open_handle("/5")
    assert alice.last.cacheable


def test_a_full_registry_takes_from_those_who_do_not_use_their_cache() -> None:
    """Sessions whose cache lease has run out start afresh; nobody waits for them."""
    cell = Cell(MasterSettings(replica=1, keys_in_total=3))
    idle, busy = cell.client(), cell.client("bob")
    for number in range(3):
        idle.open_handle(f"/{number}")
    handle = busy.open_handle("/0")
    assert not busy.last.cacheable, "idle's lease is live still"
    cell.advance(5 * SECOND)
    busy.call(GetStat(handle))
    assert busy.last.cacheable and idle.pushes[-1].everything
    assert cell.master.statistics().cached_keys == 1


def test_keep_alives_flow_while_a_change_waits() -> None:
    """A writer that waits holds nobody up but itself."""
    cell, alice, bob, handle = reader_and_writer()
    alice.start(SetContents(handle, b"new"))
    assert alice.keep_alive() is not None
    bob.send(KeepAlive(9, True))
    assert isinstance(alice.call(Open(40, "/other", Mode.READ | Mode.WRITE, create=CreateMode.MAY)), Opened)
    assert cell.master.statistics().commands_waiting == 1
