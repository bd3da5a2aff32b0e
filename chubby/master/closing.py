"""Close (DESIGN §5 Handles). It never fails.

A handle that the machine knows nothing of is closed by forgetting it. One that is in an open-set, or holds or awaits a
lock, needs a command; so does one that this master has never heard of and the machine has: after a fail-over a client
may close a handle it has not presented.
"""

from __future__ import annotations

from chubby.master.desk import Desk, Plan, Settled
from chubby.master.footprints import keys_of_leaving
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.session import Session
from chubby.namespace.commands import CloseHandle
from chubby.namespace.outcomes import LockStanding, Reply
from chubby.types.calls import Close
from chubby.types.identity import HandleNumber
from chubby.types.nodes import LockOwner
from chubby.types.results import Done


def footprint(desk: Desk, session: Session, call: Close) -> Footprint:
    """The handle; the keys of an ephemeral that may go with it."""
    place = _place(desk, session, call.handle)
    if place is None:
        return Footprint(Rank.CLOSE, call.handle)
    path, _ = place
    return Footprint(Rank.CLOSE, call.handle, (path, *keys_of_leaving(desk.machine, desk.departures, {path: 1})))


def close(desk: Desk, session: Session, call: Close, at: Moment) -> Plan | Settled:
    """Close a handle, open or not."""
    owner = LockOwner(session.id, call.handle)
    place = _place(desk, session, call.handle)
    if place is None:
        return _forget(desk, session, call.handle)
    path, instance = place
    machine = desk.machine
    is_member = _is_member(desk, session, owner, path)
    engaged = machine.standing(owner, path, instance).standing is not LockStanding.NONE
    if not is_member and not engaged:
        return _forget(desk, session, call.handle)
    leaving = ((path, owner),) if is_member else ()
    keys = dict.fromkeys(keys_of_leaving(machine, desk.departures, {path: 1})) if is_member else {}
    frees = (path,) if engaged else ()
    return Plan(CloseHandle(call.handle, path, instance), tuple(keys), (path,), frees, leaving)


def settle_close(desk: Desk, session: Session, call: Close, reply: Reply) -> Settled:
    """Done, whatever the reply: what could fail has nothing left to close."""
    return _forget(desk, session, call.handle)


def _place(desk: Desk, session: Session, number: HandleNumber) -> tuple[str, int] | None:
    """The instance that closing the handle may concern in the machine: its own, or where the machine knows it from."""
    handle = session.handles.get(number)
    if handle is not None:
        return handle.path, handle.instance
    if number <= 0:
        return None
    machine = desk.machine
    for places in (machine.locks_of(session.id), machine.ephemerals_of(session.id)):
        for path, owner in places:
            node = machine.node(path) if owner == number else None
            if node is not None:
                return path, node.instance
    return None


def _is_member(desk: Desk, session: Session, owner: LockOwner, path: str) -> bool:
    """Whether the owner is in the open-set of the node, or on its way into it or out of it."""
    handle = session.handles.get(owner.handle)
    if handle is not None:
        node = desk.machine.node(path)
        return handle.ephemeral and node is not None and node.instance == handle.instance
    return (path, owner.handle) in desk.machine.ephemerals_of(session.id)


def _forget(desk: Desk, session: Session, number: HandleNumber) -> Settled:
    handle = session.handles.close(number)
    if handle is not None:
        desk.subscriptions.drop_handle(session.id, handle)
        session.mailbox.events.drop_subscription(number, 0)
    return Settled(Done(desk.machine.revision))
