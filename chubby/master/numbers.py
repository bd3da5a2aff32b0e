"""A set of numbers that mostly lie beside each other, kept as intervals.

A session's handle numbers are never reused, and one closed in this epoch stays closed (DESIGN §5 Handles). Remembering
each of a million closed handles would cost a hundred megabytes; remembering that 1 to 1,000,000 are closed costs two
numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


class NumberSet:
    """Numbers may be added and looked up. Invariant: intervals are disjoint, ascending, and never adjacent."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        """The empty set."""
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        """Whether `number` was added."""
        index = bisect_right(self._starts, number) - 1
        return index >= 0 and number <= self._ends[index]

    def add(self, number: int) -> None:
        """Add a number; adding it again changes nothing."""
        if number in self:
            return
        index = bisect_left(self._starts, number)
        joins_left = index > 0 and self._ends[index - 1] == number - 1
        joins_right = index < len(self._starts) and self._starts[index] == number + 1
        if joins_left and joins_right:
            self._ends[index - 1] = self._ends.pop(index)
            del self._starts[index]
        elif joins_left:
            self._ends[index - 1] = number
        elif joins_right:
            self._starts[index] = number
        else:
            self._starts.insert(index, number)
            self._ends.insert(index, number)

    def fill(self, spared: Sequence[int]) -> None:
        """Add every number from 1 to the greatest there is, but for `spared` (ascending, none of them here)."""
        if not self._ends:
            return
        first, last = min(1, self._starts[0]), self._ends[-1]
        self._starts, self._ends = [], []
        for number in spared:
            if first <= number <= last:
                if first < number:
                    self._starts.append(first)
                    self._ends.append(number - 1)
                first = number + 1
        assert first <= last, "the greatest was not spared"
        self._starts.append(first)
        self._ends.append(last)

    @property
    def pieces(self) -> int:
        """How many intervals there are: what the set takes in memory."""
        return len(self._starts)

    @property
    def intervals(self) -> tuple[tuple[int, int], ...]:
        """The first and last number of each interval, ascending."""
        return tuple(zip(self._starts, self._ends, strict=True))
