"""Each frame as a peer in another language would write or read it, and what it means here, field by field."""

from __future__ import annotations

from typing import get_args

import pytest
from google.protobuf import text_format

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import GetStat
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.results import Done
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    ClientFrame,
    CloseSession,
    HandleClaim,
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Push,
    Redirect,
    Refused,
    Reply,
    Resume,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
    WatchClaim,
)
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import decode_client, decode_server, encode_client, encode_server

CLIENT: list[tuple[str, ClientFrame]] = [
    ("open_session { nonce: 9223372036854775807 caching: true }", OpenSession((1 << 63) - 1, caching=True)),
    ("open_session { nonce: 1 }", OpenSession(1, caching=False)),
    (
        """resume {
             session: 1 ticket: "t" stream: 2 epoch: 3 cursor: 4
             handles { handle: 5 ticket: "h" events: 1 } handles { handle: 6 ticket: "i" events: 62 }
             watches { watch: 7 path: "/a" recursive: true } watches { watch: 8 path: "/b" }
           }""",
        Resume(
            session=1,
            ticket=b"t",
            stream=2,
            epoch=3,
            cursor=4,
            handles=(
                HandleClaim(5, b"h", EventMask.CONTENTS_MODIFIED),
                HandleClaim(6, b"i", EventMask.ALL ^ EventMask.CONTENTS_MODIFIED),
            ),
            watches=(WatchClaim(7, "/a", True), WatchClaim(8, "/b", False)),
        ),
    ),
    ("resume { session: 1 ticket: 't' stream: 2 epoch: 3 }", Resume(1, b"t", 2, 3, 0, (), ())),
    (
        "call { number: 1 acknowledged: 2 patience: 3 caching: true get_stat { handle: 4 } }",
        CallFrame(number=1, acknowledged=2, patience=3, call=GetStat(4), caching=True),
    ),
    ("call { number: 1 get_stat { handle: 4 } }", CallFrame(1, 0, 0, GetStat(4), caching=False)),
    ("keep_alive { number: 1 caching: true }", KeepAlive(1, caching=True)),
    ("keep_alive { number: 1 }", KeepAlive(1, caching=False)),
    ("acknowledge { push: 5 }", Acknowledge(5)),
    ("close_session { }", CloseSession()),
]

SERVER: list[tuple[str, ServerFrame]] = [
    (
        """session_opened {
             session: 1 ticket: "t" cell_id: 2 epoch: 3 session_lease: 4 cache_lease: 5 grace_period: 6 drift_ppm: 7
             revision: 8
           }""",
        SessionOpened(
            session=1,
            ticket=b"t",
            cell_id=2,
            epoch=3,
            session_lease=4,
            cache_lease=5,
            grace_period=6,
            drift_ppm=7,
            revision=8,
        ),
    ),
    (
        """resumed {
             epoch: 1 session_lease: 2 cache_lease: 3
             lost { handle: 4 failure { code: ERROR_CODE_HANDLE_INVALID message: "deleted" } }
             lost { handle: 5 failure { code: ERROR_CODE_PERMISSION_DENIED message: "forged" } }
           }""",
        Resumed(
            epoch=1,
            session_lease=2,
            cache_lease=3,
            lost=(
                (4, Failure(ErrorCode.HANDLE_INVALID, "deleted")),
                (5, Failure(ErrorCode.PERMISSION_DENIED, "forged")),
            ),
        ),
    ),
    ("resumed { epoch: 1 session_lease: 2 }", Resumed(1, 2, 0, ())),
    ("redirect { address: 'h:1' epoch: 2 }", Redirect("h:1", 2)),
    ("redirect { }", Redirect("", 0)),
    (
        "refused { failure { code: ERROR_CODE_SESSION_EXPIRED message: 'too late' } }",
        Refused(Failure(ErrorCode.SESSION_EXPIRED, "too late")),
    ),
    (
        "reply { number: 1 cacheable: true cache_lease: 2 done { revision: 3 } }",
        Reply(number=1, answer=Done(3), cacheable=True, cache_lease=2),
    ),
    ("reply { number: 1 done { } }", Reply(1, Done(0), cacheable=False, cache_lease=0)),
    (
        "keep_alive_reply { number: 1 session_lease: 2 cache_lease: 3 }",
        KeepAliveReply(number=1, session_lease=2, cache_lease=3),
    ),
    ("keep_alive_reply { number: 1 session_lease: 2 }", KeepAliveReply(1, 2, 0)),
    (
        """push {
             number: 1 everything: true cursor: 2
             invalidate { path: "/a" kind: CACHE_KIND_NODE } invalidate { path: "/b" kind: CACHE_KIND_CHILDREN }
             events {
               kind: EVENT_KIND_CONTENTS_MODIFIED path: "/a" revision: 3 instance: 4 generation: 5 handle: 6
             }
             events { kind: EVENT_KIND_RESYNC watch: 7 }
           }""",
        Push(
            number=1,
            invalidate=(CacheKey("/a", CacheKind.NODE), CacheKey("/b", CacheKind.CHILDREN)),
            everything=True,
            events=(
                Event(EventKind.CONTENTS_MODIFIED, "/a", revision=3, instance=4, generation=5, handle=6),
                Event(EventKind.RESYNC, watch=7),
            ),
            cursor=2,
        ),
    ),
    ("push { number: 1 }", Push(1, (), False, (), 0)),
    ("session_closed { }", SessionClosed()),
]


@pytest.mark.parametrize(("text", "frame"), CLIENT)
def test_what_a_client_says(text: str, frame: ClientFrame) -> None:
    """DESIGN §5 and §6: each frame of the client, complete and with as little as it can have."""
    written = text_format.Parse(f"frames {{ {text} }}", pb.ClientPacket())
    assert decode_client(written) == [frame]
    assert encode_client([frame]) == written


@pytest.mark.parametrize(("text", "frame"), SERVER)
def test_what_a_master_says(text: str, frame: ServerFrame) -> None:
    """DESIGN §5 and §6: each frame of the master, complete and with as little as it can have."""
    written = text_format.Parse(f"frames {{ {text} }}", pb.ServerPacket())
    assert decode_server(written) == [frame]
    assert encode_server([frame]) == written


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_is_told(kind: EventKind) -> None:
    """DESIGN §5: none is lost on the way for want of a number."""
    push = Push(1, events=(Event(kind, handle=1),))
    assert decode_server(encode_server([push])) == [push]


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_is_told(code: ErrorCode) -> None:
    """Each failure arrives as itself, in whatever frame carries it."""
    failure = Failure(code, "why")
    frames: list[ServerFrame] = [Reply(1, failure), Refused(failure), Resumed(1, 1, 1, ((1, failure),))]
    assert decode_server(encode_server(frames)) == frames


def test_the_tables_are_complete() -> None:
    """Every frame is shown at least once."""
    assert {type(frame) for _, frame in CLIENT} == set(get_args(ClientFrame))
    assert {type(frame) for _, frame in SERVER} == set(get_args(ServerFrame))
