"""Cells and sessions for the tests of the client's shell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from chubby import aio
from chubby.types.time import from_seconds
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork


@pytest.fixture
def cell() -> FakeCell:
    """A cell with the usual leases."""
    return FakeCell()


@pytest.fixture
async def network(cell: FakeCell) -> AsyncIterator[FakeNetwork]:
    """The way to `cell`."""
    made = FakeNetwork(cell)
    yield made
    await made.close()


@pytest.fixture
async def session(network: FakeNetwork) -> AsyncIterator[aio.Session]:
    """An open session with `cell`."""
    async with aio.connect("/ls/local", addresses=ADDRESSES, network=network, timeout=30) as made:
        yield made


Another = Callable[[], Awaitable[aio.Session]]


@asynccontextmanager
async def sessions(cell: FakeCell) -> AsyncIterator[Another]:
    """Gives further sessions with `cell`, closed in the end."""
    async with AsyncExitStack() as stack:

        async def another() -> aio.Session:
            connecting = aio.connect("/ls/local", addresses=ADDRESSES, network=FakeNetwork(cell))
            return await stack.enter_async_context(connecting)

        yield another


@pytest.fixture
async def another(cell: FakeCell) -> AsyncIterator[Another]:
    """Gives further sessions with the cell of the test."""
    async with sessions(cell) as made:
        yield made


LEASE, GRACE = 13.0, 46.0
"""Seconds after which a session lease of the usual length has run out, and after that the grace period."""


def sleep_through(session: aio.Session, seconds: float) -> None:
    """Let `seconds` pass by the session's own clock, as for a machine that was asleep; the cell's goes on as before.

    So leases run out in no time, and only when the test says so: however slow the machine is, none does by itself.
    """
    driver = session._driver
    before = driver.clock
    driver.clock = lambda: before() + from_seconds(seconds)
    driver._ring()


def cut_off(session: aio.Session) -> None:
    """The session's network fails for good."""
    network = session._driver.network
    assert isinstance(network, FakeNetwork)
    network.up = False


def lose(session: aio.Session) -> None:
    """The session is cut off for longer than its lease and the grace period: it expires."""
    cut_off(session)
    sleep_through(session, LEASE)
    sleep_through(session, GRACE)


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition` holds; generous, for the machine may be busy."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
