"""Three ways to keep operations in flight.

All three note the instants in the same way and repeat what fails after the same pause, so that what they add to an
operation is two readings of the clock and two appends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import Protocol

from bench.load.sample import Record

PAUSE = 0.01
"""Seconds before something that failed is tried again."""

AsyncAct = Callable[[], Awaitable[object]]
ThreadAct = Callable[[], object]


class Outcome(Protocol):
    """What a callback is given: `exception` is None if all went well."""

    exception: BaseException | None


CallbackAct = Callable[[Callable[[Outcome], object]], object]
"""Begins an operation and returns; the callback hears of the end."""


class AsyncEngine:
    """Tasks on one loop."""

    async def repeat(self, acts: Sequence[AsyncAct], seconds: float) -> Record:
        """See `Engine`."""
        record = lasting(seconds)
        began, ended, end = record.began.append, record.ended.append, record.until

        async def one(act: AsyncAct) -> None:
            while (begin := perf_counter()) < end:
                try:
                    await act()
                except Exception:
                    record.errors += 1
                    await asyncio.sleep(PAUSE)
                    continue
                ended(perf_counter())
                began(begin)

        await asyncio.gather(*(one(act) for act in acts))
        return record

    async def once(self, acts: Sequence[AsyncAct]) -> None:
        """See `Engine`."""
        await asyncio.gather(*(act() for act in acts))


class ThreadEngine:
    """A thread for each act."""

    async def repeat(self, acts: Sequence[ThreadAct], seconds: float) -> Record:
        """See `Engine`."""
        records = [Record() for _ in acts]
        pause = threading.Event()
        whole = lasting(seconds)

        def one(act: ThreadAct, record: Record) -> None:
            while (begin := perf_counter()) < whole.until:
                try:
                    act()
                except Exception:
                    record.errors += 1
                    pause.wait(PAUSE)
                    continue
                record.ended.append(perf_counter())
                record.began.append(begin)

        await self.once([partial(one, act, record) for act, record in zip(acts, records, strict=True)])
        return merged(whole, records)

    async def once(self, acts: Sequence[ThreadAct]) -> None:
        """See `Engine`."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(acts)) as pool:
            await asyncio.gather(*(loop.run_in_executor(pool, act) for act in acts))


class CallbackEngine:
    """No thread of ours: each operation is begun by the callback of the one before, wherever that is called."""

    async def repeat(self, acts: Sequence[CallbackAct], seconds: float) -> Record:
        """See `Engine`."""
        records = [Record() for _ in acts]
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        left = _Countdown(len(acts), lambda: loop.call_soon_threadsafe(done.set))
        whole = lasting(seconds)

        def begin(act: CallbackAct, record: Record) -> None:
            started = perf_counter()
            if started >= whole.until:
                left.down()
                return

            def ended(outcome: Outcome) -> None:
                if outcome.exception is None:
                    record.ended.append(perf_counter())
                    record.began.append(started)
                    begin(act, record)
                else:
                    record.errors += 1
                    loop.call_soon_threadsafe(loop.call_later, PAUSE, begin, act, record)

            act(ended)

        for act, record in zip(acts, records, strict=True):
            begin(act, record)
        await done.wait()
        return merged(whole, records)

    async def once(self, acts: Sequence[CallbackAct]) -> None:
        """See `Engine`."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        left = _Countdown(len(acts), lambda: loop.call_soon_threadsafe(done.set))
        failed: list[BaseException] = []

        def ended(outcome: Outcome) -> None:
            if outcome.exception is not None:
                failed.append(outcome.exception)
            left.down()

        for act in acts:
            act(ended)
        await done.wait()
        if failed:
            raise failed[0]


class _Countdown:
    """Calls `last` when everybody has counted down, from whatever thread."""

    def __init__(self, count: int, last: Callable[[], object]) -> None:
        self._left = count
        self._last = last
        self._lock = threading.Lock()

    def down(self) -> None:
        """One is done."""
        with self._lock:
            self._left -= 1
            over = self._left == 0
        if over:
            self._last()


def lasting(seconds: float) -> Record:
    """An empty record of a loop that begins now."""
    now = perf_counter()
    return Record(now, now + seconds)


def merged(whole: Record, records: Sequence[Record]) -> Record:
    """All of them added to one."""
    for record in records:
        whole.began += record.began
        whole.ended += record.ended
        whole.errors += record.errors
    return whole
