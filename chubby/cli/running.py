"""Running a command so that whatever ends it, it ends in good order: sessions closed, locks released, files whole.

SIGINT, SIGTERM and SIGHUP cancel the command; its clean-up runs, and the exit code is 128 + n. A second one within the
clean-up ends the process at once. While `chubby lock` runs a command, signals are routed to that command instead.

Commands without a loop of their own: `chubby.cli.stopping`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask the process to end."""
OTHER: Final = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
"""Signals that are passed on to a command we run, and are otherwise left as they are."""

Handler = Callable[[signal.Signals], None]


class Signals:
    """Where signals go. Those that were ignored when the process began, as under nohup, stay ignored."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """`loop` is running, in the main thread."""
        self._loop = loop
        self._task = asyncio.current_task()
        self.came: signal.Signals | None = None
        """The signal that cancelled the command."""
        self._handler: Handler = self._cancel
        self._install(ENDING, self._cancel)

    @contextlib.contextmanager
    def routed_to(self, handler: Handler) -> Iterator[None]:
        """Within this block `handler` gets all of them."""
        before, self._handler = self._handler, handler
        self._install(ENDING + OTHER, handler)
        try:
            yield
        finally:
            self._handler = before
            if before == self._cancel:
                self._remove(OTHER)
                self._install(ENDING, before)
            else:
                self._install(ENDING + OTHER, before)

    def close(self) -> None:
        """Leave all as it was."""
        self._remove(ENDING)

    def _cancel(self, number: signal.Signals) -> None:
        if self.came is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.came = number
        assert self._task is not None
        self._task.cancel()

    def _install(self, numbers: tuple[signal.Signals, ...], handler: Handler) -> None:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._loop.add_signal_handler(number, handler, number)

    def _remove(self, numbers: tuple[signal.Signals, ...]) -> None:
        for number in numbers:
            self._loop.remove_signal_handler(number)


def run(main: Callable[[Signals], Awaitable[int]]) -> int:
    """Run `main` to its end and return its exit code, or 128 + n if signal n ended it."""
    return asyncio.run(_run(main))


async def _run(main: Callable[[Signals], Awaitable[int]]) -> int:
    signals = Signals(asyncio.get_running_loop())
    try:
        return await main(signals)
    except asyncio.CancelledError:
        if signals.came is None:
            raise
        return 128 + signals.came
    finally:
        signals.close()
