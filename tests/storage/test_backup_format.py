"""Backups as bytes: whole or refused, never half."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from chubby.errors import CorruptData
from chubby.paxos.configuration import Configuration, Member
from chubby.storage.backup_format import BackupLabel, BackupReader, encode_backup
from chubby.storage.faults import ForeignData
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader

LABEL = BackupLabel("test", 7, 1_790_000_000_000, "0.1.0")
HEADER = SnapshotHeader(7, 42, Configuration((Member(1, 11),)))


def snapshot_of(slices: list[bytes]) -> bytes:
    """A snapshot file."""
    encoder = SnapshotEncoder(HEADER)
    return b"".join((encoder.header, *(encoder.block(piece) for piece in slices), encoder.footer()))


def backup_of(slices: list[bytes], label: BackupLabel = LABEL) -> bytes:
    """A backup file."""
    return b"".join(encode_backup(label, [snapshot_of(slices)]))


def portions(data: bytes, size: int) -> list[bytes]:
    """`data` cut into pieces."""
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 500))
def test_what_went_in_comes_out_in_any_portions(slices: list[bytes], size: int) -> None:
    """Label and slices, however the store hands out the bytes."""
    reader = BackupReader(portions(backup_of(slices), size), "b")
    assert reader.label == LABEL
    assert list(reader.slices()) == slices
    assert reader.header == HEADER


def test_the_snapshot_in_it_is_a_plain_zstd_stream() -> None:
    """`zstd -d` alone gives the snapshot file: the label is a skippable frame."""
    slices = [b"one", b"two" * 100]
    decompressor = zstandard.ZstdDecompressor()
    with decompressor.stream_reader(backup_of(slices), read_across_frames=True) as stream:
        assert stream.read() == snapshot_of(slices)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(place: int, mask: int) -> None:
    """Every byte is under a checksum: the label's, zstd's, or those within the snapshot."""
    data = bytearray(backup_of([bytes(range(256)) * 4]))
    data[place % len(data)] ^= mask
    with pytest.raises((CorruptData, ForeignData)):
        list(BackupReader([bytes(data)], "b").slices())


@given(st.integers(0, 10_000))
def test_no_cut_goes_unnoticed(place: int) -> None:
    """A backup that was interrupted is none."""
    data = backup_of([bytes(range(256)) * 4])
    with pytest.raises(CorruptData):
        list(BackupReader([data[: place % len(data)]], "b").slices())


def test_nothing_may_follow() -> None:
    """Two backups in one file, or garbage at the end, are told rather than ignored."""
    with pytest.raises(CorruptData, match="follows"):
        list(BackupReader([backup_of([b"x"]), b"more"], "b").slices())


@pytest.mark.parametrize("data", [b"", b"hello", b"\x00" * 100, zstandard.compress(b"hello")])
def test_other_files_are_told_apart(data: bytes) -> None:
    """Whatever is no backup is called so."""
    with pytest.raises(CorruptData, match="no backup"):
        BackupReader([data], "b")


def test_a_bomb_goes_off_in_small_pieces() -> None:
    """A few kilobytes of zstd may be gigabytes of zeros: no more than some megabytes are unpacked at a time."""
    label = b"".join(encode_backup(LABEL, []))
    compressor = zstandard.ZstdCompressor(level=6, write_checksum=True).compressobj()
    body = label[: 8 + int.from_bytes(label[4:8], "little")]
    body += compressor.compress(snapshot_of([])[:-56]) + b"".join(
        compressor.compress(bytes(1024 * 1024)) for _ in range(64)
    )
    data = body + compressor.flush()
    assert len(data) < 10_000
    pieces = BackupReader([data], "bomb").snapshot()
    assert max(len(next(pieces)) for _ in range(3)) <= 10 * 1024 * 1024
    with pytest.raises(CorruptData):
        list(BackupReader([data], "bomb").slices())


def test_a_window_without_bounds_is_refused() -> None:
    """What says that it looks far back would make decompressing take as much memory before anything is unpacked."""
    compressor = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    ).compressobj()
    label = b"".join(encode_backup(LABEL, []))
    body = label[: 8 + int.from_bytes(label[4:8], "little")] + compressor.compress(bytes(1000)) + compressor.flush()
    with pytest.raises(CorruptData, match="does not decompress"):
        list(BackupReader([body], "far").slices())
