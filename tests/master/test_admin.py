"""Operators' calls, statistics, and the effects that ask the shell for something (DESIGN §5, §6)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode, Failure
from chubby.master import ChangeMembers, HandOver, MasterSettings
from chubby.types.calls import (
    Acquire,
    Call,
    GetStat,
    ListLocks,
    ListSessions,
    MemberAction,
    SetContents,
    StepDown,
    Watch,
)
from chubby.types.calls import ChangeMembers as ChangeMembersCall
from chubby.types.results import Done, Locks, Sessions
from chubby.types.time import NEVER, SECOND
from tests.master.cell import Cell, code_of

CHANGE = ChangeMembersCall(MemberAction.ADD, 6, "h:1", "h:2")


def test_list_locks_in_pages() -> None:
    """In path order, after the path given."""
    cell = Cell()
    alice = cell.client()
    for name in "cab":
        alice.call(Acquire(alice.open_handle(f"/{name}")))
    answer = alice.call(ListLocks(limit=2))
    assert isinstance(answer, Locks) and [lock.path for lock in answer.locks] == ["/a", "/b"] and answer.more
    answer = alice.call(ListLocks(after="/b"))
    assert isinstance(answer, Locks) and [lock.path for lock in answer.locks] == ["/c"] and not answer.more


def test_list_sessions() -> None:
    """With what this master knows of each."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.call(Acquire(alice.open_handle("/l")))
    alice.open_handle("/e", ephemeral=True)
    bob.disconnect()
    cell.advance(5 * SECOND)
    answer = alice.call(ListSessions())
    assert isinstance(answer, Sessions) and not answer.more
    one, two = answer.sessions
    assert (one.session, one.principal, one.connected) == (alice.session, "alice", True)
    assert (one.handles, one.locks, one.ephemerals, one.cached, one.lease_left) == (2, 1, 1, 2, 7 * SECOND)
    assert (two.principal, two.connected, two.handles) == ("bob", False, 0)
    answer = alice.call(ListSessions(after=alice.session, limit=1))
    assert isinstance(answer, Sessions) and [info.principal for info in answer.sessions] == ["bob"]


def test_step_down() -> None:
    """The shell is asked to hand over; the call is answered first."""
    cell = Cell()
    alice = cell.client()
    assert isinstance(alice.call(StepDown(3)), Done)
    assert cell.requests == [HandOver(3)]


@pytest.mark.parametrize("call", [StepDown(), CHANGE], ids=["step down", "change members"])
def test_for_administrators_alone_where_identities_are_proven(call: Call) -> None:
    """Anyone while they are not."""
    cell = Cell(MasterSettings(replica=1, identities_proven=True))
    alice, root = cell.client(), cell.client("root")
    assert code_of(alice.call(call)) is ErrorCode.PERMISSION_DENIED and cell.requests == []
    root.start(call)
    assert len(cell.requests) == 1
    trusting = Cell()
    trusting.client().start(call)
    assert len(trusting.requests) == 1


@pytest.mark.parametrize("failure", [None, Failure(ErrorCode.MEMBERSHIP_REFUSED, "no quorum")], ids=["done", "refused"])
def test_a_change_of_members_is_answered_when_the_shell_says_so(failure: Failure | None) -> None:
    """Held until then; other calls go on."""
    cell = Cell()
    alice = cell.client()
    call = alice.start(CHANGE)
    assert alice.answer(call) is None
    assert cell.requests == [ChangeMembers(1, CHANGE)]
    assert alice.call(GetStat(alice.open_handle("/f"))) is not None
    cell.master.membership_answered(99, None, cell.now)
    cell.master.membership_answered(1, failure, cell.now)
    cell.settle()
    answer = alice.answer(call)
    assert answer == failure if failure else isinstance(answer, Done)
    cell.master.membership_answered(1, failure, cell.now)


def test_a_repeated_change_of_members_is_one() -> None:
    """The stream broke while the shell was at it."""
    cell = Cell()
    alice = cell.client()
    call = alice.start(CHANGE)
    alice.resume()
    alice.again(call)
    assert len(cell.requests) == 1
    cell.master.membership_answered(1, None, cell.now)
    cell.settle()
    assert isinstance(alice.answer(call), Done)


def test_statistics() -> None:
    """Immutable figures of the moment, and counts since the start."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    bob.call(GetStat(bob.open_handle("/f")))
    bob.call(Watch(1, "/f"))
    bob.auto_ack = False
    alice.start(SetContents(handle, b"x"))
    figures = cell.master.statistics()
    assert (figures.phase, figures.epoch, figures.elections) == ("serving", cell.epoch, 1)
    assert (figures.streams, figures.sessions, figures.sessions_connected, figures.sessions_awaited) == (2, 2, 2, 0)
    assert (figures.handles, figures.watches, figures.locks) == (2, 1, 0)
    assert (figures.calls_pending, figures.commands_waiting, figures.commands_in_flight) == (1, 1, 0)
    assert (figures.uncachable_keys, figures.invalidations, figures.invalidation_rounds) == (1, 1, 2)
    assert figures.calls_answered == 4
    with pytest.raises(AttributeError):
        figures.phase = "other"  # type: ignore[misc]  # it is frozen: that is the point


def test_an_idle_follower_wants_nothing() -> None:
    """No effects, no wake-up."""
    cell = Cell(elect=False)
    assert cell.master.wake_at == NEVER and cell.master.take_effects() == []
    cell.master.tick(cell.now, cell.lease_until)
    assert cell.master.take_effects() == []


def test_a_master_wakes_for_what_is_due_next() -> None:
    """And a tick before that does nothing."""
    cell = Cell()
    alice = cell.client()
    assert cell.master.wake_at == cell.now + 12 * SECOND
    handle = alice.open_handle("/f")
    cell.client("bob").open_handle("/f")
    cell.clients[1].auto_ack = False
    alice.start(SetContents(handle, b"x"), patience=2 * SECOND)
    assert cell.master.wake_at == cell.now + 2 * SECOND
    before = len(cell.commands)
    cell.master.tick(cell.now + SECOND, cell.lease_until + SECOND)
    cell.settle()
    assert len(cell.commands) == before


def test_another_machine_while_we_are_a_follower() -> None:
    """A snapshot was installed: the next mastership reads the new one."""
    cell = Cell()
    cell.depose()
    other = Cell()
    other.client().open_handle("/of-the-other")
    cell.machine = other.machine
    cell.slot = other.slot
    cell.master.replace_machine(other.machine)
    cell.elect()
    assert cell.master.statistics().sessions_awaited == 1


def test_not_while_we_are_the_master() -> None:
    """A master's machine is the newest there is."""
    cell = Cell()
    with pytest.raises(AssertionError):
        cell.master.replace_machine(cell.machine)
