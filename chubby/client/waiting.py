"""What a thread looks at while a synchronous call of its waits (DESIGN §6 timeouts and cancellation).

A program that serves others, such as a mount, has to end a call when those it serves lose interest, and learns of that
only by asking. So a thread may name a `check`: it is called now and then while the thread waits, and what it raises
ends the call, which is cancelled and leaves nothing behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

SLICE: Final = 0.5
"""Seconds after which a thread that waits looks up: for a signal not noticed yet, for a loop that ended."""
FIRST: Final = 0.005
"""With a check: seconds to the first one. Later ones follow ever more slowly, ..."""
LONGEST: Final = 0.1
"""... up to this: a thousand threads that wait should cost little."""
_GROWTH: Final = 1.5


class _Own(threading.local):
    check: Callable[[], object] | None = None


_own = _Own()


def heed(check: Callable[[], object] | None) -> None:
    """From now on, have `check` called while a call of this thread waits; None: nothing any more."""
    _own.check = check


class Patience:
    """One wait of the present thread: how long until it looks up, and what it looks at."""

    __slots__ = ("_check", "slice")

    def __init__(self) -> None:
        self._check = _own.check
        self.slice = SLICE if self._check is None else FIRST

    def look_up(self) -> None:
        """A slice has passed. Raises what the thread's check raises."""
        if self._check is not None:
            self._check()
            self.slice = min(self.slice * _GROWTH, LONGEST)
