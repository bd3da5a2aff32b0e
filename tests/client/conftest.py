"""Cells and sessions for the tests of the client's shell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from chubby import aio
from chubby.types.time import MILLISECOND
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork

Connect = Callable[[], "aio.Session"]


@pytest.fixture
def cell() -> FakeCell:
    """A cell with the usual leases."""
    return FakeCell()


@pytest.fixture
def hasty_cell() -> FakeCell:
    """A cell whose leases run out while one waits: half a second, and as much grace."""
    return FakeCell(500 * MILLISECOND, 200 * MILLISECOND, 500 * MILLISECOND)


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


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition` holds; generous, for the machine may be busy."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
