"""The shared vocabulary: immutable, encodable, complete (DESIGN §2, §5, §6)."""

from __future__ import annotations

import enum
import importlib
import pkgutil
import typing

import msgspec
import pytest

import chubby.types
from chubby.types import calls, events, limits, nodes, results, stream, time, transaction
from chubby.types.calls import Acquire, Call, Mode, Open, Transact
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.nodes import AclNames, LockMode, NodeKind, Stat
from chubby.types.results import Answer, Opened, Result, Transacted
from chubby.types.stream import CacheKey, CacheKind, CallFrame, ClientFrame, Push, Reply, Resume, ServerFrame
from chubby.types.transaction import Create, Exists, Guard, Operation, TokenIs, TransactionResult, Write

MODULES = [
    importlib.import_module(f"chubby.types.{module.name}") for module in pkgutil.iter_modules(chubby.types.__path__)
]
STRUCTS = sorted(
    {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    },
    key=lambda kind: (kind.__module__, kind.__name__),
)
ENUMS: list[type[enum.IntEnum]] = [
    value
    for module in (calls, events, nodes, stream)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, enum.IntEnum) and value.__module__ == module.__name__
]
UNIONS = {"Call": Call, "Answer": Answer, "ClientFrame": ClientFrame, "ServerFrame": ServerFrame}
UNIONS |= {"Guard": Guard, "Operation": Operation}

STAT = Stat(NodeKind.FILE, False, 7, 2, 1, 2**64 - 1, 3, 11, 12, 1, 2, AclNames("r", "w", "c"), {"colour": b"red"})
CLIENT_FRAMES: list[ClientFrame] = [
    Resume(5, b"ticket", 2, 9, 100, (stream.HandleClaim(1, b"t", EventMask.ALL),), (stream.WatchClaim(1, "/a", True),)),
    CallFrame(1, 0, time.SECOND, Open(1, "/a", Mode.READ | Mode.WRITE, acl=AclNames("a", "b", "c"))),
    CallFrame(2, 1, 0, Acquire(1, LockMode.SHARED, lock_delay=time.SECOND), caching=True),
    CallFrame(3, 2, 0, Transact((Exists("/a", 7), TokenIs("/b", 3)), (Write("/a", b"x"),), (Create("/c"),))),
    stream.CloseSession(),
]
SERVER_FRAMES: list[ServerFrame] = [
    Reply(1, Opened(b"ticket", "/a", True, STAT), cacheable=True, cache_lease=time.SECOND),
    Reply(2, Transacted(TransactionResult(False, 9, failed_guard=1))),
    Push(1, (CacheKey("/a", CacheKind.NODE),), False, (Event(EventKind.RESYNC, watch=1),), 12),
    stream.SessionClosed(),
]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_struct_is_frozen_and_explained(kind: type[msgspec.Struct]) -> None:
    """Messages, events and records are values: nobody changes them behind another's back."""
    assert kind.__struct_config__.frozen
    assert kind.__doc__


@pytest.mark.parametrize("name", UNIONS)
def test_members_of_a_union_have_different_tags(name: str) -> None:
    """A decoder tells the members apart."""
    tags = [member.__struct_config__.tag for member in typing.get_args(UNIONS[name])]
    assert None not in tags
    assert len(set(tags)) == len(tags)


def test_the_unions_are_complete() -> None:
    """A tagged struct that no union names could be neither sent nor answered."""
    members = {member for union in UNIONS.values() for member in typing.get_args(union)}
    tagged = {kind for kind in STRUCTS if kind.__struct_config__.tag is not None}
    assert tagged <= members
    assert set(typing.get_args(Result)) < set(typing.get_args(Answer))


@pytest.mark.parametrize("frame", CLIENT_FRAMES, ids=lambda frame: type(frame).__name__)
def test_client_frames_read_back(frame: ClientFrame) -> None:
    """What is encoded is what is decoded, enums and flags included."""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=ClientFrame)
    assert again == frame


@pytest.mark.parametrize("frame", SERVER_FRAMES, ids=lambda frame: type(frame).__name__)
def test_server_frames_read_back(frame: ServerFrame) -> None:
    """What is encoded is what is decoded, a full 64-bit checksum included."""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=ServerFrame)
    assert again == frame


def test_masks_cover_their_flags() -> None:
    """ALL is every flag, and no flag hides in another."""
    union = EventMask.NONE
    for flag in EventMask:
        assert not union & flag
        union |= flag
    assert union == EventMask.ALL


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_enums_have_no_second_name_for_a_number(kind: type[enum.IntEnum]) -> None:
    """An alias would make two meanings one on the wire."""
    assert len(kind.__members__) == len(set(kind))


def test_time_is_counted_in_nanoseconds() -> None:
    """DESIGN §2: `now` is an integer of nanoseconds."""
    assert time.from_seconds(1.5) == 1_500_000_000 == 1500 * time.MILLISECOND
    assert time.to_seconds(250 * time.MICROSECOND) == 0.00025
    assert time.NEVER > 200 * 365 * 24 * 3600 * time.SECOND
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(time.NEVER)) == time.NEVER


def test_the_figures_of_the_design() -> None:
    """DESIGN §3-§5 state these; whoever changes one changes the design."""
    assert limits.CONTENT_LIMIT == 256 * 1024
    assert limits.ATTRIBUTES_LIMIT == 1024
    assert limits.REPLY_TABLE_LIMIT == 1024
    assert (limits.BATCH_COMMANDS, limits.BATCH_BYTES) == (1000, 1 << 20)
    assert (limits.WINDOW_SLOTS, limits.WINDOW_BYTES) == (32, 8 << 20)
    assert limits.HEARTBEAT_INTERVAL == 100 * time.MILLISECOND
    assert limits.MASTER_LEASE == time.SECOND
    assert limits.CLOCK_DRIFT_PPM == 10_000
    assert limits.SLOW_SYNC == 2 * time.SECOND
    assert (limits.SESSION_LEASE, limits.SESSION_LEASE_MAXIMUM) == (12 * time.SECOND, 60 * time.SECOND)
    assert (limits.CACHE_LEASE, limits.CACHE_LEASE_MAXIMUM) == (4 * time.SECOND, 12 * time.SECOND)
    assert limits.GRACE_PERIOD == 45 * time.SECOND
    assert limits.LOCK_DELAY_MAXIMUM == 60 * time.SECOND
    assert limits.DIGEST_INTERVAL == 60 * time.SECOND
    assert limits.SNAPSHOT_LOG_BYTES == 64 << 20


def test_defaults_of_mutable_kind_are_not_shared() -> None:
    """Two nodes made without attributes must not come to share them."""
    first, second = Create("/a"), Create("/b")
    first.attributes["x"] = b"1"
    assert second.attributes == {}
    assert results.Done() == results.Done(0)
    assert transaction.OperationResult("/a").stat is None
