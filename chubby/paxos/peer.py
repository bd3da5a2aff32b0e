"""One replica's Paxos behind one door: inputs in, one immutable `Ready` out (DESIGN §3).

`Peer` keeps the discipline of output: messages that claim something about this replica's disk are held back until the
records before them are durable, and while one `Ready`'s records are on their way to disk no further ones are handed
out, which is how batches form by themselves. What the messages say is the `Station`'s business.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.electorate import Electorate
from chubby.paxos.membership import Membership
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, Message
from chubby.paxos.ready import Envelope, Ready, Record, Recovered, Role
from chubby.paxos.station import Station
from chubby.types.identity import CellId, ReplicaId, Slot
from chubby.types.limits import SLOW_SYNC
from chubby.types.time import NEVER, Instant

KEEP_BYTES = 8 * 1024 * 1024
"""How much of the log below a snapshot stays in memory, for peers that lag a little."""
HOLD_BYTES = 256 * 1024 * 1024
"""How much of it stays at most for peers that are fetching an older snapshot."""


class PeerStatus(msgspec.Struct, frozen=True):
    """What `Peer.status` tells. `progress` is (replica, chosen, last heard) per member, known to a master alone."""

    role: Role
    master: ReplicaId
    ballot: Ballot
    promised: Ballot
    chosen: Slot
    first: Slot
    log_bytes: int
    undecided: int
    lease_until: Instant
    configuration: Configuration | None
    margin: int | None
    progress: tuple[tuple[ReplicaId, Slot, Instant | None], ...]


class Peer:
    """The replicated log of one replica, sans-IO."""

    def __init__(
        self,
        me: Member,
        cell: CellId,
        recovered: Recovered,
        *,
        bootstrap: tuple[ReplicaId, ...],
        now: Instant,
        jitter: Callable[[], float],
    ) -> None:
        """`me` carries this replica's addresses for joining, `bootstrap` the replicas its configuration file
        names; `jitter` gives a number in [0, 1).

        What `recovered` knows to be chosen comes with the first `Ready`.
        """
        self._station = Station(me, cell, recovered, bootstrap=bootstrap, now=now, jitter=jitter)
        self._handed_out = 0
        self._syncing_since: Instant = NEVER
        self._held_back: list[Message] = []

    # --- what others may look at ---------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Which cell's which replica in which life this is."""
        return self._station.identity

    @property
    def role(self) -> Role:
        """Candidate, master, ..."""
        return self._station.role

    @property
    def master(self) -> ReplicaId:
        """Who is master as far as this replica knows; 0 if nobody is known."""
        return self._station.master

    @property
    def term(self) -> Ballot:
        """The ballot under which this replica's present office began; NO_BALLOT while it has none."""
        return self._station.office.since if self._station.role is Role.MASTER else NO_BALLOT

    @property
    def electorate(self) -> Electorate:
        """The configurations it knows."""
        return self._station.electorate

    @property
    def membership(self) -> Membership:
        """What a master judges changes of members by."""
        return self._station.membership

    @property
    def chosen(self) -> Slot:
        """Every slot up to this one is known to be chosen."""
        return self._station.log.chosen

    def entry(self, slot: Slot) -> Entry | None:
        """What the log holds at `slot`, chosen or merely accepted; None if nothing, or no more. For checkers."""
        return self._station.log.get(slot)

    @property
    def lease_until(self) -> Instant:
        """The end of the master lease; 0 for whoever is not master."""
        return self._station.office.lease.until if self._station.role is Role.MASTER else 0

    @property
    def releasing(self) -> bool:
        """Whether a hand-over is under way: nothing more is proposed."""
        return self._station.office.releasing

    @property
    def expelled(self) -> bool:
        """Whether this incarnation was a member, and is none any more."""
        return self._station.belonging.expelled

    def status(self, now: Instant) -> PeerStatus:
        """An immutable picture for displays and checkers."""
        configuration = self._station.electorate.latest if self._station.electorate.known else None
        progress = self._station.membership.progress
        return PeerStatus(
            role=self._station.role,
            master=self._station.master,
            ballot=self._station.proposer.ballot,
            promised=self._station.acceptor.promised,
            chosen=self._station.log.chosen,
            first=self._station.log.first,
            log_bytes=self._station.log.bytes,
            undecided=self._station.proposer.undecided,
            lease_until=self.lease_until,
            configuration=configuration,
            margin=self._station.membership.margin(now) if self._station.role is Role.MASTER else None,
            progress=tuple(
                (member.replica, progress.chosen(member), progress.last_heard(member))
                for member in (configuration.members if configuration else ())
            ),
        )

    @property
    def wake_at(self) -> Instant:
        """When `tick` has something to do at the latest."""
        return self._station.wake_at

    # --- inputs --------------------------------------------------------------------------------------------------

    def receive(self, sender: ReplicaId, message: Message, now: Instant) -> None:
        """Handle a message of another replica."""
        self._station.handle(sender, message, now)
        self._station.settle(now)

    def propose(self, payload: bytes) -> bool:
        """Queue a command for the next batch; False if this replica cannot propose now (it took no effect)."""
        if self._station.role is not Role.MASTER or self.releasing:
            return False
        self._station.proposer.enqueue(payload)
        return True

    def reconfigure(self, wanted: Configuration, now: Instant) -> str | None:
        """Propose a change of members; None if it is on its way, else the reason for refusing it."""
        return self._station.reconfigure(wanted, now)

    def hand_over(self, now: Instant, successor: ReplicaId = 0) -> None:
        """Give mastership away in good order: propose nothing more, wait briefly for what is in flight, release the
        lease.
        """
        if self._station.role is Role.MASTER:
            self._station.office.begin_release(successor, now)
            self._station.settle(now)

    def persisted(self, number: int, now: Instant) -> None:
        """The records of the `Ready` with this number are durable."""
        assert number == self._handed_out and self._syncing_since != NEVER, "completions come once, in order"
        self._syncing_since = NEVER
        if not self._station.outbox.records:
            self._station.acceptor.synced()
        held_back, self._held_back = self._held_back, []
        for message in held_back:
            self._station.handle(self._station.identity.replica, message, now)
        self._station.settle(now)

    def tick(self, now: Instant) -> None:
        """Fire what is due. After a stall the caller first drains its inputs (DESIGN §3 Master lease)."""
        if now - self._syncing_since > SLOW_SYNC:
            self.hand_over(now)
        self._station.tick(now)
        self._station.settle(now)

    def snapshot_taken(self, slot: Slot, size: int) -> None:
        """A snapshot of our own is durable and verified: the log before it may go, but for what transfers need."""
        supplier, log = self._station.supplier, self._station.log
        if slot > supplier.snapshot:
            supplier.snapshot, supplier.snapshot_size = slot, size
            log.compact(supplier.needed(slot), KEEP_BYTES)
            log.compact(slot, HOLD_BYTES)
            self._station.electorate.forget_below(log.first - 1)

    def chunk_stored(self, slot: Slot, now: Instant) -> None:
        """A `StoreChunk` was carried out."""
        self._station.catching_up.chunk_stored(slot, now)

    def snapshot_gone(self, to: ReplicaId) -> None:
        """A `ReadChunk` found its snapshot gone."""
        self._station.supplier.gone(to)

    def snapshot_rejected(self, now: Instant) -> None:
        """A fetched snapshot did not verify."""
        self._station.catching_up.snapshot_done(now)

    def lacks(self, slot: Slot) -> bool:
        """Whether a fetched snapshot at `slot` would still bring this replica ahead. To be asked before the caller's
        state is replaced, in the same step as `snapshot_installed`: entries may have come in otherwise meanwhile, or
        this replica may have become master, which chooses what is missing itself. If not: `snapshot_rejected`.
        """
        return slot > self._station.log.chosen and self._station.role is not Role.MASTER

    def snapshot_installed(self, slot: Slot, size: int, configuration: Configuration, now: Instant) -> None:
        """A fetched snapshot is durable, and the caller's state is now the one at `slot` (see `lacks`)."""
        if self.lacks(slot):
            self._station.overtaken(slot, configuration, now)
            self._station.supplier.snapshot, self._station.supplier.snapshot_size = slot, size
        self._station.catching_up.snapshot_done(now)
        self._station.settle(now)

    def take_ready(self, now: Instant) -> Ready | None:
        """The next step's output, or None. Records and gated messages come only when no earlier ones are being made
        durable.
        """
        accepts_sent = False
        while self._syncing_since == NEVER:
            if self._station.proposer.pump(now):
                accepts_sent = True
                self._station.settle(now)
            self._station.acceptor.flush_votes()
            if self._station.outbox.records or not self._station.outbox.looped_gated:
                break
            looped, self._station.outbox.looped_gated = self._station.outbox.looped_gated, []
            for message in looped:
                self._station.handle(self._station.identity.replica, message, now)
            self._station.settle(now)
        if self._station.role is Role.MASTER:
            self._station.office.tell_chosen(self._station.proposer.spoken, accepts_sent, now)
        return self._hand_out(now)

    # --- inside: output ------------------------------------------------------------------------------------------

    def _hand_out(self, now: Instant) -> Ready | None:
        outbox = self._station.outbox
        if outbox.empty:
            return None
        records: tuple[Record, ...] = ()
        gated: tuple[Envelope, ...] = ()
        if self._syncing_since == NEVER:
            if outbox.records:
                self._station.learner.record()
                self._syncing_since = now
                self._handed_out += 1
                records, outbox.records = tuple(outbox.records), []
                gated, outbox.gated = tuple(outbox.gated), []
                self._held_back, outbox.looped_gated = outbox.looped_gated, []
            else:
                outbox.messages += outbox.gated
                outbox.gated.clear()
        messages, outbox.messages = tuple(outbox.messages), []
        chosen, outbox.chosen = tuple(outbox.chosen), []
        requests, outbox.snapshot_requests = tuple(outbox.snapshot_requests), []
        if not (records or messages or gated or chosen or requests):
            return None
        return Ready(self._handed_out if records else 0, records, messages, gated, chosen, requests)
