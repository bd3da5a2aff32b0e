"""What is measured: works, and the points of each."""

from __future__ import annotations

import enum
import signal

import msgspec


class Unit(enum.Enum):
    """What the figure of a work is."""

    RATE = "a second"
    SECONDS = "seconds"
    BYTES = "bytes"
    CORES = "cores"

    @property
    def more_is_better(self) -> bool:
        """Whether a greater figure is the better one."""
        return self is Unit.RATE


class Measure(enum.Enum):
    """Where the figure comes from."""

    GENERATOR = "what the generator says"
    COST = "processor seconds of members and generator for one operation"
    MEMORY = "by how much a member grew, for each node"


class Victims(enum.Enum):
    """Who gets the signal of a work."""

    NOBODY = "nobody"
    LEADER = "the leader"
    ALL = "all members, which are started again at once"


class Point(msgspec.Struct, frozen=True):
    """One setting of a work; `label` names it in tables. The rest is as in `bench.load.job`."""

    label: str
    in_flight: int
    connections: int
    seconds: float = 5.0
    rounds: int = 5
    size: int = 100
    nodes: int = 0
    depth: int = 0


class Work(msgspec.Struct, frozen=True):
    """One kind of work. `workload` is what generators call it; `axis` says what the points' labels count; `only` names
    the contenders that do it, if not all; `strikes` is the signal that the `victims` get meanwhile.
    """

    key: str
    title: str
    workload: str
    unit: Unit
    axis: str
    points: tuple[Point, ...]
    measure: Measure = Measure.GENERATOR
    only: tuple[str, ...] = ()
    victims: Victims = Victims.NOBODY
    strikes: signal.Signals = signal.SIGKILL


CONNECTIONS = 10
"""Over which operations in flight are spread, if there are so many."""
EACH_SYSTEM = ("chubby", "etcd-python", "kazoo-async")
"""One contender of each, for what is the system's alone and not its client's."""
OURS = ("chubby",)
NODES = 100_000


def in_flight(*counts: int) -> tuple[Point, ...]:
    """Points of so many operations in flight."""
    return tuple(Point(f"{count:,}", count, min(count, CONNECTIONS)) for count in counts)


def clients(*counts: int) -> tuple[Point, ...]:
    """Points of so many clients, each with a connection of its own."""
    return tuple(Point(f"{count:,}", count, count) for count in counts)


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def failing(key: str, title: str, strikes: signal.Signals, seconds: float) -> Work:
    """A fault of the leader under five writers, one at each member."""
    point = Point("", 5, 5, seconds=seconds)
    return Work(key, title, "fail_over", Unit.SECONDS, "", (point,), victims=Victims.LEADER, strikes=strikes)


def growth(key: str, title: str, workload: str, axis: str, points: tuple[Point, ...]) -> Work:
    """How the processor time of an operation of ours grows."""
    return Work(key, title, workload, Unit.SECONDS, axis, points, Measure.COST, OURS)


def cached(key: str, title: str) -> Work:
    """Reads that only ours answers without asking anybody: each one current."""
    return Work(key, title, key, Unit.RATE, "", (Point("", 1, 1),), only=OURS)


COMPARED = (
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
    cached("cached_reads", "Cached reads by one asyncio task"),
    cached("cached_reads_sync", "Cached reads by one thread, through the synchronous face"),
    Work(
        "fan_out",
        "One write, until the last of 1,000 watchers was told",
        "fan_out",
        Unit.SECONDS,
        "connections",
        (Point("10", 1000, 10), Point("1,000", 1000, 1000)),
    ),
    failing("killed", "No acknowledged write after kill -9 of the leader", signal.SIGKILL, 6.0),
    failing("stopped", "No acknowledged write after SIGSTOP of the leader", signal.SIGSTOP, 20.0),
    failing("ended", "No acknowledged write after SIGTERM of the leader", signal.SIGTERM, 6.0),
    Work(
        "memory",
        "Memory of a node of 100 bytes, in each member",
        "fill",
        Unit.BYTES,
        "nodes",
        (Point(f"{NODES:,}", 1, 1, nodes=NODES),),
        Measure.MEMORY,
        EACH_SYSTEM,
    ),
    Work(
        "restart",
        "No answered read after kill -9 and start of all members",
        "outage",
        Unit.SECONDS,
        "nodes",
        (Point(f"{NODES:,}", 1, 1, seconds=15.0, nodes=NODES),),
        only=EACH_SYSTEM,
        victims=Victims.ALL,
    ),
)
"""Ours beside others."""

GROWING = (
    growth(
        "by_in_flight",
        "CPU of a write, by operations in flight",
        "writes",
        "in flight",
        in_flight(1, 10, 100, 1000, 2000),
    ),
    growth(
        "by_size",
        "CPU of a write, by the size of the value",
        "writes",
        "",
        tuple(Point(_size(size), 10, 10, size=size) for size in (100, 1024, 16 * 1024, 64 * 1024, 256 * 1024)),
    ),
    growth(
        "by_nodes",
        "CPU of a write, by nodes in the cell",
        "writes",
        "nodes",
        tuple(Point(f"{nodes:,}", 10, 10, nodes=nodes) for nodes in (1_000, 10_000, 100_000, 900_000)),
    ),
    growth(
        "by_width",
        "CPU of making and deleting a node, by its siblings",
        "wide",
        "siblings",
        tuple(Point(f"{nodes:,}", 10, 10, nodes=nodes) for nodes in (10, 1_000, 10_000, 90_000)),
    ),
    growth(
        "by_depth",
        "CPU of opening and closing a node, by its depth",
        "deep",
        "deep",
        tuple(Point(str(depth), 10, 10, depth=depth) for depth in (1, 4, 16, 60)),
    ),
    Work(
        "by_waiters",
        "One lock through all who wait for it, by their number",
        "contended_lock",
        Unit.RATE,
        "waiters",
        tuple(Point(f"{waiters:,}", waiters, waiters + 1, rounds=2) for waiters in (10, 100, 1000)),
        only=OURS,
    ),
)
"""How ours grows."""

WORKS = (*COMPARED, *GROWING)
"""All, in the order of the report."""
QUICK = tuple(work.key for work in COMPARED if not any(point.nodes for point in work.points))
"""Those that a cell can be asked for in two minutes."""
