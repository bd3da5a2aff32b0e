"""A replica's busy day on disk, to be cut short anywhere: what it did is known, so what must be left is known too.

The day has everything in it that touches files: a format, a start, appends that roll over to new segments (prepared
ahead or in haste), a record longer than a segment, snapshots written and received, pruning with and without a pin, and
a restart in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator

from chubby.paxos.ready import ChosenRecord, LeaseRecord, PromisedRecord, Recovered
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.life import OpenedDirectory
from chubby.storage.snapshot_format import SnapshotEncoder
from chubby.storage.snapshot_reader import exhaust
from chubby.types.identity import Slot
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import Operation
from tests.storage.samples import (
    Batch,
    accepted,
    ballot,
    expected,
    formatted,
    header,
    reopened,
    same_log,
    slices,
    snapshot,
)

SEGMENT = 2048


class Story:
    """One day, and what of it the disk has promised to keep."""

    def __init__(self) -> None:
        """A new disk."""
        self.files = FakeFiles()
        self.formatted = False
        self.kept: list[Batch] = []
        self.pending: Batch | None = None
        self.base: Slot = 0
        self.pending_base: Slot = 0
        self.ended_before = Operation("", "")
        self._slot = 0

    def run(self) -> None:
        """Live the day; whatever interference raises ends it."""
        formatted(self.files, SEGMENT)
        self.formatted = True
        opened = reopened(self.files, SEGMENT)
        self._append(opened, (PromisedRecord(ballot(1)), LeaseRecord(7)))
        self._work(opened, 5)
        while opened.wal.tend():
            pass
        self._work(opened, 4)
        self._snapshot(opened, 4)
        self._work(opened, 3, size=900)
        opened.snapshots.pin(0)
        self._snapshot(opened, 8)
        opened.prune()
        opened.snapshots.unpin(0)
        self._work(opened, 1, size=3 * SEGMENT)
        opened.prune()
        opened.close()
        opened = reopened(self.files, SEGMENT)
        self._work(opened, 4)
        self._receive(opened, 30)
        self._slot = 30
        self._work(opened, 6)
        opened.prune()
        self._snapshot(opened, 33)
        opened.prune()
        self._append(opened, (PromisedRecord(ballot(4)),))
        opened.close()

    def check(self) -> Recovered | None:
        """What is on disk now is what was promised, perhaps with what was under way; returns it, if there is a life."""
        with DataDirectory(self.files) as directory:
            condition = directory.inspect().condition
        if condition is Condition.EMPTY:
            assert not self.formatted, "a formatted directory never turns empty"
            return None
        opened = reopened(self.files, SEGMENT)
        found = opened.recovered
        assert any(same_log(found, wanted) for wanted in self._legal()), f"recovered {found}"
        assert all(warning.startswith("torn write: ") for warning in opened.warnings), "a crash looks like no rot"
        if found.snapshot:
            with opened.snapshots.reader(found.snapshot) as reader:
                assert tuple(reader.slices()) == slices(found.snapshot)
        opened.close()
        assert self.files.open_files == 0, "whatever is opened is closed"
        return found

    def _legal(self) -> Iterator[Recovered]:
        under_way = [] if self.pending is None else [self.pending]
        for base in {self.base, self.pending_base}:
            yield expected(self.kept, base)
            yield expected([*self.kept, *under_way], base)

    def _append(self, opened: OpenedDirectory, batch: Batch) -> None:
        self.pending = batch
        opened.wal.append(batch)
        self.kept.append(batch)
        self.pending = None

    def _work(self, opened: OpenedDirectory, count: int, size: int = 40) -> None:
        """Some batches of two entries each; the older of the two is known to be chosen by then."""
        for _ in range(count):
            first = self._slot + 1
            self._slot += 2
            self._append(opened, (accepted(first, size=size), ChosenRecord(first - 1), accepted(first + 1)))

    def _snapshot(self, opened: OpenedDirectory, slot: Slot) -> None:
        self.pending_base = slot
        snapshot(opened, slot)
        self.base = slot

    def _receive(self, opened: OpenedDirectory, slot: Slot) -> None:
        """A snapshot comes from another replica, in chunks; what it covers was never seen here."""
        self.pending_base = slot
        encoder = SnapshotEncoder(header(slot))
        data = b"".join((encoder.header, *map(encoder.block, slices(slot)), encoder.footer()))
        sink = opened.snapshots.sink(slot, len(data))
        for offset in range(0, len(data), 100):
            sink.store(offset, data[offset : offset + 100])
        sink.verify(exhaust)
        sink.install()
        self.base = slot
