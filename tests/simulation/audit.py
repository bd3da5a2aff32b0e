"""The judgement of a whole run, when it is over: what clients were told, held against the log (see `checkers`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from chubby.config.cell import CellConfig
from chubby.types.calls import Acquire
from chubby.types.time import Duration
from tests.simulation.checkers import (
    acknowledged,
    delays,
    departures,
    events,
    grants,
    handle_events,
    marks,
    once,
    overdue,
    queues,
    story,
    suffix,
)
from tests.simulation.checkers.coherence import Coherence
from tests.simulation.checkers.events import Watched
from tests.simulation.checkers.grants import Waiting
from tests.simulation.checkers.handle_events import Listening
from tests.simulation.checkers.overdue import Overdue
from tests.simulation.checkers.terms import Terms
from tests.simulation.clients import ClientHost
from tests.simulation.configuration import CELL
from tests.simulation.hosts import ReplicaHost
from tests.simulation.invariants import LogChecker
from tests.simulation.workloads import Workload
from tests.simulation.workloads.listeners import Listeners
from tests.simulation.workloads.watchers import Watchers
from tests.simulation.world import World

SETTLING: Duration = events.PROMPT
"""How long the run goes on when all is well again, for what is on its way to arrive."""


class Found(msgspec.Struct, frozen=True):
    """How much there was to judge; a run in which there was nothing proves nothing."""

    commands: int = 0
    acknowledgements: int = 0
    handed_on: int = 0
    """Locks that went to somebody who had waited."""
    delays: int = 0
    events: int = 0
    ends: int = 0
    """Sessions that were told of their end."""
    over: int = 0
    """Sessions that the cell saw end, and did not end while their clients counted upon them."""
    changes: int = 0
    """Changes, each of which waited until no cache would answer what was before."""


class Audit:
    """Follows all clients, and judges at the end."""

    def __init__(self, world: World, log: LogChecker, config: CellConfig) -> None:
        self._world = world
        self._log = log
        self._config = config
        self._ledger = acknowledged.Ledger()
        self._ends: list[suffix.End] = []
        self._coherence, self._terms, self._overdue = Coherence(), Terms(), Overdue()
        if world.bounded:
            log.on_look += [self._coherence.observe, self._terms.observe, self._overdue.observe]

    def follow(self, client: ClientHost) -> None:
        """Note what this client is told from now on."""
        self._ledger.follow(client)
        self._ends.append(suffix.End(self._world, client))
        self._coherence.follow(client)
        self._terms.follow(client)

    def remains(self, hosts: Iterable[ReplicaHost], clients: Iterable[ClientHost]) -> str:
        """What is left, in the master's eyes, of those who are gone; in words, empty if nothing is."""
        machines = [host.replica.machine for host in hosts if host.replica is not None and host.replica.serving]
        if not machines or machines[0] is None:
            return "no master"
        return departures.remains(machines[0], [client.core.identity.session for client in clients])

    def check(
        self, hosts: Sequence[ReplicaHost], clients: Iterable[ClientHost], workloads: Iterable[Workload]
    ) -> Found:
        """Raises Violation."""
        log = self._log.log()
        tale = story.tell(log, story.genesis_of(self._config, CELL), self._log.digests)
        machines = [
            (host.place, host.replica.machine)
            for host in hosts
            if host.replica is not None and host.replica.machine is not None
        ]
        story.judge(tale, machines)
        marks.check(tale.machine)
        once.check(tale.told)
        overdue.check(tale.told, self._overdue.found)
        handed_on = queues.check(tale.told).handed_on
        ended = delays.check(tale.told, self._config.timing.clock_drift) if self._world.bounded else 0
        acknowledged.check(tale.told, self._ledger.entries)
        suffix.check(tale.told, self._ends)
        certain = [client for client in clients if client.core.certain(client.clock.now())]
        if self._world.bounded:
            departures.check(tale.machine, [client.core.identity.session for client in certain])
        self._check_grants(tale, certain)
        told = self._check_events(tale, workloads)
        ends = sum(end.over for end in self._ends)
        over, changes = self._terms.ended, self._coherence.changes
        return Found(len(tale.told), len(self._ledger.entries), handed_on, ended, told, ends, over, changes)

    def _check_events(self, tale: story.Story, workloads: Iterable[Workload]) -> int:
        watched: list[Watched] = []
        listening: list[Listening] = []
        for workload in workloads:
            if isinstance(workload, Watchers):
                watched += workload.watched()
            elif isinstance(workload, Listeners):
                listening += workload.listening()
        prompt = self._world.now - SETTLING
        locks, _ = tale.machine.locks("", 0)
        held = [(lock.path, lock.generation) for lock in locks if lock.holders]
        told = events.check(tale.told, watched, prompt)
        return told + handle_events.check(tale.told, listening, held, prompt)

    def _check_grants(self, tale: story.Story, certain: Sequence[ClientHost]) -> None:
        waiting = [
            Waiting(client.place, client.core.identity.session, call.handle)
            for client in certain
            for call in client.waiting()
            if isinstance(call, Acquire) and client.awake
        ]
        locks, _ = tale.machine.locks("", 0)
        holders = [owner for lock in locks for owner in lock.holders]
        grants.check(tale.told, waiting, holders, self._world.now - SETTLING)
