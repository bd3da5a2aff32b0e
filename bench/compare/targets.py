"""What we want: of the ratio at a point, ours over theirs; and of our figure itself where no peer has the like."""

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


class Goal(msgspec.Struct, frozen=True):
    """At this point of this work our figure is to be at least, or at most, this; an empty point means all points."""

    work: str
    point: str
    figure: float

    def met(self, figure: float, more_is_better: bool) -> bool:
        """Whether a figure is good enough."""
        return figure >= self.figure if more_is_better else figure <= self.figure


GOALS: tuple[Goal, ...] = (
    Goal("cached_reads", "", 1_000_000),
    Goal("cached_reads_sync", "", 500_000),
    Goal("killed", "", 1.3),
    Goal("stopped", "", 1.3),
    Goal("ended", "", 0.3),
    Goal("memory", "", 1_500),
    Goal("restart", "", 5.0),
    Goal("sessions_memory", "10,000", 100_000),
    Goal("sessions_idle", "10,000", 0.6),
    Goal("sessions_back", "10,000", 15.0),
)
"""The gap after a fault: 1.3 times the master lease of one second, which is its floor; none for a hand-over."""


def goal(work: str, point: str) -> Goal | None:
    """What is wanted of our figure there, if anything."""
    return next((each for each in GOALS if each.work == work and each.point in ("", point)), None)
