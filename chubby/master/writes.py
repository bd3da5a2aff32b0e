"""Calls that change the node of a handle: SetContents, SetAcl, SetAttributes, Delete (DESIGN §4, §5 Invalidate first).

Each becomes one transaction whose guards stand in a fixed order, so that whoever finds the reply in the table, this
master or a later one, knows what the failing one meant:

    0       the handle's instance is still there        else HANDLE_INVALID
    1       the caller's condition, if there is one     else GENERATION_MISMATCH
    last 2  the handle's sequencer, if it has one       else SEQUENCER_INVALID

A call that is bound to fail as things stand is not proposed at all: it is answered like a read and disturbs no cache.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master.desk import Desk, Plan, Settled, refuse
from chubby.master.footprints import children_key, keys_of_operations, keys_of_removal, node_key
from chubby.master.handles import Handle
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, Rank
from chubby.master.sequencer import guards_of
from chubby.master.session import Session
from chubby.namespace.commands import Transaction
from chubby.namespace.outcomes import Reply, Transacted
from chubby.paths import ACL_DIRECTORY, ROOT
from chubby.types.calls import Delete, Mode, SetAcl, SetAttributes, SetContents
from chubby.types.results import Done, StatResult
from chubby.types.transaction import (
    AclGenerationIs,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Remove,
    TransactionResult,
    Write,
    WriteAcl,
    WriteAttributes,
)


def footprint(desk: Desk, session: Session, call: SetContents | SetAcl | SetAttributes) -> Footprint:
    """The node; on a condition if the call has one."""
    path = desk.path_of(session, call.handle)
    conditional = not isinstance(call, SetAttributes) and call.generation is not None
    rank = Rank.CONDITIONAL if conditional else Rank.CHANGE
    return Footprint(rank, call.handle, () if path is None else (node_key(path),))


def set_contents(desk: Desk, session: Session, call: SetContents, at: Moment) -> Plan | Settled:
    """Replace the content."""
    found = desk.handle_of(session, call.handle, Mode.WRITE)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    limit = desk.machine.limits.content
    if limit and len(call.contents) > limit:
        return refuse(ErrorCode.TOO_LARGE, f"the content takes {len(call.contents)} bytes, the limit is {limit}")
    if call.generation is None:
        return _change(desk, handle, Write(handle.path, call.contents))
    if node.stat.content_generation != call.generation:
        return _mismatch(handle, "content", node.stat.content_generation, call.generation)
    return _change(desk, handle, Write(handle.path, call.contents), GenerationIs(handle.path, call.generation))


def set_acl(desk: Desk, session: Session, call: SetAcl, at: Moment) -> Plan | Settled:
    """Replace the ACL names."""
    found = desk.handle_of(session, call.handle, Mode.CHANGE_ACL)
    if isinstance(found, Failure):
        return Settled(found)
    handle, node = found
    if call.generation is None:
        return _change(desk, handle, WriteAcl(handle.path, call.acl))
    if node.stat.acl_generation != call.generation:
        return _mismatch(handle, "ACL", node.stat.acl_generation, call.generation)
    return _change(desk, handle, WriteAcl(handle.path, call.acl), AclGenerationIs(handle.path, call.generation))


def set_attributes(desk: Desk, session: Session, call: SetAttributes, at: Moment) -> Plan | Settled:
    """Change single attributes."""
    found = desk.handle_of(session, call.handle, Mode.WRITE)
    if isinstance(found, Failure):
        return Settled(found)
    return _change(desk, found[0], WriteAttributes(found[0].path, call.attributes))


def settle_change(desk: Desk, session: Session, call: SetContents | SetAcl | SetAttributes, reply: Reply) -> Settled:
    """The metadata afterwards, which the caller may cache."""
    conditional = not isinstance(call, SetAttributes) and call.generation is not None
    result = result_of(reply, conditional=conditional)
    if isinstance(result, Failure):
        return Settled(result)
    written = result.results[0]
    assert written.stat is not None, "what was written is there"
    return Settled(StatResult(written.stat, result.revision), (node_key(written.path),))


def delete_footprint(desk: Desk, session: Session, call: Delete) -> Footprint:
    """The node and the names below it: a delete on the condition that there are none."""
    path = desk.path_of(session, call.handle)
    tokens = () if path is None else tuple(keys_of_removal(desk.machine, desk.departures, path))
    return Footprint(Rank.CONDITIONAL, call.handle, tokens)


def delete(desk: Desk, session: Session, call: Delete, at: Moment) -> Plan | Settled:
    """Delete the node, which has no children."""
    found = desk.handle_of(session, call.handle, Mode.WRITE)
    if isinstance(found, Failure):
        return Settled(found)
    handle, _ = found
    if handle.path in (ROOT, ACL_DIRECTORY):
        return refuse(ErrorCode.BAD_ARGUMENT, f"{handle.path} is part of every cell and cannot be deleted")
    if desk.machine.children(handle.path, "", 1)[0]:
        return refuse(ErrorCode.NOT_EMPTY, f"{handle.path} has children", children_key(handle.path))
    return _change(desk, handle, Remove(handle.path))


def settle_delete(desk: Desk, session: Session, call: Delete, reply: Reply) -> Settled:
    """Done, in which revision."""
    result = result_of(reply, conditional=False)
    return Settled(result if isinstance(result, Failure) else Done(result.revision))


def result_of(reply: Reply, *, conditional: bool) -> TransactionResult | Failure:
    """What a transaction with the guards of this module gave; a guard that failed as the failure it means."""
    if isinstance(reply, Failure):
        return reply
    assert isinstance(reply, Transacted), "a transaction was asked for"
    result = reply.result
    if result.failure is not None:
        return result.failure
    if result.failed_guard is None:
        return result
    if result.failed_guard == 0:
        return Failure(ErrorCode.HANDLE_INVALID, "the node of this handle was deleted")
    if conditional and result.failed_guard == 1:
        return Failure(ErrorCode.GENERATION_MISMATCH, "the generation had changed")
    return Failure(ErrorCode.SEQUENCER_INVALID, "the hold period of the lock is over")


def guards(handle: Handle, condition: Guard | None = None) -> tuple[Guard, ...]:
    """The guards of a change through `handle`, in the order of this module."""
    first: tuple[Guard, ...] = (Exists(handle.path, handle.instance),)
    if condition is not None:
        first = (*first, condition)
    return first if handle.sequencer is None else first + guards_of(handle.sequencer)


def _change(desk: Desk, handle: Handle, operation: Operation, condition: Guard | None = None) -> Plan:
    then = (operation,)
    keys = keys_of_operations(desk.machine, desk.departures, then)
    return Plan(Transaction(guards(handle, condition), then), keys)


def _mismatch(handle: Handle, what: str, actual: int, expected: int) -> Settled:
    message = f"{handle.path}: the {what} generation is {actual}, not {expected}"
    return refuse(ErrorCode.GENERATION_MISMATCH, message, node_key(handle.path))
