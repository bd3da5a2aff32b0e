"""Locks, their queue, their events, lock-delay and sequencers (DESIGN §4 Locks, Token, Lock-delay; paper §2.4)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.master.footprints import node_key
from chubby.namespace.commands import EndLockDelay, ExpireSession, Request
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CheckSequencer,
    Close,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    Mode,
    ReadDir,
    Release,
    SetContents,
    SetSequencer,
)
from chubby.types.events import EventKind, EventMask
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.results import Contents, Done, LockGranted, LockInfoResult, SequencerResult, StatResult
from chubby.types.stream import Acknowledge, CloseSession
from chubby.types.time import SECOND
from tests.master.cell import Cell, Client, code_of

SHARED = LockMode.SHARED


def contenders(count: int = 2) -> tuple[Cell, list[Client], list[int]]:
    """Clients with one handle each on `/l`."""
    cell = Cell()
    clients = [cell.client(f"c{number}") for number in range(count)]
    return cell, clients, [client.open_handle("/l") for client in clients]


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
    assert [(event.kind, event.handle, event.generation) for event in bob.events] == [
        (EventKind.LOCK_ACQUIRED, two, 1)
    ]


# --------------------------------------------------------------------------------------------- nobody dead is granted


def test_overdue_sessions_are_expired_before_a_release_is_proposed() -> None:
    """DESIGN §4: bob's lease has run out, the timer has not fired yet; alice's release must not grant him the lock."""
    cell, (alice, bob, carol), (one, two, three) = contenders(3)
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    third = carol.start(Acquire(three))
    cell.advance(6 * SECOND)
    alice.keep_alive()
    carol.keep_alive()
    cell.now += 6 * SECOND
    assert isinstance(alice.call(Release(one)), Done)
    assert isinstance(carol.answer(third), LockGranted)
    bodies = [type(command.body) for command in cell.commands[-2:]]
    assert bodies == [ExpireSession, Request]
    granted = [grant.owner.session for outcome in cell.outcomes for grant in outcome.grants]
    assert bob.session not in granted


def test_the_same_for_close_and_for_the_end_of_a_session() -> None:
    """Whatever may give the lock to a waiter."""
    for last in (0, 1):
        cell, (alice, bob, carol), (one, two, three) = contenders(3)
        alice.call(Acquire(one))
        bob.start(Acquire(two))
        third = carol.start(Acquire(three))
        cell.advance(6 * SECOND)
        alice.keep_alive()
        carol.keep_alive()
        cell.now += 6 * SECOND
        if last:
            alice.send(CloseSession())
        else:
            alice.call(Close(one))
        assert isinstance(carol.answer(third), LockGranted)
        assert bob.session not in [grant.owner.session for outcome in cell.outcomes for grant in outcome.grants]


def test_the_same_for_the_end_of_a_lock_delay() -> None:
    """EndLockDelay grants, too: bob's lease runs out in the very instant in which the lock-delay does."""
    cell, (alice, bob, carol), (one, two, three) = contenders(3)
    alice.call(Acquire(one, lock_delay=11 * SECOND))
    bob.start(Acquire(two))
    third = carol.start(Acquire(three))
    cell.advance(11 * SECOND)
    bob.keep_alive()
    carol.keep_alive()
    cell.advance(SECOND)
    assert len(cell.machine.delays()) == 1, "alice is dead"
    cell.advance(10 * SECOND)
    carol.keep_alive()
    cell.now += SECOND
    cell.tick()
    assert isinstance(carol.answer(third), LockGranted)
    assert [type(command.body) for command in cell.commands[-2:]] == [ExpireSession, EndLockDelay]


def test_an_overdue_waiter_goes_before_an_overdue_holder() -> None:
    """Both leases ran out together: the holder's expiry must not grant the lock to the dead waiter."""
    cell, (alice, bob, carol), (one, two, three) = contenders(3)
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    third = carol.start(Acquire(three))
    cell.advance(6 * SECOND)
    carol.keep_alive()
    cell.advance(6 * SECOND)
    assert isinstance(carol.answer(third), LockGranted)
    ends = [command.body for command in cell.proposed(ExpireSession)]
    assert ends == [ExpireSession(bob.session), ExpireSession(alice.session)]


def test_overdue_sessions_that_wait_for_each_other() -> None:
    """In a circle somebody has to begin; all of them end."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handles = [(client.open_handle("/l"), client.open_handle("/m")) for client in (alice, bob)]
    alice.call(Acquire(handles[0][0]))
    bob.call(Acquire(handles[1][1]))
    alice.start(Acquire(handles[0][1]))
    bob.start(Acquire(handles[1][0]))
    cell.advance(12 * SECOND)
    assert cell.machine.session_count == 0 and cell.machine.lock_count == 0


def test_a_release_waits_for_the_expiry_to_be_proposed() -> None:
    """The dead waiter's ephemeral is cached by somebody who does not answer: the expiry takes time, the release too."""
    cell, (alice, bob, carol), (one, two, _) = contenders(3)
    bob.open_handle("/e", ephemeral=True)
    other = alice.open_handle("/other")
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    cell.advance(9 * SECOND)
    alice.keep_alive()
    carol.keep_alive()
    carol.call(ReadDir(carol.open_handle("/", Mode.READ)))
    carol.auto_ack = False
    cell.now += 3 * SECOND
    call = alice.start(Release(one))
    assert alice.answer(call) is None and cell.proposed(ExpireSession) == []
    assert isinstance(alice.call(Acquire(other)), LockGranted), "nothing else waits"
    carol.send(Acknowledge(carol.pushes[-1].number))
    assert isinstance(alice.answer(call), Done) and len(cell.proposed(ExpireSession)) == 1
    assert node_key("/e") in carol.invalidated


def test_without_a_master_lease_nobody_is_judged() -> None:
    """Somebody may be overdue and must not be expired now: the release waits for the lease."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    cell.advance(6 * SECOND)
    alice.keep_alive()
    cell.applying = False
    call = alice.start(SetContents(one, b"x"))
    cell.now += 6 * SECOND
    cell.live = False
    release = alice.start(Release(one))
    cell.applying = True
    cell.settle()
    assert alice.answer(release) is None
    cell.live = True
    cell.tick()
    assert isinstance(alice.answer(release), Done) and alice.answer(call) is not None
    assert [type(command.body) for command in cell.commands[-2:]] == [ExpireSession, Request]


# --------------------------------------------------------------------------------------------------------- lock-delay


def test_lock_delay_runs_on_the_masters_clock() -> None:
    """EndLockDelay is proposed when it has passed, with the generation it belongs to."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one, lock_delay=20 * SECOND))
    waiting = bob.start(Acquire(two))
    alice.disconnect()
    for _ in range(2):
        cell.advance(6 * SECOND)
        bob.keep_alive()
    assert cell.machine.delays()[0].delay == 20 * SECOND and cell.master.statistics().lock_delays == 1
    for _ in range(4):
        cell.advance(5 * SECOND - 1)
        bob.keep_alive()
        assert bob.answer(waiting) is None
        cell.advance(1)
    assert isinstance(bob.answer(waiting), LockGranted)
    assert [command.body for command in cell.proposed(EndLockDelay)] == [EndLockDelay("/l", 3, 1)]


def test_the_delay_of_a_deleted_node_is_no_matter() -> None:
    """Nothing is proposed for a lock that is gone."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one, lock_delay=5 * SECOND))
    alice.disconnect()
    for _ in range(2):
        cell.advance(6 * SECOND)
        bob.keep_alive()
    bob.call(Delete(two))
    cell.advance(6 * SECOND)
    assert cell.proposed(EndLockDelay) == []


# --------------------------------------------------------------------------------------------------------- sequencers


def sequencer_of(client: Client, handle: int) -> SequencerResult:
    """Of the lock it holds."""
    answer = client.call(GetSequencer(handle))
    assert isinstance(answer, SequencerResult), answer
    return answer


def test_a_sequencer_describes_the_hold_period() -> None:
    """Lock name, mode, generation, token; valid for whoever asks while the lock is held."""
    _, (alice, bob), (one, _) = contenders()
    granted = alice.call(Acquire(one, SHARED))
    sequencer = sequencer_of(alice, one)
    assert isinstance(granted, LockGranted)
    assert (sequencer.path, sequencer.mode) == ("/l", SHARED)
    assert (sequencer.generation, sequencer.token) == (granted.generation, granted.token)
    assert bob.call(CheckSequencer(sequencer.sequencer)) == sequencer


def test_without_the_lock_there_is_no_sequencer() -> None:
    """LOCK_NOT_HELD, also for somebody who waits."""
    _, (alice, bob), (one, two) = contenders()
    assert code_of(alice.call(GetSequencer(one))) is ErrorCode.LOCK_NOT_HELD
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    assert code_of(bob.call(GetSequencer(two))) is ErrorCode.LOCK_NOT_HELD


def test_a_sequencer_ends_with_its_hold_period() -> None:
    """Released, and taken again by the same owner: another period, another token."""
    _, (alice, bob), (one, _) = contenders()
    alice.call(Acquire(one))
    sequencer = sequencer_of(alice, one).sequencer
    alice.call(Release(one))
    assert code_of(bob.call(CheckSequencer(sequencer))) is ErrorCode.SEQUENCER_INVALID
    alice.call(Acquire(one))
    assert code_of(bob.call(CheckSequencer(sequencer))) is ErrorCode.SEQUENCER_INVALID
    assert isinstance(bob.call(CheckSequencer(sequencer_of(alice, one).sequencer)), SequencerResult)


def test_forged_and_foreign_sequencers() -> None:
    """The check digits are the cell's."""
    _, (alice, _), (one, _) = contenders()
    alice.call(Acquire(one))
    data = sequencer_of(alice, one).sequencer
    for forged in (b"", b"x", data[:-1] + bytes([data[-1] ^ 1]), bytes([data[0] ^ 1]) + data[1:]):
        assert code_of(alice.call(CheckSequencer(forged))) is ErrorCode.SEQUENCER_INVALID
        assert code_of(alice.call(SetSequencer(one, forged))) is ErrorCode.SEQUENCER_INVALID


def test_a_sequencer_survives_one_rotation_of_the_key() -> None:
    """Current and previous key count; so do the tickets of sessions and handles."""
    cell, (alice, _), (one, _) = contenders()
    alice.call(Acquire(one))
    data = sequencer_of(alice, one).sequencer
    cell.settings = MasterSettings(replica=1, rotate_key=True)
    cell.fail_over()
    alice.resume()
    assert alice.resumed is not None and alice.resumed.lost == ()
    assert isinstance(alice.call(CheckSequencer(data)), SequencerResult)
    assert sequencer_of(alice, one).sequencer != data, "new ones are made with the current key"


def test_a_bound_sequencer_guards_every_later_operation() -> None:
    """DESIGN §5: later operations carry the guard, or fail SEQUENCER_INVALID (paper §2.6 SetSequencer)."""
    _, (alice, bob), (one, _) = contenders()
    alice.call(Acquire(one))
    guarded = bob.open_handle("/data")
    assert isinstance(bob.call(SetSequencer(guarded, sequencer_of(alice, one).sequencer)), Done)
    assert isinstance(bob.call(SetContents(guarded, b"1")), StatResult)
    assert isinstance(bob.call(GetContentsAndStat(guarded)), Contents)
    alice.call(Release(one))
    for call in (SetContents(guarded, b"2"), GetContentsAndStat(guarded), Delete(guarded), Acquire(guarded)):
        assert code_of(bob.call(call)) is ErrorCode.SEQUENCER_INVALID
    assert isinstance(bob.call(Close(guarded)), Done)


def test_the_guard_is_evaluated_at_the_slot() -> None:
    """The lock was released before the write's turn in the log: the write fails."""
    cell, (alice, bob), (one, _) = contenders()
    alice.call(Acquire(one))
    guarded = bob.open_handle("/data")
    bob.call(SetSequencer(guarded, sequencer_of(alice, one).sequencer))
    cell.applying = False
    alice.start(Release(one))
    plain = bob.start(SetContents(guarded, b"2"))
    conditional = bob.start(SetContents(guarded, b"3", generation=1))
    cell.applying = True
    cell.settle()
    assert code_of(bob.answer(plain)) is ErrorCode.SEQUENCER_INVALID
    assert code_of(bob.answer(conditional)) is ErrorCode.SEQUENCER_INVALID


def test_releasing_through_a_guarded_handle() -> None:
    """A sequencer that is over must not keep anybody from giving a lock back."""
    _, (alice, bob), (one, _) = contenders()
    alice.call(Acquire(one))
    own = bob.open_handle("/own")
    bob.call(Acquire(own))
    bob.call(SetSequencer(own, sequencer_of(alice, one).sequencer))
    alice.call(Release(one))
    assert isinstance(bob.call(Release(own)), Done)
    assert isinstance(bob.call(CancelAcquire(own)), Done)
