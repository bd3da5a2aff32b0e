"""The network of a real cell: gRPC (DESIGN §6 "One bidirectional gRPC stream per session").

Each session stream has a connection of its own, so that a fresh stream never inherits a stuck one. Questions to
replicas (Locate, Follow, Status, Export) share one connection per address.

Frames are packed as they come and wait in an outbox; whatever waits when the transport is ready goes out in one packet.
gRPC cannot be used in a child of a process that has used it (its threads do not survive `fork`), hence `_claim`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio

from chubby.client.network import Link, Lost, Received
from chubby.errors import BadArgument, Failure, ForkedProcess, RequestError
from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame
from chubby.wire import chubby_pb2 as pb
from chubby.wire.channels import CHANNEL_OPTIONS
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec import pack_client, unpack_server
from chubby.wire.codec_status import decode_location, decode_status
from chubby.wire.packing import Outbox, chunks
from chubby.wire.status import error_of_rpc

if TYPE_CHECKING:
    from chubby.wire.chubby_pb2_grpc import CellAsyncStub

    _Stream = grpc.aio.StreamStreamCall[bytes, bytes]

SESSION_METHOD: Final = "/chubby.v1.Cell/Session"
QUESTION_TIMEOUT: Final = 2.0
"""Seconds that a replica has to answer a Locate or Status."""
FAREWELL: Final = 1.0
"""Seconds that a closing stream has to send what waits."""
_OUTBOX_BYTES: Final = 1 << 62
"""The session core bounds what waits, by calls; nothing is dropped here."""
_OPTIONS: Final = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
"""A connection of its own for each channel: gRPC would share one among channels to the same address."""

_users: list[int] = []
"""The process that first used gRPC, if any has: its descendants by fork must not."""


def _claim() -> None:
    """Note that this process uses gRPC; refuse if it is a fork of one that does."""
    if not _users:
        _users.append(os.getpid())
    elif _users[0] != os.getpid():
        raise ForkedProcess(
            "this process was forked from one that uses chubby, and gRPC does not survive a fork: "
            "connect only in the child, or start the child by spawn or exec"
        )


class GrpcLink:
    """One session stream: a task that reads, and one that writes while anything waits."""

    def __init__(self, channel: grpc.aio.Channel, call: _Stream, received: Received, lost: Lost) -> None:
        self._channel = channel
        self._call = call
        self._received = received
        self._lost = lost
        self._outbox = Outbox(_OUTBOX_BYTES)
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = asyncio.create_task(self._write())
        self._reader = asyncio.create_task(self._read())
        self._end: asyncio.Task[None] | None = None

    def send(self, frames: Sequence[ClientFrame]) -> list[tuple[ClientFrame, Failure]]:
        """See `Link`. All at once if the protocol can carry them all, which is the rule; else one by one."""
        try:
            self._pack(frames)
        except RequestError as error:
            if len(frames) == 1:
                return [(frames[0], Failure.of(error))]
            return [refused for frame in frames for refused in self.send((frame,))]
        return []

    def _pack(self, frames: Sequence[ClientFrame]) -> None:
        packets = list(chunks(frames, pack_client))
        for data, count in packets:
            self._outbox.put(data, count)
        self._wake.set()

    def close(self) -> None:
        """See `Link`."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._end = asyncio.create_task(self._finish())

    async def finished(self) -> None:
        """Wait until a closed link is gone."""
        if self._end is not None:
            await self._end

    async def _finish(self) -> None:
        await asyncio.wait((self._writer,), timeout=FAREWELL)
        self._call.cancel()
        self._writer.cancel()
        self._reader.cancel()
        await asyncio.wait((self._writer, self._reader))
        await self._channel.close()

    async def _write(self) -> None:
        try:
            while True:
                while self._outbox:
                    data, _ = self._outbox.take()
                    await self._call.write(data)
                if self._closing:
                    with suppress(grpc.RpcError, asyncio.InvalidStateError):
                        await self._call.done_writing()
                    return
                self._wake.clear()
                await self._wake.wait()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # the reader says why

    async def _read(self) -> None:
        reason = "the other side ended the stream"
        try:
            while isinstance(data := await self._call.read(), bytes):
                frames = unpack_server(data)
                if not self._closing:
                    self._received(frames)
        except grpc.RpcError as error:
            reason = str(error_of_rpc(error))
        except BadArgument as error:
            reason = f"the other side speaks another protocol: {error}"
        if not self._closing:
            self._lost(reason)


class GrpcNetwork:
    """See `chubby.client.network.Network`. With `credentials`, over TLS."""

    def __init__(self, credentials: grpc.ChannelCredentials | None = None) -> None:
        _claim()
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._links: list[GrpcLink] = []

    def _open(self, address: str) -> grpc.aio.Channel:
        if self._credentials is None:
            return grpc.aio.insecure_channel(address, options=_OPTIONS)
        return grpc.aio.secure_channel(address, self._credentials, options=_OPTIONS)

    def _stub(self, address: str) -> CellAsyncStub:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._open(address)
        return CellStub(channel)

    async def connect(self, address: str, received: Received, lost: Lost) -> Link:
        """See `Network`."""
        channel = self._open(address)
        try:
            call: _Stream = channel.stream_stream(SESSION_METHOD)()
            await call.wait_for_connection()
        except grpc.RpcError as error:
            await channel.close()
            raise error_of_rpc(error) from error
        except asyncio.CancelledError:
            await channel.close()
            raise
        self._links = [link for link in self._links if link._end is None or not link._end.done()]
        link = GrpcLink(channel, call, received, lost)
        self._links.append(link)
        return link

    async def locate(self, address: str) -> Location:
        """See `Network`."""
        try:
            return decode_location(await self._stub(address).Locate(pb.LocateRequest(), timeout=QUESTION_TIMEOUT))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    async def status(self, address: str) -> CellStatus:
        """See `Network`."""
        try:
            return decode_status(await self._stub(address).Status(pb.StatusRequest(), timeout=QUESTION_TIMEOUT))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    async def follow(self, address: str) -> AsyncIterator[Location]:
        """See `Network`."""
        call = self._stub(address).Follow(pb.LocateRequest())
        try:
            async for location in call:
                yield decode_location(location)
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        finally:
            call.cancel()

    async def export(self, address: str) -> AsyncIterator[bytes]:
        """See `Network`."""
        call = self._stub(address).Export(pb.ExportRequest())
        try:
            async for chunk in call:
                yield chunk.data
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """See `Network`."""
        for link in self._links:
            link.close()
            await link.finished()
        for channel in self._channels.values():
            await channel.close()
        self._links.clear()
        self._channels.clear()
