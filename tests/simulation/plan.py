"""What a seed stands for, drawn before anything happens: how large the cell is, what clients do, what goes wrong (swarm
testing: a run in which some things never happen goes further into the others).

Every concern draws from a stream of its own (`world.stream`), so that what one part draws changes nothing for others.
"""

from __future__ import annotations

import random

import msgspec

from chubby.config.cell import Timing
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration
from tests.simulation.configuration import SHORT, draw_timing
from tests.simulation.faults import BEYOND, FAULTS
from tests.simulation.network import Weather
from tests.simulation.tempo import Rhythm, Tempo
from tests.simulation.workloads import SELDOM, WORKLOADS
from tests.simulation.world import stream

RATE = 20
"""Operations a second of all clients together, as most seeds have it."""
UNBOUNDED = 1 / 8
"""So many seeds have clocks beyond the bound."""

OPERATED = 1 / 4
"""In so many an operator changes the members."""
NARROW = 1 / 2
"""So many have few faults and few workloads, which then come again and again: there a bug that needs three things in a
row is found a hundred times sooner than where everything takes turns."""


class Plan(msgspec.Struct, frozen=True):
    """One seed's mix."""

    seed: int
    duration: Duration
    """How long things go wrong."""
    replicas: int
    clients: int
    caching: float
    """Which part of the clients cache."""
    workloads: tuple[str, ...]
    rate: float
    """Operations a second, of all clients together."""
    rhythm: Rhythm
    faults: tuple[str, ...]
    interval: Duration
    """The mean between two faults."""
    weather: Weather
    fsync: Duration
    """What an fsync takes while its disk is well; some take up to twice as long."""
    bounded: bool = True
    """Whether clocks keep to the bound that the cell agreed upon (see `World.bounded`)."""
    timing: Timing = SHORT
    """Leases, grace, and how often replicas compare their states."""
    operated: bool = False
    """Whether an operator changes the members."""

    def tempo(self) -> Tempo:
        """The pauses of each client in each workload, so that all of them together keep the rate."""
        performers = self.clients * len(self.workloads)
        return Tempo(round(performers / self.rate * SECOND), self.rhythm)

    def describe(self) -> str:
        """In one line."""
        return (
            f"{self.replicas} replicas, {self.clients} clients at {self.rate:g} operations/s {self.rhythm.value}: "
            f"{' '.join(self.workloads)}; every {self.interval / SECOND:.1f} s one of {' '.join(self.faults)}"
        )


class _Breadth(msgspec.Struct, frozen=True):
    """How many faults and workloads a narrow plan has; None: about half of all."""

    faults: int | None = None
    workloads: int | None = None


def draw(seed: int, duration: Duration) -> Plan:
    """The plan of a seed."""
    chance = stream(seed, "plan")
    few = _few(stream(seed, "breadth"))
    bounded = stream(seed, "clocks").random() >= UNBOUNDED
    plan = Plan(
        seed=seed,
        duration=duration,
        replicas=chance.choice((3, 5, 5, 5)),
        clients=chance.randint(2, 12),
        caching=chance.choice((0.5, 0.8, 1.0)),
        workloads=_some(chance, tuple(name for name in WORKLOADS if name not in SELDOM), few.workloads) + _seldom(seed),
        rate=chance.choice((RATE / 4, RATE, RATE, RATE * 2)),
        rhythm=chance.choice(tuple(Rhythm)),
        faults=_some(chance, tuple(FAULTS), few.faults),
        interval=round(chance.uniform(0.5, 6.0) * SECOND),
        weather=Weather(
            loss=chance.choice((0.0, 0.0, 0.01, 0.1)),
            duplicate=chance.choice((0.0, 0.02)),
            reorder=chance.choice((0.0, 0.0, 0.05)),
            late=chance.choice((0.0, 0.0, 0.002)),
        ),
        fsync=chance.choice((150 * MICROSECOND, 150 * MICROSECOND, 2 * MILLISECOND, 15 * MILLISECOND)),
        bounded=bounded,
        timing=draw_timing(stream(seed, "timing")),
        operated=stream(seed, "operated").random() < OPERATED,
    )
    return plan if bounded else _without_bound(plan)


def _without_bound(plan: Plan) -> Plan:
    """The same with clocks beyond the bound. Programs are left out: they rely on what then may break."""
    workloads = tuple(name for name in plan.workloads if name != "recipes")
    return msgspec.structs.replace(plan, workloads=workloads, faults=plan.faults + tuple(BEYOND))


def _seldom(seed: int) -> tuple[str, ...]:
    """Workloads that only some seeds have, each drawn from a stream of its own: what others draw stays what it is."""
    return tuple(name for name, part in SELDOM.items() if stream(seed, name).random() < part)


def _few(chance: random.Random) -> _Breadth:
    if chance.random() >= NARROW:
        return _Breadth()
    return _Breadth(chance.randint(1, 4), chance.randint(1, 3))


def _some(chance: random.Random, names: tuple[str, ...], count: int | None) -> tuple[str, ...]:
    """So many of them; None: about half, one at least."""
    if count is not None:
        chosen = chance.sample(names, min(count, len(names)))
        return tuple(name for name in names if name in chosen)
    return tuple(name for name in names if chance.random() < 0.5) or (chance.choice(names),)
