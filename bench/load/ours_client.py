"""Our asyncio client as an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import chubby.aio
from bench.load.client import Driver, Lock, batches, directories
from bench.load.engines import AsyncAct, AsyncEngine
from chubby import Absent, Create, Remove
from chubby.types.events import EventMask
from chubby.types.limits import TRANSACTION_LIMIT

ROOT = "/ls/bench"
LOADERS = 8
"""Transactions in flight while a cell is filled."""


class OurClient:
    """A session that caches, and for linearizable reads from the master one that does not."""

    def __init__(self, session: chubby.aio.Session, endpoints: Sequence[str]) -> None:
        self._session = session
        self._endpoints = endpoints
        self._direct: chubby.aio.Session | None = None
        self._listeners: list[asyncio.Task[None]] = []

    async def writer(self, name: str, value: bytes) -> AsyncAct:
        """See `Client`."""
        handle = await self._session.open(f"{ROOT}/{name}", create=True)
        return lambda: handle.set_contents(value)

    async def child_maker(self, directory: str, name: str) -> AsyncAct:
        """Make a node in a directory that is there, and delete it."""
        path = f"{directory}/{name}"

        async def cycle() -> None:
            await self._session.transaction(then=[Create(path)])
            await self._session.transaction(then=[Remove(path)])

        return cycle

    async def directory(self, path: str, children: int) -> None:
        """Have a directory with so many children."""
        await self._session.transaction(then=[Create(path, may_exist=True)])
        for batch in batches(range(children), TRANSACTION_LIMIT):
            await self._session.transaction(then=[Create(f"{path}/{n}", may_exist=True) for n in batch])

    async def deep(self, depth: int) -> str:
        """Have so many directories below each other; the name of the lowest."""
        names = [f"d{level}" for level in range(depth)]
        for level in range(depth):
            await self._session.transaction(then=[Create("/" + "/".join(names[: level + 1]), may_exist=True)])
        return "/" + "/".join(names)

    def opener(self, directory: str) -> AsyncAct:
        """Open the node of a path, and close it."""
        name = f"{ROOT}{directory}"

        async def cycle() -> None:
            await (await self._session.open(name)).close()

        return cycle

    async def reader(self, name: str) -> AsyncAct:
        """See `Client`: a session that does not cache asks the master each time."""
        if self._direct is None:
            self._direct = await chubby.aio.connect(ROOT, addresses=self._endpoints, caching=False)
        return (await self._direct.open(f"{ROOT}/{name}")).get_contents_and_stat

    async def near_reader(self, name: str) -> AsyncAct:
        """See `Client`: from the cache, which is never stale."""
        handle = await self._session.open(f"{ROOT}/{name}")
        await handle.get_contents_and_stat()
        return handle.get_contents_and_stat

    async def lock(self, name: str) -> Lock[AsyncAct]:
        """See `Client`: the lock of a node that stays open."""
        handle = await self._session.open(f"{ROOT}/{name}", create=True)

        async def cycle() -> None:
            await handle.acquire()
            await handle.release()

        return Lock(handle.acquire, handle.release, cycle)

    async def watch(self, name: str, told: Callable[[], object]) -> None:
        """See `Client`: an event of a handle."""
        handle = await self._session.open(f"{ROOT}/{name}", events=EventMask.CONTENTS_MODIFIED)

        async def listen() -> None:
            async for _ in handle.events():
                told()

        self._listeners.append(asyncio.create_task(listen()))

    async def fill(self, nodes: int, value: bytes) -> None:
        """See `Client`: transactions, one directory after the other; a directory that is there is full."""
        await self._session.transaction(then=[Create("/full", may_exist=True)])

        at_once = asyncio.Semaphore(LOADERS)

        async def directory(numbers: range) -> None:
            top = f"/full/{numbers.start}"
            async with at_once:
                if (await self._session.transaction([Absent(top)], [Create(top)])).succeeded:
                    for batch in batches(numbers, TRANSACTION_LIMIT):
                        await self._session.transaction(then=[Create(f"{top}/{n}", contents=value) for n in batch])

        await asyncio.gather(*(directory(numbers) for numbers in directories(nodes)))

    async def renew(self) -> None:
        """See `Client`: handles keep their events."""

    async def close(self) -> None:
        """See `Client`."""
        await self._session.close()
        if self._direct is not None:
            await self._direct.close()
        for listener in self._listeners:
            listener.cancel()


async def connect(endpoints: Sequence[str]) -> OurClient:
    """A session with the cell that has these replicas."""
    return OurClient(await chubby.aio.connect(ROOT, addresses=endpoints), endpoints)


DRIVER: Driver[AsyncAct] = Driver(connect, AsyncEngine())
