"""Work that blocks, in a thread of its own, so that a signal never strikes in the middle of it.

A handler that raises wherever the main thread happens to be may leave a library's lock held, and the clean-up then
waits for it for ever. So the main thread does nothing but wait for signals, and tells the work by a `Stop`; the work
ends where it looks: in a `pause`, in what it awaits through `run`, or at a `check`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from chubby.cli.running import Signals

T = TypeVar("T")


class Ended(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: signal.Signals) -> None:
        """`number` came."""
        super().__init__(number.name)
        self.number = number


class Stop:
    """How work in a thread learns that it should end. It may be asked for from any thread, and stays asked for."""

    def __init__(self) -> None:
        """Nothing came yet."""
        self._number: signal.Signals | None = None
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None

    def ask(self, number: signal.Signals) -> None:
        """`number` came: end what is awaited, and all that is to come."""
        with self._lock:
            self._number = number
            self._asked.set()
            if self._cancel is not None:
                self._cancel()

    def check(self) -> None:
        """Raises Ended if the work should end."""
        if self._number is not None:
            raise Ended(self._number)

    def pause(self, seconds: float) -> None:
        """Wait as long. Raises Ended."""
        self._asked.wait(seconds)
        self.check()

    def run(self, runner: asyncio.Runner, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` to its end, in the work's thread, which is the only one to do so. Raises Ended."""

        async def main() -> T:
            task, loop = asyncio.current_task(), asyncio.get_running_loop()
            assert task is not None
            with self._lock:
                self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
                if self._number is not None:
                    self._cancel()
            try:
                return await coroutine
            finally:
                with self._lock:
                    self._cancel = None

        try:
            return runner.run(main())
        except asyncio.CancelledError:
            self.check()
            raise


def until_signalled(work: Callable[[Stop], T]) -> T:
    """Do `work` in a thread; what it returns or raises. Call it in the main thread.

    Raises Ended once the work has ended for a signal. A second signal ends the process at once.
    """
    return asyncio.run(_supervise(work))


async def _supervise(work: Callable[[Stop], T]) -> T:
    signals, stop = Signals(asyncio.get_running_loop()), Stop()
    done = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if signals.came is None:
            raise
        stop.ask(signals.came)
        return await done
    finally:
        signals.close()
