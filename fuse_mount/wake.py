"""How the main thread of a mount's process learns what happens: bytes in a pipe, numbers of signals among them.

The C level of Python writes a signal's number into the pipe, whichever thread it struck and whatever that thread does.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Final

ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wake:
    """Bytes that come to the main thread. Within the block of `listening` the ending signals are among them.

    Signals that were ignored when the process began, as under nohup, stay ignored.
    """

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._polling = select.poll()
        self._polling.register(self._reading, select.POLLIN)
        self._coming: list[int] = []
        self._endings: dict[int, int] = {}

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """In the main thread: signals come here until the end of the block, then all is as it was."""
        before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
        ours = [number for number in ENDING_SIGNALS if before[number] is not signal.SIG_IGN]
        other = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        try:
            for number in ours:
                signal.signal(number, _noted)
            yield
        finally:
            signal.set_wakeup_fd(other)
            for number in ours:
                signal.signal(number, before[number])

    def close(self) -> None:
        """Nobody tells anything any more."""
        os.close(self._writing)
        os.close(self._reading)

    def tell(self, byte: int) -> None:
        """Let `byte` come. From any thread."""
        os.write(self._writing, bytes([byte]))

    def watch(self, pipe: int, byte: int) -> None:
        """Let `byte` come when the last reader of `pipe`, into which we write, is gone."""
        self._endings[pipe] = byte
        self._polling.register(pipe, 0)

    def forget(self, pipe: int) -> None:
        """`pipe` is watched no longer, if it still was."""
        if self._endings.pop(pipe, None) is not None:
            self._polling.unregister(pipe)

    def next(self, patience: float | None = None) -> int | None:
        """The next byte; None if none came for `patience` seconds (None: wait for ever)."""
        deadline = None if patience is None else time.monotonic() + patience
        while not self._coming:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._collect(left)
        return self._coming.pop(0)

    def _collect(self, patience: float | None) -> None:
        for descriptor, _ in self._polling.poll(None if patience is None else patience * 1000):
            if descriptor == self._reading:
                self._coming += os.read(self._reading, 4096)
            else:
                self._polling.unregister(descriptor)
                self._coming.append(self._endings.pop(descriptor))


def _noted(number: int, frame: FrameType | None) -> None:
    """Its number is in the pipe: there is nothing else to do."""
