"""What the shell does with the data directory: appends, snapshots out, snapshots in. Everything here runs on the
disk's thread, `load_fetched` excepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chubby.daemon.loading import Loader
from chubby.daemon.worker import Job
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace.machine import Machine
from chubby.paxos.catchup import TRANSFER_PATIENCE
from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import SnapshotChunk
from chubby.paxos.ready import ReadChunk, Record, StoreChunk
from chubby.replica.step import SnapshotOrder
from chubby.storage.life import OpenedDirectory
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_writer import ChunkSink
from chubby.types.identity import CellId, ReplicaId, Slot
from chubby.types.time import Instant

CHUNK = 256 * 1024
"""Bytes of a snapshot in one message to another replica."""
SLICE = 128 * 1024
"""Bytes of machine state encoded in one step: about a millisecond of work."""


class Fetched:
    """A snapshot that came from another replica, verified and loaded."""

    def __init__(self, slot: Slot, size: int, configuration: Configuration, machine: Machine) -> None:
        """`machine` holds its content; `size` is that of its file in bytes."""
        self.slot = slot
        self.size = size
        self.configuration = configuration
        self.machine = machine


class Vault:
    """The open data directory of one replica."""

    def __init__(
        self,
        opened: OpenedDirectory,
        cell: CellId,
        clock: Callable[[], Instant],
        *,
        chunk: int = CHUNK,
        slice_size: int = SLICE,
    ) -> None:
        """Takes the directory over; `close` gives it back. `chunk` and `slice_size` are in bytes."""
        self._opened = opened
        self._cell = cell
        self._clock = clock
        self._transfers: dict[ReplicaId, tuple[Slot, Instant]] = {}
        """Whose transfer has pinned which snapshot, and when it last read."""
        self._chunk = chunk
        self._slice_size = slice_size
        self._sink: ChunkSink | None = None
        self._receiving: Slot = 0

    def append(self, records: Sequence[Record]) -> bool:
        """Make records durable; whether the log should be tended now. Raises StorageFailed: then the replica stops."""
        self._opened.wal.append(records)
        return not self._opened.wal.tended

    def tend(self) -> Job:
        """Prepare the next segment, step by step."""
        while self._opened.wal.tend():
            yield None

    def recheck(self, warn: Callable[[str], None]) -> Job:
        """Verify the snapshots that the start did not look at, step by step; `warn` hears of each that is rotten."""
        for warning in self._opened.snapshots.recheck():
            if warning:
                warn(warning)
            yield None

    def read_chunk(self, request: ReadChunk) -> SnapshotChunk | None:
        """A part of a snapshot to send to another replica; None if that snapshot is gone.

        The transfer pins it (DESIGN §3 Disk) until the replica asks for another, or for nothing in a while. Raises
        StorageFailed, also if the file has vanished: only a start can tell what is left.
        """
        snapshots = self._opened.snapshots
        held = self._transfers.get(request.to)
        if held is None or held[0] != request.slot:
            self._let_go(request.to)
            if not snapshots.pin(request.slot):
                return None
        self._transfers[request.to] = (request.slot, self._clock())
        try:
            return snapshots.read_chunk(request.slot, request.offset, self._chunk)
        except CorruptData as error:
            raise StorageFailed(f"{error}; start the replica again: it goes on with what is left") from error

    def write_snapshot(self, order: SnapshotOrder, time_ms: int) -> Job:
        """Write a snapshot slice by slice, verify it, then drop what it makes superfluous.

        Raises CorruptData or StorageFailed: that attempt is over, the log goes on.
        """
        snapshots = self._opened.snapshots
        header = SnapshotHeader(self._cell, order.slot, order.configuration, order.version, time_ms)
        writer = snapshots.begin(header)
        for piece in order.content.slices(self._slice_size):
            writer.write(piece)
            yield None
        while not writer.finish_step():
            yield None
        self._prune()

    def size_of(self, slot: Slot) -> int | None:
        """The size of a snapshot file; None if there is none: a newer one was fetched while it was being written."""
        snapshots = self._opened.snapshots
        return snapshots.facts(slot).size if slot in snapshots.slots else None

    def store_chunk(self, chunk: StoreChunk) -> bool:
        """Keep a part of a fetched snapshot; returns whether it was the last: then `load_fetched` and `install`.

        Raises CorruptData if it is not the part that is due.
        """
        sink, self._sink = self._sink, None
        if chunk.offset == 0 or sink is None or self._receiving != chunk.slot:
            sink = self._opened.snapshots.sink(chunk.slot, chunk.size)
            self._receiving = chunk.slot
        sink.store(chunk.offset, chunk.data)
        self._sink = sink
        return sink.complete

    def load_fetched(self, loader: Loader) -> Fetched:
        """Verify and load, in one pass, what was fetched.

        The only method that may run on another thread, beside everything but `store_chunk` and `close`: it takes as
        long as a start does, and the log must not wait for it. Raises CorruptData if the snapshot cannot be used, and
        what `loader` raises.
        """
        sink, self._sink = self._sink, None
        assert sink is not None, "all parts were stored"
        header = sink.verify(loader)
        assert loader.machine is not None, "what was verified was loaded"
        self._sink = sink
        return Fetched(header.slot, sink.size, header.configuration, loader.machine)

    def install(self) -> None:
        """Make what `load_fetched` returned this replica's own, durably; then drop what it makes superfluous."""
        assert self._sink is not None, "something was fetched"
        sink, self._sink = self._sink, None
        sink.install()
        self._prune()

    def close(self) -> None:
        """Give the directory back."""
        self._opened.close()

    def _prune(self) -> None:
        """Drop what neither we nor a transfer need any more."""
        now = self._clock()
        for to in [to for to, (_, heard) in self._transfers.items() if now - heard > TRANSFER_PATIENCE]:
            self._let_go(to)
        self._opened.prune()

    def _let_go(self, to: ReplicaId) -> None:
        held = self._transfers.pop(to, None)
        if held is not None:
            self._opened.snapshots.unpin(held[0])
