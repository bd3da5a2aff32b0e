"""The fake cell behind the real gRPC front end: real sockets, real packets, no replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from chubby.client.driver import boot_clock
from chubby.frontends.native import NativeFrontend
from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame, ServerFrame
from tests.client.fake_cell import FakeCell, FakeStream


class FakeDoor:
    """One replica of the fake cell. `master_address` is what it says of the master; empty: its own."""

    def __init__(self, cell: FakeCell) -> None:
        self.cell = cell
        self.address = ""
        self.master_address = ""
        self.peers: tuple[str, ...] = ()
        self._streams: dict[int, FakeStream] = {}
        self._count = 0
        self._news: list[asyncio.Event] = []

    def attach(self, principal: str, deliver: Callable[[Sequence[ServerFrame]], None], end: Callable[[], None]) -> int:
        """See `Door`. What the cell says goes through the loop: never from within `receive`."""
        self._count += 1
        loop = asyncio.get_running_loop()

        def say(frames: list[ServerFrame]) -> None:
            loop.call_soon(deliver, frames)

        def finish() -> None:
            loop.call_soon(end)

        self._streams[self._count] = self.cell.attach(say, finish)
        return self._count

    def receive(self, stream: int, frames: Sequence[ClientFrame]) -> None:
        """See `Door`."""
        if stream in self._streams:
            self.cell.receive(self._streams[stream], frames, boot_clock())

    def detach(self, stream: int) -> None:
        """See `Door`."""
        self.cell.detach(self._streams.pop(stream))

    def congested(self, stream: int) -> None:
        """See `Door`."""
        self.detach(stream)

    def locate(self) -> Location:
        """See `Door`."""
        return Location("here", 99, 1, self.master_address or self.address, self.cell.epoch, self.peers)

    async def follow(self) -> AsyncIterator[Location]:
        """See `Door`."""
        news = asyncio.Event()
        self._news.append(news)
        while True:
            yield self.locate()
            await news.wait()
            news.clear()

    def announce(self) -> None:
        """Tell the followers that the location changed."""
        for news in self._news:
            news.set()

    def status(self) -> CellStatus:
        """See `Door`."""
        revision = self.cell.tree.revision
        return CellStatus(
            "here", 99, 1, "0", 1, self.address, self.cell.epoch, 0, 0, 0, 0, revision, 1, 1, 0, 1, "", ()
        )

    async def export(self) -> AsyncIterator[bytes]:
        """See `Door`."""
        yield b"a snapshot of "
        yield self.address.encode()


class Server(msgspec.Struct):
    """A replica that serves: its door, its front end."""

    door: FakeDoor
    frontend: NativeFrontend
    beat: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop serving."""
        self.beat.cancel()
        await self.frontend.stop(0.1)


async def serve(cell: FakeCell, port: int = 0) -> Server:
    """Start one replica, at a free port."""
    door = FakeDoor(cell)
    frontend = NativeFrontend(door)
    door.address = f"127.0.0.1:{await frontend.start(f'127.0.0.1:{port}')}"

    async def beat() -> None:
        while True:
            cell.tick(boot_clock())
            await asyncio.sleep(0.01)

    return Server(door, frontend, asyncio.create_task(beat()))


@asynccontextmanager
async def served(cell: FakeCell, port: int = 0) -> AsyncIterator[Server]:
    """One replica, stopped in the end."""
    server = await serve(cell, port)
    try:
        yield server
    finally:
        await server.stop()
