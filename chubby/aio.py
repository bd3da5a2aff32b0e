"""Chubby for asyncio: `async with chubby.aio.connect("/ls/local") as session` (DESIGN §6).

    import chubby.aio

    async with chubby.aio.connect("/ls/local") as session:
        async with session.open("/ls/local/svc/leader", create=True) as handle:
            await handle.acquire()
            await handle.set_contents(b"10.0.0.7:8080")
            async for event in handle.events(): ...

The synchronous counterparts, under the same names, are in `chubby` itself.
"""

from __future__ import annotations

from chubby.client.handle import Handle
from chubby.client.recipes.barrier import AsyncBarrier as Barrier
from chubby.client.recipes.config_watcher import AsyncConfigWatcher as ConfigWatcher
from chubby.client.recipes.election import AsyncElection as Election
from chubby.client.recipes.lock import AsyncLock as Lock
from chubby.client.recipes.service_registry import AsyncServiceRegistry as ServiceRegistry
from chubby.client.session import Session, connect
from chubby.client.state import SessionState
from chubby.client.streams import EventStream
from chubby.client.watch import Watch

__all__ = [
    "Barrier",
    "ConfigWatcher",
    "Election",
    "EventStream",
    "Handle",
    "Lock",
    "ServiceRegistry",
    "Session",
    "SessionState",
    "Watch",
    "connect",
]
