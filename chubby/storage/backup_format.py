"""A backup as a stream of bytes: a snapshot, compressed, with a label before it.

| part     | bytes                                                                                       |
|----------|---------------------------------------------------------------------------------------------|
| label    | a zstd *skippable frame*: 0x184D2A5C (4), length (4), then a sealed block                   |
|          | (`chubby.storage.sealed`), magic "CHUBBACK": a `BackupLabel` in MessagePack                 |
| snapshot | one zstd frame with a content checksum; its content is a snapshot file                      |
|          | (`chubby.storage.snapshot_format`), byte for byte as a replica would keep it                |
| seal     | another skippable frame: 0x184D2A5D (4), length 32 (4), SHA-256 of all bytes before it      |

So `zstd -d` alone turns a backup into a snapshot file, and every bit of it is under the seal
(zstd's own checksums leave a few bits of its headers out).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import zstandard

from chubby.errors import CorruptData
from chubby.storage.sealed import FORMAT_VERSION, decode_payload, seal, unseal_whole
from chubby.storage.snapshot_format import SnapshotHeader, SnapshotParser
from chubby.types.identity import CellId

LEVEL: Final = 6
"""zstd level: a second for a cell of 100,000 small files."""
_FRAME: Final = struct.Struct("<II")
_LABEL_FRAME: Final = 0x184D2A5C
_SEAL_FRAME: Final = 0x184D2A5D
_SEAL_SIZE: Final = _FRAME.size + 32
_MAGIC: Final = b"CHUBBACK"
_LABEL_LIMIT: Final = 64 * 1024
_BITE: Final = 256
"""Bytes decompressed at a time. Four bytes of zstd can be a block of 128 KiB, so these are 8 MiB at most: a backup of
zeros is not unpacked into memory before anything looks at it."""
_WINDOW: Final = 8 * 1024 * 1024
"""The most that decompressing may look back: more than `LEVEL` does, and than any level up to 19."""


class BackupLabel(msgspec.Struct, frozen=True):
    """What a backup says of itself before anything is decompressed. `created_ms` is wall time at the exporting
    machine.
    """

    cell: str
    cell_id: CellId
    created_ms: int
    release: str
    format_version: int = FORMAT_VERSION


def encode_backup(label: BackupLabel, snapshot: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a backup of the snapshot file whose bytes `snapshot` gives in any portions."""
    digest = hashlib.sha256()
    for data in _unsealed(label, snapshot):
        digest.update(data)
        yield data
    yield _FRAME.pack(_SEAL_FRAME, digest.digest_size) + digest.digest()


def _unsealed(label: BackupLabel, snapshot: Iterable[bytes]) -> Iterator[bytes]:
    payload = seal(_MAGIC, msgspec.msgpack.encode(label))
    yield _FRAME.pack(_LABEL_FRAME, len(payload)) + payload
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    for data in snapshot:
        compressed = compressor.compress(data)
        if compressed:
            yield compressed
    yield compressor.flush()


class BackupReader:
    """Takes the bytes of a backup: the label at once, the snapshot's slices on demand, all of it
    verified on the way.
    """

    def __init__(self, data: Iterable[bytes], place: str) -> None:
        """Reads the label. Raises `CorruptData` if this is no backup, `ForeignData` if a newer release made it."""
        self._data = iter(data)
        self._place = place
        self._rest = b""
        self._digest = hashlib.sha256()
        self.label: Final = self._read_label()

    def snapshot(self) -> Iterator[bytes]:
        """The bytes of the snapshot file; to be asked for once. Raises `CorruptData`, at the latest at the end."""
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        portion, at = self._rest, 0
        try:
            while not decompressor.eof:
                if at == len(portion):
                    portion, at = self._next(), 0
                bite = portion[at : at + _BITE]
                plain = decompressor.decompress(bite)
                at += len(bite) - len(decompressor.unused_data)
                self._digest.update(bite[: len(bite) - len(decompressor.unused_data)])
                if plain:
                    yield plain
        except zstandard.ZstdError as error:
            raise CorruptData(f"{self._place}: does not decompress: {error}") from error
        self._check_seal(portion[at:])

    def slices(self) -> Iterator[bytes]:
        """The slices of the machine's state; nothing of them is to be used before the iterator has ended."""
        parser = SnapshotParser(self._place)
        for data in self.snapshot():
            yield from parser.feed(data)
        self.header: SnapshotHeader = parser.finish()

    def _next(self) -> bytes:
        portion = next(self._data, b"")
        if not portion:
            raise CorruptData(f"{self._place}: ends in the middle; a part of the backup is missing")
        return portion

    def _check_seal(self, found: bytes) -> None:
        while len(found) < _SEAL_SIZE:
            found += self._next()
        if found[_SEAL_SIZE:] or next(self._data, b""):
            raise CorruptData(f"{self._place}: something follows the end of the backup")
        expected = _FRAME.pack(_SEAL_FRAME, self._digest.digest_size) + self._digest.digest()
        if found != expected:
            raise CorruptData(f"{self._place}: does not match its seal {expected[_FRAME.size :].hex()}")

    def _read_label(self) -> BackupLabel:
        head = self._take(_FRAME.size)
        magic, length = _FRAME.unpack(head)
        if magic != _LABEL_FRAME or length > _LABEL_LIMIT:
            raise CorruptData(f"{self._place}: is no backup of a cell")
        payload = unseal_whole(self._take(length), _MAGIC, self._place).payload
        return decode_payload(_DECODER, payload, self._place)

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            portion = next(self._data, b"")
            if not portion:
                raise CorruptData(f"{self._place}: {len(self._rest)} bytes long; is no backup of a cell")
            self._rest += portion
        taken, self._rest = self._rest[:size], self._rest[size:]
        self._digest.update(taken)
        return taken


_DECODER: Final = msgspec.msgpack.Decoder(BackupLabel)
