"""One replica of the simulated world: the production `Peer`, a disk, a clock of its own, a machine (DESIGN §2).

It plays the shell's part of the contract in `chubby.paxos.ready`, slowly and at the mercy of crashes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

from chubby.paxos.configuration import Member
from chubby.paxos.electorate import Vote
from chubby.paxos.messages import Message, SnapshotChunk
from chubby.paxos.peer import Peer
from chubby.paxos.ready import Envelope, ReadChunk, Ready, Role, SnapshotRequest, StoreChunk
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant
from tests.paxos.disk import BLANK, Disk, Image, Machine

CHUNK = 700
"""Bytes of a snapshot sent at once."""


class Surroundings(Protocol):
    """What a replica needs of its world."""

    now: Instant
    rng: random.Random
    replicas: tuple[ReplicaId, ...]

    def later(self, delay: Duration, who: Replica, what: Callable[[], None]) -> None:
        """`what` happens to `who` after `delay`, if it still lives the same life."""

    def carry(self, who: Replica, envelope: Envelope) -> None:
        """Send a message."""

    def sync_time(self, who: Replica) -> Duration:
        """How long the next fsync takes."""

    def check(self, who: Replica, ready: Ready) -> None:
        """A `Ready` was handed out."""

    def durable(self, who: Replica, ready: Ready) -> None:
        """Its records were synced."""

    def installed(self, who: Replica) -> None:
        """A fetched snapshot took the place of the machine."""


class Replica:
    """A process that may be up, paused or down, and its disk and clock, which outlive it."""

    def __init__(self, world: Surroundings, member: Member, machine: Machine, ppm: int) -> None:
        """`ppm`: how much faster than true time its clock runs."""
        self.world = world
        self.member = member
        self.disk = Disk(machine)
        self.ppm = ppm
        self.offset: Duration = world.rng.randrange(10 * SECOND)
        self.peer: Peer | None = None
        self.life = 0
        self.machine = machine
        self.paused_until: Instant = 0
        self.slow_sync: Duration = 0
        self._syncing: Ready | None = None
        self._fetched = bytearray()
        self._inbox: list[Callable[[], None]] = []
        self._wake_at: Instant = NEVER
        self._served: Instant = 0

    # --- what the checkers look at -------------------------------------------------------------------------------

    @property
    def id(self) -> ReplicaId:
        """Its number."""
        return self.member.replica

    @property
    def vote(self) -> Vote:
        """Replica and incarnation."""
        return self.member.replica, self.member.incarnation

    @property
    def now(self) -> Instant:
        """Its own clock."""
        return self.offset + self.world.now + self.world.now * self.ppm // 1_000_000

    @property
    def up(self) -> bool:
        """Whether it runs (it may be paused)."""
        return self.peer is not None

    @property
    def believes(self) -> bool:
        """Whether it is master and believes in its lease."""
        return self.peer is not None and self.peer.role is Role.MASTER and self.peer.lease_until > self.now

    @property
    def running(self) -> Peer:
        """The peer of a replica that is up."""
        assert self.peer is not None, f"replica {self.id} is down"
        return self.peer

    # --- lives ---------------------------------------------------------------------------------------------------

    def start(self, life: int, jitter: random.Random) -> None:
        """Begin a life from what is on disk."""
        assert self.peer is None
        self.life = life
        recovered = self.disk.recovered()
        self.machine = self.disk.base
        self.peer = Peer(self.member, 7, recovered, bootstrap=self.world.replicas, now=self.now, jitter=jitter.random)
        self._wake_at = NEVER
        self.drain()

    def crash(self) -> None:
        """Lose everything that was not synced, or keep any prefix of what was on its way."""
        if self._syncing is not None:
            records = self._syncing.records
            survivors = records[: self.world.rng.choice((0, len(records), self.world.rng.randint(0, len(records))))]
            self.world.durable(self, Ready(records=survivors))
            self.disk.write(survivors)
        self.peer = None
        self._syncing = None
        self.paused_until = 0
        self._inbox.clear()
        self._fetched.clear()

    def wipe(self, incarnation: int) -> None:
        """Lose the disk; what returns is a new incarnation with nothing."""
        assert self.peer is None, "only a replica that is down loses its disk"
        self.member = Member(self.id, incarnation)
        self.disk = Disk(BLANK)

    def pause(self, duration: Duration) -> None:
        """Stop the process; its clock runs on, its inputs queue up."""
        if not self.paused_until:
            self.paused_until = self.world.now + duration
            self.world.later(duration, self, self.resume)

    def resume(self) -> None:
        """DESIGN §3 Master lease: after a stall drain the inputs, then fire timers."""
        self.paused_until = 0
        inbox, self._inbox = self._inbox, []
        for what in inbox:
            what()
        self._tick()

    # --- inputs --------------------------------------------------------------------------------------------------

    def happen(self, what: Callable[[], None]) -> None:
        """An input arrives now, or when the process goes on."""
        if self.paused_until and what != self.resume:
            self._inbox.append(what)
        else:
            what()

    def receive(self, sender: ReplicaId, message: Message) -> None:
        """A message arrives."""
        self.running.receive(sender, message, self.now)
        self.drain()

    def propose(self, payload: bytes) -> None:
        """A client proposes here, whatever this replica is."""
        self.running.propose(payload)
        self.drain()

    def hand_over(self) -> None:
        """An orderly shutdown begins, or somebody asks for another master."""
        self.running.hand_over(self.now)
        self.drain()

    def _persisted(self) -> None:
        ready = self._syncing
        assert ready is not None
        self._syncing = None
        self.world.durable(self, ready)
        self.disk.write(ready.records)
        for envelope in ready.gated:
            self.world.carry(self, envelope)
        self.running.persisted(ready.number, self.now)
        self.drain()

    def _tick(self) -> None:
        self._wake_at = NEVER
        self.running.tick(self.now)
        self.drain()
        assert self.running.wake_at > self.now, "a tick leaves nothing due: the shell would spin"

    # --- outputs -------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Take every `Ready` and do what it asks."""
        while (ready := self.running.take_ready(self.now)) is not None:
            self.world.check(self, ready)
            if ready.number:
                assert self._syncing is None, "records while earlier ones are unsynced"
                self._syncing = ready
                self.world.later(self.world.sync_time(self), self, self._persisted)
            assert ready.number or not (ready.records or ready.gated), "gated on nothing"
            for envelope in ready.messages:
                self.world.carry(self, envelope)
            for entry in ready.chosen:
                self.machine = self.machine.apply(entry)
            for request in ready.snapshot_requests:
                delay = max(self._served, self.world.now + self.world.rng.randrange(3 * MILLISECOND)) - self.world.now
                self._served = self.world.now + delay
                self.world.later(delay, self, partial(self._serve, request))
        self._schedule()

    def _schedule(self) -> None:
        wake_at = self.running.wake_at
        if wake_at < self._wake_at:
            self._wake_at = wake_at
            delay = max(0, (wake_at - self.now) * 1_000_000 // (1_000_000 + self.ppm)) + 1000
            self.world.later(delay, self, partial(self._awake, wake_at))

    def _awake(self, wake_at: Instant) -> None:
        if wake_at == self._wake_at:
            self._tick()

    # --- snapshots -----------------------------------------------------------------------------------------------

    def take_snapshot(self) -> None:
        """Write the machine's state as it is now; the log before it may go."""
        if self.machine.configuration is None or self.machine.slot <= self.disk.base.slot:
            return
        image = Image(self.machine, bytes(self.world.rng.randrange(3000))).encode()
        self.disk.keep(self.machine, image)
        self.running.snapshot_taken(self.machine.slot, len(image))
        self.drain()

    def _serve(self, request: SnapshotRequest) -> None:
        if isinstance(request, ReadChunk):
            data = self.disk.images.get(request.slot)
            if data is None:
                self.running.snapshot_gone(request.to)
            else:
                part = data[request.offset : request.offset + CHUNK]
                chunk = SnapshotChunk(request.slot, request.offset, len(data), part)
                self.world.carry(self, Envelope(request.to, chunk))
        else:
            self._store(request)
        self.drain()

    def _store(self, request: StoreChunk) -> None:
        if request.offset == 0:
            self._fetched.clear()
        assert len(self._fetched) == request.offset, "chunks are stored in order"
        self._fetched += request.data
        if len(self._fetched) < request.size:
            self.running.chunk_stored(request.slot, self.now)
            return
        if self.world.rng.random() < 0.1:
            self._fetched[self.world.rng.randrange(len(self._fetched))] ^= 255
        image = Image.decode(bytes(self._fetched))
        if image is None or not self._wanted(request.slot):
            self.running.snapshot_rejected(self.now)
            return
        self.disk.keep(image.machine, bytes(self._fetched))
        delay = self.world.rng.randrange(20 * MILLISECOND)
        self.world.later(delay, self, partial(self._install, request.slot, image))

    def _install(self, slot: Slot, image: Image) -> None:
        """The file has been durable for a while; the state is replaced and the core told in one step."""
        if not self._wanted(slot):
            self.running.snapshot_rejected(self.now)
        else:
            configuration = image.machine.configuration
            assert configuration is not None
            self.machine = image.machine
            self.running.snapshot_installed(slot, len(self.disk.images[slot]), configuration, self.now)
            self.world.installed(self)
        self.drain()

    def _wanted(self, slot: Slot) -> bool:
        return self.running.lacks(slot)
