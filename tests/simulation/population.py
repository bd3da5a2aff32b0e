"""The clients of a run: when a process dies, or its session ends, another one takes its place after a while, as it
does wherever somebody sees to it that a service runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from chubby.client.state import SessionState
from chubby.config.cell import CellConfig
from chubby.types.time import SECOND
from tests.simulation.clients import ClientHost
from tests.simulation.histories import Chronicle
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network
from tests.simulation.tempo import Tempo
from tests.simulation.workloads import Workload
from tests.simulation.world import World


class Population:
    """Makes clients, and makes them take part in all that is done."""

    def __init__(self, world: World, network: Network, config: CellConfig, hosts: list[ReplicaHost]) -> None:
        self.world = world
        self.clients: list[ClientHost] = []
        """All that ever were, in order of their numbers."""
        self.workloads: list[Workload] = []
        self.chronicle = Chronicle(world)
        self.on_arrival: list[Callable[[ClientHost], None]] = []
        """Told of each new client before it does anything."""
        self._network = network
        self._drift = config.timing.clock_drift
        self._hosts = {each.client: host for each, host in zip(config.replicas, hosts, strict=True)}
        self._chance = world.stream("population")
        self._settled = False

    def add(self, caching: float, tempo: Tempo | None) -> ClientHost:
        """A new process with a session. It takes part at this pace and is replaced when it ends; None: it does nothing.

        `caching` is the probability that it caches.
        """
        caches = self._chance.random() < caching
        client = ClientHost(self.world, self._network, self._hosts, len(self.clients) + 1, self._drift, caching=caches)
        self.clients.append(client)
        self.chronicle.follow(client)
        for each in self.on_arrival:
            each(client)

        def ended() -> None:
            if tempo is not None and not self._settled:
                self.world.after(round(self._chance.expovariate(1.0) * 2 * SECOND), successor)

        def successor() -> None:
            self.add(caching, tempo)

        def entered(state: SessionState) -> None:
            if state.final and client.alive:
                ended()

        client.on_crash.append(ended)
        client.on_state.append(entered)
        client.start()
        if tempo is not None:
            for workload in self.workloads:
                workload.join(client, tempo)
        return client

    def know(self, address: str, host: ReplicaHost) -> None:
        """A replica can be reached there; all clients find it, also those that are there already."""
        self._hosts[address] = host

    def settle(self) -> None:
        """From now on nobody is replaced."""
        self._settled = True

    def living(self) -> list[ClientHost]:
        """The clients whose processes and sessions live."""
        return [client for client in self.clients if client.alive and not client.core.state.final]

    def tally(self) -> Counter[str]:
        """What all clients together were answered."""
        return sum((client.tally for client in self.clients), Counter())
