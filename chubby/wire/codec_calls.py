"""Calls, to and from the oneof of `CallFrame`: here those on a handle; those on the cell are `codec_cell_calls`."""

from __future__ import annotations

from typing import Final, Protocol

from chubby.types.calls import (
    Acquire,
    Call,
    CancelAcquire,
    CheckSequencer,
    Close,
    Delete,
    GetContentsAndStat,
    GetLockInfo,
    GetSequencer,
    GetStat,
    Open,
    ReadDir,
    Release,
    SetAcl,
    SetAttributes,
    SetContents,
    SetSequencer,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import attributes, content, member, natural, present, sequencer, text
from chubby.wire.choice import Choice, row
from chubby.wire.codec_cell_calls import CELL_CALLS
from chubby.wire.codec_nodes import (
    CREATE_MODES,
    EVENT_MASKS,
    LOCK_MODES,
    MODES,
    NODE_KINDS,
    lock_mode,
    node_kind,
    put_acl,
    take_acl,
    take_attributes,
)


class _NamesHandle(Protocol):
    """A message or a struct that names a handle: all that many calls have to say."""

    @property
    def handle(self) -> int: ...


class _HandleMessage(Protocol):
    """A message whose handle can be set."""

    handle: int


def _put_handle(message: _HandleMessage, call: _NamesHandle) -> None:
    message.handle = natural(call.handle, "handle")


def _handle(message: _NamesHandle) -> int:
    return natural(message.handle, "handle")


def _put_open(message: pb.Open, call: Open) -> None:
    message.handle = natural(call.handle, "handle")
    message.path = text(call.path, "path")
    message.mode = call.mode
    message.events = call.events
    message.create = pb.CreateMode.ValueType(call.create)
    message.kind = node_kind(call.kind)
    message.ephemeral = call.ephemeral
    message.sequential = call.sequential
    message.contents = content(call.contents)
    if call.acl is not None:
        put_acl(message.acl, call.acl)
    if call.attributes:
        message.attributes.update(attributes(call.attributes))


def _take_open(message: pb.Open) -> Open:
    return Open(
        natural(message.handle, "handle"),
        text(message.path, "path"),
        member(MODES, message.mode, "Open.mode"),
        member(EVENT_MASKS, message.events, "Open.events"),
        member(CREATE_MODES, message.create, "Open.create"),
        member(NODE_KINDS, message.kind, "Open.kind"),
        message.ephemeral,
        message.sequential,
        content(message.contents),
        take_acl(message.acl) if message.HasField("acl") else None,
        take_attributes(message.attributes),
    )


def _put_read_dir(message: pb.ReadDir, call: ReadDir) -> None:
    message.handle = natural(call.handle, "handle")
    message.after = text(call.after, "after")
    message.limit = natural(call.limit, "limit")


def _take_read_dir(message: pb.ReadDir) -> ReadDir:
    return ReadDir(natural(message.handle, "handle"), text(message.after, "after"), natural(message.limit, "limit"))


def _put_set_contents(message: pb.SetContents, call: SetContents) -> None:
    message.handle = natural(call.handle, "handle")
    message.contents = content(call.contents)
    if call.generation is not None:
        message.generation = natural(call.generation, "generation")


def _take_set_contents(message: pb.SetContents) -> SetContents:
    generation = natural(message.generation, "generation") if message.HasField("generation") else None
    return SetContents(natural(message.handle, "handle"), content(message.contents), generation)


def _put_set_acl(message: pb.SetAcl, call: SetAcl) -> None:
    message.handle = natural(call.handle, "handle")
    put_acl(message.acl, call.acl)
    if call.generation is not None:
        message.generation = natural(call.generation, "generation")


def _take_set_acl(message: pb.SetAcl) -> SetAcl:
    present(message.HasField("acl"), "SetAcl.acl")
    generation = natural(message.generation, "generation") if message.HasField("generation") else None
    return SetAcl(natural(message.handle, "handle"), take_acl(message.acl), generation)


def _put_set_attributes(message: pb.SetAttributes, call: SetAttributes) -> None:
    message.handle = natural(call.handle, "handle")
    message.attributes.update(attributes(call.attributes))


def _take_set_attributes(message: pb.SetAttributes) -> SetAttributes:
    return SetAttributes(natural(message.handle, "handle"), take_attributes(message.attributes))


def _put_acquire(message: pb.Acquire, call: Acquire) -> None:
    message.handle = natural(call.handle, "handle")
    message.mode = lock_mode(call.mode)
    message.wait = call.wait
    message.lock_delay = natural(call.lock_delay, "lock_delay")


def _take_acquire(message: pb.Acquire) -> Acquire:
    return Acquire(
        natural(message.handle, "handle"),
        member(LOCK_MODES, message.mode, "Acquire.mode"),
        message.wait,
        natural(message.lock_delay, "lock_delay"),
    )


def _put_set_sequencer(message: pb.SetSequencer, call: SetSequencer) -> None:
    message.handle = natural(call.handle, "handle")
    message.sequencer = sequencer(call.sequencer)


def _take_set_sequencer(message: pb.SetSequencer) -> SetSequencer:
    return SetSequencer(natural(message.handle, "handle"), sequencer(message.sequencer))


def _put_check_sequencer(message: pb.CheckSequencer, call: CheckSequencer) -> None:
    message.sequencer = sequencer(call.sequencer)


def _take_check_sequencer(message: pb.CheckSequencer) -> CheckSequencer:
    return CheckSequencer(sequencer(message.sequencer))


CALLS: Final[Choice[pb.CallFrame, Call]] = Choice(
    pb.CallFrame.DESCRIPTOR,
    "call",
    Call,
    (
        row(Open, "open", lambda frame: frame.open, _put_open, _take_open),
        row(Close, "close", lambda frame: frame.close, _put_handle, lambda part: Close(_handle(part))),
        row(
            GetContentsAndStat,
            "get_contents_and_stat",
            lambda frame: frame.get_contents_and_stat,
            _put_handle,
            lambda part: GetContentsAndStat(_handle(part)),
        ),
        row(GetStat, "get_stat", lambda frame: frame.get_stat, _put_handle, lambda part: GetStat(_handle(part))),
        row(
            GetLockInfo,
            "get_lock_info",
            lambda frame: frame.get_lock_info,
            _put_handle,
            lambda part: GetLockInfo(_handle(part)),
        ),
        row(ReadDir, "read_dir", lambda frame: frame.read_dir, _put_read_dir, _take_read_dir),
        row(SetContents, "set_contents", lambda frame: frame.set_contents, _put_set_contents, _take_set_contents),
        row(SetAcl, "set_acl", lambda frame: frame.set_acl, _put_set_acl, _take_set_acl),
        row(
            SetAttributes,
            "set_attributes",
            lambda frame: frame.set_attributes,
            _put_set_attributes,
            _take_set_attributes,
        ),
        row(Delete, "delete", lambda frame: frame.delete, _put_handle, lambda part: Delete(_handle(part))),
        row(Acquire, "acquire", lambda frame: frame.acquire, _put_acquire, _take_acquire),
        row(
            CancelAcquire,
            "cancel_acquire",
            lambda frame: frame.cancel_acquire,
            _put_handle,
            lambda part: CancelAcquire(_handle(part)),
        ),
        row(Release, "release", lambda frame: frame.release, _put_handle, lambda part: Release(_handle(part))),
        row(
            GetSequencer,
            "get_sequencer",
            lambda frame: frame.get_sequencer,
            _put_handle,
            lambda part: GetSequencer(_handle(part)),
        ),
        row(SetSequencer, "set_sequencer", lambda frame: frame.set_sequencer, _put_set_sequencer, _take_set_sequencer),
        row(
            CheckSequencer,
            "check_sequencer",
            lambda frame: frame.check_sequencer,
            _put_check_sequencer,
            _take_check_sequencer,
        ),
        *CELL_CALLS,
    ),
)
