"""A segment's header says whose it is; a segment is zeroed before it is used, in small synced steps."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.errors import CorruptData
from chubby.storage.checksum import crc32c
from chubby.storage.faults import ForeignData
from chubby.storage.records import SECTOR
from chubby.storage.segment import (
    SMALLEST_SEGMENT,
    STEP,
    WAL,
    Preparation,
    SegmentHeader,
    is_zero,
    parse_header,
    segment_name,
    zero,
)
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import Operation
from tests.storage.samples import ANOTHER_LIFE, IDENTITY

HEADER = SegmentHeader(IDENTITY, number=5, first=77)


def resealed(sector: bytes, offset: int, data: bytes) -> bytes:
    """A header with other bytes and a checksum that is right for them."""
    body = sector[:offset] + data + sector[offset + len(data) : SECTOR - 4]
    return body + crc32c(0, body).to_bytes(4, "little")


def test_a_header_comes_back_as_it_was() -> None:
    """It fills its sector, and its checksum is the seed of the records."""
    sector = HEADER.encode()
    assert len(sector) == SECTOR
    assert parse_header(sector, IDENTITY, 5, "x") == HEADER
    assert struct.unpack("<I", sector[-4:])[0] == HEADER.seed


def test_each_segment_has_a_seed_of_its_own() -> None:
    """So that a record never verifies in another segment, or in another life."""
    others = [
        SegmentHeader(IDENTITY, 6, 77),
        SegmentHeader(IDENTITY, 5, 78),
        SegmentHeader(ANOTHER_LIFE, 5, 77),
        SegmentHeader(msgspec.structs.replace(IDENTITY, cell=1), 5, 77),
        SegmentHeader(msgspec.structs.replace(IDENTITY, replica=3), 5, 77),
    ]
    assert len({HEADER.seed, *(other.seed for other in others)}) == 6


def test_a_zero_sector_is_no_header_yet() -> None:
    """A segment that is merely prepared."""
    assert parse_header(bytes(SECTOR), IDENTITY, 5, "x") is None


@given(st.integers(0, SECTOR * 8 - 1))
def test_every_flipped_bit_of_a_header_is_rot(bit: int) -> None:
    """All 512 bytes are covered."""
    sector = bytearray(HEADER.encode())
    sector[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptData, match="x, offset 0: the segment's header does not verify"):
        parse_header(bytes(sector), IDENTITY, 5, "x")


@pytest.mark.parametrize(
    ("identity", "number", "error", "message"),
    [
        (
            msgspec.structs.replace(IDENTITY, cell=9),
            5,
            ForeignData,
            "replica 2 of cell 0xce11; expected replica 2 of cell 0x9",
        ),
        (msgspec.structs.replace(IDENTITY, replica=3), 5, ForeignData, "expected replica 3"),
        (ANOTHER_LIFE, 5, CorruptData, "of incarnation 0x1dea; expected segment 5 of incarnation 0x2dea"),
        (IDENTITY, 6, CorruptData, "segment 5 of incarnation 0x1dea; expected segment 6"),
    ],
)
def test_a_segment_from_elsewhere_is_told(identity: object, number: int, error: type[Exception], message: str) -> None:
    """Wrong cell, replica, incarnation or number: each has its message."""
    assert isinstance(identity, type(IDENTITY))
    with pytest.raises(error, match=message):
        parse_header(HEADER.encode(), identity, number, "x")


def test_a_newer_format_is_foreign() -> None:
    """Told from rot by the checksum, which keeps its place in every version."""
    with pytest.raises(ForeignData, match="format version 2"):
        parse_header(resealed(HEADER.encode(), 8, b"\2"), IDENTITY, 5, "x")


def test_another_magic_word_is_rot() -> None:
    """With a checksum that verifies."""
    with pytest.raises(CorruptData, match="offset 0: found"):
        parse_header(resealed(HEADER.encode(), 0, b"SOMETHNG"), IDENTITY, 5, "x")


def test_names_sort_like_numbers() -> None:
    """Twenty digits hold any 64-bit number."""
    assert segment_name(7) == "wal/00000000000000000007.wal"
    assert segment_name(9) < segment_name(10) < segment_name(2**63)


def test_zero_is_told_to_the_last_byte() -> None:
    """Across the steps in which it is looked at."""
    size = 2 * STEP + SECTOR
    assert is_zero(bytes(size)) and is_zero(b"") and is_zero(b"x" + bytes(9), 1)
    for position in (0, STEP - 1, STEP, 2 * STEP, size - 1):
        data = bytearray(size)
        data[position] = 1
        assert not is_zero(bytes(data))
        assert is_zero(bytes(data), position + 1)


def prepared(size: int) -> tuple[FakeFiles, Preparation]:
    """A disk that records, and a preparation on it."""
    files = FakeFiles()
    files.make_directory(WAL)
    files.record = True
    return files, Preparation(files, 3, size)


def test_preparing_writes_and_syncs_in_small_steps() -> None:
    """Paxos Made Live: large files are written in small flushed chunks, so that no append waits long."""
    files, preparation = prepared(2 * STEP + 100)
    assert preparation.size == 2 * STEP + SECTOR
    steps = 1
    while not preparation.step():
        steps += 1
    assert steps == 3
    kinds = [operation.kind for operation in files.operations]
    assert kinds == ["create", "allocate", "write", "sync", "write", "sync", "write", "sync"]


def test_zeros_are_really_written() -> None:
    """DESIGN §3 Disk: zeroed in advance; an extent that is only reserved would journal its first write."""
    files, preparation = prepared(STEP)
    assert preparation.step()
    assert files.operations[2:] == [Operation("write", segment_name(3)), Operation("sync", segment_name(3))]
    files.sync_directory(WAL)
    files.sync_directory("")
    files.power_loss(nothing)
    assert files.contents(segment_name(3)) == bytes(STEP)


def test_filling_writes_content_and_zeros_behind_it() -> None:
    """The whole segment is durable, whatever it holds."""
    files, preparation = prepared(4 * SECTOR)
    preparation.fill(b"x" * SECTOR)
    files.sync_directory(WAL)
    files.sync_directory("")
    files.power_loss(nothing)
    assert files.contents(segment_name(3)) == b"x" * SECTOR + bytes(3 * SECTOR)


def test_a_segment_is_never_too_small_and_always_whole_sectors() -> None:
    """Header and one record at least."""
    assert prepared(1)[1].size == SMALLEST_SEGMENT
    assert prepared(SMALLEST_SEGMENT + 1)[1].size == SMALLEST_SEGMENT + SECTOR


def test_zeroing_a_range_leaves_the_rest_alone() -> None:
    """As when a segment is made longer."""
    files = FakeFiles()
    file = files.create("a")
    file.write(0, b"x" * 100)
    assert zero(file, 40, 60) == 60
    assert files.contents("a") == b"x" * 40 + bytes(20) + b"x" * 40
