"""Calls on the cell rather than on a handle: transactions, watches, listings, hand-over, membership.

Their rows of the oneof of `CallFrame` are `CELL_CALLS`; `codec_calls` has the others and the whole table.
"""

from __future__ import annotations

from typing import Final

from chubby.errors import TooLarge
from chubby.types.calls import ChangeMembers, ListLocks, ListSessions, StepDown, Transact, Unwatch, Watch
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import member, natural, text
from chubby.wire.choice import Row, row
from chubby.wire.codec_nodes import MEMBER_ACTIONS
from chubby.wire.codec_transaction import GUARDS, OPERATIONS
from chubby.wire.limits import FRAME_CEILING, TRANSACTION_CEILING


def _put_transact(message: pb.Transact, call: Transact) -> None:
    _transaction_size(len(call.guards) + len(call.then) + len(call.otherwise))
    for guard in call.guards:
        GUARDS.put(message.guards.add(), guard)
    for operation in call.then:
        OPERATIONS.put(message.then.add(), operation)
    for operation in call.otherwise:
        OPERATIONS.put(message.otherwise.add(), operation)
    if message.ByteSize() > FRAME_CEILING:
        raise TooLarge(f"a transaction of {message.ByteSize()} bytes; the protocol carries {FRAME_CEILING}")


def _take_transact(message: pb.Transact) -> Transact:
    _transaction_size(len(message.guards) + len(message.then) + len(message.otherwise))
    return Transact(
        tuple([GUARDS.take(guard) for guard in message.guards]),
        tuple([OPERATIONS.take(operation) for operation in message.then]),
        tuple([OPERATIONS.take(operation) for operation in message.otherwise]),
    )


def _transaction_size(parts: int) -> None:
    if parts > TRANSACTION_CEILING:
        raise TooLarge(f"a transaction of {parts} guards and operations; the protocol carries {TRANSACTION_CEILING}")


def _put_watch(message: pb.Watch, call: Watch) -> None:
    message.watch = natural(call.watch, "watch")
    message.path = text(call.path, "path")
    message.recursive = call.recursive
    if call.since is not None:
        message.since = natural(call.since, "since")


def _take_watch(message: pb.Watch) -> Watch:
    since = natural(message.since, "since") if message.HasField("since") else None
    return Watch(natural(message.watch, "watch"), text(message.path, "path"), message.recursive, since)


def _put_unwatch(message: pb.Unwatch, call: Unwatch) -> None:
    message.watch = natural(call.watch, "watch")


def _take_unwatch(message: pb.Unwatch) -> Unwatch:
    return Unwatch(natural(message.watch, "watch"))


def _put_list_locks(message: pb.ListLocks, call: ListLocks) -> None:
    message.after = text(call.after, "after")
    message.limit = natural(call.limit, "limit")


def _take_list_locks(message: pb.ListLocks) -> ListLocks:
    return ListLocks(text(message.after, "after"), natural(message.limit, "limit"))


def _put_list_sessions(message: pb.ListSessions, call: ListSessions) -> None:
    message.after = natural(call.after, "after")
    message.limit = natural(call.limit, "limit")


def _take_list_sessions(message: pb.ListSessions) -> ListSessions:
    return ListSessions(natural(message.after, "after"), natural(message.limit, "limit"))


def _put_step_down(message: pb.StepDown, call: StepDown) -> None:
    message.successor = natural(call.successor, "successor")


def _take_step_down(message: pb.StepDown) -> StepDown:
    return StepDown(natural(message.successor, "successor"))


def _put_change_members(message: pb.ChangeMembers, call: ChangeMembers) -> None:
    message.action = pb.MemberAction.ValueType(call.action)
    message.replica = natural(call.replica, "replica")
    message.peer_address = text(call.peer_address, "peer_address")
    message.client_address = text(call.client_address, "client_address")
    if call.incarnation is not None:
        message.incarnation = natural(call.incarnation, "incarnation")


def _take_change_members(message: pb.ChangeMembers) -> ChangeMembers:
    return ChangeMembers(
        member(MEMBER_ACTIONS, message.action, "ChangeMembers.action"),
        natural(message.replica, "replica"),
        text(message.peer_address, "peer_address"),
        text(message.client_address, "client_address"),
        natural(message.incarnation, "incarnation") if message.HasField("incarnation") else None,
    )


CELL_CALLS: Final[tuple[Row[pb.CallFrame], ...]] = (
    row(Transact, "transact", lambda frame: frame.transact, _put_transact, _take_transact),
    row(Watch, "watch", lambda frame: frame.watch, _put_watch, _take_watch),
    row(Unwatch, "unwatch", lambda frame: frame.unwatch, _put_unwatch, _take_unwatch),
    row(ListLocks, "list_locks", lambda frame: frame.list_locks, _put_list_locks, _take_list_locks),
    row(ListSessions, "list_sessions", lambda frame: frame.list_sessions, _put_list_sessions, _take_list_sessions),
    row(StepDown, "step_down", lambda frame: frame.step_down, _put_step_down, _take_step_down),
    row(
        ChangeMembers,
        "change_members",
        lambda frame: frame.change_members,
        _put_change_members,
        _take_change_members,
    ),
)
