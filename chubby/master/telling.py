"""From what was applied to what sessions are told (DESIGN §5 Events; paper §2.5)."""

from __future__ import annotations

from chubby.master.desk import Desk
from chubby.master.handles import Handle
from chubby.master.session import Session
from chubby.namespace.outcomes import Conflict, LockStanding, Outcome
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.nodes import LockOwner
from chubby.types.transaction import TokenIs


def tell(desk: Desk, outcome: Outcome) -> None:
    """Put the events of one applied command into the mailboxes of those who asked for them."""
    for change in outcome.changes:
        for session, event in desk.subscriptions.changed(change):
            desk.tell(session, event)
    periods = dict.fromkeys((grant.path, grant.instance, grant.generation) for grant in outcome.grants)
    for path, instance, generation in periods:
        for session, event in desk.subscriptions.acquired(path, instance, generation):
            desk.tell(session, event)
    for conflict in outcome.conflicts:
        _tell_conflict(desk, conflict)


def tell_failed_over(desk: Desk, session: Session) -> None:
    """To a session that has resumed under a new master: that it did, to handles that asked."""
    for handle in session.handles:
        if EventMask.MASTER_FAILED_OVER in handle.events:
            event = Event(EventKind.MASTER_FAILED_OVER, handle.path, 0, handle.instance, 0, handle.number)
            desk.tell(session.id, event)


def tell_locks(desk: Desk, session: Session) -> None:
    """To a session that has resumed under a new master: how the locks of its handles stand.

    Nobody knows which lock events the session has seen; said twice they do no harm.
    """
    for handle in session.handles:
        if EventMask.LOCK_ACQUIRED in handle.events:
            _tell_held(desk, session, handle)
        if EventMask.LOCK_CONFLICT in handle.events and _is_wanted(desk, session, handle):
            desk.tell(session.id, _conflict(handle))


def _tell_held(desk: Desk, session: Session, handle: Handle) -> None:
    node = desk.machine.node(handle.path)
    if node is None or node.instance != handle.instance:
        return
    if desk.machine.failing_guard((TokenIs(handle.path, node.lock_token),)) is None:
        kind = EventKind.LOCK_ACQUIRED
        event = Event(kind, handle.path, 0, handle.instance, node.lock_generation, handle.number)
        desk.tell(session.id, event)


def _is_wanted(desk: Desk, session: Session, handle: Handle) -> bool:
    owner = LockOwner(session.id, handle.number)
    if desk.machine.standing(owner, handle.path, handle.instance).standing is not LockStanding.HELD:
        return False
    lock = desk.machine.lock(handle.path)
    return lock is not None and bool(lock.waiters)


def _tell_conflict(desk: Desk, conflict: Conflict) -> None:
    for holder in conflict.holders:
        session = desk.sessions.get(holder.session)
        handle = None if session is None else session.handles.get(holder.handle)
        if handle is not None and EventMask.LOCK_CONFLICT in handle.events and handle.path == conflict.path:
            desk.tell(holder.session, _conflict(handle))


def _conflict(handle: Handle) -> Event:
    return Event(EventKind.LOCK_CONFLICT, handle.path, 0, handle.instance, 0, handle.number)
