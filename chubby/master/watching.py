"""Watch and Unwatch: being told of changes by revision, without a handle (DESIGN §5 Events, §6).

A watch needs no node, so it needs a permission of its own: the read list of the node, or of the nearest one above it
that is there.
"""

from __future__ import annotations

from chubby.errors import BadPath, ErrorCode, Failure
from chubby.master.desk import Desk, Settled
from chubby.master.footprints import node_key
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.permissions import denied
from chubby.master.session import Session
from chubby.master.subscriptions import Subscriptions, Watch
from chubby.paths import ROOT, parent, validate
from chubby.types.calls import Mode, Unwatch
from chubby.types.calls import Watch as WatchCall
from chubby.types.events import Event, EventKind
from chubby.types.identity import Revision, WatchNumber
from chubby.types.results import Done, Watching


def footprint(desk: Desk, session: Session, call: WatchCall | Unwatch) -> Footprint:
    """The node: one's own earlier changes are not news, they come before."""
    return Footprint(Rank.READ, 0, (node_key(call.path),) if isinstance(call, WatchCall) else ())


def watch(desk: Desk, session: Session, call: WatchCall, at: Moment) -> Settled:
    """Begin a watch, telling first what happened since `since`. A number that is in use is begun anew."""
    refusal = _refusal(desk, session, call)
    if refusal is not None:
        return Settled(refusal)
    _end(desk, session, call.watch)
    machine = desk.machine
    begun = Watch(call.watch, call.path, call.recursive)
    session.watches[call.watch] = begun
    desk.subscriptions.add_watch(session.id, begun)
    since = machine.revision if call.since is None else min(max(call.since, 0), machine.revision)
    if since < machine.revision:
        since = _replay(desk, session, begun, since)
    return Settled(Watching(since))


def unwatch(desk: Desk, session: Session, call: Unwatch, at: Moment) -> Settled:
    """End a watch, if there is one of that number."""
    _end(desk, session, call.watch)
    return Settled(Done(desk.machine.revision))


def _refusal(desk: Desk, session: Session, call: WatchCall) -> Failure | None:
    if call.watch <= 0:
        return Failure(ErrorCode.BAD_ARGUMENT, "watches are numbered from 1")
    try:
        validate(call.path)
    except BadPath as error:
        return Failure.of(error)
    if len(session.watches) >= desk.settings.watches_per_session and call.watch not in session.watches:
        return Failure(ErrorCode.QUOTA_EXCEEDED, f"the session has {len(session.watches)} watches")
    return may_watch(desk, session, call.path)


def may_watch(desk: Desk, session: Session, path: str) -> Failure | None:
    """Why the session may not watch that name; None if it may."""
    node = desk.machine.node(path)
    while node is None and path != ROOT:
        path = parent(path)
        node = desk.machine.node(path)
    assert node is not None, "the root is always there"
    return denied(desk.machine, node.acl, session.principal, Mode.READ, path)


def _replay(desk: Desk, session: Session, begun: Watch, since: Revision) -> Revision:
    """Tell the watch alone what came after `since`; return the revision from which on nothing is missing."""
    changes = desk.machine.history_since(since)
    if changes is None:
        desk.tell(session.id, Event(EventKind.RESYNC, watch=begun.number))
        return desk.machine.revision
    alone = Subscriptions()
    alone.add_watch(session.id, begun)
    for change in changes:
        for told, event in alone.changed(change):
            desk.tell(told, event)
    return since


def _end(desk: Desk, session: Session, number: WatchNumber) -> None:
    ended = session.watches.pop(number, None)
    if ended is not None:
        desk.subscriptions.drop_watch(session.id, ended)
        session.mailbox.events.drop_subscription(0, number)
