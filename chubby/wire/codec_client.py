"""Frames of the client, to and from the oneof of `ClientFrame`."""

from __future__ import annotations

from typing import Final

from chubby.errors import TooLarge
from chubby.types.stream import (
    Acknowledge,
    CallFrame,
    ClientFrame,
    CloseSession,
    HandleClaim,
    KeepAlive,
    OpenSession,
    Resume,
    WatchClaim,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import member, natural, naturals, text, ticket
from chubby.wire.choice import Choice, nothing, row
from chubby.wire.codec_calls import CALLS
from chubby.wire.codec_nodes import EVENT_MASKS
from chubby.wire.limits import FRAME_CEILING


def _put_open_session(message: pb.OpenSession, frame: OpenSession) -> None:
    message.nonce = natural(frame.nonce, "nonce")
    message.caching = frame.caching


def _take_open_session(message: pb.OpenSession) -> OpenSession:
    return OpenSession(natural(message.nonce, "nonce"), message.caching)


def _put_resume(message: pb.Resume, frame: Resume) -> None:
    naturals("Resume", frame.session, frame.stream, frame.epoch, frame.cursor)
    message.session = frame.session
    message.ticket = ticket(frame.ticket)
    message.stream = frame.stream
    message.epoch = frame.epoch
    message.cursor = frame.cursor
    for handle in frame.handles:
        claim = message.handles.add()
        claim.handle = natural(handle.handle, "handle")
        claim.ticket = ticket(handle.ticket)
        claim.events = handle.events
    for watch in frame.watches:
        line = message.watches.add()
        line.watch = natural(watch.watch, "watch")
        line.path = text(watch.path, "path")
        line.recursive = watch.recursive
    if message.ByteSize() > FRAME_CEILING:
        raise TooLarge(f"handles and watches of {message.ByteSize()} bytes; the protocol carries {FRAME_CEILING}")


def _take_resume(message: pb.Resume) -> Resume:
    naturals("Resume", message.session, message.stream, message.epoch, message.cursor)
    return Resume(
        message.session,
        ticket(message.ticket),
        message.stream,
        message.epoch,
        message.cursor,
        tuple([_take_handle_claim(claim) for claim in message.handles]),
        tuple([_take_watch_claim(claim) for claim in message.watches]),
    )


def _take_handle_claim(message: pb.HandleClaim) -> HandleClaim:
    events = member(EVENT_MASKS, message.events, "HandleClaim.events")
    return HandleClaim(natural(message.handle, "handle"), ticket(message.ticket), events)


def _take_watch_claim(message: pb.WatchClaim) -> WatchClaim:
    return WatchClaim(natural(message.watch, "watch"), text(message.path, "path"), message.recursive)


def _put_call(message: pb.CallFrame, frame: CallFrame) -> None:
    naturals("CallFrame", frame.number, frame.acknowledged, frame.patience)
    message.number = frame.number
    message.acknowledged = frame.acknowledged
    message.patience = frame.patience
    message.caching = frame.caching
    CALLS.put(message, frame.call)


def _take_call(message: pb.CallFrame) -> CallFrame:
    number, acknowledged, patience = message.number, message.acknowledged, message.patience
    naturals("CallFrame", number, acknowledged, patience)
    return CallFrame(number, acknowledged, patience, CALLS.take(message), message.caching)


def _put_keep_alive(message: pb.KeepAlive, frame: KeepAlive) -> None:
    message.number = natural(frame.number, "number")
    message.caching = frame.caching


def _take_keep_alive(message: pb.KeepAlive) -> KeepAlive:
    return KeepAlive(natural(message.number, "number"), message.caching)


def _put_acknowledge(message: pb.Acknowledge, frame: Acknowledge) -> None:
    message.push = natural(frame.push, "push")


def _take_acknowledge(message: pb.Acknowledge) -> Acknowledge:
    return Acknowledge(natural(message.push, "push"))


def _take_close_session(message: pb.CloseSession) -> CloseSession:
    return CloseSession()


CLIENT_FRAMES: Final[Choice[pb.ClientFrame, ClientFrame]] = Choice(
    pb.ClientFrame.DESCRIPTOR,
    "frame",
    ClientFrame,
    (
        row(OpenSession, "open_session", lambda frame: frame.open_session, _put_open_session, _take_open_session),
        row(Resume, "resume", lambda frame: frame.resume, _put_resume, _take_resume),
        row(CallFrame, "call", lambda frame: frame.call, _put_call, _take_call),
        row(KeepAlive, "keep_alive", lambda frame: frame.keep_alive, _put_keep_alive, _take_keep_alive),
        row(Acknowledge, "acknowledge", lambda frame: frame.acknowledge, _put_acknowledge, _take_acknowledge),
        row(CloseSession, "close_session", lambda frame: frame.close_session, nothing, _take_close_session),
    ),
)
