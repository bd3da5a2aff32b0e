"""Packing: order, sizes, and the exact bound of an outbox."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import InternalError
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.results import Contents, Done
from chubby.types.stream import KeepAliveReply, Reply, ServerFrame
from chubby.wire.codec import pack_server, unpack_server
from chubby.wire.limits import PACK_BYTES, PACK_FRAMES
from chubby.wire.packing import Outbox, chunks

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 1, 1, 1, 1, 1, 1, AclNames("r", "w", "c"))


def large(number: int, size: int) -> Reply:
    """A reply of about `size` bytes."""
    return Reply(number, Contents(bytes(size), STAT))


def drained(outbox: Outbox) -> list[tuple[bytes, int]]:
    """All packets, taken one by one."""
    packets = []
    while outbox:
        packets.append(outbox.take())
    return packets


def test_what_waits_goes_into_one_packet() -> None:
    """DESIGN §6: one stream packs whatever is waiting into one frame of gRPC."""
    outbox = Outbox(1 << 20)
    replies = [Reply(number, Done()) for number in range(1, 101)]
    for reply in replies:
        outbox.put(pack_server([reply]), 1)
    data, frames = outbox.take()
    assert (frames, unpack_server(data)) == (100, replies)
    assert not outbox and outbox.size == 0 and outbox.frames == 0


def test_a_packet_ends_at_its_frames() -> None:
    """PACK_FRAMES small frames are one packet, one more begins another."""
    outbox = Outbox(1 << 20)
    for number in range(PACK_FRAMES + 1):
        outbox.put(pack_server([KeepAliveReply(number, 1, 1)]), 1)
    assert [frames for _, frames in drained(outbox)] == [PACK_FRAMES, 1]


def test_a_packet_ends_at_its_bytes() -> None:
    """No packet of several frames is longer than PACK_BYTES."""
    outbox = Outbox(1 << 30)
    for number in range(10):
        outbox.put(pack_server([large(number, PACK_BYTES // 3)]), 1)
    packets = drained(outbox)
    assert [frames for _, frames in packets] == [2, 2, 2, 2, 2]
    assert all(len(data) <= PACK_BYTES for data, _ in packets)


def test_a_single_long_frame_is_one_packet() -> None:
    """It cannot be split, and must arrive."""
    ((data, frames),) = chunks([large(1, 3 * PACK_BYTES)], pack_server)
    assert frames == 1 and len(data) > 3 * PACK_BYTES


def test_the_bound_counts_bytes() -> None:
    """An outbox says exactly when more waits than may, and no longer when it was taken."""
    outbox = Outbox(100)
    outbox.put(bytes(100), 1)
    assert not outbox.overflown
    outbox.put(bytes(1), 1)
    assert outbox.overflown and outbox.size == 101
    outbox.take()
    assert not outbox.overflown


def test_a_cleared_outbox_is_empty() -> None:
    """What waited for a client that was cut frees its memory at once."""
    outbox = Outbox(100)
    outbox.put(bytes(500), 5)
    outbox.clear()
    assert not outbox and not outbox.overflown and (outbox.size, outbox.frames) == (0, 0)


def test_what_the_packer_raises_is_raised() -> None:
    """A frame the protocol cannot carry is the caller's to deal with."""
    with pytest.raises(InternalError):
        list(chunks([Reply(-(1 << 70), Done())], pack_server))


SIZES = st.lists(st.one_of(st.integers(0, 100), st.integers(0, PACK_BYTES * 2)), max_size=12)


@settings(max_examples=40)
@given(st.lists(SIZES, max_size=5), st.integers(0, 3))
def test_nothing_is_lost_and_nothing_overtakes(deliveries: list[list[int]], takes: int) -> None:
    """However deliveries and packets interleave: the frames come out in order, in packets within their limits."""
    outbox, sent, packets = Outbox(1 << 30), list[ServerFrame](), list[tuple[bytes, int]]()
    for sizes in deliveries:
        delivery = [large(len(sent) + index, size) for index, size in enumerate(sizes)]
        sent += delivery
        for data, frames in chunks(delivery, pack_server):
            outbox.put(data, frames)
        for _ in range(takes):
            if outbox:
                packets.append(outbox.take())
        assert outbox.frames == len(sent) - sum(frames for _, frames in packets)
    packets += drained(outbox)
    assert [frame for data, _ in packets for frame in unpack_server(data)] == sent
    for data, frames in packets:
        assert len(unpack_server(data)) == frames
        assert frames == 1 or (len(data) <= PACK_BYTES and frames <= PACK_FRAMES)
