"""Lock-delay: a lock whose holder died stays closed for a while (DESIGN §4 Lock-delay; paper §2.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import BeginEpoch, CloseSession, EndLockDelay, ExpireSession
from chubby.namespace.outcomes import Delay, Outcome
from chubby.types.nodes import LockOwner
from tests.namespace.cell import HELD, NONE, SHARED, WAITING, Cell, code_of, standing_of


@pytest.fixture
def cell() -> Cell:
    """A cell with the sessions 1 to 4 and a node `/l`."""
    cell = Cell()
    assert [cell.session() for _ in range(4)] == [1, 2, 3, 4]
    cell.create(4, "/l")
    return cell


def end_delay(cell: Cell, generation: int = 1) -> EndLockDelay:
    """The command by which the lock-delay of `/l` after that hold period ends."""
    return EndLockDelay("/l", cell.instance("/l"), generation)


def test_expiry_closes_the_lock_until_the_delay_ends(cell: Cell) -> None:
    """The master is told once; until EndLockDelay nobody gets the lock, then the head of the queue."""
    cell.acquire(1, "/l", delay=7)
    cell.acquire(2, "/l")
    outcome = cell.do(ExpireSession(1))
    delay = Delay("/l", cell.instance("/l"), 1, 7)
    assert outcome.delays == (delay,)
    assert outcome.grants == ()
    assert cell.machine.delays() == (delay,)
    assert code_of(cell.acquire(3, "/l", wait=False)) is ErrorCode.LOCK_CONFLICT
    assert code_of(cell.acquire(3, "/l", SHARED, wait=False)) is ErrorCode.LOCK_CONFLICT
    queued = cell.acquire(3, "/l", SHARED)
    assert (standing_of(queued), queued.conflicts) == (WAITING, ())
    ended = cell.do(end_delay(cell))
    assert [grant.owner for grant in ended.grants] == [LockOwner(2, 1)]
    assert cell.machine.delays() == ()
    assert not ended.void


def test_the_lock_shows_that_it_is_delayed(cell: Cell) -> None:
    """LockInfo says so, with the delay that runs, and the numbers of the period before."""
    cell.acquire(1, "/l", delay=7)
    cell.do(ExpireSession(1))
    info = cell.machine.lock("/l")
    assert info is not None
    assert (info.delayed, info.delay, info.mode, info.holders, info.generation) == (True, 7, None, (), 1)
    assert cell.machine.lock_count == 1
    cell.do(end_delay(cell))
    assert cell.machine.lock_count == 0


def test_release_close_and_orderly_end_know_no_delay(cell: Cell) -> None:
    """Paper §2.4: a lock given back in the normal way is available at once."""
    ways: list[Callable[[], Outcome]] = [
        lambda: cell.release(1, "/l"),
        lambda: cell.close(1, "/l"),
        lambda: cell.do(CloseSession(1)),
    ]
    for give_back in ways:
        cell.acquire(1, "/l", delay=7)
        cell.acquire(2, "/l")
        outcome = give_back()
        assert (outcome.delays, len(outcome.grants)) == ((), 1)
        cell.release(2, "/l")


def test_without_a_delay_expiry_frees_at_once(cell: Cell) -> None:
    """A delay of 0 closes nothing."""
    cell.acquire(1, "/l")
    cell.acquire(2, "/l")
    outcome = cell.do(ExpireSession(1))
    assert (outcome.delays, [grant.owner.session for grant in outcome.grants]) == ((), [2])


def test_a_waiter_that_dies_closes_nothing(cell: Cell) -> None:
    """Only who held the lock may have work under way."""
    cell.acquire(1, "/l")
    cell.acquire(2, "/l", delay=7)
    assert cell.do(ExpireSession(2)).delays == ()
    assert cell.release(1, "/l").delays == ()


def test_only_the_delay_of_this_very_period_can_be_ended(cell: Cell) -> None:
    """EndLockDelay names path, instance and generation; any other is void."""
    cell.acquire(1, "/l", delay=7)
    held = cell.do(end_delay(cell))
    assert (held.void, code_of(held)) == (True, ErrorCode.GENERATION_MISMATCH)
    cell.do(ExpireSession(1))
    instance = cell.instance("/l")
    for wrong in (
        EndLockDelay("/l", instance, 0),
        EndLockDelay("/l", instance, 2),
        EndLockDelay("/l", instance + 1, 1),
        EndLockDelay("/", cell.instance("/"), 1),
        EndLockDelay("/none", instance, 1),
    ):
        outcome = cell.do(wrong)
        assert (outcome.void, code_of(outcome)) == (True, ErrorCode.GENERATION_MISMATCH)
    assert len(cell.machine.delays()) == 1
    assert not cell.do(end_delay(cell)).void
    assert cell.do(end_delay(cell)).void, "it ended already"


def test_an_old_timer_cannot_end_a_new_delay(cell: Cell) -> None:
    """The generation moved on: the command proposed for the first period leaves the second one closed."""
    cell.acquire(1, "/l", delay=7)
    cell.acquire(2, "/l", delay=9)
    cell.do(ExpireSession(1))
    first = end_delay(cell)
    cell.do(first)
    cell.do(ExpireSession(2))
    assert cell.do(first).void
    assert cell.machine.delays() == (Delay("/l", cell.instance("/l"), 2, 9),)


def test_a_shared_holder_that_dies_delays_the_end_of_the_period(cell: Cell) -> None:
    """While others hold, nothing closes and more may join. When the last goes, the delay of the dead begins."""
    cell.acquire(1, "/l", SHARED, delay=7)
    cell.acquire(2, "/l", SHARED, delay=50)
    assert cell.do(ExpireSession(1)).delays == ()
    assert standing_of(cell.acquire(3, "/l", SHARED)) is HELD
    assert standing_of(cell.acquire(4, "/l")) is WAITING
    assert cell.release(2, "/l").delays == ()
    outcome = cell.release(3, "/l")
    assert outcome.delays == (Delay("/l", cell.instance("/l"), 1, 7),), "not 50: that holder lives"
    assert outcome.grants == ()
    assert len(cell.do(end_delay(cell)).grants) == 1


def test_the_longest_delay_of_the_dead_counts(cell: Cell) -> None:
    """Several shared holders may die, also several handles of one session, in any order."""
    cell.acquire(1, "/l", SHARED, handle=1, delay=7)
    cell.acquire(1, "/l", SHARED, handle=2, delay=20)
    cell.acquire(1, "/l", SHARED, handle=3, delay=9)
    cell.acquire(2, "/l", SHARED, delay=30)
    cell.acquire(3, "/l", SHARED, delay=1)
    cell.do(CloseSession(2))
    cell.do(ExpireSession(1))
    assert cell.do(ExpireSession(3)).delays == (Delay("/l", cell.instance("/l"), 1, 20),)


def test_the_delay_of_one_period_is_not_owed_by_the_next(cell: Cell) -> None:
    """After EndLockDelay the lock starts afresh."""
    cell.acquire(1, "/l", delay=7)
    cell.acquire(2, "/l", delay=9)
    cell.do(ExpireSession(1))
    cell.do(end_delay(cell))
    assert cell.release(2, "/l").delays == ()


def test_waiters_may_leave_and_die_during_the_delay(cell: Cell) -> None:
    """The lock stays closed whoever leaves; at the end whoever is left is granted, or nobody."""
    cell.acquire(1, "/l", delay=7)
    cell.acquire(2, "/l")
    cell.acquire(3, "/l")
    cell.do(ExpireSession(1))
    assert standing_of(cell.cancel(3, "/l")) is NONE
    outcome = cell.do(ExpireSession(2))
    assert (outcome.grants, outcome.delays) == ((), ())
    assert len(cell.machine.delays()) == 1
    assert cell.do(end_delay(cell)).grants == ()
    assert standing_of(cell.acquire(4, "/l", wait=False)) is HELD


def test_deleting_the_node_ends_the_delay_with_the_lock(cell: Cell) -> None:
    """There is nothing left to protect; a new node of that name is open."""
    cell.acquire(1, "/l", delay=7)
    cell.acquire(2, "/l")
    cell.do(ExpireSession(1))
    old = end_delay(cell)
    assert cell.remove(3, "/l").orphaned == (LockOwner(2, 1),)
    cell.create(3, "/l")
    assert cell.machine.delays() == ()
    assert standing_of(cell.acquire(3, "/l", wait=False)) is HELD
    assert cell.do(old).void


def test_delays_survive_a_change_of_masters(cell: Cell) -> None:
    """DESIGN §4: a new master restarts them in full; the machine tells it which there are, in path order."""
    for path in ("/z", "/b"):
        cell.create(4, path)
        cell.acquire(1, path, delay=5)
    cell.do(ExpireSession(1))
    cell.do(BeginEpoch(2))
    assert [(delay.path, delay.delay) for delay in cell.machine.delays()] == [("/b", 5), ("/z", 5)]
