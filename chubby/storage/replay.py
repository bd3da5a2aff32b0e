"""From the segments on disk to what Paxos goes on with: one pass, every byte verified (DESIGN §3 Disk).

`replay` reads; `take_over` then writes the records of the last segment that holds any into a fresh one. Why copy what
verifies? After a crash of the process alone, the last record may verify from the page cache and still not be on disk;
and if its sync had failed, a later sync of the same pages proves nothing. A vote may rest on it only when it has been
written and synced once more. Records before it need no copy: the next one was begun only after they were synced.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Identity
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, LeaseRecord, PromisedRecord, Record
from chubby.storage.files import Files
from chubby.storage.manifest import Manifest
from chubby.storage.places import read_whole
from chubby.storage.records import SECTOR, Head, decode_batch, encode_record, stored_payload
from chubby.storage.scan import Scan, scan_segment
from chubby.storage.segment import WAL, Extent, Preparation, SegmentHeader, segment_name
from chubby.types.identity import Slot
from chubby.types.time import Duration


class Summary:
    """What all records so far come to, entries apart. Every segment opens with it, so that older ones can go."""

    def __init__(self) -> None:
        """Nothing recorded."""
        self.promised: Ballot = NO_BALLOT
        self.lease_bound: Duration = 0
        self.chosen: Slot = 0

    def add(self, records: Iterable[Record]) -> Slot:
        """Take `records` into account; returns the highest slot accepted among them, or 0."""
        highest = 0
        for record in records:
            match record:
                case AcceptedRecord(entry):
                    highest = max(highest, entry.slot)
                    # Accepting implies a promise of the ballot.
                    self.promised = max(self.promised, entry.ballot)
                case PromisedRecord(ballot):
                    self.promised = max(self.promised, ballot)
                case LeaseRecord(bound):
                    self.lease_bound = max(self.lease_bound, bound)
                case ChosenRecord(slot):
                    self.chosen = max(self.chosen, slot)
        return highest

    def records(self) -> tuple[Record, ...]:
        """The records that say all of it, to be carried into the next segment."""
        found: list[Record] = []
        if self.promised > NO_BALLOT:
            found.append(PromisedRecord(self.promised))
        if self.lease_bound:
            found.append(LeaseRecord(self.lease_bound))
        if self.chosen:
            found.append(ChosenRecord(self.chosen))
        return tuple(found)


class Replayed(msgspec.Struct, frozen=True):
    """What the segments hold.

    `entries`: the last accepted entry of each slot above the snapshot, in slot order. `sequence`: the last whole
    record's. `sealed`: the extents before the tail. `tail`: the last segment with a whole record, if there is one;
    `data` are its bytes and `scan` what they mean.
    """

    summary: Summary
    entries: tuple[Entry, ...]
    sequence: int
    sealed: tuple[Extent, ...]
    tail: Extent | None
    data: bytes
    scan: Scan | None
    warnings: tuple[str, ...]


class _Replay:
    """The pass over the segments, one after the other."""

    def __init__(
        self, files: Files, identity: Identity, manifest: Manifest, snapshot: Slot, trust_chosen: bool
    ) -> None:
        self._files = files
        self._identity = identity
        self._snapshot = snapshot
        self._entries: dict[Slot, Entry] = {}
        self._summary = Summary()
        self._doubted = manifest.contents.doubted
        self._trust_chosen = trust_chosen
        self._sequence = 0
        self._extents: list[Extent] = []
        self._data = b""
        self._scan: Scan | None = None
        self._warnings: list[str] = []
        self._ended = ""
        for number in manifest.contents.segments:
            self._read(number, manifest.contents.size(number))
        if self._sequence < manifest.contents.sequence:
            raise CorruptData(
                f"{files.describe(WAL)}: the log ends with record {self._sequence}; expected record "
                f"{manifest.contents.sequence} at least, which had been synced"
            )

    def result(self) -> Replayed:
        """What came of it."""
        return Replayed(
            self._summary,
            tuple(self._entries[slot] for slot in sorted(self._entries)),
            self._sequence,
            tuple(self._extents[:-1]),
            self._extents[-1] if self._extents else None,
            self._data,
            self._scan,
            tuple(self._warnings),
        )

    def _read(self, number: int, size: int) -> None:
        name = segment_name(number)
        place = self._files.describe(name)
        try:
            data = read_whole(self._files, name)
        except FileNotFoundError as error:
            raise CorruptData(f"{place}: missing; expected segment {number} of the log") from error
        if len(data) < size:
            raise CorruptData(f"{place}: {len(data)} bytes long; expected {size} at least, as it was made")
        # The first segment may begin anywhere, because older ones were pruned; the next begin where it ends.
        expected = self._sequence + 1 if self._extents else 0
        scan = scan_segment(data, self._identity, number, expected, place)
        if self._ended and not scan.blank:
            raise CorruptData(f"{place}: holds data; expected none, because the log ends before it: {self._ended}")
        if scan.torn:
            self._warnings.append(f"torn write: {scan.torn}")
        if scan.torn or scan.blank or not scan.heads:
            self._ended = scan.torn or f"{place} holds no record"
        if scan.heads:
            self._take(number, data, scan, place)

    def _take(self, number: int, data: bytes, scan: Scan, place: str) -> None:
        highest = 0
        for head in scan.heads:
            records = decode_batch(stored_payload(data, head), head.flags, f"{place}, offset {head.start}")
            if not self._trust_chosen or head.sequence <= self._doubted:
                records = tuple(record for record in records if not isinstance(record, ChosenRecord))
            highest = max(highest, self._summary.add(records))
            for record in records:
                if isinstance(record, AcceptedRecord) and record.entry.slot > self._snapshot:
                    self._entries[record.entry.slot] = record.entry
        self._sequence = scan.heads[-1].sequence
        self._extents.append(Extent(number, len(data), scan.used, highest))
        self._data = data
        self._scan = scan


def replay(
    files: Files, identity: Identity, manifest: Manifest, snapshot: Slot, *, trust_chosen: bool = True
) -> Replayed:
    """Read and verify the whole log; keep the entries above `snapshot`.

    Without `trust_chosen` nothing that was recorded of slots being chosen counts (see `SnapshotStore.let_go`).

    Raises `CorruptData` (file, offset, what was expected) if anything but a torn last write does not verify,
    `ForeignData` if a segment is another replica's or of a newer release. Changes nothing.
    """
    return _Replay(files, identity, manifest, snapshot, trust_chosen).result()


def take_over(
    files: Files, identity: Identity, manifest: Manifest, replayed: Replayed, size: int
) -> tuple[Preparation, int]:
    """Write the tail into a fresh segment, durable when this returns; the manifest then names it in the tail's place.

    Returns the fresh segment, filled, and how many bytes of it are in use (0: blank). Its file is open.
    """
    number = manifest.contents.segments[-1] + 1
    content = b""
    if replayed.scan is not None:
        content = _copy(SegmentHeader(identity, number, replayed.scan.heads[0].sequence), replayed)
    fresh = Preparation(files, number, max(size, len(content)))
    try:
        fresh.fill(content)
        files.sync_directory(WAL)
        kept = (extent.number for extent in replayed.sealed)
        manifest.update(segments=(*kept, number), sequence=replayed.sequence, size=fresh.size)
    except BaseException:
        fresh.file.close()
        raise
    return fresh, len(content)


def _copy(header: SegmentHeader, replayed: Replayed) -> bytes:
    """The tail's records, sealed anew for the segment of `header`: their seed changes, their payloads do not."""
    assert replayed.scan is not None, "there is a tail"
    seed = header.seed

    def again(head: Head) -> bytes:
        return encode_record(stored_payload(replayed.data, head), head.kind, head.flags, seed, head.sequence)

    content = b"".join((header.encode(), *map(again, replayed.scan.heads)))
    assert len(content) == replayed.scan.used >= 2 * SECTOR, "a copy is as long as what it copies"
    return content
