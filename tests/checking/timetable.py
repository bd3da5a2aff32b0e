"""Instants for the changes of a line, so that every change and every read finds its place in real time.

The changes of one object stand in a known order 1, 2, ...; state i lasts from the instant t(i) of change i to t(i + 1).
Wanted are t(1) <= t(2) <= ..., each between invocation and return of its change, such that a read that is *bound* to
state i, and a *free* read in some state that gives it its result, can take place during that state and between its own
invocation and return.

Instants are chosen as early as they can be. A read of state i makes change i + 1 come after the read was invoked. A
free read takes the latest state that has begun when it returns, which delays the changes least. If that moves a change
so that a free read has to take an earlier state, it is all done again. No instant is ever later than in an assignment
that works: it is so at first, and a read that is in state j there finds j begun here, so it takes j or a later state
here and delays a later change. So what fails here fails always.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec

FOREVER = 1 << 80
ROUNDS = 100
"""So often free reads may push each other to earlier states before this gives up."""


class Span(msgspec.Struct, frozen=True, gc=False):
    """When an operation can have taken effect, and its number for whoever asks."""

    invoked: int
    returned: int
    number: int


START = Span(-FOREVER, FOREVER, -1)
"""What made the first state: nobody, at any time before."""


class Late(Exception):
    """The first of `numbers` was over before the second one, which must come before it, was invoked; or there is no
    place for the only one; or, `given_up`, nobody knows.
    """

    def __init__(self, why: str, *numbers: int, given_up: bool = False) -> None:
        super().__init__(why)
        self.numbers = numbers
        self.given_up = given_up


class Timetable:
    """`changes` in order, the first of them START; `bound` reads by state; `fits(state, read)` for those that are free.

    `instants` is what was found, `work` how often `fits` was asked.
    """

    def __init__(
        self,
        changes: Sequence[Span],
        bound: Sequence[Sequence[Span]],
        free: Sequence[Span],
        fits: Callable[[int, Span], bool],
    ) -> None:
        assert len(changes) == len(bound) and changes[0] is START, "a state follows each change"
        self._changes = changes
        self._bound = bound
        self._free = free
        self._fits = fits
        self.instants: list[int] = []
        self.work = 0
        self._floors = [(change.invoked, change.number) for change in changes]  # and whose invocation that is
        for place, reads in enumerate(bound):
            for read in reads:
                self._delay(place + 1, read)
        ends = [min(change.returned, *(read.returned for read in reads)) for change, reads in self._rows()]
        self._latest = [*accumulate(reversed(ends), min)][::-1]

    def _rows(self) -> list[tuple[Span, list[Span]]]:
        return [(change, [change, *reads]) for change, reads in zip(self._changes, self._bound, strict=True)]

    def _delay(self, place: int, read: Span) -> None:
        """The change at `place`, if there is one, comes after `read` was invoked."""
        if place < len(self._floors):
            self._floors[place] = max(self._floors[place], (read.invoked, read.number))

    def fit(self) -> None:
        """Find the instants. Raises Late."""
        places = [len(self._changes) - 1] * len(self._free)
        self._set_out()
        for _ in range(ROUNDS):
            places = [self._place(read, before) for read, before in zip(self._free, places, strict=True)]
            for place, read in zip(places, self._free, strict=True):
                self._delay(place + 1, read)
            before = self.instants
            self._set_out()
            if before == self.instants:
                return
        raise Late(f"given up after {ROUNDS} rounds", given_up=True)

    def _set_out(self) -> None:
        """The earliest instants; changes and bound reads must be in time for them."""
        reached = [*accumulate(self._floors, max)]
        self.instants = [instant for instant, _ in reached]
        for (instant, whose), (_, spans) in zip(reached, self._rows(), strict=True):
            for span in spans:
                if span.returned < instant:
                    raise Late("the first below comes after the second, but was over before", span.number, whose)

    def _place(self, read: Span, limit: int) -> int:
        """The latest state, `limit` at most, that began before `read` returned and fits. Raises Late."""
        place = min(bisect_right(self.instants, read.returned) - 1, limit)
        while place >= 0 and (place == len(self._latest) - 1 or self._latest[place + 1] >= read.invoked):
            self.work += 1
            if self._fits(place, read):
                return place
            place -= 1
        raise Late("no state that lasted during it gives its result", read.number)
