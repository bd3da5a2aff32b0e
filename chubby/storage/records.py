"""The record on disk: one batch of the log, under one checksum, in sectors of its own.

What is appended by one write and made durable by one fdatasync is *one* record, however many promises and entries are
in it (the shell's batch, DESIGN §3). So when record n+1 was begun, record n had been synced in full: that is what
lets recovery tell a torn write from rot.

| offset | bytes | field                                                                                   |
|--------|-------|-----------------------------------------------------------------------------------------|
| 0      | 4     | length of the payload as stored                                                         |
| 4      | 4     | crc32c of length, sequence, type, flags, then of everything from offset 24 to the end   |
| 8      | 8     | sequence: 1 for the first record of a replica's life, then +1 with each                 |
| 16     | 2     | type: 1 = a batch of Paxos records                                                      |
| 18     | 2     | flags: bit 0 = stuffed                                                                  |
| 20     | 4     | crc32c of bytes 0-19                                                                    |
| 24     |       | payload, the byte A5, then zeros up to the next multiple of 512                         |

Little endian. Both checksums start from the seed of the segment, so a record that strayed here from another place,
another segment or another life never verifies. Three things beyond DESIGN's "length | crc32c | type | payload" make
its rule for torn records exact:

* **The head has a checksum of its own.** Otherwise one flipped bit of the length would stretch a synced record into
  the zeros behind it, and it would look torn.
* **No sector of a record is ever zero**, nor one flipped bit away from it: the first holds the head, the last the A5,
  and a payload with a long run of zeros is *stuffed*: an A5 goes before every 511 bytes of it. So a zero sector means
  "never written", not "a client stored zeros".
* **Records begin on sector boundaries**: writing one never rewrites a sector of another.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.ready import Record
from chubby.storage.checksum import crc32c
from chubby.types.decoding import MALFORMED

SECTOR: Final = 512
"""What a disk writes whole or not at all, in bytes."""
ZERO_SECTOR: Final = bytes(SECTOR)
HEAD_SIZE: Final = 24
"""Bytes before the payload."""
PAYLOAD_LIMIT: Final = 256 * 1024 * 1024
"""The longest payload. A window of slots is 8 MiB, so nothing comes near it; a rotten length may."""

_HEAD: Final = struct.Struct("<IIQHH")
_WHOLE_HEAD: Final = struct.Struct("<IIQHHI")
_CHECKED: Final = struct.Struct("<IQHH")
_END: Final = 0xA5
_STUFFING: Final = b"\xa5"
_TAILS: Final = tuple(bytes((_END,)) + bytes(padding) for padding in range(SECTOR))
_LONG_RUN: Final = bytes(256)
"""A sector with at most one byte that is not zero holds a run of zeros this long."""


class RecordType(enum.IntEnum):
    """What a record holds. A type this release does not know was written by a newer one."""

    BATCH = 1


class Flags(enum.IntFlag):
    """How a payload is stored."""

    NONE = 0
    STUFFED = 1


class Head(msgspec.Struct, frozen=True, gc=False):
    """The verified head of a record: `start` and `end` are offsets in its segment, `end` on a sector boundary."""

    start: int
    length: int
    checksum: int
    sequence: int
    kind: int
    flags: int

    @property
    def end(self) -> int:
        """The offset of the first sector after the record."""
        return self.start + _stored_size(self.length)


def encode_batch(records: Sequence[Record], seed: int, sequence: int) -> bytes:
    """The bytes of one record that holds `records` in order, ready to be written by one write."""
    assert records, "an empty batch needs no record"
    payload = _ENCODER.encode(records)
    if _LONG_RUN in payload:
        return encode_record(stuff(payload), RecordType.BATCH, Flags.STUFFED, seed, sequence)
    return encode_record(payload, RecordType.BATCH, Flags.NONE, seed, sequence)


def encode_record(payload: bytes, kind: int, flags: int, seed: int, sequence: int) -> bytes:
    """The record around a payload as it is stored."""
    length = len(payload)
    assert 0 < length <= PAYLOAD_LIMIT, "a payload is neither empty nor absurdly long"
    assert sequence > 0, "sequences count from 1"
    body = payload + _TAILS[-(HEAD_SIZE + length + 1) % SECTOR]
    checksum = crc32c(crc32c(seed, _CHECKED.pack(length, sequence, kind, flags)), body)
    head = _HEAD.pack(length, checksum, sequence, kind, flags)
    return b"".join((head, crc32c(seed, head).to_bytes(4, "little"), body))


def parse_head(data: bytes, start: int, seed: int) -> Head | None:
    """The head at `start`, or None if what is there is no head of this segment."""
    if start + HEAD_SIZE > len(data):
        return None
    length, checksum, sequence, kind, flags, own = _WHOLE_HEAD.unpack_from(data, start)
    if not 0 < length <= PAYLOAD_LIMIT or crc32c(seed, data[start : start + HEAD_SIZE - 4]) != own:
        return None
    return Head(start, length, checksum, sequence, kind, flags)


def body_checksum(data: bytes, head: Head, seed: int) -> int:
    """The checksum that `head.checksum` ought to be, computed from what is there."""
    checksum = crc32c(seed, _CHECKED.pack(head.length, head.sequence, head.kind, head.flags))
    return crc32c(checksum, data[head.start + HEAD_SIZE : head.end])


def stored_payload(data: bytes, head: Head) -> bytes:
    """The payload of a verified record as it is stored, stuffed or not."""
    begin = head.start + HEAD_SIZE
    return data[begin : begin + head.length]


def decode_batch(stored: bytes, flags: int, place: str) -> tuple[Record, ...]:
    """The Paxos records in a verified payload; `CorruptData` naming `place` if they are not of the right shape."""
    try:
        return _DECODER.decode(unstuff(stored) if flags & Flags.STUFFED else stored)
    except MALFORMED as error:
        raise CorruptData(f"{place}: the record verifies, but does not decode: {error}") from error


def stuff(payload: bytes) -> bytes:
    """`payload` with an A5 before every 511 bytes: no 512 bytes in a row can be zero."""
    step = SECTOR - 1
    return b"".join(
        part for begin in range(0, len(payload), step) for part in (_STUFFING, payload[begin : begin + step])
    )


def unstuff(stored: bytes) -> bytearray:
    """What `stuff` made `stored` of."""
    payload = bytearray(stored)
    del payload[::SECTOR]
    return payload


def _stored_size(length: int) -> int:
    """The size on disk of a record whose payload has `length` bytes, in whole sectors."""
    return -(-(HEAD_SIZE + length + 1) // SECTOR) * SECTOR


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[Record, ...])
