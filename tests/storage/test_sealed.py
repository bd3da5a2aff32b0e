"""Sealed blocks: small files that say whether they are whole, and of which version."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.errors import CorruptData, StorageFailed
from chubby.storage.faults import ForeignData
from chubby.storage.sealed import PAYLOAD_LIMIT, PREFIX_SIZE, decode_payload, seal, sealed_size, unseal, unseal_whole
from tests.storage.samples import newer

MAGIC = b"CHUBTEST"


@given(st.binary(max_size=300), st.binary(max_size=9))
def test_a_payload_comes_back_with_where_it_ends(payload: bytes, rest: bytes) -> None:
    """What follows is not the block's business, unless the block is all there should be."""
    block = seal(MAGIC, payload)
    assert sealed_size(block + rest, MAGIC, "x") == len(block) == PREFIX_SIZE + len(payload)
    assert unseal(block + rest, MAGIC, "x").payload == payload
    assert unseal_whole(block, MAGIC, "x").end == len(block)


@given(st.binary(max_size=60), st.data())
def test_every_flipped_bit_is_rot(payload: bytes, data: st.DataObject) -> None:
    """The version too: a rotten one must not pass for a newer one, because what follows differs."""
    block = bytearray(seal(MAGIC, payload))
    block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptData):
        unseal_whole(bytes(block), MAGIC, "x")


@given(st.binary(max_size=60), st.data())
def test_every_missing_byte_is_rot(payload: bytes, data: st.DataObject) -> None:
    """Cut short anywhere."""
    block = seal(MAGIC, payload)
    with pytest.raises(CorruptData):
        unseal(block[: data.draw(st.integers(0, len(block) - 1))], MAGIC, "x")


def test_more_than_the_block_is_rot_where_the_block_is_all() -> None:
    """IDENTITY and MANIFEST are one block each."""
    with pytest.raises(CorruptData, match=r"x: 26 bytes long; expected 25"):
        unseal_whole(seal(MAGIC, b"hello") + b"!", MAGIC, "x")


def test_another_kind_of_file_is_told_by_its_magic_word() -> None:
    """The message says what was found and what was expected."""
    with pytest.raises(CorruptData, match=r"x, offset 0: found b'CHUBTEST'; expected b'CHUBELSE'"):
        unseal(seal(MAGIC, b""), b"CHUBELSE", "x")


def test_a_newer_version_is_foreign_and_not_rotten() -> None:
    """A downgrade by one release too many stops the replica; it never throws vote state away."""
    with pytest.raises(ForeignData, match="format version 2; this release reads version 1"):
        unseal(newer(MAGIC, b"what"), MAGIC, "x")
    assert issubclass(ForeignData, StorageFailed) and not issubclass(ForeignData, CorruptData)


def test_a_rotten_length_does_not_make_anybody_wait() -> None:
    """A reader of a stream would otherwise gather gigabytes before it sees the checksum."""
    with pytest.raises(CorruptData, match="expected at most"):
        sealed_size(MAGIC + bytes(4) + (PAYLOAD_LIMIT + 1).to_bytes(4, "little") + bytes(4), MAGIC, "x")


def test_what_verifies_and_has_another_shape_is_rot() -> None:
    """Somebody else's bytes with a good checksum."""
    decoder = msgspec.msgpack.Decoder(int)
    assert decode_payload(decoder, b"\x07", "x") == 7
    for payload in (b"", b"\xa1x", b"\xc1"):
        with pytest.raises(CorruptData, match="x: verified, but does not decode"):
            decode_payload(decoder, payload, "x")
