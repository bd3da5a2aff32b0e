"""One record: what is in it comes back, and nothing else ever verifies as it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import CorruptData
from chubby.paxos.ready import ChosenRecord
from chubby.storage.records import (
    HEAD_SIZE,
    SECTOR,
    ZERO_SECTOR,
    Flags,
    Head,
    RecordType,
    body_checksum,
    decode_batch,
    encode_batch,
    encode_record,
    parse_head,
    stored_payload,
    stuff,
    unstuff,
)
from tests.storage.samples import Batch, accepted, batches

SEED = 0x5EED
batch = batches(maximum=1).map(lambda several: several[0])


def verified(data: bytes, seed: int = SEED) -> Head | None:
    """The head, if the whole record verifies."""
    head = parse_head(data, 0, seed)
    return head if head is not None and body_checksum(data, head, seed) == head.checksum else None


def zero_sectors(data: bytes) -> int:
    """How many sectors are zero."""
    return sum(data[begin : begin + SECTOR] == ZERO_SECTOR for begin in range(0, len(data), SECTOR))


@given(batch, st.integers(0, 2**32 - 1), st.integers(1, 2**63))
def test_a_batch_comes_back_as_it_was(records: Batch, seed: int, sequence: int) -> None:
    """DESIGN §3 Disk: record = length | crc32c | type | payload."""
    data = encode_batch(records, seed, sequence)
    head = verified(data, seed)
    assert head is not None
    assert (head.start, head.end, head.sequence, head.kind) == (0, len(data), sequence, RecordType.BATCH)
    assert decode_batch(stored_payload(data, head), head.flags, "here") == records


@given(batch)
def test_no_sector_of_a_record_is_zero(records: Batch) -> None:
    """DESIGN §3 Disk: a zero sector means "never written", whatever clients store."""
    data = encode_batch(records, SEED, 1)
    assert len(data) % SECTOR == 0
    assert zero_sectors(data) == 0


@given(batch, st.data())
def test_no_flipped_bit_makes_a_sector_zero(records: Batch, data: st.DataObject) -> None:
    """Else rot could pass for a torn write: each sector has two bits at least."""
    record = encode_batch(records, SEED, 1)
    begin = data.draw(st.sampled_from(range(0, len(record), SECTOR)))
    assert int.from_bytes(record[begin : begin + SECTOR], "little").bit_count() >= 2


@given(batch, st.data())
def test_no_flipped_bit_verifies(records: Batch, data: st.DataObject) -> None:
    """crc covers length, type and payload, and the padding too."""
    record = bytearray(encode_batch(records, SEED, 7))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert verified(bytes(record)) is None


def test_every_flipped_bit_of_the_head_is_noticed_without_the_body() -> None:
    """A rotten length must not stretch a record into the zeros behind it and make it look torn."""
    record = encode_batch([accepted(1)], SEED, 7)
    for bit in range(HEAD_SIZE * 8):
        rotten = bytearray(record)
        rotten[bit // 8] ^= 1 << bit % 8
        assert parse_head(bytes(rotten), 0, SEED) is None


def test_a_record_from_another_place_never_verifies() -> None:
    """The seed is the segment's, so a stale record from elsewhere is no record here."""
    data = encode_batch([accepted(1)], SEED, 7)
    assert all(parse_head(data, 0, SEED ^ (1 << bit)) is None for bit in range(32))


@pytest.mark.parametrize("length", [1, SECTOR - HEAD_SIZE - 1, SECTOR - HEAD_SIZE, 2 * SECTOR - HEAD_SIZE - 1, 5000])
def test_a_record_fills_whole_sectors(length: int) -> None:
    """Head, payload, the end mark, zeros: as few sectors as hold it."""
    data = encode_record(b"p" * length, RecordType.BATCH, Flags.NONE, SEED, 1)
    assert len(data) == -(-(HEAD_SIZE + length + 1) // SECTOR) * SECTOR
    assert data[HEAD_SIZE + length] == 0xA5
    assert not any(data[HEAD_SIZE + length + 1 :])
    assert verified(data) is not None


def test_a_payload_is_stuffed_only_when_it_has_a_long_run_of_zeros() -> None:
    """Ordinary batches are stored as they are."""
    for size, flags in ((255, Flags.NONE), (256, Flags.STUFFED), (100_000, Flags.STUFFED)):
        head = parse_head(encode_batch([accepted(1, text="x" + "\0" * size + "x")], SEED, 1), 0, SEED)
        assert head is not None and head.flags == flags


@settings(max_examples=50)
@given(st.binary(min_size=1, max_size=3000), st.integers(0, 3000))
def test_stuffing_is_undone(data: bytes, zeros: int) -> None:
    """Whatever the length; and 512 zeros never stand together."""
    payload = data + bytes(zeros)
    assert unstuff(stuff(payload)) == payload
    assert ZERO_SECTOR not in stuff(payload)


def test_a_very_large_batch_is_one_record() -> None:
    """A window of slots is 8 MiB; it is still one write and one checksum."""
    records = tuple(accepted(slot, size=1024 * 1024) for slot in range(1, 10))
    data = encode_batch(records, SEED, 1)
    head = verified(data)
    assert head is not None and decode_batch(stored_payload(data, head), head.flags, "here") == records


def test_what_verifies_and_does_not_decode_is_said_to() -> None:
    """It names the place."""
    bottomless = b"\x91\x82\xa4type\x03\xa1x" + b"\x91" * 5000
    for payload in (b"\xc1", b"\x01", b"\x91\x92\x09\x01", b"\x91\x81\xa1\xff\x01", bottomless):
        with pytest.raises(CorruptData, match=r"segment 3, offset 512: the record verifies, but does not decode"):
            decode_batch(payload, Flags.NONE, "segment 3, offset 512")


def test_a_head_needs_room_and_a_sensible_length() -> None:
    """The end of a segment, zeros, and absurd lengths are no heads."""
    data = encode_batch([ChosenRecord(1)], SEED, 1)
    assert parse_head(data, len(data) - HEAD_SIZE + 1, SEED) is None
    assert parse_head(bytes(SECTOR), 0, SEED) is None
    assert parse_head(b"\xff" * SECTOR, 0, SEED) is None
