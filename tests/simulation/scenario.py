"""One seed, one run, one verdict."""

from __future__ import annotations

import msgspec

from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.checkers import LockChecker, LogChecker, MasterChecker, RegisterChecker, Violation
from tests.simulation.clients import ClientHost
from tests.simulation.faults import Faults
from tests.simulation.histories import Chronicle
from tests.simulation.hosts import ReplicaHost
from tests.simulation.jugglers import Feats, Juggler
from tests.simulation.network import Network, Weather
from tests.simulation.presence import Gardener, PresenceChecker
from tests.simulation.setup import CELL, configuration
from tests.simulation.sprouts import Season, Sprouter
from tests.simulation.workload import Actor, Counts
from tests.simulation.world import START, World

RECOVERY: Duration = 90 * SECOND
"""Virtual time after the faults stop within which everybody must be served again."""


SPROUTING = 1_000
"""From this seed on clients make directories of files as well. The seeds below that find bugs draw as they ever did."""


JUGGLING = 2_000
"""From this seed on they also compare and set, delete, share a lock, and change two nodes in one transaction."""


class Verdict(msgspec.Struct, frozen=True):
    """How a run ended, and how much happened in it."""

    seed: int
    simulated: Duration
    counts: Counts
    trace_hash: str


class Scenario:
    """Five replicas, a few clients, faults for a while, then calm."""

    def __init__(self, seed: int, tracing: bool = False, duration: Duration = 60 * SECOND) -> None:
        self.world = World(seed, tracing)
        chance = self.world.random
        self.duration = duration
        config = configuration(chance.choice((3, 5, 5, 5)))
        self.network = Network(self.world, Weather())
        self.hosts = [ReplicaHost(self.world, self.network, config, CELL, each.id) for each in config.replicas]
        for host in self.hosts:
            host.peers = {other.number: other for other in self.hosts if other is not host}
        self.log = LogChecker()
        self.masters = MasterChecker(self.hosts)
        by_address = {each.client: host for each, host in zip(config.replicas, self.hosts, strict=True)}
        drift = config.timing.clock_drift
        count = chance.randint(2, 6)
        self.clients = [
            ClientHost(self.world, self.network, by_address, number, drift, caching=chance.random() < 0.8)
            for number in range(1, count + 1)
        ]
        self.registers = {path: RegisterChecker(path) for path in ("/a", "/b")}
        self.locks = {path: LockChecker(path) for path in ("/l",)}
        self.counts = Counts()
        pace = round(chance.choice((10, 50, 250)) * MILLISECOND)
        self.actors = [
            Actor(self.world, client, self.registers, self.locks, pace, self.counts) for client in self.clients
        ]
        self.presence = PresenceChecker("/e")
        self.gardeners = [
            Gardener(self.world, client, "/e", self.presence, 3 * pace)
            for client in self.clients
            if chance.random() < 0.6
        ]
        self.season = Season()
        self.sprouters = [
            Sprouter(self.world, client, self.season, 2 * pace) for client in self.clients if seed >= SPROUTING
        ]
        self.feats = Feats()
        self.jugglers = [
            Juggler(self.world, client, self.feats, 2 * pace) for client in self.clients if seed >= JUGGLING
        ]
        for client, actor in zip(self.clients, self.actors, strict=True):
            crash = client.crash

            def died(crash: object = crash, actor: Actor = actor) -> None:
                assert callable(crash)
                crash()
                actor.died()

            client.crash = died  # type: ignore[method-assign]  # the actor dies with its process
        self.chronicle = Chronicle(self.world)
        for client in self.clients:
            self.chronicle.follow(client)
        self.faults = Faults(self.world, self.network, self.hosts, self.clients)

    def run(self) -> Verdict:
        """Run to the end. Raises `Violation`, or whatever broke."""
        world = self.world
        for host in self.hosts:
            host.observe = self._observe
            host.format()
            host.start()
        for client, actor in zip(self.clients, self.actors, strict=True):
            client.start()
            actor.start()
        for gardener in self.gardeners:
            gardener.start()
        for sprouter in self.sprouters:
            sprouter.start()
        for juggler in self.jugglers:
            juggler.start()
        self.faults.start()
        world.run(START + self.duration)
        world.trace("calm")
        self.faults.stop()
        self._recover()
        self.chronicle.check()
        return Verdict(world.seed, world.now - START, self.counts, world.trace_hash)

    def _observe(self, host: ReplicaHost) -> None:
        self.log.observe(host)
        self.masters.observe(host)

    def _recover(self) -> None:
        """Liveness: a fresh client is served, and all replicas catch up, within bounded time."""
        world = self.world
        calm = world.now
        fresh = ClientHost(world, self.network, dict(self.clients[0].hosts), len(self.clients) + 1, 1000, caching=False)
        self.chronicle.follow(fresh)
        counts = Counts()
        actor = Actor(world, fresh, self.registers, {}, 50 * MILLISECOND, counts)
        fresh.start()
        actor.start()
        while world.now < calm + RECOVERY:
            world.run(world.now + SECOND)
            if counts.writes >= 3 and counts.reads >= 3 and self._all_equal():
                return
        raise Violation(
            f"no recovery: {counts} by a fresh client, "
            + ", ".join(f"{host.place} {_standing(host)}" for host in self.hosts)
        )

    def _all_equal(self) -> bool:
        standings = [host.replica.peer_status(host.clock.now()) for host in self.hosts if host.replica is not None]
        if len(standings) < len(self.hosts):
            return False
        newest = max(each.chosen for each in standings)
        return all(
            each.configuration is not None
            and len(each.configuration.voters) == len(self.hosts)
            and each.chosen >= newest - 100
            for each in standings
        )


def _standing(host: ReplicaHost) -> str:
    if host.replica is None:
        return "down"
    status = host.replica.peer_status(host.clock.now())
    voters = len(status.configuration.voters) if status.configuration is not None else 0
    return f"{status.role.value} chosen {status.chosen} of {voters} voters, master {status.master}"
