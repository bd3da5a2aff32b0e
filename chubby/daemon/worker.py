"""The disk's own thread: appends at once, everything else in small steps between them.

The loop never waits for the disk. One thread does all file work, so that the log, the snapshots and their pruning are
never touched by two hands: an append goes before anything that waits, and whatever is long (writing a snapshot, zeroing
the next segment) is a *job* of steps with at most a few milliseconds each, so that it delays an append by one step at
most (paper: the log must not stall behind a snapshot).

Jobs take turns, step by step. If they followed one another the next segment would have to wait for the snapshot that is
being written, and an append that runs out of room would then zero it all at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar

T = TypeVar("T")
_OVER: Final = object()
Job = Iterator[object]
"""Runs a step with each `next`; what it yields is ignored, its end is the end of the job."""


class DiskWorker:
    """One thread that runs tasks in order, and a step of each job in turn while no task waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failed: Callable[[BaseException], None]) -> None:
        """`failed` is called on the loop with what a task or job raised that nobody waits for."""
        self._loop = loop
        self._failed = failed
        self._wake = threading.Condition()
        self._tasks: deque[Callable[[], None]] = deque()
        self._jobs: deque[Job] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run `task` before any job's next step, then call `done` with its result on the loop."""

        def run() -> None:
            result = task()
            self._tell(partial(done, result))

        with self._wake:
            self._tasks.append(run)
            self._wake.notify()

    async def call(self, task: Callable[[], T]) -> T:
        """Run `task` like `submit` does and wait for its result, or for what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()

        def run() -> None:
            outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
            try:
                outcome.set_result(task())
            except BaseException as error:  # whatever it is belongs to the one who waits
                outcome.set_exception(error)
            self._tell(partial(_pass_on, outcome, future))

        with self._wake:
            self._tasks.append(run)
            self._wake.notify()
        return await future

    def start(self, job: Job) -> None:
        """Run the job's steps when no task waits, in turn with those of other jobs."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def stop(self) -> None:
        """Finish the tasks that wait, drop the jobs, end the thread."""
        with self._wake:
            self._stopping = True
            self._jobs.clear()
            self._wake.notify()
        self._thread.join()

    def _tell(self, callback: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._tasks or self._jobs or self._stopping)
                task = self._tasks.popleft() if self._tasks else None
                job = self._jobs.popleft() if task is None and self._jobs else None
                if task is None and job is None:
                    return
            try:
                if task is not None:
                    task()
                elif job is not None:
                    begun = time.monotonic()
                    self._step(job)
                    self._breathe(time.monotonic() - begun)
            except BaseException as error:  # reported, never swallowed
                self._tell(partial(self._failed, error))

    def _breathe(self, took: float) -> None:
        """Leave the processor to others for as long as a job's step took it, unless a task comes."""
        with self._wake:
            self._wake.wait_for(lambda: self._tasks or self._stopping, timeout=took)

    def _step(self, job: Job) -> None:
        """The next step of a job, which is then at the end of the queue, unless it is over or all are dropped."""
        if next(job, _OVER) is not _OVER:
            with self._wake:
                if not self._stopping:
                    self._jobs.append(job)


def _pass_on(outcome: concurrent.futures.Future[T], future: asyncio.Future[T]) -> None:
    if future.cancelled():
        return
    error = outcome.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome.result())
