"""Open (DESIGN §5 Handles; paper §2.3, §2.6).

| the node          | create    | what happens                                                                   |
|-------------------|-----------|--------------------------------------------------------------------------------|
| permanent         | not MUST  | answered at once: a handle is known to the master alone                        |
| ephemeral         | not MUST  | a command: the handle enters the open-set, guarded by the instance             |
| there             | MUST      | NODE_EXISTS, like a read                                                       |
| not there         | NEVER     | NO_NODE, like a read, and cacheable as absence                                 |
| not there         | MAY, MUST | a command: create, and enter the open-set if ephemeral                         |
| sequential        | not NEVER | the same; the name is known when it is applied                                 |

ACLs are checked here and never again: the modes asked for against the lists the node has, or will have, and the write
list of the parent if it is made. So a create that may find the node there already (MAY) is proposed only while nothing
in flight could make it: somebody who may not open an ephemeral must not get into its open-set.
"""

from __future__ import annotations

from chubby.errors import BadPath, ErrorCode, Failure
from chubby.master.desk import Desk, Plan, Settled, refuse
from chubby.master.footprints import children_key, keys_above, keys_of_operations, looks_sequential, node_key
from chubby.master.handles import Handle
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank, Token
from chubby.master.permissions import denied
from chubby.master.session import Session
from chubby.master.tickets import HandleTicket, seal_handle
from chubby.namespace.commands import MachineOperation, OpenCreated, OpenExisting, Transaction
from chubby.namespace.nodes import Node
from chubby.namespace.outcomes import Reply, Transacted
from chubby.paths import ROOT, parent, validate
from chubby.types.calls import CreateMode, Mode, Open
from chubby.types.nodes import Stat
from chubby.types.results import Opened
from chubby.types.transaction import Create, Exists

_SEQUENCE_DIGITS = "0" * 10


def footprint(desk: Desk, session: Session, call: Open) -> Footprint:
    """The name, and what is above it if it may be made."""
    tokens: list[Token] = []
    if not call.sequential:
        tokens.append(node_key(call.path))
    if call.create is not CreateMode.NEVER and call.path.startswith("/") and call.path != ROOT:
        tokens.extend(keys_above(desk.machine, call.path))
    return Footprint(Rank.OPEN, call.handle, tuple(tokens))


def open_node(desk: Desk, session: Session, call: Open, at: Moment) -> Plan | Settled:
    """Open a node, making it if so asked."""
    refusal = malformed(desk, session, call)
    if refusal is not None:
        return Settled(refusal)
    known = session.handles.get(call.handle)
    if known is not None:
        return _again(desk, session, call, known)
    if call.sequential and call.create is not CreateMode.NEVER:
        return _create(desk, session, call)
    node = desk.machine.node(call.path)
    if node is not None:
        return _existing(desk, session, call, node)
    if call.create is CreateMode.NEVER:
        absence = () if looks_sequential(call.path) else (node_key(call.path),)
        return Settled(Failure(ErrorCode.NO_NODE, f"{call.path} is not there"), absence)
    return _create(desk, session, call)


def settle_open(desk: Desk, session: Session, call: Open, reply: Reply) -> Settled:
    """The handle, on the node that the command made or found."""
    if isinstance(reply, Failure):
        return Settled(reply)
    assert isinstance(reply, Transacted), "a transaction was asked for"
    result = reply.result
    if result.failure is not None:
        return Settled(result.failure)
    if result.failed_guard is not None:
        # The instance that was there is gone. If another took its place there was a moment without.
        return refuse(ErrorCode.NO_NODE, f"{call.path} was deleted")
    if session.handles.was_closed(call.handle):
        return refuse(ErrorCode.HANDLE_INVALID, f"handle {call.handle} was closed")
    opened = result.results[0]
    assert opened.stat is not None, "what was opened is there"
    node = desk.machine.node(opened.path)
    stat = node.stat if node is not None and node.instance == opened.stat.instance else opened.stat
    return _opened(desk, session, call, opened.path, stat, created=opened.created)


def malformed(desk: Desk, session: Session, call: Open) -> Failure | None:
    """Why the call is refused whatever the node is."""
    if call.handle <= 0:
        return Failure(ErrorCode.BAD_ARGUMENT, "handles are numbered from 1")
    if not call.mode:
        return Failure(ErrorCode.BAD_ARGUMENT, "a handle is opened for something")
    if session.handles.was_closed(call.handle):
        return Failure(ErrorCode.HANDLE_INVALID, f"handle {call.handle} was closed")
    try:
        validate(call.path + _SEQUENCE_DIGITS if call.sequential else call.path)
    except BadPath as error:
        return Failure.of(error)
    limit = desk.machine.limits.content
    if limit and len(call.contents) > limit:
        return Failure(ErrorCode.TOO_LARGE, f"the content takes {len(call.contents)} bytes, the limit is {limit}")
    if len(session.handles) >= desk.settings.handles_per_session and session.handles.get(call.handle) is None:
        return Failure(ErrorCode.QUOTA_EXCEEDED, f"the session has {len(session.handles)} handles open")
    return None


def _again(desk: Desk, session: Session, call: Open, known: Handle) -> Settled:
    """The handle is open already: a repeat whose answer was lost, or a client that uses a number twice."""
    if known.path != call.path and not call.sequential:
        return refuse(ErrorCode.BAD_ARGUMENT, f"handle {call.handle} is open, on {known.path}")
    found = desk.handle_of(session, call.handle)
    if isinstance(found, Failure):
        return Settled(found)
    return _answer(desk, session, known, found[1].stat, created=False)


def _existing(desk: Desk, session: Session, call: Open, node: Node) -> Plan | Settled:
    if call.create is CreateMode.MUST:
        return refuse(ErrorCode.NODE_EXISTS, f"{call.path} is there already", node_key(call.path))
    refusal = denied(desk.machine, node.acl, session.principal, call.mode, call.path)
    if refusal is not None:
        return Settled(refusal)
    if not node.ephemeral:
        return _opened(desk, session, call, call.path, node.stat, created=False)
    guard = Exists(call.path, node.instance)
    return Plan(Transaction((guard,), (OpenExisting(call.path, node.instance, call.handle),)))


def _create(desk: Desk, session: Session, call: Open) -> Plan | Settled:
    if call.path == ROOT:
        return refuse(ErrorCode.BAD_PATH, "the root has no name to make another one from")
    above = parent(call.path)
    node = desk.machine.node(above)
    if node is None:
        return refuse(ErrorCode.NO_NODE, f"{above} is not there, and nothing can be made below it", node_key(above))
    refusal = denied(desk.machine, node.acl, session.principal, Mode.WRITE, above) or denied(
        desk.machine, call.acl or node.acl, session.principal, call.mode, call.path
    )
    if refusal is not None:
        return Settled(refusal)
    create = Create(
        call.path,
        call.contents,
        call.kind,
        ephemeral=call.ephemeral,
        sequential=call.sequential,
        may_exist=call.create is CreateMode.MAY and not call.sequential,
        acl=call.acl,
        attributes=call.attributes,
    )
    then: tuple[MachineOperation, ...] = (create, OpenCreated(call.handle))
    alone: tuple[Token, ...] = ()
    if create.may_exist:
        alone = (node_key(call.path), children_key(above)) if looks_sequential(call.path) else (node_key(call.path),)
    return Plan(Transaction(then=then), keys_of_operations(desk.machine, desk.departures, then), alone=alone)


def _opened(desk: Desk, session: Session, call: Open, path: str, stat: Stat, *, created: bool) -> Settled:
    handle = session.handles.get(call.handle)
    if handle is None:
        handle = Handle(call.handle, path, stat.instance, call.mode, call.events, ephemeral=stat.ephemeral)
        session.handles.add(handle)
        desk.subscriptions.add_handle(session.id, handle)
    return _answer(desk, session, handle, stat, created=created)


def _answer(desk: Desk, session: Session, handle: Handle, stat: Stat, *, created: bool) -> Settled:
    machine = desk.machine
    ticket = HandleTicket(handle.number, handle.path, handle.instance, handle.mode, desk.epoch)
    sealed = seal_handle(machine.keys, machine.cell, session.id, ticket)
    return Settled(Opened(sealed, handle.path, created, stat), (node_key(handle.path),))
