"""The simulated network as a production session shell sees it (`chubby.client.network.Network`).

Questions and their answers, streams and what ends them travel on the same links as those of all other clients of the
machine: they take time, arrive in order, or hang when a link is cut, until somebody loses patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from chubby.client.grpc_network import QUESTION_TIMEOUT
from chubby.client.network import Link, Lost, Received
from chubby.errors import AvailabilityError, Failure
from chubby.types.identity import Epoch
from chubby.types.status import CellStatus, Location
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import to_seconds
from tests.simulation.clients import RESET_AFTER
from tests.simulation.configuration import CELL
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Connection

if TYPE_CHECKING:
    from tests.simulation.programs.process import Process

T = TypeVar("T")


class Question(Generic[T]):
    """One question to a replica's process, and its answer. A replica that is down refuses; one that sleeps is slow."""

    def __init__(self, process: Process, host: ReplicaHost, answer: Callable[[], T]) -> None:
        self._process = process
        self._host = host
        self._answer = answer
        self._future: asyncio.Future[T] = process.loop.create_future()

    async def ask(self, patience: float) -> T:
        """The answer. Raises AvailabilityError."""
        process, host = self._process, self._host
        if not process.ended:
            process.network.in_order(process.place, host.place, self._arrive)
        try:
            async with asyncio.timeout(patience):
                return await self._future
        except TimeoutError:
            raise AvailabilityError(f"{host.place} does not answer") from None

    def _arrive(self) -> None:
        process, host = self._process, self._host
        if host.running and process.world.now < host.paused_until:
            process.world.at(host.paused_until, self._arrive)
            return
        reply = partial(self._answered, self._answer()) if host.running else self._refused
        process.network.in_order(host.place, process.place, partial(process.deliver, reply))

    def _answered(self, answer: T) -> None:
        if not self._future.done():
            self._future.set_result(answer)

    def _refused(self) -> None:
        if not self._future.done():
            self._future.set_exception(AvailabilityError(f"nobody listens at {self._host.place}"))


class ProgramLink:
    """One session stream."""

    def __init__(self, process: Process, host: ReplicaHost, received: Received, lost: Lost) -> None:
        self._process = process
        self._host = host
        self._received = received
        self._lost = lost
        self._there: int | None = None
        self._open = True
        """Whether the session wants to hear of it."""
        self._hangs = False
        """Whether a part of it was lost, and everything waits behind that."""

    def attach(self) -> bool:
        """It has arrived at the replica; whether somebody takes it there."""
        self._there = self._host.attach(Connection(self._deliver, self._ended))
        return self._there is not None

    def send(self, frames: Sequence[ClientFrame]) -> list[tuple[ClientFrame, Failure]]:
        """See `Link`."""
        process, host, there = self._process, self._host, self._there
        if self._open and not self._hangs and there is not None and not process.ended:
            arrive = partial(host.frames, there, tuple(frames))
            if not process.network.in_order(process.place, host.place, arrive):
                self._hang()
        return []

    def close(self) -> None:
        """See `Link`."""
        if self._open:
            self._open = False
            self._leave()

    def _leave(self) -> None:
        """The replica is told that this stream is gone, if that gets through."""
        self._process.links.pop(self, None)
        if self._there is not None and not self._hangs:
            process, host = self._process, self._host
            if not process.network.in_order(process.place, host.place, partial(host.detach, self._there)):
                self._hang()

    def _deliver(self, frames: tuple[ServerFrame, ...]) -> None:
        """The replica's side sends."""
        self._carry(lambda: self._received(frames) if self._open else None)

    def _ended(self) -> None:
        """The replica's side ended or was reset."""
        self._there = None
        self._carry(partial(self._tell_lost, "the replica ended the stream"))

    def _carry(self, action: Callable[[], None]) -> None:
        process, host = self._process, self._host
        if not self._open or self._hangs or process.ended:
            return
        if not process.network.in_order(host.place, process.place, partial(process.deliver, action)):
            self._hang()

    def _tell_lost(self, reason: str) -> None:
        self._process.links.pop(self, None)
        if self._open:
            self._open = False
            self._lost(reason)

    def _hang(self) -> None:
        """A packet was lost: nothing more gets through, until both systems give up."""
        self._hangs = True
        self._process.world.after(RESET_AFTER, self._reset)

    def _reset(self) -> None:
        if self._there is not None:
            self._host.detach(self._there)
        self._process.deliver(partial(self._tell_lost, "the connection was reset"))


class ProgramNetwork:
    """The ways of one session from its process to all replicas."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._links: list[ProgramLink] = []

    async def connect(self, address: str, received: Received, lost: Lost) -> Link:
        """See `Network`."""
        host = self._host(address)
        link = ProgramLink(self._process, host, received, lost)
        try:
            accepted = await Question(self._process, host, link.attach).ask(to_seconds(RESET_AFTER))
        except BaseException:
            link.close()
            raise
        if not accepted:
            raise AvailabilityError(f"nobody listens at {address}")
        self._links.append(link)
        self._process.links[link] = None
        return link

    async def locate(self, address: str) -> Location:
        """See `Network`."""
        host = self._host(address)
        return await Question(self._process, host, partial(self._location, host)).ask(QUESTION_TIMEOUT)

    async def follow(self, address: str) -> AsyncIterator[Location]:
        """See `Network`."""
        process, host = self._process, self._host(address)
        news: asyncio.Queue[Location | None] = asyncio.Queue()

        def tell(epoch: Epoch, master: str) -> None:
            process.deliver(partial(news.put_nowait, self._place_of(master, epoch)))

        def gone() -> None:
            end = partial(process.deliver, partial(news.put_nowait, None))
            process.network.in_order(host.place, process.place, end)

        def subscribe() -> Location:
            host.followers.append((process.place, tell))
            host.on_drop.append(gone)
            return self._location(host)

        try:
            yield await Question(process, host, subscribe).ask(QUESTION_TIMEOUT)
            while (location := await news.get()) is not None:
                yield location
            raise AvailabilityError(f"{address} is gone")
        finally:
            host.followers = [each for each in host.followers if each[1] is not tell]
            host.on_drop = [each for each in host.on_drop if each is not gone]

    async def status(self, address: str) -> CellStatus:
        """See `Network`: operators' questions, which no program here asks."""
        raise AvailabilityError(f"{address} is not asked for its status")

    async def export(self, address: str) -> AsyncIterator[bytes]:
        """See `Network`: operators' questions, which no program here asks."""
        raise AvailabilityError(f"{address} is not asked for a snapshot")
        yield b""

    async def close(self) -> None:
        """See `Network`."""
        for link in self._links:
            link.close()
        self._links.clear()

    def _host(self, address: str) -> ReplicaHost:
        host = self._process.client.hosts.get(address)
        if host is None:
            raise AvailabilityError(f"{address} is no address of this cell")
        return host

    def _location(self, host: ReplicaHost) -> Location:
        assert host.replica is not None, "asked while it runs"
        member, epoch = host.replica.location()
        return self._place_of(member.client_address if member is not None else "", epoch)

    def _place_of(self, master: str, epoch: Epoch) -> Location:
        addresses = self._process.client.hosts
        number = addresses[master].number if master in addresses else 0
        return Location("simulated", CELL, number, master, epoch, tuple(addresses))
