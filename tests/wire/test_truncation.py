"""What a broken connection, a mad peer or a later release leaves of a packet (see the package, Suspicion).

`test_refusals` spoils what single fields say; here whole stretches of bytes are cut off, doubled or put elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import BadArgument
from chubby.types.stream import Acknowledge, ClientFrame, KeepAlive, KeepAliveReply, ServerFrame
from chubby.wire.codec import pack_client, pack_server, unpack_client, unpack_server
from tests.wire.samples import complete, of

modestly = settings(deadline=None, max_examples=60)


def prefixes(data: bytes, unpack: Callable[[bytes], Sequence[object]], whole: Sequence[object]) -> int:
    """Decode every prefix of a packet; how many were refused. What is not refused holds the first frames, unharmed."""
    refused = 0
    for length in range(len(data)):
        try:
            frames = unpack(data[:length])
        except BadArgument:
            refused += 1
        else:
            assert list(frames) == list(whole[: len(frames)]) and len(frames) < len(whole)
    return refused


def test_a_client_packet_cut_off_anywhere_is_refused_or_shorter() -> None:
    """No frame is ever half of what was sent: between two frames the packet is shorter, within one it is no packet."""
    for frame in complete(ClientFrame):
        assert isinstance(frame, ClientFrame)
        sent: list[ClientFrame] = [KeepAlive(1, True), frame, KeepAlive(2, False)]
        assert prefixes(pack_client(sent), unpack_client, sent) > 0


def test_a_server_packet_cut_off_anywhere_is_refused_or_shorter() -> None:
    """The same for what a client reads."""
    for frame in complete(ServerFrame):
        assert isinstance(frame, ServerFrame)
        sent: list[ServerFrame] = [KeepAliveReply(1, 2, 3), frame, KeepAliveReply(2, 0, 0)]
        assert prefixes(pack_server(sent), unpack_server, sent) > 0


@modestly
@given(st.lists(of(ClientFrame), min_size=2, max_size=4), st.data())
def test_spliced_packets_are_frames_or_bad_arguments(frames: list[ClientFrame], data: st.DataObject) -> None:
    """A stretch taken out or put in twice: frames that can be sent on as they are, or BadArgument; never a crash."""
    packet = pack_client(frames)
    start = data.draw(st.integers(0, len(packet)))
    end = data.draw(st.integers(start, len(packet)))
    for spliced in (packet[:start] + packet[end:], packet[:end] + packet[start:]):
        try:
            taken = unpack_client(spliced)
        except BadArgument:
            continue
        assert unpack_client(pack_client(taken)) == taken


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\x80" * 10 + b"\x01"])
def test_a_length_beyond_the_end_is_no_reason_to_wait_or_to_allocate(length: bytes) -> None:
    """A frame that claims two gigabytes, 2^64 bytes, or to have no end."""
    for unpack in (unpack_client, unpack_server):
        with pytest.raises(BadArgument, match="that are no packet"):
            unpack(b"\x0a" + length + b"few bytes")


def test_nesting_without_end_is_refused() -> None:
    """Unknown fields are skipped, but not at any depth: a decoder's stack is not the peer's to fill."""
    group = b"\xfb\x07" * 10_000 + b"\xfc\x07" * 10_000
    for unpack in (unpack_client, unpack_server):
        with pytest.raises(BadArgument, match="that are no packet"):
            unpack(group)


def test_a_frame_said_twice_in_one_is_what_was_said_last() -> None:
    """Of the members of a oneof the last one counts, as everywhere in protobuf; the first leaves no trace."""
    first, last = pack_client([KeepAlive(7, True)])[2:], pack_client([Acknowledge(3)])[2:]
    both = first + last
    assert unpack_client(b"\x0a" + bytes([len(both)]) + both) == [Acknowledge(3)]
