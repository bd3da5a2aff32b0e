"""Locks, their queue, their events, lock-delay and sequencers (DESIGN §4 Locks, Token, Lock-delay; paper §2.4)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    Close,
    Delete,
    GetLockInfo,
    GetStat,
    Release,
)
from chubby.types.events import EventKind, EventMask
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.results import Done, LockGranted, LockInfoResult
from chubby.types.time import SECOND
from tests.master.cell import Cell, code_of
from tests.master.locking import SHARED, contenders

# ---------------------------------------------------------------------------------------------------------- the queue


def test_granted_at_once_or_when_it_is_free() -> None:
    """The reply comes when the lock is granted, with the token of the hold period."""
    _, (alice, bob), (one, two) = contenders()
    first = alice.call(Acquire(one))
    waiting = bob.start(Acquire(two))
    assert isinstance(first, LockGranted) and bob.answer(waiting) is None
    assert isinstance(alice.call(Release(one)), Done)
    second = bob.answer(waiting)
    assert isinstance(second, LockGranted) and second.token > first.token and second.generation == 2


def test_first_come_first_served() -> None:
    """No barging."""
    _, clients, handles = contenders(4)
    calls = [client.start(Acquire(handle)) for client, handle in zip(clients, handles, strict=True)]
    for turn in range(4):
        granted = [client.answer(call) is not None for client, call in zip(clients, calls, strict=True)]
        assert granted == [number <= turn for number in range(4)]
        clients[turn].call(Release(handles[turn]))


def test_shared_holders_have_one_token() -> None:
    """One number per hold period (free → held); shared joiners get the same."""
    _, (alice, bob), (one, two) = contenders()
    first, second = alice.call(Acquire(one, SHARED)), bob.call(Acquire(two, SHARED))
    assert isinstance(first, LockGranted) and first == second


def test_try_acquire_does_not_wait() -> None:
    """LOCK_CONFLICT at once if it is not free, also if somebody waits."""
    _, (alice, bob, carol), (one, two, three) = contenders(3)
    alice.call(Acquire(one, SHARED))
    assert isinstance(bob.call(Acquire(two, SHARED, wait=False)), LockGranted)
    carol.start(Acquire(three))
    bob.call(Release(two))
    assert code_of(bob.call(Acquire(two, SHARED, wait=False))) is ErrorCode.LOCK_CONFLICT


def test_polling_a_held_lock_puts_nothing_into_the_log() -> None:
    """A TryAcquire that is bound to fail is answered like a read, behind what is in flight for the lock."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    before = len(cell.commands)
    for _ in range(3):
        assert code_of(bob.call(Acquire(two, wait=False))) is ErrorCode.LOCK_CONFLICT
    assert len(cell.commands) == before
    assert isinstance(alice.call(Acquire(one, wait=False)), LockGranted), "one's own lock is no conflict"
    cell.applying = False
    release = alice.start(Release(one))
    polled = bob.start(Acquire(two, wait=False))
    assert bob.answer(polled) is None
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(release), Done) and isinstance(bob.answer(polled), LockGranted)


def test_acquire_is_idempotent() -> None:
    """A repeat by the same owner finds its own grant, or its own place; both are answered."""
    _, (alice, bob), (one, two) = contenders()
    first = alice.call(Acquire(one))
    assert alice.call(Acquire(one)) == first
    waiting, again = bob.start(Acquire(two)), bob.start(Acquire(two))
    alice.call(Release(one))
    assert isinstance(bob.answer(waiting), LockGranted) and bob.answer(waiting) == bob.answer(again)


def test_releasing_what_is_not_held() -> None:
    """LOCK_NOT_HELD."""
    _, (alice, bob), (one, two) = contenders()
    assert code_of(alice.call(Release(one))) is ErrorCode.LOCK_NOT_HELD
    alice.call(Acquire(one))
    assert code_of(bob.call(Release(two))) is ErrorCode.LOCK_NOT_HELD


def test_cancelling() -> None:
    """Leaves no orphan in the queue; the waiting call is answered CANCELLED."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    waiting = bob.start(Acquire(two))
    assert isinstance(bob.call(CancelAcquire(two)), Done)
    assert code_of(bob.answer(waiting)) is ErrorCode.CANCELLED
    lock = cell.machine.lock("/l")
    assert lock is not None and lock.waiters == ()
    assert isinstance(bob.call(CancelAcquire(two)), Done), "idempotent"


def test_cancelling_too_late() -> None:
    """If the lock was granted meanwhile it stays held, and the result says so."""
    _, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    waiting = bob.start(Acquire(two))
    alice.call(Release(one))
    granted = bob.call(CancelAcquire(two))
    assert isinstance(granted, LockGranted) and granted == bob.answer(waiting)


def test_closing_the_handle_gives_the_lock_back() -> None:
    """Or the place in the queue, whose call is answered HANDLE_INVALID."""
    cell, (alice, bob, carol), (one, two, three) = contenders(3)
    alice.call(Acquire(one))
    waiting, last = bob.start(Acquire(two)), carol.start(Acquire(three))
    assert isinstance(bob.call(Close(two)), Done)
    assert code_of(bob.answer(waiting)) is ErrorCode.HANDLE_INVALID and carol.answer(last) is None
    assert isinstance(alice.call(Close(one)), Done)
    assert isinstance(carol.answer(last), LockGranted)
    lock = cell.machine.lock("/l")
    assert lock is not None and lock.holders == (LockOwner(carol.session, three),)


def test_deleting_the_node_orphans_its_waiters() -> None:
    """DESIGN §4: Delete answers waiters with HANDLE_INVALID."""
    _, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    waiting = bob.start(Acquire(two))
    assert isinstance(alice.call(Delete(one)), Done)
    assert code_of(bob.answer(waiting)) is ErrorCode.HANDLE_INVALID


def test_the_state_of_a_lock() -> None:
    """Holders, waiters, mode, token; as of now, never cached."""
    _, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one, lock_delay=5 * SECOND))
    bob.start(Acquire(two, SHARED))
    answer = alice.call(GetLockInfo(one))
    assert isinstance(answer, LockInfoResult) and not alice.last.cacheable
    info = answer.info
    assert info.holders == (LockOwner(alice.session, one),) and info.mode is LockMode.EXCLUSIVE
    assert info.waiters == ((LockOwner(bob.session, two), SHARED),) and info.delay == 5 * SECOND


@pytest.mark.parametrize("delay", [-1, LOCK_DELAY_MAXIMUM + 1])
def test_lock_delay_is_bounded(delay: int) -> None:
    """DESIGN §4: the client's choice, at most a minute (paper §2.4)."""
    _, (alice, _), (one, _) = contenders()
    assert code_of(alice.call(Acquire(one, lock_delay=delay))) is ErrorCode.BAD_ARGUMENT


def test_locks_disturb_no_cache() -> None:
    """Lock fields are never cached, so taking one invalidates nothing."""
    _, (alice, bob), (one, two) = contenders()
    bob.call(GetStat(two))
    alice.call(Acquire(one))
    alice.call(Release(one))
    assert bob.pushes == []


# ------------------------------------------------------------------------------------------------------------- events


def test_conflict_events_go_to_holders_that_asked() -> None:
    """Event 6 of the paper: allows clients to keep locks until somebody else wants them."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    asked = alice.open_handle("/l", events=EventMask.LOCK_CONFLICT)
    other = bob.open_handle("/l")
    quiet = carol.open_handle("/l", events=EventMask.LOCK_CONFLICT)
    alice.call(Acquire(asked, SHARED))
    carol.open_handle("/m")
    bob.start(Acquire(other))
    cell.let_read()
    assert [(event.kind, event.handle, event.path) for event in alice.events] == [
        (EventKind.LOCK_CONFLICT, asked, "/l")
    ]
    assert carol.events == [] and quiet


def test_a_granted_lock_that_others_wait_for_conflicts_at_once() -> None:
    """Whoever is granted a lock others wait for is told that they do."""
    cell = Cell()
    alice, bob, carol = cell.client(), cell.client("bob"), cell.client("carol")
    one, three = alice.open_handle("/l"), carol.open_handle("/l")
    two = bob.open_handle("/l", events=EventMask.LOCK_CONFLICT)
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    carol.start(Acquire(three))
    alice.call(Release(one))
    cell.let_read()
    assert [event.kind for event in bob.events] == [EventKind.LOCK_CONFLICT]


def test_lock_acquired_tells_everybody_who_asked() -> None:
    """Event 5 of the paper: used to determine when a primary has been elected. Once per hold period."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    one = alice.open_handle("/l")
    two = bob.open_handle("/l", events=EventMask.LOCK_ACQUIRED)
    alice.call(Acquire(one))
    cell.let_read()
    assert [(event.kind, event.handle, event.generation) for event in bob.events] == [(EventKind.LOCK_ACQUIRED, two, 1)]
