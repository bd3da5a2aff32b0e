"""A segment: a file of fixed size, zeroed in advance, that is filled from front to back once and never recycled.

The first sector is the header; records follow from the second.

| offset | bytes | field                                                    |
|--------|-------|----------------------------------------------------------|
| 0      | 8     | magic "CHUBWAL" and a zero                               |
| 8      | 4     | format version                                           |
| 12     | 4     | zero                                                     |
| 16     | 8     | cell                                                     |
| 24     | 8     | replica                                                  |
| 32     | 8     | incarnation                                              |
| 40     | 8     | number of the segment, as in its name                    |
| 48     | 8     | sequence of its first record                             |
| 56     | 452   | zeros                                                    |
| 508    | 4     | crc32c of bytes 0-507; also the seed of its records      |

The header is written together with the first record, by the same write: a segment that is zero from end to end is
*blank*, merely prepared, and becoming the active one costs no sync of its own.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Identity
from chubby.storage.checksum import crc32c
from chubby.storage.faults import ForeignData
from chubby.storage.files import File, Files
from chubby.storage.places import create_afresh, join
from chubby.storage.records import SECTOR, ZERO_SECTOR
from chubby.storage.sealed import FORMAT_VERSION, check_version
from chubby.types.identity import Slot

WAL: Final = "wal"
"""The folder of segments."""
SEGMENT_SIZE: Final = 16 * 1024 * 1024
"""The default size of a segment, in bytes."""
SMALLEST_SEGMENT: Final = 2 * SECTOR
STEP: Final = 1024 * 1024
"""How much is zeroed, or written of a large file, between two syncs: what a sync of the log may have to wait for."""

_MAGIC: Final = b"CHUBWAL\0"
_HEADER: Final = struct.Struct("<8sIIQQQQQ")
_CHECKSUM_AT: Final = SECTOR - 4
_ZEROS: Final = bytes(STEP)


class SegmentHeader(msgspec.Struct, frozen=True):
    """Where a segment belongs: whose it is, its number, and the sequence of its first record."""

    identity: Identity
    number: int
    first: int

    def encode(self) -> bytes:
        """The header's sector."""
        owner = self.identity
        body = _HEADER.pack(
            _MAGIC, FORMAT_VERSION, 0, owner.cell, owner.replica, owner.incarnation, self.number, self.first
        ).ljust(_CHECKSUM_AT, b"\0")
        return body + crc32c(0, body).to_bytes(4, "little")

    @property
    def seed(self) -> int:
        """What the checksums of the segment's records start from."""
        return int.from_bytes(self.encode()[_CHECKSUM_AT:], "little")


class Extent(msgspec.Struct, frozen=True):
    """A segment as the log keeps account of it: bytes in use, and the highest slot accepted in it (0 if none)."""

    number: int
    size: int
    used: int
    highest: Slot


def segment_name(number: int) -> str:
    """The name of segment `number`: its number in twenty decimal digits."""
    return join(WAL, f"{number:020d}.wal")


def parse_header(data: bytes, identity: Identity, number: int, place: str) -> SegmentHeader | None:
    """The header in the first sector of a segment, or None if that sector is zero.

    Raises `CorruptData` if it does not verify or is of another life, `ForeignData` if it is another replica's or newer.
    """
    if data.startswith(ZERO_SECTOR):
        return None
    recorded = int.from_bytes(data[_CHECKSUM_AT:SECTOR], "little")
    computed = crc32c(0, data[:_CHECKSUM_AT])
    if recorded != computed:
        raise CorruptData(
            f"{place}, offset 0: the segment's header does not verify: "
            f"checksum {recorded:#010x}; expected {computed:#010x}"
        )
    magic, version, _, cell, replica, incarnation, found, first = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise CorruptData(f"{place}, offset 0: found {magic!r}; expected {_MAGIC!r}")
    check_version(version, place)
    if (cell, replica) != (identity.cell, identity.replica):
        raise ForeignData(
            f"{place}, offset 16: a segment of replica {replica} of cell {cell:#x}; "
            f"expected replica {identity.replica} of cell {identity.cell:#x}"
        )
    if (incarnation, found) != (identity.incarnation, number):
        raise CorruptData(
            f"{place}, offset 32: segment {found} of incarnation {incarnation:#x}; "
            f"expected segment {number} of incarnation {identity.incarnation:#x}"
        )
    return SegmentHeader(identity, number, first)


def is_zero(data: bytes, begin: int = 0) -> bool:
    """Whether `data` holds nothing but zeros from `begin` on."""
    size = len(data)
    while begin < size:
        step = min(STEP, size - begin)
        if not data.startswith(_ZEROS if step == STEP else _ZEROS[:step], begin):
            return False
        begin += step
    return True


class Preparation:
    """A segment being zeroed in small, synced steps, ahead of the need for it."""

    def __init__(self, files: Files, number: int, size: int) -> None:
        """Makes the file and reserves its space; `size` is rounded up to whole sectors."""
        self.number = number
        self.size = max(SMALLEST_SEGMENT, -(-size // SECTOR) * SECTOR)
        self.file = create_afresh(files, segment_name(number))
        self._done = 0
        try:
            self.file.allocate(self.size)
        except OSError:
            self.file.close()
            raise

    def step(self) -> bool:
        """Write and sync the next zeros; returns whether all are written. The name is not durable yet."""
        # Really written, not only reserved: an extent that was merely reserved is converted, that is journalled, when
        # first written, and every fdatasync of the log would pay for it.
        self._done = zero(self.file, self._done, min(self._done + STEP, self.size))
        return self._done == self.size

    def fill(self, content: bytes) -> None:
        """Write `content` at the front and zeros behind it, syncing in steps: a whole segment at once."""
        assert len(content) <= self.size, "the content fits"
        for begin in range(0, len(content), STEP):
            self.file.write(begin, content[begin : begin + STEP])
            self.file.sync()
        self._done = len(content)
        while not self.step():
            pass


def zero(file: File, begin: int, end: int) -> int:
    """Write and sync zeros from `begin` up to `end`, which it returns."""
    for offset in range(begin, end, STEP):
        file.write(offset, _ZEROS[: min(STEP, end - offset)])
    file.sync()
    return end
