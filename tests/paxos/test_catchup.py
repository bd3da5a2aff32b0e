"""Catching up by log and by snapshot, on the lagging and on the supplying side (DESIGN §3; Paxos Made Live §5.5)."""

from __future__ import annotations

from chubby.paxos.catchup import (
    ENTRIES_LIMIT,
    RETRY_AFTER,
    SNAPSHOT_RETRY_AFTER,
    TRANSFER_PATIENCE,
    CatchingUp,
    Supplier,
)
from chubby.paxos.log import Log
from chubby.paxos.messages import CatchUp, Entries, FetchSnapshot, Message, SnapshotChunk, SnapshotOffer
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.types.identity import ReplicaId
from chubby.types.time import NEVER
from tests.paxos.parts import NOW, entry

OFFER = SnapshotOffer(10, 100, 20)


class Side:
    """A log, an outbox and both roles."""

    def __init__(self, log: Log | None = None, snapshot: int = 0, size: int = 0) -> None:
        """Replica 3."""
        self.log = log or Log(0, [], 0)
        self.outbox = Outbox(3)
        self.lagging = CatchingUp(3, self.log, self.outbox)
        self.supplier = Supplier(self.log, self.outbox, snapshot, size)

    def sent(self) -> list[tuple[ReplicaId, Message]]:
        """Since the last call."""
        messages, self.outbox.messages = self.outbox.messages, []
        return [(envelope.to, envelope.message) for envelope in messages]

    def stored(self) -> list[tuple[int, int]]:
        """Slots and offsets of the parts to be stored since the last call."""
        requests, self.outbox.snapshot_requests = self.outbox.snapshot_requests, []
        return [(each.slot, each.offset) for each in requests if isinstance(each, StoreChunk)]

    def fetching(self) -> Side:
        """A fetch from replica 1 has begun."""
        self.lagging.missing(1, 20, NOW)
        self.lagging.on_offer(1, OFFER, NOW)
        assert self.sent() == [(1, CatchUp(1)), (1, FetchSnapshot(10, 0))]
        return self


def chunk(offset: int, slot: int = 10, length: int = 40, size: int = 100) -> SnapshotChunk:
    """A part of the snapshot."""
    return SnapshotChunk(slot, offset, size, bytes(length))


def test_one_request_at_a_time() -> None:
    """Every message of the master says that something is missing; one question is enough."""
    side = Side()
    for upto in (3, 4, 5):
        side.lagging.missing(1, upto, NOW)
    assert side.sent() == [(1, CatchUp(1))]


def test_nothing_is_asked_when_nothing_is_missing() -> None:
    """Nor of ourselves."""
    side = Side(Log(0, [entry(1)], 1))
    side.lagging.missing(1, 1, NOW)
    side.lagging.missing(3, 9, NOW)
    assert side.sent() == []
    assert side.lagging.retry_at == NEVER


def test_asks_on_until_it_has_all() -> None:
    """An answer is a part of what was asked."""
    side = Side()
    side.lagging.missing(1, 2, NOW)
    side.sent()
    side.log.choose(entry(1))
    side.lagging.on_entries(1, Entries((entry(1),), 2), NOW)
    assert side.sent() == [(1, CatchUp(2))]
    side.log.choose(entry(2))
    side.lagging.on_entries(1, Entries((entry(2),), 2), NOW)
    assert side.sent() == []
    assert side.lagging.retry_at == NEVER


def test_without_progress_the_next_replica_is_asked() -> None:
    """In turn, for ever."""
    side = Side()
    side.lagging.missing(2, 5, NOW)
    asked, now = [], NOW
    for _ in range(4):
        now += RETRY_AFTER
        side.lagging.tick(now - 1, (1, 2, 4))
        side.lagging.tick(now, (1, 2, 4))
        asked += [to for to, _ in side.sent()][-1:]
    assert asked == [4, 1, 2, 4]


def test_what_came_otherwise_ends_the_asking() -> None:
    """A master chooses what is missing itself; a follower may get it from another side. No question, no wake-up."""
    side = Side()
    side.lagging.missing(1, 1, NOW)
    side.sent()
    side.log.choose(entry(1))
    side.lagging.tick(NOW + RETRY_AFTER, (1, 2))
    assert side.sent() == []
    assert side.lagging.retry_at == NEVER


def test_a_snapshot_is_fetched_part_by_part() -> None:
    """Each part is stored before the next is asked for; after the last one it is installed."""
    side = Side().fetching()
    for offset, length in ((0, 40), (40, 40), (80, 20)):
        side.lagging.on_chunk(1, chunk(offset, length=length))
        assert side.stored() == [(10, offset)]
        assert side.sent() == []
        side.lagging.chunk_stored(10, NOW)
        assert side.sent() == ([(1, FetchSnapshot(10, offset + length))] if offset < 80 else [])
    assert side.lagging.retry_at == NEVER, "installing takes as long as it takes"
    side.log.reset(10)
    side.lagging.snapshot_done(NOW)
    assert side.sent() == [(1, CatchUp(11))]


def test_parts_that_do_not_fit_are_dropped() -> None:
    """Late, repeated, of another snapshot, from another source, empty, or reaching beyond the end."""
    side = Side().fetching()
    side.lagging.on_chunk(2, chunk(0))
    side.lagging.on_chunk(1, chunk(40))
    side.lagging.on_chunk(1, chunk(0, slot=9))
    side.lagging.on_chunk(1, chunk(0, size=99))
    side.lagging.on_chunk(1, chunk(0, length=0))
    side.lagging.on_chunk(1, chunk(0, length=101))
    assert side.stored() == []
    side.lagging.on_chunk(1, chunk(0))
    side.lagging.on_chunk(1, chunk(0))
    assert side.stored() == [(10, 0)]


def test_news_from_the_master_do_not_disturb_a_fetch() -> None:
    """Each commit says that slots are missing. While a part is being stored that must start nothing anew: the fetch
    would never end on a busy cell.
    """
    side = Side().fetching()
    side.lagging.on_chunk(1, chunk(0))
    side.lagging.missing(1, 30, NOW)
    side.lagging.missing(2, 31, NOW)
    assert side.sent() == []
    side.lagging.on_offer(1, OFFER, NOW)
    assert side.sent() == [], "the same offer again is no news"
    side.lagging.chunk_stored(10, NOW)
    assert side.sent() == [(1, FetchSnapshot(10, 40))]


def test_a_source_that_moved_on_is_followed() -> None:
    """Paxos Made Live §5.5: the fetch begins anew; what was stored for the old one says nothing."""
    side = Side().fetching()
    side.lagging.on_chunk(1, chunk(0))
    side.lagging.on_offer(1, SnapshotOffer(15, 70, 20), NOW)
    assert side.sent() == [(1, FetchSnapshot(15, 0))]
    side.lagging.chunk_stored(10, NOW)
    assert side.sent() == []
    side.stored()
    side.lagging.on_chunk(1, chunk(0, slot=15, size=70))
    assert side.stored() == [(15, 0)]


def test_a_silent_source_is_left() -> None:
    """After a longer while than for entries; then from the beginning."""
    side = Side().fetching()
    side.lagging.tick(NOW + SNAPSHOT_RETRY_AFTER - 1, (1, 2))
    assert side.sent() == []
    side.lagging.tick(NOW + SNAPSHOT_RETRY_AFTER, (1, 2))
    assert side.sent() == [(2, CatchUp(1))]
    side.lagging.on_chunk(1, chunk(0))
    assert side.stored() == []


def test_a_bad_snapshot_is_asked_for_again() -> None:
    """`snapshot_rejected`: it did not verify."""
    side = Side().fetching()
    side.lagging.on_chunk(1, chunk(0, length=100))
    side.lagging.chunk_stored(10, NOW)
    side.lagging.snapshot_done(NOW)
    assert side.sent() == [(1, CatchUp(1))]


def test_an_offer_below_what_we_have_is_refused() -> None:
    """It would set us back."""
    side = Side(Log(10, [], 0))
    side.lagging.missing(1, 20, NOW)
    side.sent()
    side.lagging.on_offer(1, OFFER, NOW)
    assert side.sent() == []


def test_while_installing_no_offer_is_taken() -> None:
    """The shell is at work on the last one."""
    side = Side().fetching()
    side.lagging.on_chunk(1, chunk(0, length=100))
    side.lagging.on_offer(1, SnapshotOffer(15, 70, 20), NOW)
    assert side.sent() == []


def test_supplier_sends_entries_while_the_log_reaches_back() -> None:
    """Else it offers its snapshot."""
    side = Side(Log(5, [entry(6), entry(7), entry(8)], 7), snapshot=5, size=50)
    side.supplier.on_catch_up(1, CatchUp(7), NOW)
    side.supplier.on_catch_up(1, CatchUp(9), NOW)
    side.supplier.on_catch_up(1, CatchUp(5), NOW)
    assert side.sent() == [
        (1, Entries((entry(7),), 7)),
        (1, Entries((), 7)),
        (1, SnapshotOffer(5, 50, 7)),
    ]


def test_supplier_reads_only_what_it_has() -> None:
    """Another snapshot's reader is offered the newest; an offset out of range gets nothing."""
    side = Side(Log(5, [], 5), snapshot=5, size=50)
    side.supplier.on_fetch(1, FetchSnapshot(5, 20), NOW)
    assert side.outbox.snapshot_requests == [ReadChunk(1, 5, 20)]
    side.supplier.on_fetch(1, FetchSnapshot(5, 50), NOW)
    side.supplier.on_fetch(1, FetchSnapshot(5, -1), NOW)
    assert len(side.outbox.snapshot_requests) == 1
    side.supplier.on_fetch(1, FetchSnapshot(4, 0), NOW)
    assert side.sent() == [(1, SnapshotOffer(5, 50, 5))]


def test_a_transfer_goes_on_whatever_newer_snapshots_are_taken() -> None:
    """DESIGN §3 Disk: "a transfer pins its source". Only who was at it may go on; who begins gets the newest."""
    side = Side(Log(5, [entry(slot) for slot in range(6, 31)], 30), snapshot=5, size=50)
    side.supplier.on_fetch(1, FetchSnapshot(5, 0), NOW)
    side.supplier.snapshot, side.supplier.snapshot_size = 20, 70
    side.supplier.on_fetch(1, FetchSnapshot(5, 40), NOW)
    assert side.outbox.snapshot_requests == [ReadChunk(1, 5, 0), ReadChunk(1, 5, 40)] and side.sent() == []
    side.supplier.on_fetch(1, FetchSnapshot(5, 50), NOW)
    side.supplier.on_fetch(2, FetchSnapshot(5, 0), NOW)
    assert len(side.outbox.snapshot_requests) == 2, "beyond its end there is nothing, and others are too late"
    assert side.sent() == [(2, SnapshotOffer(20, 70, 30))]


def test_the_log_behind_a_transfer_stays_until_its_peer_has_caught_up() -> None:
    """A snapshot without the log behind it would only lead to the next snapshot."""
    big = [entry(slot, 1, "x" * ENTRIES_LIMIT) for slot in range(6, 10)]
    side = Side(Log(5, big, 9), snapshot=5, size=50)
    assert side.supplier.needed(8) == 8, "nobody needs anything"
    side.supplier.on_fetch(1, FetchSnapshot(5, 0), NOW)
    assert side.supplier.needed(8) == 5 and side.supplier.needed(3) == 3
    side.supplier.on_catch_up(1, CatchUp(6), NOW)
    assert side.supplier.needed(8) == 5, "the answer may be lost: what was asked for is still needed"
    side.supplier.on_catch_up(1, CatchUp(8), NOW)
    assert side.supplier.needed(8) == 7
    side.supplier.on_catch_up(1, CatchUp(9), NOW)
    assert side.supplier.needed(8) == 8, "the last entry is on its way: this one lags no more than others"


def test_a_transfer_that_nobody_goes_on_with_holds_nothing() -> None:
    """A peer that died in the middle must not keep the log from being cut for ever."""
    side = Side(Log(5, [entry(6)], 6), snapshot=5, size=50)
    side.supplier.on_fetch(1, FetchSnapshot(5, 0), NOW)
    side.supplier.tick(NOW + TRANSFER_PATIENCE)
    assert side.supplier.needed(6) == 5
    side.supplier.tick(NOW + TRANSFER_PATIENCE + 1)
    assert side.supplier.needed(6) == 6
    side.supplier.on_fetch(1, FetchSnapshot(5, 10), NOW)
    side.supplier.gone(1)
    assert side.supplier.needed(6) == 6, "the file is gone, so there is nothing to go on with"
