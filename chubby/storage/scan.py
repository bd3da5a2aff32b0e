"""Reading a segment back: which records are whole, and whether what follows them is the end, torn, or rotten.

Only the last write before a crash may have been cut off, and nothing was begun after it. So at the first position that
holds no whole record, in a segment or right behind its header:

| the first sector there | the rest of the record           | anything after it          | verdict                    |
|------------------------|----------------------------------|----------------------------|----------------------------|
| zero                   | (length unknown)                 | all zero                   | the end                    |
| zero                   | some of it is there              | no head that verifies      | torn: cut off              |
| zero                   |                                  | a head that verifies       | rotten: records vanished   |
| a head that verifies   | a sector of it is zero           | all zero                   | torn: cut off              |
| a head that verifies   | a sector of it is zero           | a byte that is not zero    | rotten: it had been synced |
| a head that verifies   | no sector is zero                |                            | rotten                     |
| anything else          |                                  |                            | rotten                     |

"After it" includes the segments that follow. This is DESIGN §3's rule, taken strictly: "nothing valid after it" also
forbids half a record, because even that was begun only when the one before had been synced.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec

from chubby.errors import CorruptData
from chubby.paxos.configuration import Identity
from chubby.storage.faults import ForeignData
from chubby.storage.records import SECTOR, ZERO_SECTOR, Head, RecordType, body_checksum, parse_head
from chubby.storage.segment import SegmentHeader, is_zero, parse_header


class Scan(msgspec.Struct, frozen=True):
    """What a segment holds.

    `header` is None, and then there are no records, if the header's sector is zero. `torn` says, for people, what was
    cut off, and is empty if nothing was. `blank`: not a byte of the segment was ever written.
    """

    header: SegmentHeader | None
    heads: tuple[Head, ...]
    torn: str
    blank: bool

    @property
    def used(self) -> int:
        """Where the whole records end; 0 in a segment without a header."""
        if self.heads:
            return self.heads[-1].end
        return SECTOR if self.header is not None else 0


def scan_segment(data: bytes, identity: Identity, number: int, sequence: int, place: str) -> Scan:
    """Read the whole of segment `number`, whose first record should have `sequence` (0: take the header's word).

    Raises `CorruptData` or `ForeignData`; `place` is what the messages call the file.
    """
    if len(data) < 2 * SECTOR or len(data) % SECTOR:
        raise CorruptData(f"{place}: {len(data)} bytes long; expected whole sectors of {SECTOR}, at least two")
    header = parse_header(data, identity, number, place)
    if header is None:
        return _scan_headless(data, SegmentHeader(identity, number, max(sequence, 1)), place)
    if sequence and header.first != sequence:
        raise CorruptData(
            f"{place}, offset 48: the segment begins with record {header.first}; expected record {sequence}, "
            "so records are missing"
        )
    heads, torn = _scan_records(data, header, place)
    return Scan(header, heads, torn, blank=False)


def _scan_headless(data: bytes, expected: SegmentHeader, place: str) -> Scan:
    """A segment whose first sector is zero: merely prepared, or its first write lost that sector."""
    if is_zero(data):
        return Scan(None, (), "", blank=True)
    torn = _judge_missing_head(data, SECTOR, expected.seed, expected.first, place)
    return Scan(None, (), torn, blank=False)


def _scan_records(data: bytes, header: SegmentHeader, place: str) -> tuple[tuple[Head, ...], str]:
    """All whole records, and what was cut off behind them."""
    seed = header.seed
    sequence = header.first
    position = SECTOR
    heads: list[Head] = []
    while position < len(data):
        head = parse_head(data, position, seed)
        if head is None:
            if not data.startswith(ZERO_SECTOR, position):
                _rotten(place, position, f"a head of record {sequence} that verifies, or zeros")
            return tuple(heads), _judge_missing_head(data, position, seed, sequence, place)
        _check_head(head, sequence, len(data), place)
        if body_checksum(data, head, seed) != head.checksum:
            return tuple(heads), _judge_broken_body(data, head, body_checksum(data, head, seed), place)
        heads.append(head)
        position = head.end
        sequence += 1
    return tuple(heads), ""


def _check_head(head: Head, sequence: int, size: int, place: str) -> None:
    """A head that verifies must also be the one that belongs here."""
    if head.sequence != sequence:
        _rotten(place, head.start, f"record {sequence} (found record {head.sequence})")
    if head.end > size:
        _rotten(place, head.start, f"a record that ends within the segment's {size} bytes (found {head.end})")
    if head.kind != RecordType.BATCH or head.flags & ~1:
        raise ForeignData(
            f"{place}, offset {head.start}: record {sequence} is of type {head.kind}, flags {head.flags}; "
            "this release knows neither: install the release that wrote it"
        )


def _judge_missing_head(data: bytes, position: int, seed: int, sequence: int, place: str) -> str:
    """The sector at `position` is zero: is this the end ("" is returned), torn, or rotten?"""
    if is_zero(data, position):
        return ""
    for offset in range(position + SECTOR, len(data), SECTOR):
        later = None if data.startswith(ZERO_SECTOR, offset) else parse_head(data, offset, seed)
        if later is not None:
            _rotten(place, position, f"record {sequence}, because record {later.sequence} follows at offset {offset}")
    return f"{place}, offset {position}: the first sector of record {sequence} was never written; cut off"


def _judge_broken_body(data: bytes, head: Head, computed: int, place: str) -> str:
    """The head verifies and the body does not: torn, or rotten?"""
    missing = next(
        (offset for offset in range(head.start, head.end, SECTOR) if data.startswith(ZERO_SECTOR, offset)), None
    )
    expected = f"record {head.sequence} with checksum {head.checksum:#010x} (computed {computed:#010x})"
    if missing is None:
        _rotten(place, head.start, f"{expected}; every sector of it was written, so this is no torn write")
    if not is_zero(data, head.end):
        _rotten(place, head.start, f"{expected}; something was written after it, so it had been synced")
    return f"{place}, offset {head.start}: record {head.sequence} lacks the sector at offset {missing}; cut off"


def _rotten(place: str, offset: int, expected: str) -> NoReturn:
    raise CorruptData(f"{place}, offset {offset}: expected {expected}")
