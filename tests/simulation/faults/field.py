"""What faults strike: the machines, the disks, the network, the clients; and what many of them have in common."""

from __future__ import annotations

import random
from functools import partial

from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network
from tests.simulation.world import World
from tests.storage.interference import Interference

BETWEEN_LOSSES: Duration = 30 * SECOND
"""One disk at a time loses what it held, and the next one only after there was time to rebuild."""


class Field:
    """Everything that can go wrong, at hand. `clients` are all that ever were; the living ones are `alive`."""

    def __init__(
        self, world: World, network: Network, hosts: list[ReplicaHost], clients: list[ClientHost], chance: random.Random
    ) -> None:
        self.world = world
        self.network = network
        self.hosts = hosts
        self.clients = clients
        self.chance = chance
        self._lost_at: Instant = world.now - BETWEEN_LOSSES
        self._hurt: dict[ReplicaId, int] = {}

    def any(self) -> ReplicaHost:
        """Some replica's machine."""
        return self.chance.choice(self.hosts)

    def master(self) -> ReplicaHost:
        """The one that counts on its master lease, or any if none does."""
        masters = [host for host in self.hosts if host.believes]
        return self.chance.choice(masters) if masters else self.any()

    def alive(self) -> list[ClientHost]:
        """The clients whose processes run."""
        return [client for client in self.clients if client.alive]

    def a_while(self) -> Duration:
        """How long a fault lasts: 2 s on average."""
        return round(self.chance.expovariate(1.0) * 2 * SECOND) + 10 * MILLISECOND

    def later(self, low: float, high: float) -> Duration:
        """So many milliseconds."""
        return round(self.chance.uniform(low, high) * MILLISECOND)

    def down(self, host: ReplicaHost) -> None:
        """It crashes, and comes back after a while."""
        if host.running:
            host.crash()
            self.world.after(self.a_while(), partial(self.up, host))

    def up(self, host: ReplicaHost) -> None:
        """It runs again, if it does not."""
        if not host.running:
            host.start()

    def mended(self, host: ReplicaHost, trouble: Interference) -> None:
        """The disk of this host is well again, unless something else befell it meanwhile."""
        if host.trouble is trouble:
            host.trouble = None
            host.disk.interference = None

    def befall(self, host: ReplicaHost, trouble: Interference) -> None:
        """From now on that befalls whatever process uses the disk of this host."""
        host.trouble = trouble
        host.disk.interference = trouble

    def may_lose_a_disk(self, host: ReplicaHost) -> bool:
        """Whether the cell can bear it that this host loses what it held: there was time to rebuild since the last
        loss, and the others are a quorum that remembers how it voted, in every configuration that somebody knows. More
        is beyond what a cell promises. Who asks and may, does.
        """
        known = [each.replica.configuration for each in self.hosts if each.replica is not None]
        votes = [(each.number, each.incarnation) for each in self.hosts if each is not host and self._remembers(each)]
        configurations = [each for each in known if each is not None]
        if self.world.now - self._lost_at < BETWEEN_LOSSES or not configurations:
            return False
        if not all(each.is_quorum(votes) for each in configurations):
            return False
        self._lost_at = self.world.now
        self._hurt[host.number] = host.life
        return True

    def _remembers(self, host: ReplicaHost) -> bool:
        """Whether it has, under its present incarnation, all that it ever had: it started since it last lost something,
        and is not switched off for good.
        """
        return not host.retired and host.life > self._hurt.get(host.number, -1)
