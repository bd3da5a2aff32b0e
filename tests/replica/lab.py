"""A small cell of simulated hosts for tests of the replica: calm network, no faults but those a test makes."""

from __future__ import annotations

from collections.abc import Callable

from chubby.types.calls import Call
from chubby.types.results import Answer
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.clients import ClientHost
from tests.simulation.configuration import CELL, configuration
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network, Weather
from tests.simulation.world import World


class Lab:
    """Replicas on virtual time."""

    def __init__(self, replicas: int = 3, seed: int = 1) -> None:
        self.world = World(seed)
        self.network = Network(self.world, Weather())
        self.config = configuration(range(1, replicas + 1))
        self.hosts = {
            each.id: ReplicaHost(self.world, self.network, self.config, CELL, each.id) for each in self.config.replicas
        }
        for host in self.hosts.values():
            host.peers = {number: other for number, other in self.hosts.items() if other is not host}
            host.format()
        self._clients = 0

    def start(self) -> None:
        """Start all and wait for a master."""
        for host in self.hosts.values():
            host.start()
        self.until(lambda: self.master() is not None)

    def master(self) -> ReplicaHost | None:
        """The one that serves under a live lease."""
        for host in self.hosts.values():
            replica = host.replica
            if replica is not None and replica.serving and replica.lease_until > host.clock.now():
                return host
        return None

    def wait_master(self) -> ReplicaHost:
        """The master, once there is one."""
        self.until(lambda: self.master() is not None)
        master = self.master()
        assert master is not None
        return master

    def until(self, condition: Callable[[], object], limit: Duration = 60 * SECOND) -> None:
        """Let time pass until `condition` holds."""
        end = self.world.now + limit
        while not condition():
            assert self.world.now < end, "the condition did not come true in virtual time"
            self.world.run(self.world.now + 10 * MILLISECOND)

    def run(self, duration: Duration) -> None:
        """Let time pass."""
        self.world.run(self.world.now + duration)

    def client(self, caching: bool = True) -> ClientHost:
        """A client with an open session."""
        self._clients += 1
        by_address = {each.client: self.hosts[each.id] for each in self.config.replicas}
        client = ClientHost(self.world, self.network, by_address, self._clients, 1000, caching)
        client.start()
        self.until(lambda: client.core.state.live)
        return client

    def ask(self, client: ClientHost, call: Call, limit: Duration = 60 * SECOND) -> Answer:
        """Make a call and wait for its answer."""
        answers: list[Answer] = []
        client.call(call, answers.append)
        self.until(lambda: answers, limit)
        return answers[0]
