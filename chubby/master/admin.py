"""Calls of operators: who holds what, and who shall be master and member (DESIGN §5, §6).

StepDown and ChangeMembers ask the shell for something; where principals are proven they are for the cell's admins.
"""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.master.desk import Desk, Held, Settled, refuse
from chubby.master.effects import ChangeMembers, HandOver
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.session import Session
from chubby.namespace.views import SessionView
from chubby.types.calls import ChangeMembers as ChangeMembersCall
from chubby.types.calls import ListLocks, ListSessions, StepDown
from chubby.types.results import Done, Locks, SessionInfo, Sessions
from chubby.types.time import Instant


def footprint(desk: Desk, session: Session, call: ListLocks | ListSessions | StepDown | ChangeMembersCall) -> Footprint:
    """Nothing that other calls would meet at."""
    return Footprint(Rank.READ)


def list_locks(desk: Desk, session: Session, call: ListLocks, at: Moment) -> Settled:
    """One page of the locks in use."""
    return Settled(Locks(*desk.machine.locks(call.after, call.limit)))


def list_sessions(desk: Desk, session: Session, call: ListSessions, at: Moment) -> Settled:
    """One page of sessions, with what this master knows of them."""
    views, more = desk.machine.sessions(call.after, call.limit)
    return Settled(Sessions(tuple(_info(desk, view, at.now) for view in views), more))


def step_down(desk: Desk, session: Session, call: StepDown, at: Moment) -> Settled:
    """Have the shell hand over; the answer leaves first."""
    if _is_stranger(desk, session):
        return refuse(ErrorCode.PERMISSION_DENIED, "only administrators of the cell may ask the master to step down")
    desk.requests.append(HandOver(call.successor))
    return Settled(Done(desk.machine.revision))


def change_members(desk: Desk, session: Session, call: ChangeMembersCall, at: Moment) -> Settled | Held:
    """Have the shell change the configuration; the call is held until it says how that went."""
    if _is_stranger(desk, session):
        return refuse(ErrorCode.PERMISSION_DENIED, "only administrators of the cell may change its members")
    desk.tickets += 1
    desk.requests.append(ChangeMembers(desk.tickets, call))
    return Held(desk.tickets)


def _is_stranger(desk: Desk, session: Session) -> bool:
    return desk.settings.identities_proven and session.principal not in desk.machine.admins


def _info(desk: Desk, view: SessionView, now: Instant) -> SessionInfo:
    found = desk.sessions.get(view.id)
    return SessionInfo(
        session=view.id,
        principal=view.principal,
        lease_left=0 if found is None else found.lease_until - now,
        connected=found is not None and found.stream is not None,
        handles=0 if found is None else len(found.handles),
        locks=view.locks,
        ephemerals=view.ephemerals,
        cached=desk.registry.count_of(view.id),
    )
