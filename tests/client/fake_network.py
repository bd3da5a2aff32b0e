"""A network whose every address leads to one fake cell in the same process, at the speed of the loop.

The fake cell is sans-IO; here it lives in real time: what it sends goes through the loop like arriving packets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from chubby.client.driver import boot_clock
from chubby.client.network import Link, Lost, Received
from chubby.errors import AvailabilityError, Failure, RequestError
from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.wire.codec import pack_client
from tests.client.fake_cell import FakeCell, FakeStream

ADDRESSES = ("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")


class FakeLink:
    """One stream to the fake cell."""

    def __init__(self, network: FakeNetwork, received: Received, lost: Lost) -> None:
        self._network = network
        self._received = received
        self._lost = lost
        self._closed = False
        self._stream: FakeStream = network.cell.attach(self._deliver, self._ended)

    def send(self, frames: Sequence[ClientFrame]) -> list[tuple[ClientFrame, Failure]]:
        """See `Link`: the same frames are refused as on a real wire."""
        refused = []
        for frame in frames:
            try:
                pack_client((frame,))
            except RequestError as error:
                refused.append((frame, Failure.of(error)))
            else:
                self._later(lambda frame=frame: self._arrive(frame))
        return refused

    def _arrive(self, frame: ClientFrame) -> None:
        if self._network.up:
            self._network.cell.receive(self._stream, (frame,), boot_clock())

    def _deliver(self, frames: list[ServerFrame]) -> None:
        self._later(lambda: None if self._closed else self._received(frames))

    def _ended(self) -> None:
        self._later(lambda: None if self._closed else self._lost("the cell ended the stream"))

    def _later(self, action: object) -> None:
        assert callable(action)
        self._network.loop.call_soon(action)

    def cut(self) -> None:
        """The connection breaks."""
        self._network.cell.detach(self._stream)
        self._ended()

    def close(self) -> None:
        """See `Link`."""
        self._closed = True
        self._later(lambda: self._network.cell.detach(self._stream))


class FakeNetwork:
    """See the module. `up` false: nothing gets through and nobody answers; `master` is where the cell says it is."""

    def __init__(self, cell: FakeCell, master: str = ADDRESSES[0]) -> None:
        self.cell = cell
        self.master = master
        self.up = True
        self.loop = asyncio.get_running_loop()
        self.links: list[FakeLink] = []
        self.asked: list[str] = []
        self.connected_to: list[str] = []
        self.closed = False
        self._news = asyncio.Condition()
        self._beat = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            self.cell.tick(boot_clock())
            await asyncio.sleep(0.01)

    def location(self) -> Location:
        """What every replica says."""
        return Location("here", 99, 1, self.master, self.cell.epoch, ADDRESSES)

    async def connect(self, address: str, received: Received, lost: Lost) -> Link:
        """See `Network`."""
        self.connected_to.append(address)
        if not self.up:
            raise AvailabilityError(f"{address} cannot be reached")
        await asyncio.sleep(0)
        link = FakeLink(self, received, lost)
        self.links.append(link)
        return link

    async def locate(self, address: str) -> Location:
        """See `Network`."""
        self.asked.append(address)
        if not self.up:
            raise AvailabilityError(f"{address} cannot be reached")
        return self.location()

    async def follow(self, address: str) -> AsyncIterator[Location]:
        """See `Network`."""
        while True:
            yield self.location()
            async with self._news:
                await self._news.wait()

    async def announce(self) -> None:
        """Tell the followers of a new location."""
        async with self._news:
            self._news.notify_all()

    async def status(self, address: str) -> CellStatus:
        """See `Network`."""
        if not self.up:
            raise AvailabilityError(f"{address} cannot be reached")
        return CellStatus(
            "here", 99, 1, "0", 1, self.master, self.cell.epoch, 0, 0, 0, 0, self.cell.tree.revision, 1, 1, 0, 1, "", ()
        )

    async def export(self, address: str) -> AsyncIterator[bytes]:
        """See `Network`."""
        yield b"snapshot of " + address.encode()

    async def fail_over(self, master: str) -> None:
        """Another replica becomes master, and the followers hear of it."""
        self.cell.fail_over(boot_clock())
        self.master = master
        await self.announce()

    def cut(self) -> None:
        """Break every connection there is."""
        links, self.links = self.links, []
        for link in links:
            link.cut()

    async def close(self) -> None:
        """See `Network`."""
        self.closed = True
        self._beat.cancel()
