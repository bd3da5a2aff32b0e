"""The disk's thread: appends before everything, long jobs in small steps between them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from chubby.daemon.worker import DiskWorker


def unexpected(error: BaseException) -> None:
    """Nothing was to fail."""
    pytest.fail(f"the worker reports {error!r}")


async def test_tasks_run_in_order_on_one_thread_and_report_on_the_loop() -> None:
    """The log, the snapshots and their pruning are never touched by two hands."""
    loop = asyncio.get_running_loop()
    worker = DiskWorker(loop, unexpected)
    seen: list[int] = []
    threads: set[int] = set()
    done = asyncio.Event()

    def task(number: int) -> int:
        threads.add(threading.get_ident())
        return number

    def report(number: int) -> None:
        assert threading.get_ident() == threading.main_thread().ident
        seen.append(number)
        if number == 99:
            done.set()

    for number in range(100):
        worker.submit(partial(task, number), report)
    await asyncio.wait_for(done.wait(), 30)
    worker.stop()
    assert seen == list(range(100))
    assert len(threads) == 1 and threading.main_thread().ident not in threads


async def test_a_task_waits_for_one_step_of_a_job_at_most() -> None:
    """A snapshot that is being written delays an append by one step, not by the rest of it."""
    worker = DiskWorker(asyncio.get_running_loop(), unexpected)
    steps = 0
    first, go_on = threading.Event(), threading.Event()

    def job() -> Iterator[None]:
        nonlocal steps
        while steps < 1000:
            steps += 1
            first.set()
            go_on.wait(30)
            yield None

    worker.start(job())
    await asyncio.to_thread(first.wait, 30)
    seen: list[int] = []
    asked = asyncio.ensure_future(worker.call(lambda: seen.append(steps)))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.wait_for(asked, 30)
    assert seen[0] <= 2
    await asyncio.to_thread(worker.stop)


async def test_what_a_task_raises_goes_to_whoever_waits_for_it() -> None:
    """`call` hands the error on; the thread goes on."""
    worker = DiskWorker(asyncio.get_running_loop(), unexpected)

    def fail() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        await worker.call(fail)
    assert await worker.call(lambda: 7) == 7
    await asyncio.to_thread(worker.stop)


async def test_what_nobody_waits_for_is_reported() -> None:
    """A failed append must stop the replica, never vanish in a thread."""
    loop = asyncio.get_running_loop()
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    worker = DiskWorker(loop, failures.put_nowait)

    def fail() -> None:
        raise OSError("no room")

    def job() -> Iterator[None]:
        yield None
        raise ValueError("a bug")

    worker.submit(fail, lambda _: pytest.fail("it did not succeed"))
    worker.start(job())
    found = {type(await asyncio.wait_for(failures.get(), 30)) for _ in range(2)}
    assert found == {OSError, ValueError}
    await asyncio.to_thread(worker.stop)


async def test_stopping_finishes_tasks_and_drops_jobs() -> None:
    """What was submitted was promised; a job is begun again at the next start."""
    worker = DiskWorker(asyncio.get_running_loop(), unexpected)
    ran: list[int] = []

    def endless() -> Iterator[None]:
        while True:
            yield None

    worker.start(endless())
    for number in range(10):
        worker.submit(partial(ran.append, number), lambda _: None)
    await asyncio.to_thread(worker.stop)
    assert ran == list(range(10))


async def test_jobs_take_turns() -> None:
    """The next segment of the log is zeroed while a snapshot is being written, not after it (DESIGN §3 Disk)."""
    worker = DiskWorker(asyncio.get_running_loop(), unexpected)
    turns: list[str] = []
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def job(name: str, steps: int) -> Iterator[None]:
        for _ in range(steps):
            turns.append(name)
            yield None
        if name == "long":
            loop.call_soon_threadsafe(ended.set)

    def both() -> None:
        worker.start(job("long", 50))
        worker.start(job("short", 3))

    await worker.call(both)
    await asyncio.wait_for(ended.wait(), 30)
    assert turns[:6] == ["long", "short"] * 3 and turns[6:] == ["long"] * 47
    await asyncio.to_thread(worker.stop)


async def test_a_job_that_fails_ends_alone() -> None:
    """The others go on, and so do tasks."""
    loop = asyncio.get_running_loop()
    failures: asyncio.Queue[BaseException] = asyncio.Queue()
    worker = DiskWorker(loop, failures.put_nowait)
    ended = asyncio.Event()

    def bad() -> Iterator[None]:
        yield None
        raise OSError("no room")

    def good() -> Iterator[None]:
        for _ in range(10):
            yield None
        loop.call_soon_threadsafe(ended.set)

    worker.start(bad())
    worker.start(good())
    await asyncio.wait_for(ended.wait(), 30)
    assert isinstance(await asyncio.wait_for(failures.get(), 30), OSError)
    assert await worker.call(lambda: 7) == 7
    await asyncio.to_thread(worker.stop)


async def test_dropped_jobs_let_go_of_what_they_hold() -> None:
    """A snapshot that is being read or written when the replica stops leaves no file open."""
    worker = DiskWorker(asyncio.get_running_loop(), unexpected)
    begun, closed = threading.Event(), threading.Event()

    def job() -> Iterator[None]:
        try:
            while True:
                begun.set()
                yield None
        finally:
            closed.set()

    worker.start(job())
    await asyncio.to_thread(begun.wait, 30)
    await asyncio.to_thread(worker.stop)
    assert closed.is_set()


def test_what_is_done_after_the_loop_was_closed_is_told_to_nobody() -> None:
    """A loop that ended in an error leaves the thread in peace."""
    loop = asyncio.new_event_loop()
    worker = DiskWorker(loop, unexpected)
    loop.close()
    ran: list[int] = []
    worker.submit(partial(ran.append, 1), lambda _: pytest.fail("there is no loop to run this on"))
    worker.stop()
    assert ran == [1]
