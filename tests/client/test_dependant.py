"""A cache that rests on a session's: dropped before a writer is answered, in order, whatever goes wrong (DESIGN §5)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chubby import aio
from chubby.client.dependant import Dependant, Drop
from chubby.client.effects import Relay
from chubby.client.state import SessionState
from chubby.types.calls import CreateMode
from chubby.types.stream import CacheKey, CacheKind
from tests.client.conftest import LEASE, cut_off, sleep_through, until
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeLink, FakeNetwork

NODE_A = CacheKey("/a", CacheKind.NODE)


class Kernel:
    """A cache below a session. While `busy` is set, dropping blocks, as a kernel does whose pages are being read."""

    def __init__(self) -> None:
        self.dropped: list[tuple[CacheKey, ...] | None] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self.free.set()
        self.failures = 0

    def drop(self, keys: tuple[CacheKey, ...] | None) -> None:
        """What the session calls."""
        self.threads.add(threading.get_ident())
        assert self.free.wait(60)
        self.dropped.append(keys)
        if self.failures:
            self.failures -= 1
            raise OSError("the kernel refuses")


@asynccontextmanager
async def session_over(cell: FakeCell, drop: Drop | None = None) -> AsyncIterator[aio.Session]:
    """A session, with a dependant if one is given."""
    network = FakeNetwork(cell)
    try:
        async with aio.connect(
            "/ls/local", addresses=ADDRESSES, network=network, timeout=30, dependant=drop
        ) as session:
            yield session
    finally:
        await network.close()


async def written(session: aio.Session, contents: bytes) -> None:
    """Write `/a`."""
    async with session.open("/a", create=CreateMode.MAY) as handle:
        await handle.set_contents(contents)


async def test_a_writer_waits_until_the_dependant_has_dropped(cell: FakeCell) -> None:
    """What the kernel holds may be read until it is dropped there: so the change must not take effect before."""
    kernel = Kernel()
    async with session_over(cell) as writer, session_over(cell, kernel.drop) as reader:
        await written(writer, b"old")
        handle = await reader.open("/a")
        await handle.get_contents_and_stat()
        assert kernel.dropped == [None], "it began with nothing"
        kernel.free.clear()
        writing = asyncio.ensure_future(written(writer, b"new"))
        await until(lambda: bool(cell.pending))
        assert (await handle.get_contents_and_stat())[0] == b"old" and not writing.done()
        kernel.free.set()
        await writing
        assert kernel.dropped[1:] == [(NODE_A,)]
        assert (await handle.get_contents_and_stat())[0] == b"new"
        assert threading.get_ident() not in kernel.threads and len(kernel.threads) == 1


async def test_one_that_fails_has_to_drop_everything_before_anything_is_acknowledged(
    cell: FakeCell, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows what it holds after a failure."""
    kernel = Kernel()
    async with session_over(cell) as writer, session_over(cell, kernel.drop) as reader:
        await written(writer, b"old")
        await (await reader.open("/a")).get_contents_and_stat()
        kernel.failures = 2
        with caplog.at_level(logging.CRITICAL):
            await written(writer, b"new")
        assert kernel.dropped[1:] == [(NODE_A,), None, None]


async def test_a_new_stream_begins_with_nothing_anywhere(cell: FakeCell) -> None:
    """Resume tells the master that nothing is cached; it is not told while the dependant still drops."""
    kernel = Kernel()
    async with session_over(cell, kernel.drop) as session:
        link = session._driver._link
        kernel.free.clear()
        cell.received.clear()
        assert isinstance(link, FakeLink)
        link.cut()
        await until(lambda: session._driver.core._pushes.waits)
        assert not any(type(frame).__name__ == "Resume" for frame in cell.received)
        kernel.free.set()
        await until(lambda: any(type(frame).__name__ == "Resume" for frame in cell.received))
        assert kernel.dropped == [None, None]


async def test_in_jeopardy_the_dependant_is_emptied(cell: FakeCell) -> None:
    """DESIGN §6."""
    kernel = Kernel()
    async with session_over(cell, kernel.drop) as session:
        cut_off(session)
        sleep_through(session, LEASE)
        assert session.state is SessionState.JEOPARDY
        await until(lambda: kernel.dropped[-2:] == [None, None])


async def test_closing_waits_for_no_dependant(cell: FakeCell) -> None:
    """A kernel that blocks must not keep a program from ending."""
    kernel = Kernel()
    try:
        async with session_over(cell, kernel.drop):
            kernel.free.clear()
        assert kernel.dropped == [None]
    finally:
        kernel.free.set()


async def test_closed_it_takes_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    """What comes late, in the last breath of a session, is neither carried out nor complained of for ever."""
    kernel = Kernel()
    dependant = Dependant(kernel.drop, lambda _place: None)
    dependant.put(Relay(1, (), everything=True))
    await until(lambda: bool(kernel.dropped))
    await dependant.close()
    before = asyncio.all_tasks()
    dependant.put(Relay(2, (), everything=True))
    assert asyncio.all_tasks() == before and len(kernel.dropped) == 1 and not caplog.records
