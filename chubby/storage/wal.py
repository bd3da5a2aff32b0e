"""The write-ahead log: `append` makes a batch durable with one write and one fdatasync (DESIGN §3 Disk).

The critical path is exactly those two system calls, into space zeroed long before. Everything else waits for a quiet
moment: `tend` zeroes the next segment in steps of 1 MiB, each synced, and is called by the shell after it has reported
a batch as persisted. If the shell never finds the time, `append` does the rest of it when it needs the space.

A failed write or sync leaves nobody knowing what is on disk, so the log then refuses everything: the replica stops, and
what a restart reads and writes again is the truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from chubby.errors import StorageFailed
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import AcceptedRecord, Record
from chubby.storage.faults import explain
from chubby.storage.files import File, Files
from chubby.storage.manifest import Manifest
from chubby.storage.places import remove_tree
from chubby.storage.records import SECTOR, encode_batch
from chubby.storage.replay import Replayed, Summary, take_over
from chubby.storage.segment import SEGMENT_SIZE, WAL, Extent, Preparation, SegmentHeader, segment_name, zero
from chubby.types.identity import Slot

PART_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of values after which a batch goes on in another record. A disk that stands still for long while a follower is
sent one slot after the other makes such batches; a record has its own limit, `PAYLOAD_LIMIT`."""
_FEW: Final = 4
"""So few records are never too long together: each came in one frame from a peer."""


class WalStatistics(msgspec.Struct, frozen=True):
    """How the log stands. `bytes` counts what is in use in all segments kept; `appended` what this process wrote."""

    segments: int
    bytes: int
    sequence: int
    appends: int
    appended: int
    prepared: bool


class _Active:
    """The segment being filled."""

    def __init__(self, identity: Identity, file: File, number: int, size: int, first: int) -> None:
        self.file = file
        self.number = number
        self.size = size
        self.used = 0
        self.highest: Slot = 0
        self._header = SegmentHeader(identity, number, first)
        self.seed = self._header.seed

    @property
    def blank(self) -> bool:
        """Whether nothing was written yet; the first record then brings the header along."""
        return self.used == 0

    def room(self) -> int:
        """How long a record still fits, in bytes."""
        return self.size - max(self.used, SECTOR)

    def enlarge(self, length: int) -> None:
        """Make room for a record of `length` bytes."""
        size = self.size + length - self.room()
        self.file.allocate(size)
        self.size = zero(self.file, self.size, size)

    def write(self, record: bytes) -> None:
        """Append and make durable."""
        data = record if self.used else self._header.encode() + record
        self.file.write(self.used, data)
        self.file.sync()
        self.used += len(data)

    def extent(self) -> Extent:
        """The segment as it stands."""
        return Extent(self.number, self.size, self.used, self.highest)


class Wal:
    """One replica's log, open for appending.

    Invariants: the active segment and, once prepared, its successor are the last two the manifest names; every record
    is durable before the next one is begun; the first record of each segment says everything the ones before it said,
    entries apart.
    """

    def __init__(
        self,
        files: Files,
        identity: Identity,
        manifest: Manifest,
        replayed: Replayed,
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        """Take over what `replay` found: on return its tail is in a fresh segment and durable.

        Raises OSError; the caller says what failed. `segment_size` is in bytes; a longer record gets a longer segment.
        """
        assert segment_size >= 2 * SECTOR, "a segment holds its header and a record"
        self._files = files
        self._identity = identity
        self._manifest = manifest
        self._segment_size = segment_size
        self._summary: Summary = replayed.summary
        self._sequence = replayed.sequence
        self._sealed = list(replayed.sealed)
        fresh, used = take_over(files, identity, manifest, replayed, segment_size)
        first = replayed.scan.heads[0].sequence if replayed.scan is not None else self._sequence + 1
        self._active = _Active(identity, fresh.file, fresh.number, fresh.size, first)
        self._active.used = used
        self._active.highest = replayed.tail.highest if replayed.tail is not None else 0
        self._preparation: Preparation | None = None
        self._prepared: Preparation | None = None
        self._failure = ""
        self._appends = 0
        self._appended = 0

    def append(self, records: Sequence[Record]) -> None:
        """Append one batch, in order; durable when this returns. A very long one becomes several records.

        Raises `StorageFailed` if the disk refused, now or earlier; the log then takes nothing any more.
        """
        self._refuse_after_failure()
        try:
            for part in _parts(records):
                self._append(part)
        except OSError as error:
            raise self._fail(f"appending to {self._place(self._active.number)}", error) from error

    def tend(self) -> bool:
        """Do one step of what would otherwise delay an append: at most 1 MiB is written and synced.

        Returns whether more is to be done. Raises `StorageFailed` as `append` does.
        """
        self._refuse_after_failure()
        try:
            return self._tend()
        except OSError as error:
            raise self._fail(f"preparing {self._place(self._active.number + 1)}", error) from error

    @property
    def tended(self) -> bool:
        """Whether the next segment is ready."""
        return self._prepared is not None

    def prune(self, floor: Slot) -> int:
        """Remove the oldest segments, as long as nothing in them was accepted above slot `floor`; returns how many.

        The caller vouches that a verified snapshot at or above `floor` is kept, and that every snapshot below it is
        gone from the manifest. Raises `StorageFailed` as `append` does.
        """
        self._refuse_after_failure()
        assert all(slot >= floor for slot in self._manifest.contents.snapshots), "snapshots below the floor are gone"
        kept = next((index for index, each in enumerate(self._sealed) if each.highest > floor), len(self._sealed))
        if not kept:
            return 0
        dropped = self._sealed[:kept]
        try:
            self._manifest.update(segments=self._manifest.contents.segments[kept:], floor=floor)
            for extent in dropped:
                remove_tree(self._files, segment_name(extent.number))
        except OSError as error:
            raise self._fail(f"pruning {self._files.describe(WAL)}", error) from error
        del self._sealed[:kept]
        return kept

    def bytes_above(self, slot: Slot) -> int:
        """About how much log a restart from a snapshot at `slot` would have to go through, in bytes."""
        extents = (*self._sealed, self._active.extent())
        return sum(extent.used for extent in extents if extent.highest > slot)

    def statistics(self) -> WalStatistics:
        """How the log stands, for status and metrics."""
        return WalStatistics(
            segments=len(self._manifest.contents.segments),
            bytes=sum(extent.used for extent in self._sealed) + self._active.used,
            sequence=self._sequence,
            appends=self._appends,
            appended=self._appended,
            prepared=self.tended,
        )

    def close(self) -> None:
        """Close the files. Whatever `append` returned from is durable; nothing else is promised."""
        self._active.file.close()
        for preparation in (self._preparation, self._prepared):
            if preparation is not None:
                preparation.file.close()
        self._failure = self._failure or "the log is closed"

    def _append(self, records: Sequence[Record]) -> None:
        record = self._encode(records)
        if len(record) > self._active.room():
            record = self._make_room(record, records)
        active = self._active
        active.write(record)
        self._sequence += 1
        active.highest = max(active.highest, self._summary.add(records))
        self._appends += 1
        self._appended += len(record)

    def _make_room(self, record: bytes, records: Sequence[Record]) -> bytes:
        """Go on in the next segment, made longer if need be; returns the record as it is there."""
        if not self._active.blank:
            self._roll()
            record = self._encode(records)
        if len(record) > self._active.room():
            self._active.enlarge(len(record))
        return record

    def _encode(self, records: Sequence[Record]) -> bytes:
        opening = self._summary.records() if self._active.blank else ()
        return encode_batch((*opening, *records), self._active.seed, self._sequence + 1)

    def _roll(self) -> None:
        """Make the next segment the active one; its first record will bring its header."""
        while self._tend():
            pass
        assert self._prepared is not None, "tending ends with a segment prepared"
        self._sealed.append(self._active.extent())
        self._active.file.close()
        fresh, self._prepared = self._prepared, None
        self._active = _Active(self._identity, fresh.file, fresh.number, fresh.size, self._sequence + 1)

    def _tend(self) -> bool:
        if self._prepared is not None:
            return False
        if self._preparation is None:
            self._preparation = Preparation(self._files, self._active.number + 1, self._segment_size)
            return True
        if not self._preparation.step():
            return True
        self._files.sync_directory(WAL)
        segments = (*self._manifest.contents.segments, self._preparation.number)
        self._manifest.update(segments=segments, sequence=self._sequence, size=self._preparation.size)
        self._prepared, self._preparation = self._preparation, None
        return False

    def _refuse_after_failure(self) -> None:
        if self._failure:
            raise StorageFailed(f"{self._files.describe(WAL)} takes nothing any more, because {self._failure}")

    def _fail(self, doing: str, error: OSError) -> StorageFailed:
        self._failure = explain(doing, error)
        return StorageFailed(self._failure)

    def _place(self, number: int) -> str:
        return self._files.describe(segment_name(number))


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """A batch as what each of its records on disk shall hold: mostly all of it."""
    if len(records) <= _FEW:
        yield records
        return
    begin = size = 0
    for index, record in enumerate(records):
        length = sum(map(len, record.entry.value.payloads)) if isinstance(record, AcceptedRecord) else 0
        if size + length > PART_LIMIT and index > begin:
            yield records[begin:index]
            begin, size = index, 0
        size += length
    yield records[begin:]
