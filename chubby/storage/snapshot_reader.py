"""Reading a snapshot: from the data directory, or by backup tooling from wherever a backup lies."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from chubby.errors import CorruptData, StorageFailed
from chubby.storage.faults import explain
from chubby.storage.segment import STEP
from chubby.storage.snapshot_format import SnapshotHeader, SnapshotParser

Load = Callable[[Iterator[bytes]], object]
"""Takes the slices of a snapshot, which are verified on the way: nothing may rest on them before the last one came."""


def exhaust(slices: Iterator[bytes]) -> None:
    """The `Load` of those who want the verdict alone."""
    for _ in slices:
        pass


class Source(Protocol):
    """What a snapshot can be read from: a `File`, or anything a backup comes from."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; none only at the end."""


class BytesSource:
    """A snapshot that lies in memory."""

    def __init__(self, data: bytes) -> None:
        """`data` is the whole file."""
        self._data: Final = data

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        return self._data[offset : offset + length]


class SnapshotReader:
    """Reads one snapshot: its header at once, its slices on demand, everything verified on the way."""

    def __init__(self, source: Source, place: str) -> None:
        """Reads the header; `place` is what messages call the source.

        Raises `CorruptData`, `ForeignData`, or `StorageFailed` if the source cannot be read.
        """
        self._source = source
        self._place = place
        self._parser = SnapshotParser(place)
        self._offset = 0
        self._early: list[bytes] = []
        while (header := self._parser.header) is None:
            pieces = self._read()
            if pieces is None:
                header = self._parser.finish()
                break
            self._early += pieces
        self.header: Final[SnapshotHeader] = header

    def slices(self) -> Iterator[bytes]:
        """The slices as they were written, in order; to be called once, and instead of `step`.

        Raises `CorruptData` at the first that does not verify, or at the end if the snapshot is not whole: what was
        given out must not be used before the iterator has ended.
        """
        early, self._early = self._early, []
        yield from early
        while (pieces := self._read()) is not None:
            yield from pieces
        self._parser.finish()

    def give(self, load: Load) -> None:
        """Give the slices to `load`, and verify to the end whatever it leaves. Raises as `slices` and `load` do."""
        slices = self.slices()
        load(slices)
        exhaust(slices)

    def step(self) -> bool:
        """Verify the next 1 MiB; returns whether all was verified. For those who want the verdict, not the slices."""
        if self._read() is not None:
            return False
        self._parser.finish()
        return True

    def verify(self) -> SnapshotHeader:
        """All steps at once; returns the header."""
        while not self.step():
            pass
        return self.header

    def _read(self) -> list[bytes] | None:
        """The slices that end within the next piece of the file; None at its end."""
        try:
            data = self._source.read(self._offset, STEP)
        except OSError as error:
            doing = explain(f"reading {self._place} at offset {self._offset}", error)
            # A sector the disk cannot read any more is the commonest form of rot.
            raise (CorruptData(doing) if error.errno == errno.EIO else StorageFailed(doing)) from error
        if not data:
            return None
        self._offset += len(data)
        return list(self._parser.feed(data))
