"""Meshes of up to five replicas: delivery, order, batches, statistics (DESIGN §2 transport, §7 "batched by nature")."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from chubby.errors import ConfigError
from chubby.paxos.configuration import Identity
from chubby.paxos.messages import Ballot, Commit, Message
from chubby.transport.codec import Codec
from chubby.transport.dialler import Dialler
from chubby.transport.framing import HEADER_BYTES
from chubby.transport.links import Link
from chubby.transport.mesh import Mesh, boot_time
from chubby.transport.outbox import Bounds
from chubby.transport.settings import Limits
from chubby.transport.statistics import MeshStatistics, PeerState
from tests.transport.conftest import Run
from tests.transport.meshes import (
    CELL,
    CODEC,
    Node,
    Note,
    Parcel,
    book_of,
    connected,
    free_addresses,
    started,
    turns,
    until,
    works,
)


def test_five_replicas_exchange_everything_in_order(run: Run) -> None:
    """Everybody sends to everybody, all at once; each link keeps its order, nothing is lost or doubled."""

    async def scenario() -> None:
        book = book_of(5)
        nodes = [Node(replica, book) for replica in book]
        async with connected(*nodes):
            for number in range(500):
                for node in nodes:
                    node.mesh.broadcast(Note(number))
                await asyncio.sleep(0)
            await until(lambda: all(len(node.received) == 2000 for node in nodes))
            for node in nodes:
                for replica in book:
                    expected = [] if replica == node.replica else list(range(500))
                    assert node.from_peer(replica) == expected

    run(scenario())


def test_messages_of_paxos_travel(run: Run) -> None:
    """The union of the log's messages, as the shell will use it."""

    async def scenario() -> None:
        book = book_of(2)
        codec: Codec[Message] = Codec(msgspec.msgpack.Decoder(Message))
        received: list[tuple[int, Message]] = []
        meshes = [
            Mesh(
                Identity(CELL, replica, replica),
                book[replica],
                book,
                codec,
                lambda sender, message: received.append((sender, message)),
            )
            for replica in book
        ]
        for mesh in meshes:
            await mesh.start()
        message = Commit(Ballot(3, 1, 77), 12)
        meshes[0].send(2, message)
        await until(lambda: received == [(1, message)])
        for mesh in meshes:
            await mesh.stop()

    run(scenario())


def test_messages_of_all_sizes_keep_their_order(run: Run) -> None:
    """From a few bytes to several write buffers."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            sizes = [0, 1, 100, 5_000_000, 3, 1_048_576, 70_000, 1, 12_000_000, 0]
            for number, size in enumerate(sizes):
                one.mesh.send(2, Parcel(number, bytes([number]) * size))
            await until(lambda: len(other.received) == len(sizes))
            expected = [(1, Parcel(number, bytes([number]) * size)) for number, size in enumerate(sizes)]
            assert other.received == expected

    run(scenario())


def test_the_largest_frame_passes_and_a_larger_message_is_dropped(run: Run) -> None:
    """A message over the limit would only end the link at the other side: it does not leave, and is counted."""

    async def scenario() -> None:
        book = book_of(2)
        limits = Limits(frame=100_000, queue=Bounds(200_000, 100))
        one, other = Node(1, book, limits=limits), Node(2, book, limits=limits)
        overhead = len(CODEC.encode(Parcel(1, bytes(99_000)))) - 99_000
        async with connected(one, other):
            one.mesh.send(2, Parcel(1, bytes(100_000 - overhead)))
            one.mesh.send(2, Parcel(2, bytes(100_001 - overhead)))
            one.mesh.send(2, Note(3))
            await until(lambda: other.from_peer(1) == [1, 3])
            assert one.mesh.statistics().oversized == 1
            assert one.peer(2).reconnects == 0

    run(scenario())


def count_writes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of frames in each write from now on."""
    writes: list[int] = []
    original = Link.write

    def counting(link: Link, frames: Sequence[bytes]) -> None:
        writes.append(len(frames))
        original(link, frames)

    monkeypatch.setattr(Link, "write", counting)
    return writes


def test_one_turn_of_the_loop_is_one_write(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §7: batches form by themselves, never by timers: the turn after the sends, all is handed over."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            writes = count_writes(monkeypatch)
            for number in range(1000):
                one.mesh.send(2, Note(number))
            assert writes == []
            await asyncio.sleep(0)
            assert writes == [1000]
            one.mesh.send(2, Note(1000))
            await turns(3)
            assert writes == [1000, 1]
            await until(lambda: other.from_peer(1) == list(range(1001)))

    run(scenario())


def test_a_broadcast_is_encoded_once(run: Run) -> None:
    """By `broadcast`, and by as many `send`s of one object in one turn."""

    async def scenario() -> None:
        book = book_of(5)
        nodes = [Node(replica, book) for replica in book]
        async with connected(*nodes):
            mesh = nodes[0].mesh
            mesh.broadcast(Note(1))
            assert mesh.statistics().encoded == 1
            again = Note(2)
            for replica in (2, 3, 4, 5):
                mesh.send(replica, again)
            assert mesh.statistics().encoded == 2
            mesh.broadcast(Note(3), [2, 4])
            assert mesh.statistics().encoded == 3
            await until(lambda: [node.from_peer(1) for node in nodes[1:]] == [[1, 2, 3], [1, 2], [1, 2, 3], [1, 2]])
            mesh.broadcast(again)
            assert mesh.statistics().encoded == 4, "the cache lives for one turn"

    run(scenario())


def test_a_turn_that_fills_the_queue_loses_nothing_while_the_peer_takes_it(run: Run) -> None:
    """The bound is for peers that do not drain, not for a master in a hurry."""

    async def scenario() -> None:
        book = book_of(2)
        limits = Limits(frame=2000, queue=Bounds(4000, 50))
        one, other = Node(1, book, limits=limits), Node(2, book)
        async with connected(one, other):
            for number in range(1000):
                one.mesh.send(2, Note(number))
            await until(lambda: other.from_peer(1) == list(range(1000)))
            assert one.peer(2).dropped_frames == 0

    run(scenario())


def test_sending_to_nobody_is_counted(run: Run) -> None:
    """To oneself, to a stranger, and once the mesh is stopped: never an error."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            one.mesh.send(1, Note(1))
            one.mesh.send(9, Note(2))
            assert one.mesh.statistics().unaddressed == 2
            assert one.mesh.statistics().encoded == 0
            assert not one.mesh.is_connected(9)
        one.mesh.send(2, Note(3))
        assert one.mesh.statistics().unaddressed == 3

    run(scenario())


def test_statistics_tell_what_went_where(run: Run) -> None:
    """Frames and bytes of messages on both sides agree; instants are the caller's clock's."""

    async def scenario() -> None:
        book = book_of(2)
        begun = boot_time()
        one, other = Node(1, book), Node(2, book, incarnation=4711)
        async with connected(one, other):
            sizes = sum(len(CODEC.encode(Note(number))) + HEADER_BYTES for number in range(300))
            for number in range(300):
                one.mesh.send(2, Note(number))
            await until(lambda: len(other.received) == 300)
            sent, heard = one.peer(2), other.peer(1)
            assert (sent.frames_out, sent.bytes_out) == (heard.frames_in, heard.bytes_in) == (300, sizes)
            assert (sent.frames_in, heard.frames_out) == (0, 0)
            assert sent.state is PeerState.CONNECTED
            assert sent.address == book[2]
            assert sent.incarnation == 4711
            assert not sent.joining
            assert (sent.queued_frames, sent.queued_bytes, sent.dropped_frames) == (0, 0, 0)
            assert sent.last_reason is None
            assert sent.connected_since is not None and sent.heard_since is not None
            assert begun <= sent.connected_since <= boot_time()
            assert begun <= sent.heard_since <= boot_time()

    run(scenario())


def test_statistics_of_the_whole(run: Run) -> None:
    """Peers in the order of their numbers, the address, the cell; a value that does not change afterwards."""

    async def scenario() -> None:
        book = book_of(3)
        nodes = [Node(replica, book) for replica in (2, 1, 3)]
        async with connected(*nodes):
            before = nodes[0].mesh.statistics()
            assert [peer.replica for peer in before.peers] == [1, 3]
            assert (before.address, before.cell) == (book[2], CELL)
            assert (before.refused, before.dismissed, before.half_open) == ({}, {}, 0)
            assert before.accepted == 2
            with pytest.raises(KeyError):
                before.peer(2)
            with pytest.raises(AttributeError):
                before.cell = 1  # type: ignore[misc]  # the point of the test
            assert before == msgspec.convert(msgspec.to_builtins(before), type=MeshStatistics)

    run(scenario())


def test_an_address_that_cannot_be_listened_on(run: Run) -> None:
    """A clear error, and nothing left behind."""

    async def scenario() -> None:
        book = book_of(2)
        first = Node(1, book)
        async with started(first):
            second = Node(2, book, address=book[1])
            with pytest.raises(ConfigError, match=book[1]):
                await second.mesh.start()
            await second.mesh.stop()
        for nonsense in ("nowhere", "127.0.0.1:99999", "203.0.113.1:1"):
            node = Node(2, book, address=nonsense)
            with pytest.raises(ConfigError, match="cannot listen"):
                await node.mesh.start()

    run(scenario())


def test_an_address_book_with_nonsense_harms_nobody_else(run: Run) -> None:
    """A bad entry that got into the log must not stop the replicas that read it."""

    async def scenario() -> None:
        book = book_of(2)
        spoilt = {**book, 3: "nonsense", 4: "127.0.0.1:0", 5: "a" * 300 + ":1"}
        one, other = Node(1, spoilt), Node(2, book)
        async with started(one, other):
            await works(one, other)
            await until(lambda: all(one.peer(replica).last_reason is not None for replica in (3, 4, 5)))
            assert not any(one.sends_to(replica) for replica in (3, 4, 5))

    run(scenario())


def test_localhost_by_name(run: Run) -> None:
    """A name is resolved, on both sides."""

    async def scenario() -> None:
        book = {replica: address.replace("127.0.0.1", "localhost") for replica, address in book_of(2).items()}
        one, other = Node(1, book), Node(2, book)
        async with started(one, other):
            await works(one, other)
        await asyncio.get_running_loop().shutdown_default_executor()

    run(scenario())


def test_an_error_of_the_receiver_ends_the_link_and_is_told(run: Run) -> None:
    """A bug in the replica must reach the daemon; the link is made anew and later messages flow."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        original = other.receive

        def fragile(replica: int, message: Note | Parcel) -> None:
            if message == Note(13):
                raise RuntimeError("a bug of the replica")
            original(replica, message)

        other.mesh._listener._receive = fragile
        async with connected(one, other):
            one.mesh.send(2, Note(13))
            await until(lambda: one.peer(2).reconnects == 1)
            await works(one, other)

    run(scenario(), complaints=1)


def test_a_dialler_that_fails_is_not_silent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug there would leave a peer undialled for ever: the loop's exception handler hears of it."""

    async def scenario() -> None:
        async def fail(dialler: Dialler) -> None:
            raise RuntimeError("a bug of the transport")

        monkeypatch.setattr(Dialler, "_attempt", fail)
        async with started(Node(1, book_of(2))):
            await turns(3)

    run(scenario(), complaints=1)


def test_a_mesh_starts_once(run: Run) -> None:
    """Neither twice nor again."""

    async def scenario() -> None:
        node = Node(1, {1: free_addresses(1)[0]})
        async with started(node):
            with pytest.raises(AssertionError):
                await node.mesh.start()
        with pytest.raises(AssertionError):
            await node.mesh.start()

    run(scenario())
