"""Calls about locks: Acquire, CancelAcquire, Release, and the three about sequencers (DESIGN §4 Locks, Token; §5).

The queue is in the machine. A call that has to wait stays pending here; when its owner is granted the lock, now or
after a fail-over under the next master, it is answered. Lock state is never cached, so nothing here waits for
invalidations; what may give the lock to somebody else says so (`frees`), for overdue sessions are expired before.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master import sequencer
from chubby.master.desk import Desk, Held, Plan, Settled, refuse
from chubby.master.handles import Handle
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.session import Session
from chubby.namespace.commands import AcquireLock, ReleaseLock
from chubby.namespace.commands import CancelAcquire as CancelAcquireLock
from chubby.namespace.nodes import Node
from chubby.namespace.outcomes import LockAnswer, LockStanding, Reply
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CheckSequencer,
    GetSequencer,
    Mode,
    Release,
    SetSequencer,
)
from chubby.types.limits import LOCK_DELAY_MAXIMUM
from chubby.types.nodes import LockMode, LockOwner, Sequencer
from chubby.types.results import Done, LockGranted, SequencerResult
from chubby.types.transaction import TokenIs

_LockCall = Acquire | CancelAcquire | Release


def footprint(desk: Desk, session: Session, call: _LockCall) -> Footprint:
    """The lock of the handle's node."""
    path = desk.path_of(session, call.handle)
    return Footprint(Rank.CHANGE, call.handle, () if path is None else (path,))


def acquire(desk: Desk, session: Session, call: Acquire, at: Moment) -> Plan | Settled:
    """Take the lock, or queue for it."""
    found = desk.handle_of(session, call.handle, Mode.WRITE)
    if isinstance(found, Failure):
        return Settled(found)
    if not 0 <= call.lock_delay <= LOCK_DELAY_MAXIMUM:
        return refuse(ErrorCode.BAD_ARGUMENT, "a lock-delay is from 0 to one minute")
    handle, node = found
    if not call.wait and call.mode is LockMode.EXCLUSIVE and _is_held_by_others(desk, session, handle, node):
        return refuse(ErrorCode.LOCK_CONFLICT, f"{handle.path}: the lock is held", handle.path)
    action = AcquireLock(call.handle, handle.path, node.instance, call.mode, call.wait, call.lock_delay)
    return Plan(action, locks=(handle.path,))


def settle_acquire(desk: Desk, session: Session, call: Acquire, reply: Reply) -> Settled | Held:
    """Granted, or held until it is; NONE is the standing of an owner that left the queue meanwhile."""
    if isinstance(reply, Failure):
        return Settled(reply)
    assert isinstance(reply, LockAnswer), "a lock was asked for"
    if reply.standing is LockStanding.WAITING:
        return Held()
    if reply.standing is LockStanding.HELD:
        return Settled(LockGranted(reply.token, reply.generation))
    return refuse(ErrorCode.CANCELLED, "the acquire was cancelled, or the lock released since")


def cancel(desk: Desk, session: Session, call: CancelAcquire, at: Moment) -> Plan | Settled:
    """Leave the queue. That may let others in: shared ones behind an exclusive one."""
    found = desk.handle_of(session, call.handle, sequenced=False)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    return Plan(CancelAcquireLock(call.handle, handle.path, node.instance), locks=(handle.path,), frees=(handle.path,))


def settle_cancel(desk: Desk, session: Session, call: CancelAcquire, reply: Reply) -> Settled:
    """Done; or the grant, if that came first."""
    if isinstance(reply, Failure):
        return Settled(reply)
    assert isinstance(reply, LockAnswer), "a lock was spoken of"
    if reply.standing is LockStanding.HELD:
        return Settled(LockGranted(reply.token, reply.generation))
    return Settled(Done(desk.machine.revision))


def release(desk: Desk, session: Session, call: Release, at: Moment) -> Plan | Settled:
    """Give the lock back."""
    found = desk.handle_of(session, call.handle, sequenced=False)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    return Plan(ReleaseLock(call.handle, handle.path, node.instance), locks=(handle.path,), frees=(handle.path,))


def settle_release(desk: Desk, session: Session, call: Release, reply: Reply) -> Settled:
    """Done, or LOCK_NOT_HELD."""
    return Settled(reply if isinstance(reply, Failure) else Done(desk.machine.revision))


def get_sequencer_footprint(desk: Desk, session: Session, call: GetSequencer) -> Footprint:
    """The lock of the handle's node, which earlier calls may be about to take or give back."""
    path = desk.path_of(session, call.handle)
    return Footprint(Rank.READ, call.handle, () if path is None else (path,))


def set_sequencer_footprint(desk: Desk, session: Session, call: SetSequencer) -> Footprint:
    """The handle: what is asked through it later is guarded."""
    return Footprint(Rank.BIND, call.handle)


def get_sequencer(desk: Desk, session: Session, call: GetSequencer, at: Moment) -> Settled:
    """The sequencer of the lock that this handle holds."""
    found = desk.handle_of(session, call.handle)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    machine = desk.machine
    answer = machine.standing(LockOwner(session.id, call.handle), handle.path, node.instance)
    lock = machine.lock(handle.path)
    if answer.standing is not LockStanding.HELD or lock is None or lock.mode is None:
        return refuse(ErrorCode.LOCK_NOT_HELD, f"{handle.path}: this handle does not hold the lock")
    meaning = Sequencer(handle.path, node.instance, lock.mode, answer.generation, answer.token)
    return Settled(_told(meaning, sequencer.seal(machine.keys, machine.cell, meaning)))


def set_sequencer(desk: Desk, session: Session, call: SetSequencer, at: Moment) -> Settled:
    """Bind a sequencer to the handle for as long as this master lasts; the client binds it again after a fail-over."""
    found = desk.handle_of(session, call.handle, sequenced=False)
    if isinstance(found, Failure):
        return Settled(found)
    meaning = _valid(desk, call.sequencer)
    if isinstance(meaning, Failure):
        return Settled(meaning)
    found[0].sequencer = meaning
    return Settled(Done(desk.machine.revision))


def no_footprint(desk: Desk, session: Session, call: CheckSequencer) -> Footprint:
    """A sequencer may be of any session's lock."""
    return Footprint(Rank.READ)


def check_sequencer(desk: Desk, session: Session, call: CheckSequencer, at: Moment) -> Settled:
    """What the bytes mean, if the hold period lasts."""
    meaning = _valid(desk, call.sequencer)
    return Settled(meaning if isinstance(meaning, Failure) else _told(meaning, call.sequencer))


def _is_held_by_others(desk: Desk, session: Session, handle: Handle, node: Node) -> bool:
    """Whether a TryAcquire is bound to fail as things stand: whoever polls puts nothing into the log."""
    if desk.machine.failing_guard((TokenIs(handle.path, node.lock_token),)) is not None:
        return False
    owner = LockOwner(session.id, handle.number)
    return desk.machine.standing(owner, handle.path, node.instance).standing is LockStanding.NONE


def _valid(desk: Desk, data: bytes) -> Sequencer | Failure:
    meaning = sequencer.unseal(data, desk.machine.keys, desk.machine.cell)
    if meaning is None:
        return Failure(ErrorCode.SEQUENCER_INVALID, "these bytes are no sequencer of this cell")
    if desk.machine.failing_guard(sequencer.guards_of(meaning)) is not None:
        return Failure(ErrorCode.SEQUENCER_INVALID, f"{meaning.path}: the hold period of the lock is over")
    return meaning


def _told(meaning: Sequencer, data: bytes) -> SequencerResult:
    return SequencerResult(data, meaning.path, meaning.mode, meaning.generation, meaning.token)
