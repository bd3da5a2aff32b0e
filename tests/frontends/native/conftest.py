"""A front end on a free port of loopback, and callers that speak the protocol frame by frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc.aio
import pytest

from chubby.errors import ChubbyError
from chubby.frontends.native import NativeFrontend, NativeSettings, everybody
from chubby.frontends.native.stream import Context
from chubby.types.stream import ClientFrame, OpenSession, ServerFrame
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import decode_server, encode_client
from chubby.wire.limits import SERVER_PACKET_BYTES
from chubby.wire.status import error_of_rpc
from tests.frontends.native.door import FakeDoor

PATIENCE = 30.0
"""Seconds any condition may take on a busy machine; none takes a hundredth of it on an idle one."""

SessionCall: TypeAlias = "grpc.aio.StreamStreamCall[pb.ClientPacket, pb.ServerPacket]"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that the front end brings about by itself."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


class Caller:
    """One session stream from the client's side."""

    def __init__(self, call: SessionCall) -> None:
        """Around a call just made."""
        self.call = call
        self.packets: list[int] = []
        """How many frames each packet held."""
        self._waiting: list[ServerFrame] = []

    async def send(self, *frames: ClientFrame) -> None:
        """Send one packet."""
        async with asyncio.timeout(PATIENCE):
            await self.call.write(encode_client(frames))

    async def receive(self) -> ServerFrame | None:
        """The next frame; None at the end of the stream."""
        while not self._waiting:
            async with asyncio.timeout(PATIENCE):
                packet = await self.call.read()
            if not isinstance(packet, pb.ServerPacket):
                return None
            self._waiting = decode_server(packet)
            self.packets.append(len(self._waiting))
        return self._waiting.pop(0)

    async def take(self, count: int) -> list[ServerFrame | None]:
        """The next `count` frames."""
        return [await self.receive() for _ in range(count)]

    async def verdict(self) -> ChubbyError | None:
        """Read to the end and say how it ended: None for well."""
        try:
            while await self.receive() is not None:
                pass
            async with asyncio.timeout(PATIENCE):
                assert await self.call.code() is grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            return error_of_rpc(error)
        return None


class Service:
    """A front end that listens, its door, and channels to it."""

    def __init__(self, door: FakeDoor, frontend: NativeFrontend, port: int) -> None:
        """Around a front end that was started."""
        self.door = door
        self.frontend = frontend
        self.port = port
        self._channels: list[grpc.aio.Channel] = []

    def channel(self) -> grpc.aio.Channel:
        """A channel with a connection of its own."""
        options: Sequence[tuple[str, int]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", SERVER_PACKET_BYTES),
        ]
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options)
        self._channels.append(channel)
        return channel

    def caller(self, channel: grpc.aio.Channel | None = None) -> Caller:
        """A stream on which nothing was said, on a channel of its own unless given one."""
        session: grpc.aio.StreamStreamMultiCallable[pb.ClientPacket, pb.ServerPacket] = (
            channel or self.channel()
        ).stream_stream(
            "/chubby.v1.Cell/Session",
            request_serializer=pb.ClientPacket.SerializeToString,
            response_deserializer=pb.ServerPacket.FromString,
        )
        return Caller(session())

    async def opened(self) -> Caller:
        """A stream with a session on it."""
        caller = self.caller()
        await caller.send(OpenSession(1))
        assert await caller.receive() is not None
        return caller

    async def close(self) -> None:
        """Close the channels, then the front end; the door must have been told of every stream's end."""
        for channel in self._channels:
            await channel.close()
        await until(lambda: self.frontend.statistics().streams == 0)
        await self.frontend.stop(5.0)


@asynccontextmanager
async def serving(
    door: FakeDoor | None = None,
    settings: NativeSettings | None = None,
    principal_of: Callable[[Context], str] = everybody,
) -> AsyncIterator[Service]:
    """A front end that listens on a free port while the block runs."""
    door = door or FakeDoor()
    frontend = NativeFrontend(door, settings, principal_of)
    service = Service(door, frontend, await frontend.start("127.0.0.1:0"))
    try:
        yield service
    finally:
        await service.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A front end with default settings around a friendly door."""
    async with serving() as running:
        yield running
