"""Our asyncio client as an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import chubby.aio
from bench.load.client import Client, Driver, Lock
from bench.load.engines import AsyncAct, AsyncEngine
from chubby.types.events import EventMask

ROOT = "/ls/bench"


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

    async def renew(self) -> None:
        """See `Client`: handles keep their events."""

    async def close(self) -> None:
        """See `Client`."""
        await self._session.close()
        if self._direct is not None:
            await self._direct.close()
        for listener in self._listeners:
            listener.cancel()


async def connect(endpoints: Sequence[str]) -> Client[AsyncAct]:
    """A session with the cell that has these replicas."""
    return OurClient(await chubby.aio.connect(ROOT, addresses=endpoints), endpoints)


DRIVER = Driver(connect, AsyncEngine())
