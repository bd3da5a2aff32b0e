"""Frames survive every way a stream can be cut, and nothing else passes for one (DESIGN §7, length-prefixed frames)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.transport import framing
from chubby.transport.framing import (
    FRAME_LIMIT,
    HEADER_BYTES,
    FrameDecoder,
    FrameError,
    FrameFault,
    encode_frame,
)

LIMIT = 64
"""Small enough for examples to reach it."""

payloads_of_any_size = st.lists(st.binary(min_size=1, max_size=LIMIT), max_size=8)


def pieces(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    """`stream` cut at the positions `cuts` (taken modulo its length), in order; empty pieces included."""
    positions = sorted(cut % (len(stream) + 1) for cut in cuts)
    for start, end in zip([0, *positions], [*positions, len(stream)], strict=True):
        yield stream[start:end]


def read(stream: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[list[bytes], FrameFault | None]:
    """All payloads of `stream`, fed in pieces, and the fault that ended it."""
    decoder = FrameDecoder(limit)
    found: list[bytes] = []
    for piece in pieces(stream, cuts):
        try:
            found += decoder.feed(piece)
        except FrameError as error:
            return [*found, *error.payloads], error.fault
    return found, None


def test_a_frame_is_length_checksum_payload() -> None:
    """The bytes on the wire, for the check string of crc32c (RFC 3720 B.4 tradition: "123456789" gives E3069283)."""
    assert encode_frame(b"123456789") == bytes.fromhex("00000009 e3069283") + b"123456789"


def test_the_default_limit_is_32_mebibytes() -> None:
    """A Promise may carry a whole window of entries."""
    assert FRAME_LIMIT == 32 * 1024 * 1024
    assert len(encode_frame(bytes(FRAME_LIMIT))) == FRAME_LIMIT + HEADER_BYTES
    with pytest.raises(FrameError):
        encode_frame(bytes(FRAME_LIMIT + 1))


@pytest.mark.parametrize(("payload", "fault"), [(b"", FrameFault.EMPTY), (bytes(LIMIT + 1), FrameFault.OVERSIZED)])
def test_what_could_not_be_received_is_not_sent(payload: bytes, fault: FrameFault) -> None:
    """The sender finds out, not the receiver."""
    with pytest.raises(FrameError) as caught:
        encode_frame(payload, LIMIT)
    assert caught.value.fault is fault
    assert caught.value.payloads == ()


@given(payloads_of_any_size, st.lists(st.integers(min_value=0), max_size=12))
def test_any_cut_of_a_stream_gives_the_same_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    """What goes in comes out, in order, however TCP cuts it."""
    stream = b"".join(encode_frame(payload, LIMIT) for payload in payloads)
    assert read(stream, cuts) == (payloads, None)


def test_every_single_cut_and_every_pair_of_cuts() -> None:
    """Exhaustively, for three frames: inside headers, between them, at the seams."""
    payloads = [b"a", b"bcd", b"efghi"]
    stream = b"".join(map(encode_frame, payloads))
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert read(stream, [first, second]) == (payloads, None)


def test_byte_by_byte() -> None:
    """The worst cut of all; what is not yet a frame is pending."""
    decoder = FrameDecoder()
    stream = encode_frame(b"hello")
    for index, byte in enumerate(stream[:-1], 1):
        assert decoder.feed(bytes([byte])) == []
        assert decoder.pending == index
    assert decoder.feed(stream[-1:]) == [b"hello"]
    assert decoder.pending == 0


@given(
    payloads_of_any_size,
    st.sampled_from(FrameFault),
    st.binary(min_size=1, max_size=LIMIT),
    st.binary(max_size=40),
    st.lists(st.integers(min_value=0), max_size=12),
)
def test_a_bad_frame_ends_the_stream_alike_for_any_cut(
    payloads: list[bytes], fault: FrameFault, spoilt: bytes, rest: bytes, cuts: list[int]
) -> None:
    """The good frames before it are not lost, what follows it is never read, and the fault is named."""
    crc = struct.unpack_from(">I", encode_frame(spoilt), 4)[0]
    bad = {
        FrameFault.EMPTY: struct.pack(">II", 0, crc),
        FrameFault.OVERSIZED: struct.pack(">II", LIMIT + 1, crc),
        FrameFault.CHECKSUM: struct.pack(">II", len(spoilt), crc ^ 1) + spoilt,
    }[fault]
    stream = b"".join(encode_frame(payload, LIMIT) for payload in payloads) + bad
    assert read(stream + rest, [*cuts, len(stream)]) == (payloads, fault)


@given(st.binary(max_size=200), st.lists(st.integers(min_value=0), max_size=6))
def test_arbitrary_bytes_never_do_more_than_end_the_stream(garbage: bytes, cuts: list[int]) -> None:
    """Whatever a stranger sends: payloads that verify, or a typed fault."""
    found, _ = read(garbage, cuts)
    assert all(encode_frame(payload, LIMIT) in garbage for payload in found)


@given(st.binary(min_size=1, max_size=LIMIT), st.integers(min_value=0), st.integers(0, 7))
def test_a_flipped_bit_is_found(payload: bytes, position: int, bit: int) -> None:
    """Anywhere in checksum or payload; a flip in the length gives another fault, or a frame that never comes."""
    frame = bytearray(encode_frame(payload, LIMIT))
    position %= len(frame)
    frame[position] ^= 1 << bit
    found, fault = read(bytes(frame), [])
    assert found == []
    if position >= 4:
        assert fault is FrameFault.CHECKSUM


def test_an_oversized_frame_is_refused_by_its_header() -> None:
    """Nobody makes a replica wait for, or hold, what it will not take."""
    decoder = FrameDecoder(LIMIT)
    with pytest.raises(FrameError) as caught:
        decoder.feed(struct.pack(">II", LIMIT + 1, 0))
    assert caught.value.fault is FrameFault.OVERSIZED
    assert str(LIMIT) in str(caught.value)


def test_the_limit_itself_is_allowed() -> None:
    """Up to and with it."""
    assert FrameDecoder(LIMIT).feed(encode_frame(bytes(LIMIT), LIMIT)) == [bytes(LIMIT)]


def test_a_raised_limit_holds_from_the_next_frame_on() -> None:
    """A peer that has shown who it is may send more; a limit is never lowered."""
    decoder = FrameDecoder(LIMIT)
    assert decoder.feed(encode_frame(b"hello") + b"\0\0") == [b"hello"]
    decoder.raise_limit(10 * LIMIT)
    big = encode_frame(bytes(9 * LIMIT))
    assert decoder.feed(big[2:]) == [bytes(9 * LIMIT)]
    with pytest.raises(AssertionError):
        decoder.raise_limit(LIMIT)


def test_a_broken_stream_is_not_read_on() -> None:
    """There is no resynchronisation: the link is closed."""
    decoder = FrameDecoder(LIMIT)
    with pytest.raises(FrameError):
        decoder.feed(bytes(HEADER_BYTES))
    with pytest.raises(AssertionError):
        decoder.feed(encode_frame(b"hello"))


def test_a_large_frame_in_small_pieces_takes_linear_time() -> None:
    """8 MiB in 16-byte pieces: half a million feeds. Copying what is held at each would move two terabytes."""
    payload = bytes(range(256)) * (32 * 1024)
    stream = encode_frame(payload)
    decoder = FrameDecoder()
    found: list[bytes] = []
    for start in range(0, len(stream), 16):
        found += decoder.feed(stream[start : start + 16])
    assert found == [payload]


def test_each_payload_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that comes in many pieces is not looked at before it is whole."""
    verified: list[int] = []
    original = framing._checksum

    def counting(payload: bytes) -> int:
        verified.append(len(payload))
        return original(payload)

    stream = encode_frame(bytes(1000)) + encode_frame(bytes(500))
    monkeypatch.setattr(framing, "_checksum", counting)
    decoder = FrameDecoder()
    for start in range(0, len(stream), 7):
        decoder.feed(stream[start : start + 7])
    assert verified == [1000, 500]


@settings(max_examples=20)
@given(st.integers(1, 3000), st.integers(1, 5))
def test_memory_held_is_one_frame_and_one_piece_at_most(size: int, count: int) -> None:
    """`pending` never exceeds the frame that is being waited for."""
    decoder = FrameDecoder()
    stream = encode_frame(bytes(size)) * count
    for start in range(0, len(stream), 100):
        decoder.feed(stream[start : start + 100])
        assert decoder.pending < size + HEADER_BYTES
