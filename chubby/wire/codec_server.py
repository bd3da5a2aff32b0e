"""Frames of the master, to and from the oneof of `ServerFrame`."""

from __future__ import annotations

from typing import Final

from chubby.errors import Failure
from chubby.types.events import Event
from chubby.types.identity import HandleNumber
from chubby.types.stream import (
    CacheKey,
    KeepAliveReply,
    Push,
    Redirect,
    Refused,
    Reply,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.checks import below, member, natural, naturals, present, ticket
from chubby.wire.choice import Choice, nothing, row
from chubby.wire.codec_nodes import CACHE_KINDS, EVENT_KINDS, put_failure, take_failure
from chubby.wire.codec_results import ANSWERS

_WHOLE_PPM: Final = 1_000_000
"""Clocks that may differ by their whole rate bound nothing."""
_cache_kind = pb.CacheKind.ValueType
_event_kind = pb.EventKind.ValueType


def _put_session_opened(message: pb.SessionOpened, frame: SessionOpened) -> None:
    message.session = frame.session
    message.ticket = ticket(frame.ticket)
    message.cell_id = frame.cell_id
    message.epoch = frame.epoch
    message.session_lease = frame.session_lease
    message.cache_lease = frame.cache_lease
    message.grace_period = frame.grace_period
    message.drift_ppm = frame.drift_ppm
    message.revision = frame.revision


def _take_session_opened(message: pb.SessionOpened) -> SessionOpened:
    naturals("SessionOpened", message.session, message.cell_id, message.epoch, message.drift_ppm, message.revision)
    naturals("SessionOpened", message.session_lease, message.cache_lease, message.grace_period)
    below(message.drift_ppm, _WHOLE_PPM, "SessionOpened.drift_ppm")
    return SessionOpened(
        message.session,
        ticket(message.ticket),
        message.cell_id,
        message.epoch,
        message.session_lease,
        message.cache_lease,
        message.grace_period,
        message.drift_ppm,
        message.revision,
    )


def _put_resumed(message: pb.Resumed, frame: Resumed) -> None:
    message.epoch = frame.epoch
    message.session_lease = frame.session_lease
    message.cache_lease = frame.cache_lease
    for handle, failure in frame.lost:
        line = message.lost.add()
        line.handle = handle
        put_failure(line.failure, failure)


def _take_resumed(message: pb.Resumed) -> Resumed:
    naturals("Resumed", message.epoch, message.session_lease, message.cache_lease)
    lost = tuple([_take_lost(line) for line in message.lost])
    return Resumed(message.epoch, message.session_lease, message.cache_lease, lost)


def _take_lost(message: pb.LostHandle) -> tuple[HandleNumber, Failure]:
    present(message.HasField("failure"), "LostHandle.failure")
    return natural(message.handle, "handle"), take_failure(message.failure)


def _put_redirect(message: pb.Redirect, frame: Redirect) -> None:
    message.address = frame.address
    message.epoch = frame.epoch


def _take_redirect(message: pb.Redirect) -> Redirect:
    return Redirect(message.address, natural(message.epoch, "epoch"))


def _put_refused(message: pb.Refused, frame: Refused) -> None:
    put_failure(message.failure, frame.failure)


def _take_refused(message: pb.Refused) -> Refused:
    present(message.HasField("failure"), "Refused.failure")
    return Refused(take_failure(message.failure))


def _put_reply(message: pb.Reply, frame: Reply) -> None:
    message.number = frame.number
    message.cacheable = frame.cacheable
    message.cache_lease = frame.cache_lease
    ANSWERS.put(message, frame.answer)


def _take_reply(message: pb.Reply) -> Reply:
    number, cache_lease = message.number, message.cache_lease
    naturals("Reply", number, cache_lease)
    return Reply(number, ANSWERS.take(message), message.cacheable, cache_lease)


def _put_keep_alive_reply(message: pb.KeepAliveReply, frame: KeepAliveReply) -> None:
    message.number = frame.number
    message.session_lease = frame.session_lease
    message.cache_lease = frame.cache_lease


def _take_keep_alive_reply(message: pb.KeepAliveReply) -> KeepAliveReply:
    number, session_lease, cache_lease = message.number, message.session_lease, message.cache_lease
    naturals("KeepAliveReply", number, session_lease, cache_lease)
    return KeepAliveReply(number, session_lease, cache_lease)


def _put_push(message: pb.Push, frame: Push) -> None:
    message.number = frame.number
    for key in frame.invalidate:
        line = message.invalidate.add()
        line.path = key.path
        line.kind = _cache_kind(key.kind)
    message.everything = frame.everything
    for event in frame.events:
        _put_event(message.events.add(), event)
    message.cursor = frame.cursor


def _take_push(message: pb.Push) -> Push:
    naturals("Push", message.number, message.cursor)
    return Push(
        message.number,
        tuple([_take_cache_key(key) for key in message.invalidate]),
        message.everything,
        tuple([_take_event(event) for event in message.events]),
        message.cursor,
    )


def _take_cache_key(message: pb.CacheKey) -> CacheKey:
    return CacheKey(message.path, member(CACHE_KINDS, message.kind, "CacheKey.kind"))


def _put_event(message: pb.Event, event: Event) -> None:
    message.kind = _event_kind(event.kind)
    message.path = event.path
    message.revision = event.revision
    message.instance = event.instance
    message.generation = event.generation
    message.handle = event.handle
    message.watch = event.watch


def _take_event(message: pb.Event) -> Event:
    event = Event(
        member(EVENT_KINDS, message.kind, "Event.kind"),
        message.path,
        message.revision,
        message.instance,
        message.generation,
        message.handle,
        message.watch,
    )
    naturals("Event", event.revision, event.instance, event.generation, event.handle, event.watch)
    return event


def _take_session_closed(message: pb.SessionClosed) -> SessionClosed:
    return SessionClosed()


SERVER_FRAMES: Final[Choice[pb.ServerFrame, ServerFrame]] = Choice(
    pb.ServerFrame.DESCRIPTOR,
    "frame",
    ServerFrame,
    (
        row(
            SessionOpened,
            "session_opened",
            lambda frame: frame.session_opened,
            _put_session_opened,
            _take_session_opened,
        ),
        row(Resumed, "resumed", lambda frame: frame.resumed, _put_resumed, _take_resumed),
        row(Redirect, "redirect", lambda frame: frame.redirect, _put_redirect, _take_redirect),
        row(Refused, "refused", lambda frame: frame.refused, _put_refused, _take_refused),
        row(Reply, "reply", lambda frame: frame.reply, _put_reply, _take_reply),
        row(
            KeepAliveReply,
            "keep_alive_reply",
            lambda frame: frame.keep_alive_reply,
            _put_keep_alive_reply,
            _take_keep_alive_reply,
        ),
        row(Push, "push", lambda frame: frame.push, _put_push, _take_push),
        row(SessionClosed, "session_closed", lambda frame: frame.session_closed, nothing, _take_session_closed),
    ),
)
