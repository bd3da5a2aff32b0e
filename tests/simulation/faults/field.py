"""What faults strike: the machines, the disks, the network, the clients; and what many of them have in common."""

from __future__ import annotations

import random
from functools import partial

from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network
from tests.simulation.world import World
from tests.storage.interference import Interference

BETWEEN_LOSSES: Duration = 30 * SECOND
"""One disk at a time loses what it held, and the next one only after there was time to rebuild: more is beyond what a
cell promises."""


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

    def may_lose_a_disk(self) -> bool:
        """Whether there was time to rebuild since the last one was lost; who asks loses one."""
        if self.world.now - self._lost_at < BETWEEN_LOSSES:
            return False
        self._lost_at = self.world.now
        return True
