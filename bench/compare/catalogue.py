"""What is measured: works, and the points of each."""

from __future__ import annotations

import enum
import signal

import msgspec


class Unit(enum.Enum):
    """What the figure of a work is."""

    RATE = "a second"
    SECONDS = "seconds"

    @property
    def more_is_better(self) -> bool:
        """Whether a greater figure is the better one."""
        return self is Unit.RATE


class Point(msgspec.Struct, frozen=True):
    """One setting of a work; `label` names it in tables. The rest is as in `bench.load.job`."""

    label: str
    in_flight: int
    connections: int
    seconds: float = 5.0
    rounds: int = 5
    size: int = 100


class Work(msgspec.Struct, frozen=True):
    """One kind of work. `workload` is what generators call it; `strikes` is the signal that its leader gets meanwhile;
    `axis` says what the points' labels count.
    """

    key: str
    title: str
    workload: str
    unit: Unit
    axis: str
    points: tuple[Point, ...]
    strikes: signal.Signals | None = None


CONNECTIONS = 10
"""Over which operations in flight are spread, if there are so many."""


def in_flight(*counts: int) -> tuple[Point, ...]:
    """Points of so many operations in flight."""
    return tuple(Point(f"{count:,}", count, min(count, CONNECTIONS)) for count in counts)


def clients(*counts: int) -> tuple[Point, ...]:
    """Points of so many clients, each with a connection of its own."""
    return tuple(Point(f"{count:,}", count, count) for count in counts)


def failing(key: str, title: str, strikes: signal.Signals, seconds: float) -> Work:
    """A fault of the leader under five writers, one at each member."""
    point = Point("5 writers", 5, 5, seconds=seconds)
    return Work(key, title, "fail_over", Unit.SECONDS, "", (point,), strikes)


WORKS = (
    Work("writes", "Writes of 100 bytes", "writes", Unit.RATE, "in flight", in_flight(1, 10, 100, 1000)),
    Work("reads", "Linearizable reads", "reads", Unit.RATE, "in flight", in_flight(1, 10, 100, 1000)),
    Work("lock_cycles", "Lock and unlock, each client its own", "lock_cycles", Unit.RATE, "clients", clients(1, 100)),
    Work(
        "contended_lock",
        "One lock through all who wait for it, hand-overs",
        "contended_lock",
        Unit.RATE,
        "waiters",
        (Point("100", 100, 101, rounds=3),),
    ),
    Work("near_reads", "Reads from the cache, or from any member", "near_reads", Unit.RATE, "in flight", in_flight(10)),
    Work(
        "fan_out",
        "One write, until the last of 1,000 watchers was told",
        "fan_out",
        Unit.SECONDS,
        "connections",
        (Point("10", 1000, 10, rounds=5), Point("1,000", 1000, 1000, rounds=5)),
    ),
    failing("killed", "Without an acknowledged write after kill -9 of the leader", signal.SIGKILL, 6.0),
    failing("stopped", "Without an acknowledged write after SIGSTOP of the leader", signal.SIGSTOP, 20.0),
    failing("ended", "Without an acknowledged write after SIGTERM of the leader", signal.SIGTERM, 6.0),
)
"""All, in the order of the report."""
