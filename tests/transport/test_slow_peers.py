"""Peers that do not read, or not fast enough: memory stays bounded, and the link is made anew."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from chubby.transport.greetings import Hello, Reason, Welcome
from chubby.transport.outbox import Bounds
from chubby.transport.settings import Limits, Timing
from chubby.types.time import MILLISECOND, SECOND
from tests.transport.conftest import Run
from tests.transport.meshes import (
    QUICK,
    UNHURRIED,
    Caller,
    Node,
    Note,
    Parcel,
    book_of,
    connected,
    hello,
    resident,
    started,
    until,
    works,
)

MEBIBYTE = 1024 * 1024
PATIENT = msgspec.structs.replace(UNHURRIED, dead=3600 * SECOND)


async def accept_as_peer(door: socket.socket) -> Caller:
    """Take the connection that replica 1 dials, as replica 2, and finish the handshake."""
    connection, _ = await asyncio.get_running_loop().sock_accept(door)
    caller = Caller(connection)
    assert isinstance(await caller.hear(), Hello)
    await caller.say(hello())
    assert isinstance(await caller.hear(), Welcome)
    return caller


def door_at(address: str) -> socket.socket:
    """Somewhere to be dialled at, with a small receive buffer."""
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    door.bind(("127.0.0.1", int(address.rpartition(":")[2])))
    door.listen()
    door.setblocking(False)
    return door


def test_a_peer_that_does_not_read_costs_bounded_memory(run: Run) -> None:
    """400 MiB are sent, the queue holds 8 and the write buffer 2; all else is dropped and counted."""

    async def scenario() -> None:
        book = book_of(2)
        limits = Limits(frame=4 * MEBIBYTE, queue=Bounds(8 * MEBIBYTE, 1000))
        one = Node(1, book, limits=limits, timing=PATIENT)
        with door_at(book[2]) as door:
            async with started(one):
                caller = await accept_as_peer(door)
                await until(lambda: one.sends_to(2))
                before = resident()
                for number in range(800):
                    one.mesh.send(2, Parcel(number, bytes(MEBIBYTE // 2)))
                    if number % 10 == 0:
                        await asyncio.sleep(0)
                    assert one.peer(2).queued_bytes <= 8 * MEBIBYTE
                statistics = one.peer(2)
                assert statistics.dropped_frames > 700
                assert statistics.frames_out + statistics.dropped_frames + statistics.queued_frames == 800
                assert resident() - before < 60 * MEBIBYTE
                assert one.sends_to(2), "slowness alone is no fault"
                caller.close()

    run(scenario())


def test_a_slow_reader_gets_whole_messages_in_order(run: Run) -> None:
    """What is dropped leaves gaps, never broken frames; the newest message arrives."""

    async def scenario() -> None:
        book = book_of(2)
        limits = Limits(frame=MEBIBYTE, queue=Bounds(2 * MEBIBYTE, 1000))
        one, other = Node(1, book, limits=limits), Node(2, book)
        async with connected(one, other):
            inbound = next(iter(other.mesh._listener._inboxes))
            inbound.pause_reading()
            for number in range(2000):
                one.mesh.send(2, Parcel(number, bytes(20_000)))
                if number % 10 == 0:
                    await asyncio.sleep(0)
            inbound.resume_reading()
            await until(lambda: other.from_peer(1)[-1:] == [1999])
            numbers = other.from_peer(1)
            assert numbers == sorted(set(numbers))
            assert len(numbers) + one.peer(2).dropped_frames == 2000
            assert one.peer(2).dropped_frames > 0
            assert one.peer(2).reconnects == 0

    run(scenario())


def test_a_peer_that_stopped_reading_is_dialled_anew(run: Run) -> None:
    """A write buffer that does not shrink means a dead peer, or one that might as well be."""

    async def scenario() -> None:
        book = book_of(2)
        timing = msgspec.structs.replace(QUICK, dead=100 * MILLISECOND)
        one = Node(1, book, timing=timing)
        with door_at(book[2]) as door:
            async with started(one):
                frozen = await accept_as_peer(door)
                await until(lambda: one.sends_to(2))
                for number in range(64):
                    one.mesh.send(2, Parcel(number, bytes(MEBIBYTE)))
                await until(lambda: one.peer(2).last_reason in (Reason.STALLED, Reason.LOST))
                again = await accept_as_peer(door)
                await until(lambda: one.sends_to(2))
                assert one.peer(2).reconnects == 1
                frozen.close()
                again.close()

    run(scenario())


def test_what_waited_for_a_lost_peer_is_cut_to_the_small_queue(run: Run) -> None:
    """Memory is given back when a peer is gone, not when it returns."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=PATIENT)
        with door_at(book[2]) as door:
            async with started(one):
                caller = await accept_as_peer(door)
                await until(lambda: one.sends_to(2))
                for number in range(40):
                    one.mesh.send(2, Parcel(number, bytes(MEBIBYTE)))
                await asyncio.sleep(0)
                assert one.peer(2).queued_bytes > 10 * MEBIBYTE
                caller.close()
                await until(lambda: not one.sends_to(2))
                assert one.peer(2).queued_bytes == 0

    run(scenario())


def test_a_busy_peer_does_not_starve_the_others(run: Run) -> None:
    """While one link brings tens of thousands of messages, another's few get through in between."""

    async def scenario() -> None:
        book = book_of(3)
        one, flood, few = (Node(replica, book) for replica in book)
        async with connected(one, flood, few):
            total = 60_000
            for number in range(total):
                flood.mesh.send(1, Note(number))
            few.mesh.send(1, Note(1))
            await until(lambda: len(one.received) == total + 1)
            position = one.received.index((3, Note(1)))
            assert position < total // 2
            assert one.from_peer(2) == list(range(total))

    run(scenario())


@pytest.mark.parametrize("size", [10, 100_000])
def test_both_directions_at_full_load(run: Run, size: int) -> None:
    """Backpressure on one side never waits for the other: each direction has a connection of its own."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            count = 300
            for number in range(count):
                one.mesh.send(2, Parcel(number, bytes(size)))
                other.mesh.send(1, Parcel(number, bytes(size)))
            await until(lambda: len(one.received) == len(other.received) == count)
            assert one.from_peer(2) == other.from_peer(1) == list(range(count))
            await works(one, other)

    run(scenario())


def test_figures_that_contradict_each_other() -> None:
    """A frame that never fits into the queue, a queue without places, a limit below the greetings."""
    with pytest.raises(ValueError, match="never holds"):
        Limits(frame=1000_000, queue=Bounds(1000_000, 10))
    with pytest.raises(ValueError, match="half-open"):
        Limits(half_open=0)
    with pytest.raises(ValueError, match="control frames"):
        Limits(frame=100)
    assert Timing().backoff_shortest == 50 * MILLISECOND
    assert Timing().backoff_longest == 2 * SECOND
