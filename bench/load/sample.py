"""What a generator prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec


class Sample(msgspec.Struct, frozen=True):
    """What one run of a workload came to.

    `value` is its figure, in the workload's unit: operations a second, or seconds. `p50`, `p99` and `worst` are seconds
    an operation took. `processor` is what the generator took of processors, in cores.
    """

    value: float
    operations: int
    seconds: float
    p50: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    errors: int = 0
    processor: float = 0.0


class Record:
    """What a loop saw: when each operation that came through began and ended, and how many did not.

    It was to last from `since` to `until`, if these are known.
    """

    def __init__(self, since: float = math.inf, until: float = math.inf) -> None:
        self.since = since
        self.until = until
        self.began: list[float] = []
        self.ended: list[float] = []
        self.errors = 0

    def rate(self) -> Sample:
        """Operations a second."""
        count = len(self.began)
        span = max(self.ended) - min(self.began) if count else math.inf
        return self.sample(count / span, span)

    def gap(self) -> Sample:
        """The longest time in which no operation was acknowledged to anybody, even if it lasts until the end."""
        ends = sorted([*self.ended, *(bound for bound in (self.since, self.until) if bound < math.inf)])
        span = ends[-1] - ends[0] if ends else math.inf
        return self.sample(max((later - earlier for earlier, later in pairwise(ends)), default=math.inf), span)

    def sample(self, value: float, span: float) -> Sample:
        """With this figure."""
        took = sorted(end - begin for begin, end in zip(self.began, self.ended, strict=True))
        fifty, ninety_nine, worst = (percentile(took, share) for share in (0.5, 0.99, 1.0))
        return Sample(value, len(took), span, fifty, ninety_nine, worst, self.errors)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least this share of all does not exceed (nearest rank); 0 if there is none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
