"""Calls whose number was answered before: is it the same call? (DESIGN §4 Sessions, "answered, not repeated")

The reply table knows numbers and answers, not what was asked. A client that gives one number to two calls breaks the
protocol, and must neither be told what makes no sense (the master would fall over it, and the next one after it) nor
get by the answer to the first what it may not have by the second: a handle of a mode that the lists do not admit, one
more than its share, one on another node.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master.desk import Desk
from chubby.master.opening import malformed
from chubby.master.permissions import denied
from chubby.master.session import Session
from chubby.namespace.outcomes import LockAnswer, Reply, Transacted
from chubby.types.calls import (
    Acquire,
    Call,
    CancelAcquire,
    Close,
    Delete,
    Open,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    Transact,
)
from chubby.types.nodes import LockOwner
from chubby.types.transaction import TransactionResult

_ANOTHER = Failure(ErrorCode.BAD_ARGUMENT, "this number was another call's")


def refused_repeat(desk: Desk, session: Session, call: Call, reply: Reply) -> Failure | None:
    """Why `reply`, the stored answer under this call's number, is not given to it; None if it is."""
    match call:
        case Close():
            return None
        case Acquire() | CancelAcquire() | Release():
            return None if isinstance(reply, LockAnswer | Failure) else _ANOTHER
        case Transact():
            return None if isinstance(reply, Transacted | Failure) else _ANOTHER
        case SetContents() | SetAcl() | SetAttributes() | Delete():
            return None if _is_change(call, reply) else _ANOTHER
        case Open():
            return _refused_open(desk, session, call, reply)
        case _:
            return _ANOTHER


def _is_change(call: SetContents | SetAcl | SetAttributes | Delete, reply: Reply) -> bool:
    """Whether it tells of one change of one node, or why there was none."""
    if not isinstance(reply, Transacted):
        return isinstance(reply, Failure)
    result = reply.result
    if result.failure is not None or result.failed_guard is not None:
        return True
    return isinstance(call, Delete) or (len(result.results) == 1 and result.results[0].stat is not None)


def _refused_open(desk: Desk, session: Session, call: Open, reply: Reply) -> Failure | None:
    if isinstance(reply, Failure):
        return None
    if not isinstance(reply, Transacted):
        return _ANOTHER
    result = reply.result
    if result.failure is not None or result.failed_guard is not None:
        return None
    if not _is_opening(call, result):
        return _ANOTHER
    opened = result.results[0]
    path, node = opened.path, desk.machine.node(opened.path)
    if node is None or opened.stat is None or node.instance != opened.stat.instance:
        return malformed(desk, session, call)
    if node.ephemeral and not desk.machine.has_open(path, LockOwner(session.id, call.handle)):
        return _ANOTHER
    return malformed(desk, session, call) or denied(desk.machine, node.acl, session.principal, call.mode, path)


def _is_opening(call: Open, result: TransactionResult) -> bool:
    """Whether it tells of the node that this call opens."""
    if not result.results or result.results[0].stat is None:
        return False
    path = result.results[0].path
    return path.startswith(call.path) if call.sequential else path == call.path
