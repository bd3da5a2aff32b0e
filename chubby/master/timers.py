"""Many deadlines, few of which ever come: an ordered structure for things that keep being put off (DESIGN §5).

A session's lease moves with each of its KeepAlives, a call's deadline is nearly always cancelled by its answer. So a
deadline that moves later costs one dictionary store: its heap entry stays where it is and is corrected when it
surfaces. Ties are broken by the order of arming, never by comparing keys, which makes the order deterministic.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from chubby.types.time import NEVER, Duration, Instant

K = TypeVar("K", bound=Hashable)

_SLACK: Final = 64
"""Dead heap entries that are not worth a clean-up."""


class Timers(Generic[K]):
    """One deadline per key. Invariant: every key has a heap entry at or before its deadline."""

    def __init__(self) -> None:
        """No deadline is set."""
        self._when: dict[K, Instant] = {}
        self._armed: dict[K, Instant] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        """How many deadlines are set."""
        return len(self._when)

    def set(self, key: K, when: Instant) -> None:
        """Set or move the deadline of `key`."""
        self._when[key] = when
        armed = self._armed.get(key)
        if armed is None or when < armed:
            self._arm(key, when)

    def cancel(self, key: K) -> None:
        """Forget the deadline of `key`, if it has one."""
        self._when.pop(key, None)
        if len(self._heap) > 2 * len(self._when) + _SLACK:
            self._rebuild()

    def pop(self, now: Instant) -> K | None:
        """Take the key of the earliest deadline at or before `now`; None if there is none."""
        if self.next > now:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._armed[key]
        del self._when[key]
        return key

    @property
    def next(self) -> Instant:
        """The earliest deadline; NEVER if none is set."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._armed.get(key) != at:
                heapq.heappop(self._heap)
                continue
            when = self._when.get(key)
            if when == at:
                return at
            heapq.heappop(self._heap)
            del self._armed[key]
            if when is not None:
                self._arm(key, when)
        return NEVER

    def postpone(self, duration: Duration) -> None:
        """Move all deadlines by `duration`."""
        assert duration >= 0, "time does not run backwards"
        for key, when in self._when.items():
            self._when[key] = when + duration

    def clear(self) -> None:
        """Forget all deadlines."""
        self._when.clear()
        self._armed.clear()
        self._heap.clear()

    def _arm(self, key: K, when: Instant) -> None:
        self._count += 1
        self._armed[key] = when
        heapq.heappush(self._heap, (when, self._count, key))

    def _rebuild(self) -> None:
        """Drop the entries of cancelled deadlines, keeping the order of the others."""
        live = [entry for entry in self._heap if self._armed.get(entry[2]) == entry[0] and entry[2] in self._when]
        self._armed = {key: at for at, _, key in live}
        heapq.heapify(live)
        self._heap = live
