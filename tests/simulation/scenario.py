"""One seed, one run, one verdict."""

from __future__ import annotations

from collections import Counter

import msgspec

from chubby.daemon.founding import first_configuration
from chubby.types.identity import ReplicaId
from chubby.types.time import SECOND, Duration
from tests.simulation.audit import SETTLING, Audit, Found
from tests.simulation.configuration import CELL, address_of, configuration
from tests.simulation.electorate import ElectorateChecker
from tests.simulation.faults import Faults
from tests.simulation.faults.field import Field
from tests.simulation.hosts import ReplicaHost
from tests.simulation.invariants import LogChecker, MasterChecker
from tests.simulation.network import Network
from tests.simulation.operators import Operator
from tests.simulation.plan import Plan, draw
from tests.simulation.pledges import PledgeChecker
from tests.simulation.population import Population
from tests.simulation.recovery import Probe
from tests.simulation.violation import Violation
from tests.simulation.workloads import WORKLOADS, Recovering
from tests.simulation.world import START, World

RECOVERY: Duration = 90 * SECOND
"""Virtual time after the faults stop within which everybody must be served again."""


class Verdict(msgspec.Struct, frozen=True):
    """How a run ended, and how much happened in it."""

    plan: Plan
    simulated: Duration
    tally: Counter[str]
    """Answers that clients got, by kind."""
    faults: Counter[str]
    """How often each fault struck."""
    trace_hash: str
    found: Found = Found()
    """How much there was to judge."""

    @property
    def operations(self) -> int:
        """How many calls had an answer other than a failure."""
        return sum(count for kind, count in self.tally.items() if kind not in ("cached", "Failure"))


class Scenario:
    """Replicas, clients, faults for a while, then calm."""

    def __init__(self, plan: Plan, tracing: bool = False) -> None:
        self.plan = plan
        self.world = World(plan.seed, tracing)
        self.world.bounded = plan.bounded
        self.world.trace(plan.describe())
        config = configuration(range(1, plan.replicas + 1), plan.timing)
        self.network = Network(self.world, plan.weather)
        self.hosts = [ReplicaHost(self.world, self.network, config, CELL, each.id) for each in config.replicas]
        self.pledges = PledgeChecker()
        self.electorate = ElectorateChecker(first_configuration(config, CELL))
        for host in self.hosts:
            host.peers = {other.number: other for other in self.hosts if other is not host}
            host.usual_fsync = host.fsync = plan.fsync
            self.pledges.follow(host)
        self.log = LogChecker()
        self.masters = MasterChecker(self.hosts)
        self.population = Population(self.world, self.network, config, self.hosts)
        self.workloads = {name: WORKLOADS[name](self.world) for name in plan.workloads}
        self.population.workloads.extend(self.workloads.values())
        self.audit = Audit(self.world, self.log, config)
        self.population.on_arrival.append(self.audit.follow)
        field = Field(self.world, self.network, self.hosts, self.population.clients, self.world.stream("faults"))
        self.faults = Faults(field, plan.faults, plan.interval)
        self.operator = Operator(field, self.population, self._build)

    @classmethod
    def of(cls, seed: int, duration: Duration = 60 * SECOND, tracing: bool = False) -> Scenario:
        """What this seed stands for."""
        return cls(draw(seed, duration), tracing)

    def run(self) -> Verdict:
        """Run to the end. Raises `Violation`, or whatever broke."""
        try:
            return self._run()
        finally:
            for workload in self._recovering():
                workload.end()

    def _recovering(self) -> list[Recovering]:
        return [each for each in self.workloads.values() if isinstance(each, Recovering)]

    def _run(self) -> Verdict:
        world = self.world
        for host in self.hosts:
            host.observe = self._observe
            host.format()
            host.start()
        for _ in range(self.plan.clients):
            self.population.add(self.plan.caching, self.plan.tempo())
        self.faults.start()
        if self.plan.operated:
            self.operator.start()
        world.run(START + self.plan.duration)
        world.trace("calm")
        self.faults.stop()
        self.operator.stop()
        self._recover()
        world.run(world.now + SETTLING)
        found = self.audit.check(self.hosts, self.population.living(), self.workloads.values())
        self.population.chronicle.check()
        struck, tally = self.faults.struck, self.population.tally()
        return Verdict(self.plan, world.now - START, tally, struck, world.trace_hash, found)

    def _observe(self, host: ReplicaHost) -> None:
        self.log.observe(host)
        self.pledges.observe(host)
        self.electorate.observe(host)
        if self.world.bounded:
            self.masters.observe(host)

    def _recover(self) -> None:
        """Liveness: every client whose session lives, and a fresh one, is served, and all replicas catch up, within
        bounded time.
        """
        world, population = self.world, self.population
        calm = world.now
        population.settle()
        population.add(caching=0.0, tempo=None)
        probes = [Probe(world, client) for client in population.living()]
        recovering = self._recovering()
        for workload in recovering:
            workload.calm()
        while world.now < calm + RECOVERY:
            world.run(world.now + SECOND)
            remains = self.audit.remains(self.hosts, population.living())
            unserved = "; ".join(filter(None, (each.waiting() for each in recovering)))
            if all(probe.served for probe in probes) and self._all_equal() and not remains and not unserved:
                for workload in recovering:
                    workload.check()
                return
        waiting = " ".join(probe.client.place for probe in probes if not probe.served)
        raise Violation(
            f"no recovery: {waiting or 'nobody'} not served, {remains or 'nothing'} left of the dead, {unserved} "
            + ", ".join(f"{host.place} {_standing(host)}" for host in self.hosts)
        )

    def _build(self, number: ReplicaId) -> ReplicaHost:
        """The machine of a replica that is new to the cell; its configuration file names who is there, and itself."""
        config = configuration([*(host.number for host in self.hosts), number], self.plan.timing)
        host = ReplicaHost(self.world, self.network, config, CELL, number)
        host.usual_fsync = host.fsync = self.plan.fsync
        host.observe = self._observe
        self.pledges.follow(host)
        for other in self.hosts:
            other.peers[number] = host
            host.peers[other.number] = other
        self.population.know(address_of(number).client, host)
        return host

    def _all_equal(self) -> bool:
        if self.operator.busy:
            return False
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
