"""Locks of the master, continued (DESIGN §4 Locks)."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.master.footprints import node_key
from chubby.namespace.commands import CloseSession as CloseCommand
from chubby.namespace.commands import EndLockDelay, ExpireSession, Request
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CheckSequencer,
    Close,
    Delete,
    GetContentsAndStat,
    GetSequencer,
    Mode,
    ReadDir,
    Release,
    SetContents,
    SetSequencer,
)
from chubby.types.results import Contents, Done, LockGranted, SequencerResult, StatResult
from chubby.types.stream import Acknowledge, CloseSession, SessionClosed
from chubby.types.time import SECOND
from tests.master.cell import Cell, Client, code_of
from tests.master.locking import SHARED, contenders

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


def test_without_a_master_lease_the_end_of_a_holder_waits_as_well() -> None:
    """CloseSession needs no lease to be decided, but it would grant the lock to a waiter who may be dead."""
    cell, (alice, bob), (one, two) = contenders()
    alice.call(Acquire(one))
    bob.start(Acquire(two))
    cell.advance(6 * SECOND)
    alice.keep_alive()
    cell.now += 6 * SECOND
    cell.live = False
    alice.send(CloseSession())
    assert alice.end is None and not cell.proposed(CloseCommand)
    cell.live = True
    cell.tick()
    cell.let_read()
    assert isinstance(alice.end, SessionClosed)
    assert [type(command.body) for command in cell.commands[-2:]] == [ExpireSession, CloseCommand]
    assert bob.session not in [grant.owner.session for outcome in cell.outcomes for grant in outcome.grants]


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
