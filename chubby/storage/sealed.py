"""Sealed blocks: a magic word, a version, a length and a checksum before a payload.

The small files IDENTITY and MANIFEST are one sealed block each, and a snapshot begins with one:

| offset | bytes | field                                                       |
|--------|-------|-------------------------------------------------------------|
| 0      | 8     | magic: which kind of file this is                           |
| 8      | 4     | format version                                              |
| 12     | 4     | length of the payload                                       |
| 16     | 4     | crc32c of bytes 0-15 and of the payload                     |
| 20     |       | payload: MessagePack                                        |

These twenty bytes keep their meaning in every future version, so any release can tell "newer" from "rotten": the
checksum is verified first and the version judged after it.
"""

from __future__ import annotations

import struct
from typing import Final, TypeVar

import msgspec

from chubby.errors import CorruptData
from chubby.storage.checksum import crc32c
from chubby.storage.faults import ForeignData
from chubby.types.decoding import MALFORMED

FORMAT_VERSION: Final = 1
"""The version of every file this release writes, and the newest it reads."""

_T = TypeVar("_T")
_PREFIX: Final = struct.Struct("<8sII")
_CHECKSUM: Final = struct.Struct("<I")
PREFIX_SIZE: Final = _PREFIX.size + _CHECKSUM.size
"""Bytes before the payload."""
PAYLOAD_LIMIT: Final = 16 * 1024 * 1024
"""No sealed payload is longer; so a rotten length never makes a reader wait for gigabytes."""


class Sealed(msgspec.Struct, frozen=True):
    """A block that verified: its payload, its checksum, and where it ends."""

    payload: bytes
    checksum: int
    end: int


def seal(magic: bytes, payload: bytes) -> bytes:
    """The block that holds `payload`."""
    assert len(magic) == 8, "a magic word has eight bytes"
    assert len(payload) <= PAYLOAD_LIMIT, "a sealed payload is small"
    prefix = _PREFIX.pack(magic, FORMAT_VERSION, len(payload))
    return b"".join((prefix, _CHECKSUM.pack(crc32c(crc32c(0, prefix), payload)), payload))


def sealed_size(data: bytes, magic: bytes, place: str) -> int:
    """How long the block is that `data` begins with; `data` holds at least `PREFIX_SIZE` bytes of it.

    Raises `CorruptData` if it is none of this kind; `place` is what the message calls the file.
    """
    if len(data) < PREFIX_SIZE:
        raise CorruptData(f"{place}: {len(data)} bytes long; expected at least {PREFIX_SIZE}")
    found, _, length = _PREFIX.unpack_from(data)
    if found != magic:
        raise CorruptData(f"{place}, offset 0: found {found!r}; expected {magic!r}")
    if length > PAYLOAD_LIMIT:
        raise CorruptData(f"{place}, offset 12: length {length}; expected at most {PAYLOAD_LIMIT}")
    return PREFIX_SIZE + int(length)


def unseal(data: bytes, magic: bytes, place: str) -> Sealed:
    """The block at the beginning of `data`. Raises `CorruptData`, or `ForeignData` if its version is newer."""
    end = sealed_size(data, magic, place)
    if len(data) < end:
        raise CorruptData(f"{place}: {len(data)} bytes long; expected {end}")
    payload = data[PREFIX_SIZE:end]
    (recorded,) = _CHECKSUM.unpack_from(data, _PREFIX.size)
    computed = crc32c(crc32c(0, data[: _PREFIX.size]), payload)
    if recorded != computed:
        raise CorruptData(f"{place}, offset 16: checksum {recorded:#010x}; expected {computed:#010x}")
    (_, version, _) = _PREFIX.unpack_from(data)
    check_version(version, place)
    return Sealed(payload, computed, end)


def unseal_whole(data: bytes, magic: bytes, place: str) -> Sealed:
    """The block that is all of `data`; raises as `unseal` does."""
    block = unseal(data, magic, place)
    if block.end != len(data):
        raise CorruptData(f"{place}: {len(data)} bytes long; expected {block.end}")
    return block


def check_version(version: int, place: str) -> None:
    """Raise `ForeignData` unless this release reads that version."""
    if version != FORMAT_VERSION:
        raise ForeignData(
            f"{place}: format version {version}; this release reads version {FORMAT_VERSION}: "
            "install the release that wrote it"
        )


def decode_payload(decoder: msgspec.msgpack.Decoder[_T], payload: bytes, place: str) -> _T:
    """The value in a verified payload; `CorruptData` if it is not of the right shape."""
    try:
        return decoder.decode(payload)
    except MALFORMED as error:
        raise CorruptData(f"{place}: verified, but does not decode: {error}") from error
