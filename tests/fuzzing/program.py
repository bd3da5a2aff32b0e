"""Bytes read as a little program: where one input is a sequence of steps, each takes from the bytes what it needs.

Any bytes are a program; what is missing at the end reads as zeros and nothing. So a fuzzer, which knows bytes alone,
finds sequences: a flipped bit is another step, a repeated range a repeated deed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Program:
    """What is left to read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def number(self, size: int = 1) -> int:
        """A number of `size` bytes, little endian."""
        return int.from_bytes(self.take(size), "little")

    def block(self) -> bytes:
        """Bytes behind their length (two bytes)."""
        return self.take(self.number(2))

    def one_of(self, things: Sequence[T]) -> T:
        """One of `things`, whichever the next byte means."""
        return things[self.number() % len(things)]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)


def block(data: bytes) -> bytes:
    """What `Program.block` reads as `data`."""
    assert len(data) < 1 << 16, "a block is short"
    return len(data).to_bytes(2, "little") + data
