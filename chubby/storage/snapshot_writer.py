"""Snapshots in the making: written from this replica's own machine, or received from another replica.

Either comes into being beside (`*.part`), in pieces of 1 MiB, each synced: one large sync at the end would stall the
log's for as long (*Paxos Made Live*, unexpected failures: "write large files in small flushed chunks"). It is then read
back and verified from end to end, renamed, its directory synced, and named in the manifest; only that makes it count.

Trouble on this way ends the attempt, and the file goes; the log is not touched by it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from chubby.errors import CorruptData
from chubby.storage.faults import ForeignData, disk_errors
from chubby.storage.files import File, Files
from chubby.storage.places import create_afresh, remove_tree
from chubby.storage.segment import STEP
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.storage.snapshot_reader import Load, SnapshotReader


class Part:
    """A file that is being written beside and is not yet part of anything."""

    def __init__(self, files: Files, name: str) -> None:
        """Begins anew, in place of what an interrupted attempt left under `name`."""
        self.name = name
        self.place = files.describe(name)
        self.size = 0
        self._files = files
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._open = True
        with disk_errors(f"creating {self.place}"):
            self.file: File = create_afresh(files, name)

    def append(self, data: bytes) -> None:
        """Add to the end; written and synced once 1 MiB has come together. Raises `StorageFailed`; the file is gone."""
        assert self._open, "the attempt is over"
        self._waiting.append(data)
        self._waiting_size += len(data)
        self.size += len(data)
        if self._waiting_size >= STEP:
            self.flush()

    def flush(self) -> None:
        """Write and sync, in pieces of 1 MiB, what has come together. Raises as `append` does."""
        data = b"".join(self._waiting)
        offset = self.size - self._waiting_size
        self._waiting.clear()
        self._waiting_size = 0
        try:
            with disk_errors(f"writing {self.place}"):
                for begin in range(0, len(data), STEP):
                    self.file.write(offset + begin, data[begin : begin + STEP])
                    self.file.sync()
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """End the writing; the file stays."""
        if self._open:
            self._open = False
            self.file.close()

    def discard(self) -> None:
        """End the attempt, whatever stage it is in; the file goes. Harmless when repeated, or after `close`.

        A disk that refuses even this is not heard: the next attempt or start removes what stays, and whoever gives up
        because of an error shall report that one.
        """
        if self._open:
            self.close()
            with suppress(OSError):
                remove_tree(self._files, self.name)


class SnapshotWriter:
    """Writes a snapshot of this replica's own machine: `write` each slice, then `finish`."""

    def __init__(self, part: Part, header: SnapshotHeader, install: Callable[[Part, SnapshotHeader], None]) -> None:
        """Made by `SnapshotStore.begin`."""
        self._part = part
        self._install = install
        self._encoder = SnapshotEncoder(header)
        self._header = header
        self._ended = False
        self._reader: SnapshotReader | None = None
        self._part.append(self._encoder.header)

    def write(self, piece: bytes) -> None:
        """Add one slice; an empty one is left out. Raises `StorageFailed`; the attempt is then over, the log is not."""
        assert not self._ended, "no slice after the end"
        if piece:
            self._part.append(self._encoder.block(piece))

    def finish_step(self) -> bool:
        """One step of ending it, about 1 MiB of work; returns whether the snapshot is installed.

        Raises `StorageFailed`, or `CorruptData` if what is read back is not what was written; the attempt is then over.
        """
        try:
            return self._finish_step()
        except BaseException:
            self._part.discard()
            raise

    def finish(self) -> None:
        """All steps at once."""
        while not self.finish_step():
            pass

    def abandon(self) -> None:
        """Give up; nothing of it stays. Harmless after `finish`."""
        self._part.discard()

    def _finish_step(self) -> bool:
        if self._reader is None:
            self._ended = True
            self._part.append(self._encoder.footer())
            self._part.flush()
            self._reader = SnapshotReader(self._part.file, self._part.place)
            if self._reader.header != self._header:
                found = self._reader.header
                raise CorruptData(f"{self._part.place}: reads back as {found}; expected {self._header}")
            return False
        if not self._reader.step():
            return False
        self._install(self._part, self._header)
        return True


class ChunkSink:
    """Receives a snapshot from another replica, chunk after chunk, and installs it when it is whole and verified."""

    def __init__(
        self,
        part: Part,
        size: int,
        check: Callable[[SnapshotHeader], None],
        install: Callable[[Part, SnapshotHeader], None],
    ) -> None:
        """Made by `SnapshotStore.sink`."""
        self.size = size
        self._part = part
        self._check = check
        self._install = install
        self._header: SnapshotHeader | None = None

    @property
    def received(self) -> int:
        """How many bytes are there: the offset of the next chunk."""
        return self._part.size

    @property
    def complete(self) -> bool:
        """Whether all bytes are there, and durable, so that `verify` and `install` may be called."""
        return self._part.size == self.size

    def store(self, offset: int, data: bytes) -> None:
        """Keep the chunk at `offset`, which is where the one before ended.

        Raises `CorruptData` if it is not, or goes beyond the announced size; `StorageFailed` if the disk refuses. The
        attempt is then over.
        """
        room = self.size - self.received
        if offset != self.received or len(data) > room:
            self._part.discard()
            raise CorruptData(
                f"{self._part.place}: a chunk of {len(data)} bytes at offset {offset}; expected offset "
                f"{self.received} and at most {room} bytes"
            )
        self._part.append(data)
        if self.complete:
            self._part.flush()

    def verify(self, load: Load) -> SnapshotHeader:
        """Read what was received from end to end, in one pass that also gives `load` its slices; returns its header.

        It reads one file that is complete, and touches no other: it may run beside whatever is done to the log. Raises
        `CorruptData` if the snapshot is none this replica can use, `StorageFailed` if the disk refuses, and what `load`
        raises; the attempt is then over.
        """
        assert self.complete, "a snapshot is verified when all of it is there"
        try:
            reader = SnapshotReader(self._part.file, self._part.place)
            self._check(reader.header)
            reader.give(load)
        except ForeignData as error:
            self._part.discard()
            # Another replica's newer format is no reason to stop this one: it only cannot use that snapshot.
            raise CorruptData(str(error)) from error
        except BaseException:
            self._part.discard()
            raise
        self._header = reader.header
        return reader.header

    def install(self) -> None:
        """Make it count. Raises `StorageFailed`; the attempt is then over."""
        assert self._header is not None, "what is installed was verified"
        try:
            self._install(self._part, self._header)
        except BaseException:
            self._part.discard()
            raise

    def abandon(self) -> None:
        """Give up; nothing of it stays. Harmless after `install`."""
        self._part.discard()
