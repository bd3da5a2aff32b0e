"""A lease as its holder must count it: from its own send, shortened, never moved back (DESIGN §5 KeepAlive).

The master counts a lease from the moment it answers; the client counts the same lease from the moment it *asked*, which
was earlier, and takes off what two clocks within the bound ε may drift apart: lease × (1−ε)/(1+ε). So the client's
count always ends first, whatever the network did to the answer.
"""

from __future__ import annotations

from typing import Final

from chubby.types.time import Duration, Instant

_MILLION: Final = 1_000_000


def shortened(lease: Duration, drift_ppm: int) -> Duration:
    """`lease` × (1−ε)/(1+ε), rounded down; `drift_ppm` is ε in parts per million."""
    assert 0 <= drift_ppm < _MILLION and lease >= 0, (lease, drift_ppm)
    return lease * (_MILLION - drift_ppm) // (_MILLION + drift_ppm)


class Lease:
    """One lease: until when it surely lasts, and since when it has.

    Invariant: `deadline` never decreases. `asked` and `length` are of the renewal that set it.
    """

    __slots__ = ("asked", "deadline", "length")

    def __init__(self) -> None:
        self.deadline: Instant = 0
        self.asked: Instant = 0
        self.length: Duration = 0

    def renew(self, asked: Instant, length: Duration) -> bool:
        """Take a renewal asked for at `asked` over the already shortened `length`; whether it moved the deadline."""
        if asked + length <= self.deadline:
            return False
        self.asked, self.length, self.deadline = asked, length, asked + length
        return True

    def live(self, now: Instant) -> bool:
        """Whether the lease surely lasts at `now`."""
        return now < self.deadline

    @property
    def half(self) -> Instant:
        """When half of it is over: time to renew."""
        return self.asked + self.length // 2
