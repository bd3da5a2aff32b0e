"""Torn or rotten: each row of the table in `chubby.storage.scan`, and all of it at random (DESIGN §3 Disk)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import CorruptData
from chubby.storage.faults import ForeignData
from chubby.storage.records import SECTOR, Head, encode_batch, encode_record
from chubby.storage.scan import Scan, scan_segment
from chubby.storage.segment import SegmentHeader
from tests.storage.samples import IDENTITY, Batch, accepted, batches

FIRST = 10
HEADER = SegmentHeader(IDENTITY, 4, FIRST)
TAIL = bytes(8 * SECTOR)
ONE = (accepted(1),)
LARGE = (accepted(2, size=3 * SECTOR),)


def encoded(written: list[Batch], first: int = FIRST) -> list[bytes]:
    """The records that hold these batches in the segment of `HEADER`."""
    return [encode_batch(batch, HEADER.seed, first + index) for index, batch in enumerate(written)]


def segment(*records: bytes) -> bytes:
    """A segment with these records and room behind them."""
    return b"".join((HEADER.encode(), *records, TAIL))


def scan(data: bytes, sequence: int = FIRST) -> Scan:
    """Read it as segment 4."""
    return scan_segment(data, IDENTITY, 4, sequence, "x")


def without(data: bytes, *sectors: int) -> bytes:
    """The data with these sectors as they were before they were written."""
    cut = bytearray(data)
    for sector in sectors:
        cut[sector * SECTOR : (sector + 1) * SECTOR] = bytes(SECTOR)
    return bytes(cut)


def flipped(data: bytes, offset: int, bit: int = 0) -> bytes:
    """The data with one bit turned over."""
    rotten = bytearray(data)
    rotten[offset] ^= 1 << bit
    return bytes(rotten)


def test_all_whole_records_are_found_and_zeros_end_them() -> None:
    """The normal end is the zeroed rest of the segment."""
    found = scan(segment(*encoded([ONE, LARGE, ONE])))
    assert [head.sequence for head in found.heads] == [10, 11, 12]
    assert (found.torn, found.blank, found.header) == ("", False, HEADER)
    assert found.used == found.heads[-1].end == SECTOR * (1 + 1 + 4 + 1)


def test_a_segment_may_be_full_to_the_last_sector() -> None:
    """Then there is no zero behind the last record."""
    data = HEADER.encode() + b"".join(encoded([ONE, ONE]))
    assert len(scan(data).heads) == 2


def test_a_segment_of_zeros_is_blank() -> None:
    """Prepared, and never written to."""
    found = scan(bytes(20 * SECTOR))
    assert found.blank and not found.heads and not found.torn and found.used == 0


@pytest.mark.parametrize("missing", [(2,), (3,), (4,), (2, 3), (3, 4), (2, 4)])
def test_torn_a_sector_of_the_last_record_was_never_written(missing: tuple[int, ...]) -> None:
    """Row: head verifies, a sector is zero, all zero after it; and row: the head's sector is among the missing."""
    data = without(segment(*encoded([ONE, LARGE])), *missing)
    found = scan(data)
    assert [head.sequence for head in found.heads] == [10]
    assert "record 11" in found.torn and found.torn.endswith("cut off")


def test_torn_the_first_record_of_a_segment_without_its_header() -> None:
    """Header and first record are one write, so either may be missing."""
    found = scan(without(segment(*encoded([LARGE])), 0))
    assert found.torn and found.header is None and not found.heads and not found.blank
    assert scan(without(segment(*encoded([LARGE])), 0, 1, 3)).torn
    headed = scan(without(segment(*encoded([LARGE])), 1, 2, 3, 4))
    assert not headed.torn and headed.header == HEADER and headed.used == SECTOR


def test_rotten_records_vanished_and_later_ones_verify() -> None:
    """Row: zero sector, then a head that verifies."""
    data = without(segment(*encoded([ONE, ONE, ONE])), 2)
    with pytest.raises(
        CorruptData, match=r"x, offset 1024: expected record 11, because record 12 follows at offset 1536"
    ):
        scan(data)


def test_rotten_the_header_vanished_and_records_verify() -> None:
    """Row: the same, behind a header that is zero."""
    with pytest.raises(
        CorruptData, match=r"x, offset 512: expected record 10, because record 11 follows at offset 1024"
    ):
        scan(without(segment(*encoded([ONE, ONE])), 0, 1))
    with pytest.raises(CorruptData, match="expected record 10"):
        scan(without(segment(*encoded([LARGE, ONE])), 0, 1))


def test_rotten_a_sector_vanished_and_a_later_record_was_begun() -> None:
    """Row: head verifies, a sector is zero, something after it: be it whole, half, or a single byte."""
    for later in (encoded([ONE], 11)[0], without(encoded([LARGE], 11)[0], 0), flipped(bytes(4 * SECTOR), 2000)):
        data = without(segment(encoded([LARGE])[0], later), 3)
        with pytest.raises(CorruptData, match="something was written after it, so it had been synced"):
            scan(data)


def test_rotten_every_sector_was_written() -> None:
    """Row: head verifies, body does not, no sector is zero; the message tells both checksums."""
    data = flipped(segment(*encoded([LARGE])), SECTOR * 3)
    with pytest.raises(CorruptData, match=r"x, offset 512: expected record 10 with checksum 0x\w+ \(computed 0x\w+\)"):
        scan(data)


def test_rotten_no_head_and_not_zero() -> None:
    """Row: anything else."""
    for offset in (0, 3, 9, 17, 21, 23):
        with pytest.raises(CorruptData, match=r"x, offset 1024: expected a head of record 11 that verifies, or zeros"):
            scan(flipped(segment(*encoded([ONE, ONE])), 2 * SECTOR + offset))


def test_rotten_a_length_that_would_reach_into_the_zeros() -> None:
    """The trap of one checksum for all: the record would seem to lack its last sectors."""
    record = encoded([ONE])[0]
    for bit in range(8, 14):
        with pytest.raises(CorruptData, match="a head of record 10"):
            scan(segment(flipped(record, bit // 8, bit % 8)))


def test_rotten_a_record_out_of_turn() -> None:
    """A record that verifies and is not the next one."""
    with pytest.raises(CorruptData, match=r"expected record 11 \(found record 12\)"):
        scan(segment(encoded([ONE])[0], encoded([ONE], 12)[0]))
    with pytest.raises(CorruptData, match=r"expected record 11 \(found record 10\)"):
        scan(segment(encoded([ONE])[0], encoded([ONE])[0]))


def test_rotten_a_record_longer_than_its_segment() -> None:
    """The file was cut."""
    data = HEADER.encode() + encoded([LARGE])[0][: 2 * SECTOR]
    with pytest.raises(CorruptData, match="expected a record that ends within the segment's 1536 bytes"):
        scan(data)


@pytest.mark.parametrize("size", [0, 1, SECTOR, 2 * SECTOR + 1])
def test_rotten_a_file_of_no_whole_sectors(size: int) -> None:
    """Somebody truncated it."""
    with pytest.raises(CorruptData, match="expected whole sectors"):
        scan(segment(*encoded([ONE]))[:size])


def test_rotten_a_segment_that_begins_too_late() -> None:
    """The one before lost records at its end, or is missing."""
    with pytest.raises(CorruptData, match="begins with record 10; expected record 9, so records are missing"):
        scan(segment(*encoded([ONE])), sequence=9)
    assert scan(segment(*encoded([ONE])), sequence=0).heads, "the first of the log may begin anywhere"


def test_foreign_a_type_or_flag_of_a_newer_release() -> None:
    """It verifies, so it is no rot."""
    for kind, flags in ((2, 0), (1, 2)):
        with pytest.raises(ForeignData, match="this release knows neither"):
            scan(segment(encode_record(b"x", kind, flags, HEADER.seed, FIRST)))


def test_a_client_cannot_forge_a_record_inside_a_torn_one() -> None:
    """What clients store may look like a record; without the seed, which names the incarnation, it does not verify."""
    forged = encode_batch(ONE, SegmentHeader(IDENTITY, 5, FIRST).seed, FIRST + 1)
    torn = without(segment(*encoded([(accepted(1, text="\x01" * 400), accepted(2, size=2 * SECTOR))]), forged), 1)
    assert scan(torn).torn


@settings(max_examples=150)
@given(batches(), st.data())
def test_any_torn_last_write_recovers_to_exactly_the_synced_records(written: list[Batch], data: st.DataObject) -> None:
    """DESIGN §3 Disk: whatever is missing of the last write, nothing synced is lost and it is never rotten."""
    records = encoded(written)
    begin = sum(map(len, records[:-1])) // SECTOR + 1
    # The first write of a segment brings the header along.
    first = 0 if len(records) == 1 else begin
    last = begin + len(records[-1]) // SECTOR
    missing = data.draw(st.sets(st.sampled_from(range(first, last)), min_size=1))
    found = scan(without(segment(*records), *missing))
    assert [head.sequence for head in found.heads] == list(range(FIRST, FIRST + len(records) - 1))


@settings(max_examples=300)
@given(batches(), st.data())
def test_any_flipped_bit_in_synced_records_is_rotten(written: list[Batch], data: st.DataObject) -> None:
    """DESIGN §3 Disk: never silently dropped, be it in the very last record."""
    whole = segment(*encoded(written))
    offset = data.draw(st.integers(0, len(whole) - len(TAIL) - 1))
    with pytest.raises(CorruptData):
        scan(flipped(whole, offset, data.draw(st.integers(0, 7))))


@settings(max_examples=150)
@given(batches(minimum=2), st.data())
def test_any_vanished_sector_before_the_last_record_is_rotten(written: list[Batch], data: st.DataObject) -> None:
    """DESIGN §3 Disk: a zero sector excuses only the last record."""
    records = encoded(written)
    last = sum(map(len, records[:-1])) // SECTOR + 1
    missing = data.draw(st.sets(st.sampled_from(range(last)), min_size=1))
    with pytest.raises(CorruptData):
        scan(without(segment(*records), *missing))


@settings(max_examples=100)
@given(batches(minimum=2), st.data())
def test_rot_in_a_synced_record_is_not_excused_by_a_torn_one_behind_it(
    written: list[Batch], data: st.DataObject
) -> None:
    """A crash tears the last write, and a bit before it has rotted: that is rot."""
    records = encoded(written)
    begin = sum(map(len, records[:-1])) // SECTOR + 1
    sectors = list(range(begin, begin + len(records[-1]) // SECTOR))
    kept = data.draw(st.sampled_from(sectors))
    torn = without(segment(*records), *(sector for sector in sectors if sector != kept))
    with pytest.raises(CorruptData):
        scan(flipped(torn, data.draw(st.integers(0, begin * SECTOR - 1)), data.draw(st.integers(0, 7))))


def test_a_flipped_bit_behind_the_last_record_never_loses_one() -> None:
    """There is nothing there to lose: it is reported, or taken for a write that was cut short."""
    whole = segment(*encoded([ONE, ONE]))
    end = len(whole) - len(TAIL)
    with pytest.raises(CorruptData, match="a head of record 12"):
        scan(flipped(whole, end + 5))
    assert len(scan(flipped(whole, end + SECTOR + 5)).heads) == 2


def test_heads_tell_where_records_lie() -> None:
    """Offsets are within the segment."""
    found = scan(segment(*encoded([LARGE, ONE])))
    assert [type(head) for head in found.heads] == [Head, Head]
    assert [(head.start, head.end) for head in found.heads] == [(512, 2560), (2560, 3072)]
