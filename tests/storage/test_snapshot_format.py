"""A snapshot's bytes: slices come back one for one, and nothing else verifies."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import CorruptData, StorageFailed
from chubby.storage.faults import ForeignData
from chubby.storage.sealed import PREFIX_SIZE
from chubby.storage.snapshot_format import FOOTER_SIZE, SLICE_LIMIT, SnapshotEncoder, SnapshotHeader, SnapshotParser
from chubby.storage.snapshot_reader import BytesSource, SnapshotReader
from tests.storage.samples import CONFIGURATION, IDENTITY, header, newer

pieces = st.lists(st.binary(min_size=1, max_size=200), max_size=6)


def encoded(parts: Iterable[bytes], head: SnapshotHeader | None = None) -> bytes:
    """The whole file."""
    encoder = SnapshotEncoder(head or header(7))
    return b"".join((encoder.header, *map(encoder.block, parts), encoder.footer()))


def parsed(data: bytes, portion: int = 10**9) -> list[bytes]:
    """All slices of a whole snapshot, fed in portions of that many bytes."""
    parser = SnapshotParser("x")
    found = [piece for begin in range(0, len(data), portion) for piece in parser.feed(data[begin : begin + portion])]
    parser.finish()
    return found


@given(pieces, st.integers(1, 400))
def test_slices_come_back_one_for_one_in_any_portions(parts: list[bytes], portion: int) -> None:
    """The machine may rely on the boundaries of its slices."""
    assert parsed(encoded(parts), portion) == parts


def test_the_header_tells_what_backup_tooling_asks() -> None:
    """Format version, cell, slot, configuration, machine version; without reading on."""
    head = SnapshotReader(BytesSource(encoded([b"x"])), "x").header
    assert head == SnapshotHeader(IDENTITY.cell, 7, CONFIGURATION, machine_version=3, time_ms=1_700_000_000_007)
    assert head.format_version == 1


def test_the_same_state_is_the_same_bytes_on_every_replica() -> None:
    """No replica is named in it, so a transfer installs the bytes as they are."""
    assert encoded([b"a", b"b"]) == encoded([b"a", b"b"])


@settings(max_examples=300)
@given(pieces, st.data())
def test_any_flipped_bit_is_rotten(parts: list[bytes], data: st.DataObject) -> None:
    """Header, blocks, lengths, footer: all of it is covered."""
    rotten = bytearray(encoded(parts))
    rotten[data.draw(st.integers(0, len(rotten) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptData, match=r"^x"):
        parsed(bytes(rotten), data.draw(st.sampled_from([1, 50, 10**9])))


@given(pieces, st.data())
def test_any_missing_end_is_rotten(parts: list[bytes], data: st.DataObject) -> None:
    """A snapshot is whole only with its footer."""
    whole = encoded(parts)
    with pytest.raises(CorruptData, match="a part of the snapshot is missing"):
        parsed(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_blocks_that_changed_places_are_rotten() -> None:
    """Each block's checksum names its number."""
    encoder = SnapshotEncoder(header(7))
    one, two = encoder.block(b"1"), encoder.block(b"2")
    with pytest.raises(CorruptData, match="expected block 0 with checksum"):
        parsed(encoder.header + two + one + encoder.footer())


def test_a_block_of_another_snapshot_is_rotten() -> None:
    """Each block's checksum names its header."""
    encoder, other = SnapshotEncoder(header(7)), SnapshotEncoder(header(8))
    encoder.block(b"1")
    with pytest.raises(CorruptData, match="expected block 0"):
        parsed(encoder.header + other.block(b"1") + encoder.footer())


def test_a_footer_of_another_count_is_rotten() -> None:
    """A block left out, with a footer that verifies for itself."""
    encoder = SnapshotEncoder(header(7))
    encoder.block(b"1")
    with pytest.raises(CorruptData, match="expected a footer of 0 blocks"):
        parsed(encoder.header + encoder.footer())


def test_nothing_follows_the_footer() -> None:
    """Also when it comes in a portion of its own."""
    whole = encoded([b"1"])
    with pytest.raises(CorruptData, match="more follows the footer"):
        parsed(whole + b"x")
    with pytest.raises(CorruptData, match="more follows the footer"):
        parsed(whole + b"x", len(whole))


def test_an_absurd_block_is_refused_before_it_is_gathered() -> None:
    """A rotten length must not fill the memory."""
    encoder = SnapshotEncoder(header(7))
    parser = SnapshotParser("x")
    with pytest.raises(CorruptData, match="a block of at most"):
        list(parser.feed(encoder.header + (SLICE_LIMIT + 1).to_bytes(4, "little") + bytes(4)))


def test_a_newer_format_is_foreign() -> None:
    """Not rotten: another release can read it."""
    with pytest.raises(ForeignData, match="x: format version 2; this release reads version 1"):
        list(SnapshotParser("x").feed(newer(b"CHUBSNAP", b"whatever that release has to say")))


def test_verifying_in_steps_says_when_it_is_done() -> None:
    """So a slow scrub never holds the disk for long."""
    source = BytesSource(encoded([bytes([number]) * 700_000 for number in range(5)]))
    reader = SnapshotReader(source, "x")
    steps = 1
    while not reader.step():
        steps += 1
    assert steps == 4
    assert SnapshotReader(source, "x").verify() == header(7)


def test_a_large_header_is_read_whole() -> None:
    """Slices that came along with the header are not lost."""
    data = encoded([b"first", b"second"])
    assert list(SnapshotReader(BytesSource(data), "x").slices()) == [b"first", b"second"]
    assert len(data) > PREFIX_SIZE + FOOTER_SIZE


def test_an_empty_source_is_no_snapshot() -> None:
    """Told at once."""
    with pytest.raises(CorruptData, match="ends after 0 bytes"):
        SnapshotReader(BytesSource(b""), "x")


class Failing:
    """A source the system cannot read."""

    def __init__(self, code: int) -> None:
        """`code` is the errno of every read."""
        self._code = code

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        raise OSError(self._code, os.strerror(self._code))


def test_a_sector_that_cannot_be_read_any_more_is_rot() -> None:
    """EIO on a read means bytes are lost, and an older snapshot helps; anything else is not the snapshot's fault."""
    with pytest.raises(CorruptData, match="Input/output error"):
        SnapshotReader(Failing(errno.EIO), "x")
    with pytest.raises(StorageFailed, match="Permission denied"):
        SnapshotReader(Failing(errno.EACCES), "x")
