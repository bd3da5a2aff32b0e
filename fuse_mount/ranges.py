"""PURE. Which bytes of one file one owner has locked, and how: the bookkeeping of fcntl(2).

An owner's ranges are intervals that neither overlap nor touch in the same mode: they are kept split and merged, as
fcntl(2) says, so that two histories that lock the same bytes in the same modes give the same value.

| request            | what becomes of bytes inside the span       | of bytes outside                          |
|--------------------|---------------------------------------------|-------------------------------------------|
| F_RDLCK, F_WRLCK   | theirs is the new mode, whatever it was     | unchanged; an interval is split if need be |
| F_UNLCK            | not locked                                  | the same                                  |

The cell has one lock for a node, so any range counts as the whole file when others ask for it (`claims`): then only
the strongest mode matters. flock(2) is kept the same way, as a lock of all bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from chubby.types.nodes import LockMode

__all__ = ["NOTHING", "WHOLE", "Interval", "Ranges", "Span", "covers", "strongest"]


class Span(msgspec.Struct, frozen=True):
    """The bytes from `start` up to, without, `end`; `end` None reaches to the end, however far the file grows.

    Raises ValueError if that is no byte at all.
    """

    start: int = 0
    end: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise ValueError(f"a lock of the bytes from {self.start} to {self.end}")

    def overlaps(self, other: Span) -> bool:
        """Whether some byte is in both."""
        return (other.end is None or self.start < other.end) and (self.end is None or other.start < self.end)

    def without(self, other: Span) -> Iterator[Span]:
        """What of this is outside `other`, in order: nothing, one piece or two."""
        if not self.overlaps(other):
            yield self
            return
        if self.start < other.start:
            yield Span(self.start, other.start)
        if other.end is not None and (self.end is None or other.end < self.end):
            yield Span(other.end, self.end)


WHOLE: Final = Span()
"""All bytes there are and will be."""


class Interval(msgspec.Struct, frozen=True):
    """A span, locked in one mode."""

    span: Span
    mode: LockMode


def covers(held: LockMode | None, wanted: LockMode | None) -> bool:
    """Whether who holds a lock as `held` may do all that `wanted` allows; None allows nothing."""
    return wanted is None or held is LockMode.EXCLUSIVE or held is wanted


def strongest(modes: Iterable[LockMode | None]) -> LockMode | None:
    """The mode that covers all of these; None if there is none among them."""
    found: LockMode | None = None
    for mode in modes:
        if not covers(found, mode):
            found = mode
    return found


class Ranges(msgspec.Struct, frozen=True):
    """What one owner has locked of one file: intervals in order, split and merged. False if that is nothing."""

    intervals: tuple[Interval, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.intervals)

    @property
    def strongest(self) -> LockMode | None:
        """The mode that covers every interval; None if nothing is locked."""
        return strongest(interval.mode for interval in self.intervals)

    def set(self, span: Span, mode: LockMode) -> Ranges:
        """The same with every byte of `span` locked in `mode`."""
        others = self.unset(span).intervals
        return Ranges(_merged(sorted((*others, Interval(span, mode)), key=_start)))

    def unset(self, span: Span) -> Ranges:
        """The same with no byte of `span` locked."""
        return Ranges(tuple(Interval(piece, kept.mode) for kept in self.intervals for piece in kept.span.without(span)))

    def overlapping(self, span: Span) -> tuple[Interval, ...]:
        """The intervals that have a byte in `span`, in order."""
        return tuple(interval for interval in self.intervals if interval.span.overlaps(span))


NOTHING: Final = Ranges()
"""Nothing is locked."""


def _start(interval: Interval) -> int:
    return interval.span.start


def _merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Intervals in order that do not overlap, with those that touch in the same mode made one."""
    merged: list[Interval] = []
    for interval in intervals:
        last = merged[-1] if merged else None
        if last is not None and last.mode is interval.mode and last.span.end == interval.span.start:
            merged[-1] = Interval(Span(last.span.start, interval.span.end), interval.mode)
        else:
            merged.append(interval)
    return tuple(merged)
