"""Catching up: by log while a peer's log reaches back, else by snapshot (DESIGN §3; Paxos Made Live §5.5).

The lagging side pulls; one request is under way at a time, and when it makes no progress the next one goes to another
replica. A snapshot is pulled chunk by chunk, from the source that offered it; one that is gone there (the source was
started again, or made to wait for too long) is answered by another offer, and the fetch begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from chubby.paxos.log import Log
from chubby.paxos.messages import CatchUp, Entries, FetchSnapshot, SnapshotChunk, SnapshotOffer
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant

ENTRIES_LIMIT = 1024 * 1024
"""About how many bytes of entries one answer carries."""
RETRY_AFTER: Duration = 500 * MILLISECOND
SNAPSHOT_RETRY_AFTER: Duration = 2 * SECOND
TRANSFER_PATIENCE: Duration = 60 * SECOND
"""So long a transfer holds what a silent peer needs: it has to verify and load what it fetched."""


class CatchingUp:
    """The lagging side."""

    def __init__(self, me: ReplicaId, log: Log, outbox: Outbox) -> None:
        """Nothing is missing yet."""
        self._me = me
        self._log = log
        self._outbox = outbox
        self._target: Slot = 0
        self._source: ReplicaId = 0
        self._offer: SnapshotOffer | None = None
        self._offset = 0
        self._installing = False
        self.retry_at: Instant = NEVER

    @property
    def under_way(self) -> bool:
        """Whether slots are known to be missing."""
        return self._target > self._log.chosen

    def missing(self, source: ReplicaId, upto: Slot, now: Instant) -> None:
        """`source` knows slots up to `upto` to be chosen and we do not."""
        self._target = max(self._target, upto)
        if self.under_way and self.retry_at == NEVER and self._offer is None and source != self._me:
            self._ask(source, now)

    def inquire(self, others: Sequence[ReplicaId], now: Instant) -> None:
        """Nobody tells us anything: ask the next replica whether there is something to tell."""
        if others and not self.under_way and self.retry_at == NEVER and self._offer is None:
            self._ask(self._next(others), now)

    def receive(self, sender: ReplicaId, message: Entries | SnapshotOffer | SnapshotChunk, now: Instant) -> None:
        """An answer came in."""
        match message:
            case Entries():
                self.on_entries(sender, message, now)
            case SnapshotOffer():
                self.on_offer(sender, message, now)
            case SnapshotChunk():
                self.on_chunk(sender, message)

    def on_entries(self, sender: ReplicaId, message: Entries, now: Instant) -> None:
        """The caller has learned the entries of `message`: ask on, or rest."""
        self._target = max(self._target, message.chosen)
        if sender != self._source or self._offer is not None:
            return
        if not self.under_way:
            self._rest()
        elif message.entries:
            self._ask(sender, now)

    def on_offer(self, sender: ReplicaId, message: SnapshotOffer, now: Instant) -> None:
        """The source's log does not reach back: fetch its snapshot from the beginning."""
        self._target = max(self._target, message.chosen)
        if sender != self._source or message.slot <= self._log.chosen or self._installing:
            return
        if self._offer is not None and (message.slot, message.size) == (self._offer.slot, self._offer.size):
            return  # the very snapshot that is being fetched
        self._offer = message
        self._offset = 0
        self._fetch(now)

    def on_chunk(self, sender: ReplicaId, message: SnapshotChunk) -> None:
        """Have the next part stored; anything else (late, repeated) is dropped."""
        offer = self._offer
        if offer is None or sender != self._source or (message.slot, message.offset) != (offer.slot, self._offset):
            return
        if message.size != offer.size or not message.data or message.offset + len(message.data) > offer.size:
            return
        self._offset += len(message.data)
        self._installing = self._offset == offer.size
        self.retry_at = NEVER
        self._outbox.snapshot_requests.append(StoreChunk(offer.slot, message.offset, offer.size, message.data))

    def chunk_stored(self, slot: Slot, now: Instant) -> None:
        """The last part is on disk: fetch the next one, if any."""
        if self._offer is not None and self._offer.slot == slot and not self._installing:
            self._fetch(now)

    def snapshot_done(self, now: Instant) -> None:
        """The fetched snapshot was installed, or thrown away as bad: go on with whatever is missing now."""
        source = self._source
        self._rest()
        if self.under_way:
            self._ask(source, now)

    def tick(self, now: Instant, others: Sequence[ReplicaId]) -> None:
        """No progress for too long: try the next replica."""
        if now < self.retry_at or not others:
            return
        self._offer = None
        if not self.under_way:
            self._rest()
            return
        self._ask(self._next(others), now)

    def _next(self, others: Sequence[ReplicaId]) -> ReplicaId:
        later = [replica for replica in others if replica > self._source]
        return later[0] if later else others[0]

    def _ask(self, source: ReplicaId, now: Instant) -> None:
        self._source = source
        self.retry_at = now + RETRY_AFTER
        self._outbox.send(source, CatchUp(self._log.chosen + 1))

    def _fetch(self, now: Instant) -> None:
        assert self._offer is not None, "only an offered snapshot is fetched"
        self.retry_at = now + SNAPSHOT_RETRY_AFTER
        self._outbox.send(self._source, FetchSnapshot(self._offer.slot, self._offset))

    def _rest(self) -> None:
        self._offer = None
        self._offset = 0
        self._installing = False
        self.retry_at = NEVER


class _Transfer:
    """A peer that is catching up from here: which snapshot it fetches, and the slot up to which it has everything."""

    __slots__ = ("heard", "position", "size", "snapshot")

    def __init__(self, snapshot: Slot, size: int, now: Instant) -> None:
        self.snapshot = snapshot
        self.size = size
        self.position = snapshot
        self.heard = now


class Supplier:
    """The side that has what others miss.

    A peer that fetches a snapshot needs the log behind it next. Both stay here until it has caught up, whatever newer
    snapshots are taken meanwhile (the shell pins the file, `needed` the log): else one whose transfer takes longer than
    a busy cell takes from snapshot to snapshot would begin anew for ever.
    """

    def __init__(self, log: Log, outbox: Outbox, snapshot: Slot, snapshot_size: int) -> None:
        """`snapshot` is the newest durable one, `snapshot_size` the bytes of its file."""
        self._log = log
        self._outbox = outbox
        self._transfers: dict[ReplicaId, _Transfer] = {}
        self.snapshot = snapshot
        self.snapshot_size = snapshot_size

    def needed(self, covered: Slot) -> Slot:
        """Up to which slot the log may go, of those up to `covered`, for all that transfers need."""
        return min([covered, *(transfer.position for transfer in self._transfers.values())])

    def tick(self, now: Instant) -> None:
        """Forget transfers that nobody goes on with."""
        late = [to for to, transfer in self._transfers.items() if now - transfer.heard > TRANSFER_PATIENCE]
        for to in late:
            del self._transfers[to]

    def on_catch_up(self, sender: ReplicaId, message: CatchUp, now: Instant) -> None:
        """Send entries, or offer a snapshot if the log no longer reaches back."""
        if message.first < self._log.first:
            self.gone(sender)
            return
        entries = self._log.chosen_from(message.first, ENTRIES_LIMIT)
        self._outbox.send(sender, Entries(entries, self._log.chosen))
        if entries and entries[-1].slot < self._log.chosen:
            if (transfer := self._transfers.get(sender)) is not None:
                transfer.position, transfer.heard = message.first - 1, now
        else:
            self._transfers.pop(sender, None)

    def on_fetch(self, sender: ReplicaId, message: FetchSnapshot, now: Instant) -> None:
        """Have a part of the snapshot read and sent; one that is gone is answered by offering the newest."""
        transfer = self._transfers.get(sender)
        if transfer is None or transfer.snapshot != message.slot:
            if message.slot != self.snapshot:
                self.gone(sender)
                return
            transfer = self._transfers[sender] = _Transfer(self.snapshot, self.snapshot_size, now)
        transfer.heard = now
        if 0 <= message.offset < transfer.size:
            self._outbox.snapshot_requests.append(ReadChunk(sender, message.slot, message.offset))

    def gone(self, sender: ReplicaId) -> None:
        """Offer what there is now."""
        self._transfers.pop(sender, None)
        self._outbox.send(sender, SnapshotOffer(self.snapshot, self.snapshot_size, self._log.chosen))
