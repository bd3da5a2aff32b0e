"""A deterministic world of replicas in virtual time: delay, loss, partitions, slow disks, crashes, pauses, drift.

Everything random comes from one seed, so a failure is repeated by its number alone:

    .venv/bin/python -m tests.paxos.storm SEED            # one seed, with a trace of what was done to the cell
    .venv/bin/python -m tests.paxos.storm FIRST LAST      # a hunt; prints the seeds that fail

Links come in two kinds, chosen by the seed. *Streams* keep order and lose only what a broken connection held (TCP);
*datagrams* are delayed one by one, lost and repeated. The protocol has to be safe over both and alive over both.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from functools import partial

import msgspec

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.ready import Envelope, Ready
from chubby.types.identity import ReplicaId
from chubby.types.limits import CLOCK_DRIFT_PPM
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from tests.paxos.checkers import Checkers
from tests.paxos.disk import Machine
from tests.paxos.replica import Replica

LATEST: Duration = 6 * SECOND


class Links(msgspec.Struct):
    """How the network behaves at present."""

    streams: bool
    delay: Duration
    loss: float = 0.0
    repeat: float = 0.0
    late: float = 0.0
    """How often a datagram comes once more, up to `LATEST` after: when what it speaks of may be long over."""


class World:
    """Replicas, links between them, and the queue of what happens when."""

    def __init__(self, seed: int, size: int = 5, links: Links | None = None) -> None:
        """A freshly formatted cell of `size` replicas, all about to start."""
        self.rng = random.Random(seed)
        self.now: Instant = SECOND
        self.links = links or Links(
            streams=self.rng.random() < 0.6, delay=self.rng.choice((1, 2, 5, 20, 60)) * MILLISECOND
        )
        self.replicas: tuple[ReplicaId, ...] = tuple(range(1, size + 1))
        genesis = Configuration(tuple(Member(replica, 100 + replica) for replica in self.replicas))
        self.checkers = Checkers(genesis)
        self.nodes: dict[ReplicaId, Replica] = {
            voter.replica: Replica(
                self, voter, Machine(configuration=genesis), self.rng.randint(-CLOCK_DRIFT_PPM, CLOCK_DRIFT_PPM)
            )
            for voter in genesis.voters
        }
        self.cut: set[tuple[ReplicaId, ReplicaId]] = set()
        self._queue: list[tuple[Instant, int, Callable[[], None]]] = []
        self._count = 0
        self._lives = 0
        self.ghosts = random.Random(f"ghosts of {seed}")
        """Chance of its own, so that late messages leave the rest of a seed's story alone."""
        self._connection: dict[tuple[ReplicaId, ReplicaId], int] = {}
        self._last: dict[tuple[ReplicaId, ReplicaId], Instant] = {}

    # --- time ----------------------------------------------------------------------------------------------------

    def at(self, delay: Duration, action: Callable[[], None]) -> None:
        """Do `action` after `delay` of true time."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, action))

    def later(self, delay: Duration, who: Replica, what: Callable[[], None]) -> None:
        """See `Surroundings`."""
        life = who.life

        def action() -> None:
            if who.up and who.life == life:
                who.happen(what)

        self.at(delay, action)

    def run(self, duration: Duration, until: Callable[[], bool] | None = None) -> bool:
        """Let `duration` pass, or less if `until` comes true, which is returned."""
        end = self.now + duration
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            self.checkers.one_master([node for node in self.nodes.values() if node.up])
            if until is not None and until():
                return True
        self.now = end
        return until is not None and until()

    # --- lives ---------------------------------------------------------------------------------------------------

    def start(self, who: Replica) -> None:
        """Begin a life of `who`; half the time its machine was restarted too, and its clock begins anew."""
        self._lives += 1
        if self.rng.random() < 0.5:
            who.offset = SECOND - self.now - self.now * who.ppm // 1_000_000
        who.start(self._lives, random.Random(self.rng.random()))

    def start_all(self) -> None:
        """Start whoever is down."""
        for node in self.nodes.values():
            if not node.up:
                self.start(node)

    def crash(self, who: Replica) -> None:
        """End a life; its connections break."""
        who.crash()
        if self.links.streams:
            for other in self.replicas:
                self.break_connection(who.id, other)
                self.break_connection(other, who.id)

    # --- network -------------------------------------------------------------------------------------------------

    def break_connection(self, source: ReplicaId, target: ReplicaId) -> None:
        """What is on its way on this link is lost."""
        self._connection[source, target] = self._connection.get((source, target), 0) + 1

    def carry(self, who: Replica, envelope: Envelope) -> None:
        """See `Surroundings`."""
        self.checkers.leaves(who, envelope.to, envelope.message)
        link = who.id, envelope.to
        if envelope.to not in self.nodes or link in self.cut or self.rng.random() < self.links.loss:
            if self.links.streams:
                self.break_connection(*link)
            return
        for _ in range(2 if self.rng.random() < self.links.repeat else 1):
            delay = round(self.links.delay * (0.2 + self.rng.expovariate(1.0)))
            if self.links.streams:
                delay = max(self.now + delay, self._last.get(link, 0) + 1) - self.now
                self._last[link] = self.now + delay
            self.at(delay, self._delivery(who.id, envelope, self._connection.get(link, 0)))
        if not self.links.streams and self.ghosts.random() < self.links.late:
            self.at(self.ghosts.randrange(LATEST), self._delivery(who.id, envelope, 0))

    def _delivery(self, source: ReplicaId, envelope: Envelope, connection: int) -> Callable[[], None]:
        def deliver() -> None:
            link = source, envelope.to
            node = self.nodes[envelope.to]
            broken = self.links.streams and self._connection.get(link, 0) != connection
            if node.up and not broken and link not in self.cut:
                node.happen(partial(node.receive, source, envelope.message))

        return deliver

    # --- what replicas report ------------------------------------------------------------------------------------

    def sync_time(self, who: Replica) -> Duration:
        """See `Surroundings`."""
        return who.slow_sync or round(self.rng.expovariate(1 / (500 * MICROSECOND))) + 20 * MICROSECOND

    def check(self, who: Replica, ready: Ready) -> None:
        """See `Surroundings`."""
        self.checkers.written(who, ready.records)
        machine = who.machine
        for entry in ready.chosen:
            self.checkers.report(who, machine, entry)
            machine = machine.apply(entry)

    def durable(self, who: Replica, ready: Ready) -> None:
        """See `Surroundings`."""
        self.checkers.durable(who, ready.records)

    def installed(self, who: Replica) -> None:
        """See `Surroundings`."""
        self.checkers.installed(who.machine)
