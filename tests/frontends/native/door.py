"""A door of a few lines: it remembers what it was asked, and answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from chubby.replica.door import StreamId
from chubby.types.results import Done
from chubby.types.status import CellStatus, Location
from chubby.types.stream import (
    CallFrame,
    ClientFrame,
    CloseSession,
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Reply,
    Resume,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import SECOND

LOCATION = Location("local", 99, 1, "127.0.0.1:7001", 7, ("127.0.0.1:7001", "127.0.0.1:7002"))
STATUS = CellStatus(
    "local", 99, 1, "0.1.0", 1, "127.0.0.1:7001", 7, SECOND, 10, 10, 5, 3, 2, 1, 0, None, "ab", (), ("look",)
)
OPENED = SessionOpened(1, b"ticket", 99, 7, 12 * SECOND, 4 * SECOND, 45 * SECOND, 10_000, 3)
RESUMED = Resumed(7, 12 * SECOND, 4 * SECOND)


def friendly(frame: ClientFrame) -> Sequence[ServerFrame]:
    """What a master in good health would say."""
    match frame:
        case OpenSession():
            return (OPENED,)
        case Resume():
            return (RESUMED,)
        case CallFrame():
            return (Reply(frame.number, Done(frame.number)),)
        case KeepAlive():
            return (KeepAliveReply(frame.number, 12 * SECOND, 4 * SECOND),)
        case CloseSession():
            return (SessionClosed(),)
        case _:
            return ()


class Attached:
    """One stream, as the door sees it."""

    def __init__(
        self, principal: str, deliver: Callable[[Sequence[ServerFrame]], None], end: Callable[[], None]
    ) -> None:
        """A stream just attached."""
        self.principal = principal
        self.deliver = deliver
        self.end = end
        self.received: list[ClientFrame] = []
        self.batches: list[int] = []
        """How many frames came at once."""


class FakeDoor:
    """Implements `chubby.replica.door.Door`."""

    def __init__(self, answer: Callable[[ClientFrame], Sequence[ServerFrame]] = friendly) -> None:
        """A door that gives to each frame the `answer`."""
        self.answer = answer
        self.streams: dict[StreamId, Attached] = {}
        self.detached: list[StreamId] = []
        self.cut: list[StreamId] = []
        self.location = LOCATION
        self.moved = asyncio.Condition()
        self.following = 0
        self.slices: list[bytes] = [b"snapshot"]
        self.export_fails: Exception | None = None
        self.fails: Exception | None = None
        self._ids = 0

    def attach(
        self, principal: str, deliver: Callable[[Sequence[ServerFrame]], None], end: Callable[[], None]
    ) -> StreamId:
        """See `Door`."""
        self._ids += 1
        self.streams[self._ids] = Attached(principal, deliver, end)
        return self._ids

    def receive(self, stream: StreamId, frames: Sequence[ClientFrame]) -> None:
        """See `Door`."""
        attached = self.streams[stream]
        attached.received += frames
        attached.batches.append(len(frames))
        for frame in frames:
            if answers := self.answer(frame):
                attached.deliver(answers)
            if isinstance(frame, CloseSession):
                attached.end()

    def detach(self, stream: StreamId) -> None:
        """See `Door`."""
        self.detached.append(stream)

    def congested(self, stream: StreamId) -> None:
        """See `Door`."""
        self.cut.append(stream)

    def locate(self) -> Location:
        """See `Door`."""
        if self.fails is not None:
            raise self.fails
        return self.location

    async def follow(self) -> AsyncIterator[Location]:
        """See `Door`."""
        self.following += 1
        try:
            while True:
                told = self.location
                yield told
                async with self.moved:
                    while self.location == told:
                        await self.moved.wait()
        finally:
            self.following -= 1

    async def move(self, location: Location) -> None:
        """Let there be another master."""
        async with self.moved:
            self.location = location
            self.moved.notify_all()

    def status(self) -> CellStatus:
        """See `Door`."""
        if self.fails is not None:
            raise self.fails
        return STATUS

    async def export(self) -> AsyncIterator[bytes]:
        """See `Door`."""
        for data in self.slices:
            yield data
        if self.export_fails is not None:
            raise self.export_fails
