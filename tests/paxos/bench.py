"""A cell on the workbench: nothing moves unless the test says so, and every `Ready` is written down in words.

Time is common to all, jitter is 0, messages wait in one queue in the order they were sent, fsyncs wait until `persist`.
Transcripts and sentence tests are driven by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import Message, SnapshotChunk
from chubby.paxos.peer import Peer
from chubby.paxos.ready import Envelope, ReadChunk, Ready, Recovered, Role
from chubby.types.identity import Incarnation, ReplicaId
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant
from tests.paxos.disk import BLANK, Disk, Image, Machine
from tests.paxos.words import message_words, ready_words

CELL = 7
CHUNK = 64


class Place:
    """One replica on the bench."""

    def __init__(self, member: Member, machine: Machine) -> None:
        """Down, with this on its disk."""
        self.member = member
        self.disk = Disk(machine)
        self.machine = machine
        self.peer: Peer | None = None
        self.syncing: Ready | None = None
        self.fetched = bytearray()

    @property
    def running(self) -> Peer:
        """The peer of a replica that is up."""
        assert self.peer is not None, f"replica {self.member.replica} is down"
        return self.peer


class Bench:
    """The cell."""

    def __init__(self, size: int = 3, say: Callable[[str], None] = lambda _line: None) -> None:
        """All up for the first time; `say` gets every line of what happens."""
        self.now: Instant = 100 * SECOND
        self.say = say
        self.queue: list[tuple[ReplicaId, ReplicaId, Message]] = []
        self.sent: list[tuple[ReplicaId, ReplicaId, Message]] = []
        self.cut: set[tuple[ReplicaId, ReplicaId]] = set()
        self.genesis = Configuration(tuple(Member(replica, 100 + replica) for replica in range(1, size + 1)))
        self.places = {
            voter.replica: Place(voter, Machine(configuration=self.genesis)) for voter in self.genesis.voters
        }
        for replica in self.places:
            self.restart(replica)

    # --- lives ---------------------------------------------------------------------------------------------------

    def restart(self, replica: ReplicaId) -> None:
        """Begin a life from what is on the disk."""
        place = self.places[replica]
        place.machine = place.disk.base
        place.peer = self.build(place.member, place.disk.recovered())
        self.drain(replica)

    def build(self, member: Member, recovered: Recovered) -> Peer:
        """A peer of this cell."""
        return Peer(member, CELL, recovered, bootstrap=tuple(self.places), now=self.now, jitter=lambda: 0.0)

    def crash(self, replica: ReplicaId, keep: int = 0) -> None:
        """End a life; of the records being synced the first `keep` survive."""
        place = self.places[replica]
        if place.syncing is not None:
            place.disk.write(place.syncing.records[:keep])
        place.peer = place.syncing = None

    def wipe(self, replica: ReplicaId, incarnation: Incarnation) -> None:
        """Lose the disk."""
        assert self.places[replica].peer is None
        self.places[replica] = Place(Member(replica, incarnation), BLANK)

    def peer(self, replica: ReplicaId) -> Peer:
        """The peer of `replica`."""
        return self.places[replica].running

    # --- inputs --------------------------------------------------------------------------------------------------

    def tick(self, duration: Duration, only: Iterable[ReplicaId] = ()) -> None:
        """Let time pass, then fire what is due."""
        self.now += duration
        for replica in only or self.places:
            if self.places[replica].peer is not None and self.peer(replica).wake_at <= self.now:
                self.peer(replica).tick(self.now)
                self.drain(replica)

    def propose(self, replica: ReplicaId, *payloads: str) -> bool:
        """Propose them all, in one step."""
        taken = [self.peer(replica).propose(payload.encode()) for payload in payloads]
        self.drain(replica)
        return all(taken)

    def receive(self, sender: ReplicaId, target: ReplicaId, message: Message) -> None:
        """A message arrives, whoever really sent it."""
        self.say(f"{sender}→{target} {message_words(message)}")
        self.peer(target).receive(sender, message, self.now)
        self.drain(target)

    def deliver(self, source: ReplicaId = 0, target: ReplicaId = 0, kind: str = "") -> int:
        """Deliver what is queued now on these links (0: any) of this kind (empty: any); returns how many."""
        wanted = self._take(source, target, kind)
        for sender, receiver, message in wanted:
            if self.places[receiver].peer is not None and (sender, receiver) not in self.cut:
                self.receive(sender, receiver, message)
        return len(wanted)

    def drop(self, source: ReplicaId = 0, target: ReplicaId = 0, kind: str = "") -> int:
        """Lose them instead."""
        return len(self._take(source, target, kind))

    def persist(self, replica: ReplicaId) -> bool:
        """The fsync of `replica` is done; False if none runs."""
        place = self.places[replica]
        ready, place.syncing = place.syncing, None
        if ready is None:
            return False
        self.say(f"{replica} synced #{ready.number}")
        place.disk.write(ready.records)
        self._send(replica, ready.gated)
        place.running.persisted(ready.number, self.now)
        self.drain(replica)
        return True

    def settle(self) -> None:
        """Deliver and sync until nothing moves."""
        busy = True
        while busy:
            busy = self.deliver() > 0
            for replica in self.places:
                busy = self.persist(replica) or busy

    def run(self, duration: Duration) -> None:
        """Let time pass in small steps, everything delivered at once."""
        end = self.now + duration
        while self.now < end:
            self.tick(min(10 * MILLISECOND, end - self.now))
            self.settle()

    def elect(self, replica: ReplicaId) -> None:
        """Make `replica` master, at rest."""
        for _ in range(100):
            if self.peer(replica).role is Role.MASTER and self.peer(replica).lease_until > self.now:
                self.run(200 * MILLISECOND)
                return
            wake = self.peer(replica).wake_at
            only = [replica] if self.peer(replica).role is Role.FOLLOWER else list(self.places)
            self.tick(max(0, wake - self.now) if wake != NEVER else 10 * MILLISECOND, only)
            self.settle()
        raise AssertionError(f"{replica} is not elected: {self.peer(replica).status(self.now)}")

    def snapshot(self, replica: ReplicaId, keep_log: bool = False) -> None:
        """Take a snapshot; unless `keep_log`, what no transfer needs of the log before it goes from memory."""
        place = self.places[replica]
        image = Image(place.machine, bytes(80)).encode()
        place.disk.keep(place.machine, image)
        place.running.snapshot_taken(place.machine.slot, len(image))
        if not keep_log:
            station = place.running._station
            station.log.compact(station.supplier.needed(place.machine.slot), 0)
            station.electorate.forget_below(station.log.first - 1)
        self.drain(replica)

    # --- outputs -------------------------------------------------------------------------------------------------

    def drain(self, replica: ReplicaId) -> None:
        """Take every `Ready` and do what it asks, but for the fsync."""
        place = self.places[replica]
        while (ready := place.running.take_ready(self.now)) is not None:
            for line in ready_words(ready):
                self.say(f"{replica} {line}")
            assert not ready.number or place.syncing is None, "one fsync at a time"
            place.syncing = ready if ready.number else place.syncing
            self._send(replica, ready.messages)
            for entry in ready.chosen:
                place.machine = place.machine.apply(entry)
            for request in ready.snapshot_requests:
                if isinstance(request, ReadChunk):
                    self._read(replica, request)
                else:
                    self._store(place, request.slot, request.offset, request.size, request.data)

    def _read(self, replica: ReplicaId, request: ReadChunk) -> None:
        data = self.places[replica].disk.images.get(request.slot)
        if data is None:
            self.peer(replica).snapshot_gone(request.to)
        else:
            part = data[request.offset : request.offset + CHUNK]
            chunk = SnapshotChunk(request.slot, request.offset, len(data), part)
            self._send(replica, (Envelope(request.to, chunk),))

    def _store(self, place: Place, slot: int, offset: int, size: int, data: bytes) -> None:
        if offset == 0:
            place.fetched.clear()
        place.fetched += data
        if len(place.fetched) < size:
            place.running.chunk_stored(slot, self.now)
            return
        image = Image.decode(bytes(place.fetched))
        if image is None or not place.running.lacks(slot):
            place.running.snapshot_rejected(self.now)
            return
        assert image.machine.configuration is not None
        place.disk.keep(image.machine, bytes(place.fetched))
        place.machine = image.machine
        place.running.snapshot_installed(slot, size, image.machine.configuration, self.now)

    def _send(self, sender: ReplicaId, envelopes: Iterable[Envelope]) -> None:
        for envelope in envelopes:
            self.queue.append((sender, envelope.to, envelope.message))
            self.sent.append((sender, envelope.to, envelope.message))

    def _take(self, source: ReplicaId, target: ReplicaId, kind: str) -> list[tuple[ReplicaId, ReplicaId, Message]]:
        wanted: list[tuple[ReplicaId, ReplicaId, Message]] = []
        rest: list[tuple[ReplicaId, ReplicaId, Message]] = []
        for item in self.queue:
            fits = source in (0, item[0]) and target in (0, item[1]) and kind in ("", type(item[2]).__name__)
            (wanted if fits else rest).append(item)
        self.queue = rest
        return wanted
