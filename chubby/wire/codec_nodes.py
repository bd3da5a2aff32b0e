"""Nodes, locks and failures, to and from their messages; the tables of enumerations and flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import CreateMode, MemberAction, Mode
from chubby.types.events import EventKind, EventMask
from chubby.types.nodes import AclNames, LockInfo, LockMode, LockOwner, NodeKind, Stat
from chubby.types.stream import CacheKind
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import attributes, member, naturals, present, text

NODE_KINDS: Final = {int(kind): kind for kind in NodeKind}
LOCK_MODES: Final = {int(mode): mode for mode in LockMode}
CREATE_MODES: Final = {int(mode): mode for mode in CreateMode}
MEMBER_ACTIONS: Final = {int(action): action for action in MemberAction}
CACHE_KINDS: Final = {int(kind): kind for kind in CacheKind}
EVENT_KINDS: Final = {int(kind): kind for kind in EventKind}
ERROR_CODES: Final = {int(code): code for code in ErrorCode}
MODES: Final = {bits: Mode(bits) for bits in range(8)}
"""Every union of the flags: a number with any other bit is in no table."""
EVENT_MASKS: Final = {bits: EventMask(bits) for bits in range(int(EventMask.ALL) + 1)}

node_kind: Final = pb.NodeKind.ValueType
lock_mode: Final = pb.LockMode.ValueType
error_code: Final = pb.ErrorCode.ValueType


def put_failure(message: pb.Failure, failure: Failure) -> None:
    """Fill `message`."""
    message.code = error_code(failure.code)
    message.message = failure.message


def take_failure(message: pb.Failure) -> Failure:
    """The failure `message` stands for; raises BadArgument."""
    return Failure(member(ERROR_CODES, message.code, "Failure.code"), message.message)


def put_acl(message: pb.AclNames, acl: AclNames) -> None:
    """Fill `message`; raises TooLarge."""
    message.read = text(acl.read, "acl.read")
    message.write = text(acl.write, "acl.write")
    message.change = text(acl.change, "acl.change")


def take_acl(message: pb.AclNames) -> AclNames:
    """The names in `message`; raises TooLarge."""
    return AclNames(
        text(message.read, "acl.read"), text(message.write, "acl.write"), text(message.change, "acl.change")
    )


def take_attributes(values: Mapping[str, bytes]) -> dict[str, bytes]:
    """An attribute map in order of its names, so that what follows from it has one order; raises TooLarge."""
    return dict(sorted(attributes(values).items())) if values else {}


def put_stat(message: pb.Stat, stat: Stat) -> None:
    """Fill `message`."""
    message.kind = node_kind(stat.kind)
    message.ephemeral = stat.ephemeral
    message.instance = stat.instance
    message.content_generation = stat.content_generation
    message.acl_generation = stat.acl_generation
    message.checksum = stat.checksum
    message.length = stat.length
    message.created = stat.created
    message.modified = stat.modified
    message.created_ms = stat.created_ms
    message.modified_ms = stat.modified_ms
    put_acl(message.acl, stat.acl)
    if stat.attributes:
        message.attributes.update(stat.attributes)


def take_stat(message: pb.Stat) -> Stat:
    """The metadata in `message`; raises BadArgument, TooLarge."""
    present(message.HasField("acl"), "Stat.acl")
    stat = Stat(
        member(NODE_KINDS, message.kind, "Stat.kind"),
        message.ephemeral,
        message.instance,
        message.content_generation,
        message.acl_generation,
        message.checksum,
        message.length,
        message.created,
        message.modified,
        message.created_ms,
        message.modified_ms,
        take_acl(message.acl),
        take_attributes(message.attributes),
    )
    naturals(
        "Stat",
        stat.instance,
        stat.content_generation,
        stat.acl_generation,
        stat.length,
        stat.created,
        stat.modified,
    )
    return stat


def put_lock_info(message: pb.LockInfo, info: LockInfo) -> None:
    """Fill `message`."""
    message.path = info.path
    if info.mode is not None:
        message.mode = lock_mode(info.mode)
    message.generation = info.generation
    message.token = info.token
    for holder in info.holders:
        _put_owner(message.holders.add(), holder)
    for owner, mode in info.waiters:
        waiter = message.waiters.add()
        _put_owner(waiter.owner, owner)
        waiter.mode = lock_mode(mode)
    message.delayed = info.delayed
    message.delay = info.delay


def take_lock_info(message: pb.LockInfo) -> LockInfo:
    """The state of the lock in `message`; raises BadArgument."""
    naturals("LockInfo", message.generation, message.token, message.delay)
    return LockInfo(
        message.path,
        member(LOCK_MODES, message.mode, "LockInfo.mode") if message.HasField("mode") else None,
        message.generation,
        message.token,
        tuple([_take_owner(holder) for holder in message.holders]),
        tuple([_take_waiter(waiter) for waiter in message.waiters]),
        message.delayed,
        message.delay,
    )


def _put_owner(message: pb.LockOwner, owner: LockOwner) -> None:
    message.session = owner.session
    message.handle = owner.handle


def _take_owner(message: pb.LockOwner) -> LockOwner:
    naturals("LockOwner", message.session, message.handle)
    return LockOwner(message.session, message.handle)


def _take_waiter(message: pb.LockWaiter) -> tuple[LockOwner, LockMode]:
    present(message.HasField("owner"), "LockWaiter.owner")
    return _take_owner(message.owner), member(LOCK_MODES, message.mode, "LockWaiter.mode")
