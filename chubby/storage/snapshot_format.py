"""A snapshot as a stream of bytes: an encoder and a parser without any input or output of their own.

| part      | bytes                                                                                          |
|-----------|------------------------------------------------------------------------------------------------|
| header    | a sealed block (`chubby.storage.sealed`), magic "CHUBSNAP": a `SnapshotHeader` in MessagePack  |
| blocks    | each: length (4, not zero), crc32c (4), payload: one slice of the machine's state              |
| footer    | length 0 (4), crc32c (4), size of the whole file (8), number of blocks (8), SHA-256 (32)       |

A block's checksum starts from the header's, then covers the block's number (8 bytes, from 0), its length and its
payload: a block that moved never verifies. The footer's covers, from the same start, its last 48 bytes. The SHA-256 is
of everything before the footer. Nothing follows the footer. Slices come back as they were written, one for one.

A snapshot names its cell but no replica: it is the same bytes on whichever replica it is installed, and in a backup.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Final, NoReturn

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Configuration
from chubby.storage.checksum import crc32c
from chubby.storage.sealed import FORMAT_VERSION, PREFIX_SIZE, decode_payload, seal, sealed_size, unseal
from chubby.types.identity import CellId, Slot

SLICE_LIMIT: Final = 64 * 1024 * 1024
"""The longest slice, in bytes; one of 5 ms is far below it."""

_MAGIC: Final = b"CHUBSNAP"
_BLOCK: Final = struct.Struct("<II")
_NUMBERED: Final = struct.Struct("<QI")
_FOOTER: Final = struct.Struct("<QQ32s")
FOOTER_SIZE: Final = _BLOCK.size + _FOOTER.size


class SnapshotHeader(msgspec.Struct, frozen=True):
    """What a snapshot is of: every slot of `cell` up to `slot` is in it, `configuration` governs from the next slot.

    `machine_version` is the machine's, by which it reads the slices; `time_ms` is wall time, for display alone.
    """

    cell: CellId
    slot: Slot
    configuration: Configuration
    machine_version: int = 1
    time_ms: int = 0
    format_version: int = FORMAT_VERSION


class SnapshotEncoder:
    """Makes the bytes of a snapshot: `header` once, `block` for each slice, `footer` once."""

    def __init__(self, header: SnapshotHeader) -> None:
        """`header` describes what the slices hold."""
        self.header = seal(_MAGIC, _HEADER_ENCODER.encode(header))
        self._seed = unseal(self.header, _MAGIC, "snapshot").checksum
        self._digest = hashlib.sha256(self.header)
        self._size = len(self.header)
        self._blocks = 0

    def block(self, piece: bytes) -> bytes:
        """The bytes that hold one slice, 1 to `SLICE_LIMIT` bytes long."""
        assert 0 < len(piece) <= SLICE_LIMIT, "a slice is neither empty nor absurdly long"
        checksum = crc32c(crc32c(self._seed, _NUMBERED.pack(self._blocks, len(piece))), piece)
        data = _BLOCK.pack(len(piece), checksum) + piece
        self._digest.update(data)
        self._size += len(data)
        self._blocks += 1
        return data

    def footer(self) -> bytes:
        """The bytes that end the snapshot."""
        body = _FOOTER.pack(self._size + FOOTER_SIZE, self._blocks, self._digest.digest())
        return _BLOCK.pack(0, crc32c(self._seed, body)) + body


class SnapshotParser:
    """Takes the bytes of a snapshot in any portions and gives its slices back, each verified.

    `header` is there as soon as its bytes were fed. A slice given out is whole, but only `finish` says that the
    snapshot is: that nothing is missing, added or exchanged.
    """

    def __init__(self, place: str) -> None:
        """`place` is what messages call the source of the bytes."""
        self.header: SnapshotHeader | None = None
        self._place = place
        self._buffer = bytearray()
        self._offset = 0
        self._seed = 0
        self._digest = hashlib.sha256()
        self._blocks = 0
        self._complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The slices that `data` completes. Raises `CorruptData` or `ForeignData` as soon as something does not verify.

        The iterator is to be exhausted before more is fed.
        """
        self._buffer += data
        while self._advance():
            length, checksum = _BLOCK.unpack_from(self._buffer)
            if length:
                yield self._take_block(length, checksum)
            else:
                self._take_footer(checksum)
        if self._complete and self._buffer:
            self._corrupt("the end of the file; more follows the footer")

    def finish(self) -> SnapshotHeader:
        """Say that nothing more comes; returns the header of a whole snapshot, else raises `CorruptData`."""
        if not self._complete or self.header is None:
            raise CorruptData(
                f"{self._place}: ends after {self._offset + len(self._buffer)} bytes; expected a footer, so a part of "
                "the snapshot is missing"
            )
        return self.header

    def _advance(self) -> bool:
        """Whether the next block or footer is in the buffer as a whole."""
        if self._complete:
            return False
        if self.header is None and not self._take_header():
            return False
        if len(self._buffer) < _BLOCK.size:
            return False
        length = int.from_bytes(self._buffer[:4], "little")
        if length > SLICE_LIMIT:
            self._corrupt(f"a block of at most {SLICE_LIMIT} bytes (found {length})")
        return len(self._buffer) >= (_BLOCK.size + length if length else FOOTER_SIZE)

    def _take_header(self) -> bool:
        if len(self._buffer) < PREFIX_SIZE:
            return False
        size = sealed_size(bytes(self._buffer[:PREFIX_SIZE]), _MAGIC, self._place)
        if len(self._buffer) < size:
            return False
        block = unseal(self._consume(size), _MAGIC, self._place)
        self._seed = block.checksum
        self.header = decode_payload(_HEADER_DECODER, block.payload, self._place)
        return True

    def _take_block(self, length: int, checksum: int) -> bytes:
        offset = self._offset
        piece = self._consume(_BLOCK.size + length)[_BLOCK.size :]
        computed = crc32c(crc32c(self._seed, _NUMBERED.pack(self._blocks, length)), piece)
        if computed != checksum:
            self._corrupt(f"block {self._blocks} with checksum {checksum:#010x} (computed {computed:#010x})", offset)
        self._blocks += 1
        return piece

    def _take_footer(self, checksum: int) -> None:
        digest = self._digest.digest()
        offset = self._offset
        body = self._consume(FOOTER_SIZE)[_BLOCK.size :]
        if crc32c(self._seed, body) != checksum:
            self._corrupt("a footer that verifies", offset)
        if _FOOTER.unpack(body) != (self._offset, self._blocks, digest):
            self._corrupt(f"a footer of {self._blocks} blocks, {self._offset} bytes, digest {digest.hex()}", offset)
        self._complete = True

    def _consume(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._offset += size
        self._digest.update(data)
        return data

    def _corrupt(self, expected: str, offset: int = -1) -> NoReturn:
        raise CorruptData(f"{self._place}, offset {self._offset if offset < 0 else offset}: expected {expected}")


_HEADER_ENCODER: Final = msgspec.msgpack.Encoder()
_HEADER_DECODER: Final = msgspec.msgpack.Decoder(SnapshotHeader)
