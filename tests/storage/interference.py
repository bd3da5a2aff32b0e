"""What may befall a process at work on a simulated disk: it ends before some operation, or the disk refuses one.

`FakeFiles` asks its `Interference` before each operation. These count operations, so that a test can go through all of
them, one after the other; a simulator brings its own, which looks at the clock and throws dice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple


class Operation(NamedTuple):
    """One call of a `Files` or `File` method that reads or changes the disk: which, and of which file."""

    kind: str
    name: str


class Crashed(BaseException):
    """The process is no more. Not an Exception: the code under test has no business surviving it."""

    def __init__(self, operation: Operation) -> None:
        """It ended right before `operation`."""
        super().__init__(operation)
        self.operation = operation


Interference = Callable[[Operation], None]
"""Asked before each operation; returns, or raises `Crashed` or an `OSError` in its stead."""

CHANGES = frozenset({"create", "write", "allocate", "sync", "rename", "remove", "make_directory", "sync_directory"})
"""The operations that change what is on disk, or make it durable."""


class CrashAt:
    """Ends the process right before the `number`th (from 0) operation that changes something."""

    def __init__(self, number: int) -> None:
        """Counts from now."""
        self._left = number

    def __call__(self, operation: Operation) -> None:
        """See `Interference`; after the crash nothing works any more."""
        if operation.kind in CHANGES:
            self._left -= 1
        if self._left < 0:
            raise Crashed(operation)

    @property
    def happened(self) -> bool:
        """Whether the process got that far."""
        return self._left < 0


def always() -> bool:
    """The coin that says yes."""
    return True


class Refuse:
    """Lets operations of certain kinds fail as often as `coin` says; the rest works. Counts how many it refused."""

    def __init__(self, code: int, kinds: frozenset[str] = CHANGES, coin: Callable[[], bool] = always) -> None:
        """`code` is the errno."""
        self._code = code
        self._kinds = kinds
        self._coin = coin
        self.refused = 0

    def __call__(self, operation: Operation) -> None:
        """See `Interference`."""
        if operation.kind in self._kinds and self._coin():
            self.refused += 1
            raise OSError(self._code, os.strerror(self._code), operation.name)


class FailAt:
    """Lets the `number`th (from 0) of the operations of certain kinds fail, and those after it, if `lasting`."""

    def __init__(self, number: int, code: int, kinds: frozenset[str] = CHANGES, lasting: bool = False) -> None:
        """`code` is the errno."""
        self._left = number
        self._code = code
        self._kinds = kinds
        self._lasting = lasting

    def __call__(self, operation: Operation) -> None:
        """See `Interference`."""
        if operation.kind not in self._kinds:
            return
        self._left -= 1
        if self._left == -1 or (self._left < 0 and self._lasting):
            raise OSError(self._code, os.strerror(self._code), operation.name)

    @property
    def happened(self) -> bool:
        """Whether it came to a failure."""
        return self._left < 0
