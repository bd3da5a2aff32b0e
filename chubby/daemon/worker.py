"""The disk's own thread: appends at once, everything else in small steps between them.

The loop never waits for the disk. One thread does all file work, so that the log, the snapshots and their pruning are
never touched by two hands: an append goes before anything that waits, and whatever is long (writing a snapshot, zeroing
the next segment) is a *job* of steps with at most a few milliseconds each, so that it delays an append by one step at
most (paper: the log must not stall behind a snapshot).

Jobs take turns, step by step. If they followed one another the next segment would have to wait for the snapshot that is
being written, and an append that runs out of room would then zero it all at once.

What the loop asks for goes through one queue, which is C from end to end. While the loop is busy every line of Python
here waits for the interpreter's lock, and every wait costs both threads a turn of the processor: a task that comes to
an idle thread takes one wake-up here and one there, and nothing but that queue is shared.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
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
_Task = Callable[[], object]


class DiskWorker:
    """One thread that runs tasks in order, and a step of each job in turn while no task waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, failed: Callable[[BaseException], None]) -> None:
        """`failed` is called on the loop with what a task or job raised that nobody waits for."""
        self._loop = loop
        self._failed = failed
        self._inbox: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._jobs: deque[Job] = deque()  # of the thread alone
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], T], done: Callable[[T], None]) -> None:
        """Run `task` before any job's next step, then call `done` with its result on the loop."""
        self._inbox.put(lambda: self._tell(partial(done, task())))

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

        self._inbox.put(run)
        return await future

    def start(self, job: Job) -> None:
        """Run the job's steps when no task waits, in turn with those of other jobs."""
        self._inbox.put(partial(self._jobs.append, job))

    def stop(self) -> None:
        """Finish the tasks that wait, drop the jobs, end the thread."""
        self._stopping = True
        self._inbox.put(None)
        self._thread.join()

    def _tell(self, callback: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return

    def _run(self) -> None:
        rest = 0.0
        while True:
            try:
                task = self._inbox.get(timeout=rest) if self._jobs else self._inbox.get()
                if task is None:
                    self._jobs.clear()
                    return
                rest = 0.0
                task()
            except queue.Empty:
                # Afterwards the processor is left to others for as long as the step took it, unless a task comes.
                begun = time.monotonic()
                self._step()
                rest = time.monotonic() - begun
            except BaseException as error:
                self._fail(error)

    def _step(self) -> None:
        """The next step of the job whose turn it is, which is then at the end of the line, unless it is over."""
        if self._stopping:
            return
        job = self._jobs.popleft()
        try:
            if next(job, _OVER) is not _OVER:
                self._jobs.append(job)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Report it; nothing is swallowed, and the thread goes on."""
        self._tell(partial(self._failed, error))


def _pass_on(outcome: concurrent.futures.Future[T], future: asyncio.Future[T]) -> None:
    if future.cancelled():
        return
    error = outcome.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(outcome.result())
