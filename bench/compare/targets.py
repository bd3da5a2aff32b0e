"""What we want of the ratio at each point: ours over theirs."""

from __future__ import annotations

import msgspec

from bench.compare.contenders import Kind


class Target(msgspec.Struct, frozen=True):
    """At this point of this work, against the best client of that kind: at least, or at most, this ratio."""

    work: str
    point: str
    kind: Kind
    ratio: float

    def met(self, ratio: float, more_is_better: bool) -> bool:
        """Whether a ratio is good enough."""
        return ratio >= self.ratio if more_is_better else ratio <= self.ratio


def _row(work: str, points: tuple[str, ...], python: tuple[float, ...], compiled: tuple[float, ...]) -> list[Target]:
    wanted = [Target(work, point, Kind.PYTHON, ratio) for point, ratio in zip(points, python, strict=True)]
    return wanted + [Target(work, point, Kind.COMPILED, ratio) for point, ratio in zip(points, compiled, strict=False)]


LOADS = ("1", "10", "100", "1,000")

TARGETS: tuple[Target, ...] = (
    *_row("writes", LOADS, (2.0, 4.0, 3.0, 2.5), (1.0, 1.2, 1.2, 1.0)),
    *_row("reads", LOADS, (2.0, 3.0, 3.0, 3.0), (0.8, 1.2, 1.2, 1.0)),
    *_row("lock_cycles", ("1", "100"), (2.0, 2.0), (1.2, 1.2)),
    *_row("contended_lock", ("100",), (4.0,), ()),
    *_row("fan_out", ("10", "1,000"), (0.7, 0.7), (2.0, 2.0)),
)


def target(work: str, point: str, kind: Kind) -> Target | None:
    """What is wanted there; None: nothing is, the figure is for the reader."""
    return next((each for each in TARGETS if (each.work, each.point, each.kind) == (work, point, kind)), None)
