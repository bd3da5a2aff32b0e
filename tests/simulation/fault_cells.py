"""Small cells in fair weather on which faults strike when and where they are told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from chubby.types.time import SECOND, Duration
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Weather
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")


class Aimed(random.Random):
    """Chance, except that a choice falls on what is wanted, where that is among what there is."""

    def __init__(self, *wanted: object) -> None:
        super().__init__(1)
        self.wanted = wanted

    def choice(self, seq: SupportsLenAndGetItem[T]) -> T:
        """See `random.Random.choice`."""
        options = [seq[index] for index in range(len(seq))]
        found = [each for each in options if each in self.wanted or any(_part(wish, each) for wish in self.wanted)]
        return found[-1] if found else super().choice(options)

    def random(self) -> float:
        """Low: whatever may happen does."""
        return 0.25


def _part(wish: object, option: object) -> bool:
    return isinstance(wish, str) and isinstance(option, str) and wish in option


class Cell:
    """Three replicas in fair weather, with clients at work, and a field on which faults strike when told."""

    def __init__(self, replicas: int = 3, clients: int = 3) -> None:
        plan = msgspec.structs.replace(
            draw(1, 20 * SECOND), replicas=replicas, workloads=("registers",), faults=(), clients=clients, rate=40.0
        )
        self.scenario = Scenario(msgspec.structs.replace(plan, weather=Weather(), bounded=True, fsync=150_000))
        self.world = self.scenario.world
        self.hosts = self.scenario.hosts
        self.field = self.scenario.faults.field
        for host in self.hosts:
            host.observe = self.scenario.log.observe
            host.format()
            host.start()
        for _ in range(plan.clients):
            self.scenario.population.add(1.0, self.scenario.plan.tempo())
        self.run(5 * SECOND)

    def run(self, duration: Duration) -> None:
        """Let time pass."""
        self.world.run(self.world.now + duration)

    def aim(self, *wanted: object) -> None:
        """Where choices of faults fall from now on."""
        self.field.chance = Aimed(*wanted)

    def follower(self) -> ReplicaHost:
        """One that is not master."""
        return next(host for host in self.hosts if not host.believes)

    def settled(self) -> bool:
        """Whether all run, all vote, and all have what the first has, more or less."""
        standings = [host.replica.peer_status(host.clock.now()) for host in self.hosts if host.replica is not None]
        if len(standings) < len(self.hosts) or not any(host.believes for host in self.hosts):
            return False
        newest = max(each.chosen for each in standings)
        return all(
            each.configuration is not None
            and len(each.configuration.voters) == len(self.hosts)
            and each.chosen >= newest - 50
            for each in standings
        )

    def settle(self) -> None:
        """Let time pass until it is."""
        for _ in range(60):
            self.run(SECOND)
            if self.settled():
                return
        pytest.fail("it never settled")
