"""What the shell does with the data directory: appends, snapshots out, snapshots in. Everything here runs on the
disk's thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from chubby.daemon.worker import Job
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import SnapshotChunk
from chubby.paxos.ready import Record, StoreChunk
from chubby.replica.step import SnapshotOrder
from chubby.storage.life import OpenedDirectory
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_writer import ChunkSink
from chubby.types.identity import CellId, Slot

CHUNK = 256 * 1024
"""Bytes of a snapshot in one message to another replica."""
SLICE = 128 * 1024
"""Bytes of machine state encoded in one step: about a millisecond of work."""


class Installed:
    """A fetched snapshot that is now this replica's own."""

    def __init__(self, slot: Slot, size: int, configuration: Configuration, machine: Machine) -> None:
        """`machine` holds its content."""
        self.slot = slot
        self.size = size
        self.configuration = configuration
        self.machine = machine


class Vault:
    """The open data directory of one replica."""

    def __init__(self, opened: OpenedDirectory, cell: CellId, *, chunk: int = CHUNK, slice_size: int = SLICE) -> None:
        """Takes the directory over; `close` gives it back. `chunk` and `slice_size` are in bytes."""
        self._opened = opened
        self._cell = cell
        self._chunk = chunk
        self._slice_size = slice_size
        self._sink: ChunkSink | None = None
        self._receiving: Slot = 0

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable. Raises StorageFailed: then the replica stops."""
        self._opened.wal.append(records)

    def tend(self) -> Job:
        """Prepare the next segment, step by step."""
        while self._opened.wal.tend():
            yield None

    def read_chunk(self, slot: Slot, offset: int) -> SnapshotChunk | None:
        """A part of a snapshot to send to another replica; None if that snapshot is gone."""
        return self._opened.snapshots.read_chunk(slot, offset, self._chunk)

    def write_snapshot(self, order: SnapshotOrder, time_ms: int) -> Job:
        """Write a snapshot slice by slice, verify it, then drop what it makes superfluous; the last value yielded is
        its size.
        """
        snapshots = self._opened.snapshots
        header = SnapshotHeader(self._cell, order.slot, order.configuration, order.version, time_ms)
        writer = snapshots.begin(header)
        for piece in order.content.slices(self._slice_size):
            writer.write(piece)
            yield None
        while not writer.finish_step():
            yield None
        self._opened.prune()

    def size_of(self, slot: Slot) -> int:
        """The size of a snapshot file."""
        return self._opened.snapshots.facts(slot).size

    def store_chunk(self, chunk: StoreChunk) -> Installed | None:
        """Keep a part of a fetched snapshot; with the last one, verify, install and load it.

        Raises CorruptData if it does not verify; nothing is changed then.
        """
        snapshots = self._opened.snapshots
        if chunk.offset == 0 or self._sink is None or self._receiving != chunk.slot:
            self._sink = snapshots.sink(chunk.slot, chunk.size)
            self._receiving = chunk.slot
        self._sink.store(chunk.offset, chunk.data)
        if not self._sink.complete:
            return None
        self._sink.install()
        self._sink = None
        with snapshots.reader(chunk.slot) as reader:
            machine = Machine.restore(reader.slices())
            configuration = reader.header.configuration
        self._opened.prune()
        return Installed(chunk.slot, chunk.size, configuration, machine)

    def close(self) -> None:
        """Give the directory back."""
        self._opened.close()
