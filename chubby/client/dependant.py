"""A cache that rests on the session's: told what to drop, in order, and waited for (see `pushes`).

A mount is one: its kernel keeps pages of what was read through the session. Dropping may block (the kernel waits for
whoever reads the page), so it happens on a thread of its own, one drop after the other. One that fails leaves behind
nobody knows what: then everything has to be dropped, and until that succeeds nothing is acknowledged, so the cache
lease runs out and the master waits for us no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from chubby.client.effects import Relay
from chubby.types.stream import CacheKey

logger = logging.getLogger(__name__)

Drop = Callable[[tuple[CacheKey, ...] | None], object]
"""Drops these keys; None: everything. May block."""

RETRY_AFTER: Final = 0.2
"""Seconds from a failed drop to the next attempt."""


class Dependant:
    """Passes relays on to `drop`. Everything but `drop` itself happens on the loop of the first relay."""

    def __init__(self, drop: Drop, dropped: Callable[[int], None]) -> None:
        """`dropped` is told the place of each relay that was carried out."""
        self._drop = drop
        self._dropped = dropped
        self._relays: asyncio.Queue[Relay] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "chubby-dependant")
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, relay: Relay) -> None:
        """Carry `relay` out after those before it; once closed, not at all."""
        if self._closed:
            return
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="relays of a session")
        self._relays.put_nowait(relay)

    async def close(self) -> None:
        """Carry out nothing more; waits for nothing that blocks. Idempotent."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            relay = await self._relays.get()
            keys = None if relay.everything else relay.keys
            while not await self._carried_out(loop, keys):
                keys = None
                await asyncio.sleep(RETRY_AFTER)
            self._dropped(relay.place)

    async def _carried_out(self, loop: asyncio.AbstractEventLoop, keys: tuple[CacheKey, ...] | None) -> bool:
        try:
            await loop.run_in_executor(self._thread, self._drop, keys)
        except Exception:
            logger.exception("a cache that rests on the session's failed to drop; it has to drop everything now")
            return False
        return True
