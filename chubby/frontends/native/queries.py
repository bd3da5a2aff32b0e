"""The questions any replica answers outside of a session: Locate, Follow, Status, Export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import TypeVar

import grpc.aio

from chubby.errors import ChubbyError, Overloaded
from chubby.frontends.native.settings import NativeSettings
from chubby.frontends.native.statistics import Counters
from chubby.replica.door import Door
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec_status import encode_location, encode_status
from chubby.wire.limits import CHUNK_BYTES
from chubby.wire.status import abort

T = TypeVar("T")


class Queries:
    """The handlers of the four, around one door."""

    def __init__(self, door: Door, settings: NativeSettings, counters: Counters) -> None:
        """Ask `door`, within `settings`."""
        self._door = door
        self._settings = settings
        self._counters = counters
        self._followers: dict[asyncio.Timeout, None] = {}
        self._stopped: ChubbyError | None = None
        self.exports = 0
        """Exports under way."""

    @property
    def followers(self) -> int:
        """Follow streams under way."""
        return len(self._followers)

    def stop(self, reason: ChubbyError) -> None:
        """End all followers with `reason`, and let nobody follow any more."""
        self._stopped = reason
        now = asyncio.get_running_loop().time()
        for fuse in self._followers:
            fuse.reschedule(now)

    async def locate(
        self, request: pb.LocateRequest, context: grpc.aio.ServicerContext[pb.LocateRequest, pb.Location]
    ) -> pb.Location:
        """Who is master."""
        try:
            return encode_location(self._door.locate())
        except ChubbyError as error:
            await abort(context, error)

    async def status(
        self, request: pb.StatusRequest, context: grpc.aio.ServicerContext[pb.StatusRequest, pb.CellStatus]
    ) -> pb.CellStatus:
        """This replica's view of the cell."""
        try:
            return encode_status(self._door.status())
        except ChubbyError as error:
            await abort(context, error)

    async def follow(
        self, request: pb.LocateRequest, context: grpc.aio.ServicerContext[pb.LocateRequest, pb.Location]
    ) -> None:
        """The current location, then every later one, until the caller or the server stops."""
        # Before the fuse: an RPC whose headers went out with an interrupted write cannot be ended.
        await context.send_initial_metadata(())
        if self._stopped is not None:
            await abort(context, self._stopped)
        if self.followers >= self._settings.followers:
            self._counters.turned_away += 1
            await abort(context, Overloaded(f"{self.followers} follow this replica already"))
        locations = self._door.follow()
        verdict: ChubbyError | None = None
        try:
            async with asyncio.timeout(None) as fuse:
                self._followers[fuse] = None
                try:
                    async for location in locations:
                        await context.write(encode_location(location))
                finally:
                    del self._followers[fuse]
        except TimeoutError:
            verdict = self._stopped
        except ChubbyError as error:
            verdict = error
        finally:
            await _close(locations)
        if verdict is not None:
            # Suppressed: the caller is gone, and nobody is left to be told.
            with suppress(grpc.aio.InternalError):
                await abort(context, verdict)

    async def export(
        self, request: pb.ExportRequest, context: grpc.aio.ServicerContext[pb.ExportRequest, pb.Chunk]
    ) -> None:
        """A snapshot of the applied state, in slices. Only a status of OK says that it is whole."""
        if self.exports >= self._settings.exports:
            self._counters.turned_away += 1
            await abort(context, Overloaded(f"{self.exports} exports are under way already"))
        slices = self._door.export()
        self.exports += 1
        try:
            async for data in slices:
                for start in range(0, len(data), CHUNK_BYTES):
                    await context.write(pb.Chunk(data=data[start : start + CHUNK_BYTES]))
        except ChubbyError as error:
            await abort(context, error)
        finally:
            self.exports -= 1
            await _close(slices)


async def _close(iterator: AsyncIterator[T]) -> None:
    """Let a generator release now what it holds, not when it is collected."""
    if isinstance(iterator, AsyncGenerator):
        await iterator.aclose()
