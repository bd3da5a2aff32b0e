"""Requests that are no messages: each is answered in words, and leaves no trace but a number."""

from __future__ import annotations

import asyncio

import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from chubby.frontends.native import NativeSettings
from chubby.types.time import MILLISECOND
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec_status import decode_location
from tests.frontends.native.conftest import PATIENCE, Service, serving
from tests.frontends.native.door import LOCATION
from tests.frontends.native.test_queries import stub

QUESTIONS = (
    "/chubby.v1.Cell/Locate",
    "/chubby.v1.Cell/Follow",
    "/chubby.v1.Cell/Status",
    "/chubby.v1.Cell/Export",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


@pytest.mark.parametrize("method", QUESTIONS)
async def test_a_question_that_is_no_message_is_refused_in_words(
    service: Service, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Counted and answered; whoever asks it a thousand times does not fill the log, least of all with tracebacks."""
    ask: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = service.channel().stream_stream(method)
    for _ in range(5):
        call = ask()
        await call.write(b"\xff\xff\xff")
        await call.done_writing()
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert await call.details() == "the request is no message of this protocol"
    assert service.frontend.statistics().bad_packets == 5
    assert caplog.records == []
    assert decode_location(await stub(service).Locate(pb.LocateRequest())) == LOCATION


async def test_questions_before_a_bad_one_are_answered(service: Service) -> None:
    """In a conversation too a bad message ends only what follows it."""
    call: grpc.aio.StreamStreamCall[bytes, bytes] = service.channel().stream_stream(QUESTIONS[-1])()
    async with asyncio.timeout(PATIENCE):
        await call.write(reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString())
        answer = await call.read()
        assert isinstance(answer, bytes) and b"chubby.v1.Cell" in answer
        await call.write(b"\xff")
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", QUESTIONS[:-1])
async def test_who_asks_nothing_is_let_go(method: str) -> None:
    """Else whoever opens RPCs and says nothing in them holds all there may be, for ever."""
    async with serving(settings=NativeSettings(handshake=100 * MILLISECOND)) as service:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = service.channel().stream_stream(method)()
        async with asyncio.timeout(PATIENCE):
            await call.wait_for_connection()
            assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert await call.details() == "the request did not come in time"
        assert service.frontend.statistics().silent == 1


@pytest.mark.parametrize("method", QUESTIONS[:-1])
async def test_a_question_that_ends_before_it_is_asked_is_refused(service: Service, method: str) -> None:
    """Half-closed without a message: there is nothing to answer."""
    call: grpc.aio.StreamStreamCall[bytes, bytes] = service.channel().stream_stream(method)()
    async with asyncio.timeout(PATIENCE):
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
