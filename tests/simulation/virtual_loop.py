"""An asyncio loop on virtual time: one for each simulated process, run by the world, without a selector or a thread.

Whatever is ready runs first in, first out; timers that are due at one instant run in the order of their times, then of
their making. The loop's clock is its machine's. Nothing runs by itself: `run` is called by whoever knows that the
process is awake, and the loop asks by `wake` to be called (again) at an instant of its clock.

Nothing is forgiven: an exception that nobody took, a callback that failed, a loop that never comes to rest ends the
seed. Whatever a pure simulation cannot have (threads, sockets, signals) is refused by `AbstractEventLoop` itself, with
NotImplementedError, and so would be found in the code that runs on it.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast

from chubby.types.time import SECOND, Duration, Instant
from tests.simulation.violation import Violation

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SPINS = 10_000
"""So many callbacks at one instant are a loop without end."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """See the module. `now` is the machine's clock; `wake` is told when `run` is to be called (an instant of it);
    `pace` says how long what became ready in one round waits for the next, while the processor is with others.
    """

    def __init__(
        self, now: Callable[[], Instant], wake: Callable[[Instant], None], pace: Callable[[], Duration] = lambda: 0
    ) -> None:
        self._now = now
        self._wake = wake
        self._pace = pace
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[Instant, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._pause: Duration = 0
        self._running = False
        self._closed = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._failed: list[asyncio.Task[Any]] = []
        self._failures: list[str] = []

    # ------------------------------------------------------------------------------------------------------- asyncio

    def time(self) -> float:
        """Seconds on the machine's clock."""
        return self._now() / SECOND

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Run it in this turn, behind what is ready already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._running:
            self._wake(self._now())
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it in `delay` seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it when the clock says `when`, never before."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        due = int(when * SECOND) + 1
        heapq.heappush(self._timers, (due, self._count, timer))
        if not self._running and self._timers[0][0] == due:
            self._wake(due)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[T]:
        """As asyncio's; the loop remembers it until it is done."""
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._task_done)
        return task

    def is_running(self) -> bool:
        """Whether a turn is under way."""
        return self._running

    def is_closed(self) -> bool:
        """Whether the process is gone."""
        return self._closed

    def get_debug(self) -> bool:
        """Never: asyncio's own watchfulness is about real time."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio would have logged: it fails the seed at the end of this turn."""
        if not self._closed:
            error = context.get("exception")
            self._failures.append(f"{context.get('message')}: {error!r}" if error else str(context.get("message")))

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers leave the heap when they are due."""

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        if not task.cancelled() and task._exception is not None:
            self._failed.append(task)

    # --------------------------------------------------------------------------------------------------- the process

    def run(self) -> None:
        """Run all that is ready or due, until nothing is. Raises Violation if the process failed."""
        assert not self._running and not self._closed
        before, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=lambda generator: None, finalizer=self._finalize)
        self._running = True
        try:
            self._run_all()
        finally:
            self._running = False
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(before)
        self.check()
        if self._ready:
            self._wake(self._now() + self._pause)
        if self._timers:
            self._wake(self._timers[0][0])

    def _run_all(self) -> None:
        now, spins = self._now(), 0
        while True:
            while self._timers and (self._timers[0][0] <= now or self._timers[0][2].cancelled()):
                self._ready.append(heapq.heappop(self._timers)[2])
            if not self._ready:
                return
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            spins += 1
            if spins > SPINS:
                raise Violation("a process spins: it always has something to do without time passing")
            if self._ready and (pause := self._pace()):
                self._pause = pause
                return

    def _finalize(self, generator: AsyncGenerator[Any, None]) -> None:
        """An iteration that nobody goes on with is ended, as asyncio's own loop does."""
        self.call_soon(self.create_task, generator.aclose())

    def check(self) -> None:
        """Raises Violation if an exception was left that nobody can take any more."""
        if self._failures:
            raise Violation(f"a process failed: {'; '.join(self._failures)}")

    def check_at_end(self) -> None:
        """Raises Violation if an exception was left that nobody took."""
        self.check()
        for task in self._failed:
            if task._log_traceback:
                error = task.exception()
                raise Violation(f"{task.get_name()} failed, and nobody heard: {error!r}") from error

    def pending(self) -> list[str]:
        """The tasks that are not done, by name."""
        return [task.get_name() for task in self._tasks]

    def kill(self) -> None:
        """The process is gone. Its coroutines are unwound, so that nothing of them is left to be collected at some
        other time; whoever calls this sees to it that nothing that they still do reaches anybody.
        """
        if self._running:
            raise Violation("a process cannot be killed from within a turn of its own")
        self._wake = lambda when: None
        self._pace = lambda: 0
        for _ in range(SPINS):
            if not self._tasks:
                break
            for task in list(self._tasks):
                task.cancel()
            self._timers.clear()
            self._run_ignoring_failures()
        self._closed = True
        for task in self._failed:
            task._log_traceback = False
        self._failed.clear()

    def _run_ignoring_failures(self) -> None:
        """Run what is ready; what fails now, fails in a process that is gone."""
        try:
            self.run()
        except Violation:
            self._failures.clear()


def virtual_loop(
    now: Callable[[], Instant], wake: Callable[[Instant], None], pace: Callable[[], Duration] = lambda: 0
) -> VirtualLoop:
    """A new one. What it does not define is abstract to the type checker, and refused when it is asked for."""
    make = cast("Callable[..., VirtualLoop]", VirtualLoop)
    return make(now, wake, pace)
