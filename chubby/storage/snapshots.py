"""The snapshots a replica keeps: two verified ones, and those that a transfer has pinned (DESIGN §3 Disk).

Why two: the newest may rot, and then the one before it and the log since are as good. So the log is kept back to the
older of the two: `SnapshotStore.prune` says how far, and the log's own `prune` follows, in that order.

Each is verified when it is installed, and again after every start: the newest before anything rests on it, in the pass
that loads it (`audit`); the older one when the replica is up (`recheck`), for a start is not to wait for a spare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.configuration import Identity
from chubby.paxos.messages import SnapshotChunk
from chubby.storage.faults import ForeignData, disk_errors, explain
from chubby.storage.files import File, Files
from chubby.storage.manifest import Manifest
from chubby.storage.places import join, remove_tree
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_reader import Load, SnapshotReader, exhaust
from chubby.storage.snapshot_writer import ChunkSink, Part, SnapshotWriter
from chubby.types.identity import Slot

SNAPSHOTS: Final = "snapshots"
"""The folder of snapshots."""
KEPT: Final = 2
"""How many verified snapshots are kept."""
ROTTEN: Final = ".rotten"
"""Added to the name of a snapshot that no longer verifies; the last one is kept for inspection."""

_OWN: Final = join(SNAPSHOTS, "own.part")
_RECEIVED: Final = join(SNAPSHOTS, "received.part")


def snapshot_name(slot: Slot) -> str:
    """The name of the snapshot at `slot`: the slot in twenty decimal digits."""
    return join(SNAPSHOTS, f"{slot:020d}.snap")


class SnapshotFacts(msgspec.Struct, frozen=True):
    """A snapshot that is there: its position, and the size of its file in bytes."""

    slot: Slot
    size: int


class Audit(msgspec.Struct, frozen=True):
    """What `SnapshotStore.audit` found.

    `header`: of the newest snapshot that is good; None if there never was any. `rotten`: all that are newer than it.
    """

    header: SnapshotHeader | None = None
    rotten: tuple[Slot, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def base(self) -> Slot:
        """Where the log goes on from."""
        return self.header.slot if self.header is not None else 0


class SnapshotStore:
    """The snapshots of one replica. What the manifest names was verified; nothing else is ever given out.

    At most one is being written and one received at a time; a new attempt ends the one before.
    """

    def __init__(self, files: Files, identity: Identity, manifest: Manifest) -> None:
        """Trusts the manifest; `audit` does not."""
        self._files = files
        self._identity = identity
        self._manifest = manifest
        self._pins: Counter[Slot] = Counter()
        self._writer: SnapshotWriter | None = None
        self._sink: ChunkSink | None = None

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of the snapshots there are, ascending."""
        return self._manifest.contents.snapshots

    def newest(self) -> SnapshotFacts | None:
        """The newest snapshot, or None if there is none yet. Raises as `reader` does."""
        return self.facts(self.slots[-1]) if self.slots else None

    def facts(self, slot: Slot) -> SnapshotFacts:
        """Position and size of the snapshot at `slot`, which is there. Raises as `reader` does."""
        with self._opened(slot) as file, disk_errors(f"asking the size of {self._place(slot)}"):
            return SnapshotFacts(slot, file.size())

    @contextmanager
    def reader(self, slot: Slot) -> Iterator[SnapshotReader]:
        """Read the snapshot at `slot`. Raises `CorruptData` if it is missing or rotten, `ForeignData`, `StorageFailed`.

        A snapshot that is being read may be pruned meanwhile; the reading goes on.
        """
        with self._opened(slot) as file:
            yield SnapshotReader(file, self._place(slot))

    def verify(self, slot: Slot, load: Load = exhaust) -> SnapshotHeader:
        """Read the snapshot at `slot` from end to end, in one pass that gives `load` its slices; returns its header.

        What `load` made of them is of use only when this has returned. Raises as `reader` does, and what `load` raises.
        """
        with self.reader(slot) as reader:
            self._check(reader.header, slot)
            reader.give(load)
            return reader.header

    def recheck(self) -> Iterator[str]:
        """Verify the snapshots that `audit` left: those older than the newest. A rotten one is let go.

        Each step reads 1 MiB and yields what there is to tell an operator, which is mostly nothing (""). Snapshots may
        be installed and pruned between the steps. Raises `StorageFailed`.
        """
        for slot in self.slots[:-1]:
            if slot not in self.slots:
                continue
            try:
                with self.reader(slot) as reader:
                    self._check(reader.header, slot)
                    while not reader.step():
                        yield ""
            except CorruptData as error:
                if slot in self.slots:
                    self.let_go((slot,), doubted=0)
                    yield _rotten(slot, error)
            except ForeignData as error:
                yield f"the snapshot at slot {slot} cannot be used: {error}"

    def audit(self, load: Load = exhaust) -> Audit:
        """Verify and load the newest snapshot that is good, changing nothing. Those older than it are not looked at:
        nothing rests on them as long as there is a newer one (`recheck` is for them).

        Raises `CorruptData` if there were some and none verifies that the log reaches back to; `ForeignData` also if
        one verifies and `load` rejects what is in it (`CorruptData`), and none before it is any better;
        `StorageFailed`.
        """
        rotten: list[Slot] = []
        warnings: list[str] = []
        whole = False
        for slot in reversed(self.slots):
            if slot < self._manifest.contents.floor:
                break
            try:
                header = self.verify(slot, load)
            except CorruptData as error:
                whole = self._is_whole(slot) or whole
                rotten.append(slot)
                warnings.append(_rotten(slot, error))
                continue
            if rotten:
                warnings.append(f"falling back to the snapshot at slot {slot} and the log since")
            return Audit(header, tuple(rotten), tuple(warnings))
        if not self.slots:
            return Audit()
        # Bytes that verify did not rot on the disk: memory did, or this release has a bug. To give up vote state, and
        # the last good log with it, would make that worse on one replica after the other.
        raise (ForeignData if whole else CorruptData)(
            f"no snapshot verifies that the log reaches back to (slot {self._manifest.contents.floor}): "
            + "; ".join(warnings)
        )

    def let_go(self, rotten: Collection[Slot], doubted: int) -> None:
        """Set rotten snapshots aside: out of the manifest first; the newest of them is kept for inspection.

        `doubted`: the last record whose word on chosen slots is void from now on. What is chosen is chosen for what
        the log held then, and behind a lost snapshot it may hold other values: accepted, but never chosen.
        Raises `StorageFailed`.
        """
        with disk_errors(f"setting aside rotten snapshots in {self._files.describe(SNAPSHOTS)}"):
            kept = tuple(slot for slot in self.slots if slot not in rotten)
            self._manifest.update(snapshots=kept, doubted=doubted)
            for name in self._files.names(SNAPSHOTS):
                if name.endswith(ROTTEN):
                    self._files.remove(join(SNAPSHOTS, name))
            present = self._files.names(SNAPSHOTS)
            found = [slot for slot in sorted(rotten) if snapshot_name(slot).rpartition("/")[2] in present]
            if found:
                self._files.rename(snapshot_name(found[-1]), snapshot_name(found[-1]) + ROTTEN)

    def begin(self, header: SnapshotHeader) -> SnapshotWriter:
        """Start writing the snapshot that `header` describes. Raises `StorageFailed`; the log is not touched by it."""
        assert header.cell == self._identity.cell, "a replica writes snapshots of its own cell"
        if self._writer is not None:
            self._writer.abandon()
        self._writer = SnapshotWriter(Part(self._files, _OWN), header, self._install)
        return self._writer

    def sink(self, slot: Slot, size: int) -> ChunkSink:
        """Start receiving the snapshot at `slot`, `size` bytes long. Raises `StorageFailed`."""

        def check(header: SnapshotHeader) -> None:
            if (header.cell, header.slot) != (self._identity.cell, slot):
                raise CorruptData(
                    f"{self._files.describe(_RECEIVED)}: a snapshot of cell {header.cell:#x} at slot {header.slot}; "
                    f"expected cell {self._identity.cell:#x}, slot {slot}"
                )

        if self._sink is not None:
            self._sink.abandon()
        self._sink = ChunkSink(Part(self._files, _RECEIVED), size, check, self._install)
        return self._sink

    def read_chunk(self, slot: Slot, offset: int, limit: int) -> SnapshotChunk | None:
        """Up to `limit` bytes of the file of the snapshot at `slot`, for a transfer; None if it is gone.

        Not verified here: the receiver verifies all of it. Raises `StorageFailed`.
        """
        if slot not in self.slots:
            return None
        with self._opened(slot) as file, disk_errors(f"reading {self._place(slot)}"):
            return SnapshotChunk(slot, offset, file.size(), file.read(offset, limit))

    def pin(self, slot: Slot) -> bool:
        """Keep the snapshot at `slot`, and the log since, until `unpin` as many times; False if it is not there."""
        if slot not in self.slots:
            return False
        self._pins[slot] += 1
        return True

    def unpin(self, slot: Slot) -> None:
        """Take one pin back; the next `prune` acts on it."""
        assert self._pins[slot] > 0, "only what was pinned is unpinned"
        self._pins[slot] -= 1

    def prune(self) -> Slot:
        """Remove all but the two newest and the pinned ones; returns how far back the log is still needed.

        Raises `StorageFailed`.
        """
        kept = [slot for slot in self.slots if slot in self.slots[-KEPT:] or self._pins[slot] > 0]
        dropped = [slot for slot in self.slots if slot not in kept]
        if dropped:
            with disk_errors(f"pruning {self._files.describe(SNAPSHOTS)}"):
                self._manifest.update(snapshots=tuple(kept))
                for slot in dropped:
                    remove_tree(self._files, snapshot_name(slot))
        return kept[0] if kept else 0

    def close(self) -> None:
        """Give up what is being written or received."""
        for attempt in (self._writer, self._sink):
            if attempt is not None:
                attempt.abandon()

    def _install(self, part: Part, header: SnapshotHeader) -> None:
        """Make a verified part count: rename, sync the directory, name it in the manifest."""
        slot = header.slot
        if self.slots and slot <= self.slots[-1]:
            # Meanwhile one as new was installed the other way; a second of the same slot would only be a danger to
            # whoever is fetching the first.
            part.discard()
            return
        with disk_errors(f"installing {self._place(slot)}"):
            self._files.rename(part.name, snapshot_name(slot))
            self._files.sync_directory(SNAPSHOTS)
            self._manifest.update(snapshots=(*self.slots, slot))
        part.close()

    def _check(self, header: SnapshotHeader, slot: Slot) -> None:
        if header.cell != self._identity.cell:
            raise ForeignData(f"{self._place(slot)}: of cell {header.cell:#x}; expected cell {self._identity.cell:#x}")
        if header.slot != slot:
            raise CorruptData(f"{self._place(slot)}: of slot {header.slot}; expected slot {slot}")

    def _is_whole(self, slot: Slot) -> bool:
        try:
            self.verify(slot)
        except CorruptData:
            return False
        return True

    @contextmanager
    def _opened(self, slot: Slot) -> Iterator[File]:
        assert slot in self.slots, "only what the manifest names is there"
        try:
            file = self._files.open(snapshot_name(slot))
        except FileNotFoundError as error:
            raise CorruptData(f"{self._place(slot)}: missing; expected the snapshot at slot {slot}") from error
        except OSError as error:
            raise StorageFailed(explain(f"opening {self._place(slot)}", error)) from error
        try:
            yield file
        finally:
            file.close()

    def _place(self, slot: Slot) -> str:
        return self._files.describe(snapshot_name(slot))


def _rotten(slot: Slot, error: CorruptData) -> str:
    return f"the snapshot at slot {slot} is rotten: {error}"
