"""Whatever knocks at a replica's door is closed and counted, and the mesh still works."""

from __future__ import annotations

import asyncio
import resource
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from chubby.transport.framing import FRAME_LIMIT, encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Goodbye, Hello, Reason, Welcome
from chubby.transport.settings import Limits, Timing
from chubby.transport.statistics import PeerState
from chubby.types.time import MILLISECOND, SECOND
from tests.transport.conftest import Run
from tests.transport.meshes import (
    CODEC,
    PATIENCE,
    QUICK,
    SHORT_HANDSHAKE,
    UNHURRIED,
    Caller,
    Node,
    Note,
    book_of,
    calling,
    connected,
    control,
    hello,
    resident,
    started,
    turns,
    until,
    works,
)

STRANGERS = {
    "another cell": (hello(cell=999), Reason.WRONG_CELL),
    "an unknown replica": (hello(replica=9), Reason.UNKNOWN_REPLICA),
    "replica 0": (hello(replica=0), Reason.UNKNOWN_REPLICA),
    "an unknown blank": (hello(replica=9, cell=0), Reason.UNKNOWN_REPLICA),
    "my twin": (hello(replica=1), Reason.TWIN),
    "the future": (hello(version=9, oldest=8), Reason.VERSION),
    "the past": (hello(version=0, oldest=0), Reason.VERSION),
    "a browser": (b"GET / HTTP/1.1\r\nHost: chubby\r\n\r\n", Reason.FRAME),
    "a TLS client": (bytes.fromhex("16030100c8010000c40303"), Reason.FRAME),
    "zeros": (bytes(8), Reason.FRAME),
    "a bad checksum": (hello()[:4] + b"\0\0\0\0" + hello()[8:], Reason.FRAME),
    "an oversized frame": (struct.pack(">II", FRAME_LIMIT + 1, 0), Reason.FRAME),
    "a frame too large for a stranger": (struct.pack(">II", CONTROL_LIMIT + 1, 0), Reason.FRAME),
    "a message without greeting": (encode_frame(CODEC.encode(Note(1))), Reason.GARBAGE),
    "nonsense in a frame": (encode_frame(b"nonsense"), Reason.GARBAGE),
    "welcome before hello": (control(Welcome()), Reason.PROTOCOL),
    "two hellos": (hello() + hello(), Reason.PROTOCOL),
    "a message instead of welcome": (hello() + encode_frame(CODEC.encode(Note(1))), Reason.GARBAGE),
}
"""What is said first, and why the link is ended."""


async def knock(address: str, said: bytes) -> Reason | None:
    """Say something, listen to the end; the reason that was given."""
    async with calling(address) as caller:
        await caller.say(said)
        return await caller.ended()


@pytest.mark.parametrize(("said", "reason"), STRANGERS.values(), ids=STRANGERS)
def test_strangers_are_closed_and_counted(run: Run, said: bytes, reason: Reason) -> None:
    """With a Goodbye that names the reason; no message of theirs gets through; the mesh works on."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            assert await knock(book[1], said) is reason
            assert await knock(book[1], said) is reason
            await until(lambda: one.mesh.statistics().refused == {reason: 2})
            assert one.received == []
            await works(one, other)
            assert one.peer(2).reconnects == other.peer(1).reconnects == 0

    run(scenario())


GARBAGE_ON_A_LINK = {
    "no message": (encode_frame(b"nonsense"), Reason.GARBAGE),
    "unknown tag": (encode_frame(msgspec.msgpack.encode({"type": 99})), Reason.GARBAGE),
    "bottomless": (encode_frame(b"\x82\xa4type\x01\xa1x" + b"\x91" * 100_000), Reason.GARBAGE),
    "bad checksum": (struct.pack(">II", 3, 0) + b"abc", Reason.FRAME),
    "oversized": (struct.pack(">II", FRAME_LIMIT + 1, 0), Reason.FRAME),
    "empty": (bytes(8), Reason.FRAME),
}
"""What a peer may send once it is let in, if it is broken or of another release."""


@pytest.mark.parametrize(("said", "reason"), GARBAGE_ON_A_LINK.values(), ids=GARBAGE_ON_A_LINK)
def test_garbage_on_a_made_link_ends_it(run: Run, said: bytes, reason: Reason) -> None:
    """Messages before it are delivered, what follows is not; another peer notices nothing."""

    async def scenario() -> None:
        book = book_of(3)
        one, third = Node(1, book), Node(3, book)
        async with connected(one, third), calling(book[1]) as broken:
            await broken.say(hello())
            assert isinstance(await broken.hear(), Hello)
            messages = [encode_frame(CODEC.encode(Note(number))) for number in range(4)]
            await broken.say(control(Welcome()) + messages[0] + messages[1] + said + messages[2] + messages[3])
            assert await broken.ended() in (reason, None), "a reset may overtake the Goodbye"
            await until(lambda: one.refused(reason) == 1)
            assert one.from_peer(2) == [0, 1]
            assert one.peer(2).accepted_reason is reason
            assert not one.hears(2)
            await works(one, third)

    run(scenario())


def test_a_dialled_peer_may_not_send_messages(run: Run) -> None:
    """On the connection one dialled only control frames come back; anything else ends the link."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=UNHURRIED)
        with socket.create_server(("127.0.0.1", int(book[2].rpartition(":")[2]))) as door:
            door.setblocking(False)
            async with started(one):
                connection, _ = await asyncio.get_running_loop().sock_accept(door)
                with connection:
                    caller = Caller(connection)
                    assert isinstance(await caller.hear(), Hello)
                    await caller.say(hello())
                    assert isinstance(await caller.hear(), Welcome)
                    await until(lambda: one.sends_to(2))
                    await caller.say(encode_frame(CODEC.encode(Note(1))))
                    await until(lambda: one.refused(Reason.GARBAGE) == 1)
                    assert one.received == []

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hello(replica=3), Reason.WRONG_REPLICA),
        (hello(cell=999), Reason.WRONG_CELL),
        (hello(replica=7), Reason.UNKNOWN_REPLICA),
        (hello(version=9, oldest=9), Reason.VERSION),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.FRAME),
    ],
    ids=["wrong replica", "wrong cell", "unknown", "future", "web server"],
)
def test_whoever_answers_must_be_the_one_dialled(run: Run, answer: bytes, reason: Reason) -> None:
    """Paxos Made Live §6.3: a misspelled member must not go unnoticed. Nothing queued for it reaches the wrong one."""

    async def scenario() -> None:
        book = book_of(3)
        one = Node(1, book, timing=UNHURRIED)
        with socket.create_server(("127.0.0.1", int(book[2].rpartition(":")[2]))) as door:
            door.setblocking(False)
            async with started(one):
                one.mesh.send(2, Note(1))
                connection, _ = await asyncio.get_running_loop().sock_accept(door)
                with connection:
                    caller = Caller(connection)
                    assert isinstance(await caller.hear(), Hello)
                    await caller.say(answer)
                    assert await caller.hear() == Goodbye(reason)
                    assert await caller.hear() is None
                assert one.peer(2).last_reason is reason
                assert one.peer(2).queued_frames == 1
                assert not one.sends_to(2)

    run(scenario())


def test_a_link_to_oneself_is_found_out(run: Run) -> None:
    """The address book gives a peer my own address."""

    async def scenario() -> None:
        book = book_of(1)
        one = Node(1, {1: book[1], 2: book[1]})
        async with started(one):
            await until(lambda: one.refused(Reason.SELF) >= 2 and one.dismissed(Reason.SELF) >= 2)
            assert one.peer(2).state is not PeerState.CONNECTED

    run(scenario())


def test_silence_runs_out(run: Run) -> None:
    """Whoever says nothing, or half a Hello, or Hello and no Welcome, is closed after the handshake's time."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=SHORT_HANDSHAKE)
        async with started(one):
            for said in (b"", hello()[:11], hello()):
                assert await knock(book[1], said) is Reason.TIMEOUT
            await until(lambda: one.mesh.statistics().half_open == 0)
            assert one.refused(Reason.TIMEOUT) == 3

    run(scenario())


def test_a_made_link_has_no_time_limit(run: Run) -> None:
    """Silence on it is no fault: the log may have nothing to say."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = (Node(replica, book, timing=SHORT_HANDSHAKE) for replica in book)
        async with connected(one, other):
            assert await knock(book[1], b"") is Reason.TIMEOUT
            assert await knock(book[2], b"") is Reason.TIMEOUT
            await works(one, other)
            assert one.peer(2).reconnects == other.peer(1).reconnects == 0

    run(scenario())


@asynccontextmanager
async def crowd(address: str, count: int) -> AsyncIterator[list[Caller]]:
    """That many connections that say nothing, for a while."""
    callers: list[Caller] = []
    try:
        for _ in range(count):
            callers.append(await Caller.dial(address))
        yield callers
    finally:
        for caller in callers:
            caller.close()


def test_two_thousand_half_open_connections_do_not_hurt(run: Run) -> None:
    """They hold the places there are and no more, the mesh works meanwhile, and a new peer gets in."""

    async def scenario() -> None:
        book = book_of(3)
        timing = msgspec.structs.replace(QUICK, patience=20 * MILLISECOND, handshake=3600 * SECOND)
        one, other, third = (Node(replica, book, timing=timing) for replica in book)
        async with connected(one, other):
            before = resident()
            async with crowd(book[1], 2000):
                await until(lambda: one.mesh.statistics().accepted >= 2001)
                assert one.mesh.statistics().half_open <= Limits().half_open
                assert one.refused(Reason.CROWDED) >= 2000 - Limits().half_open
                await works(one, other)
                async with started(third):
                    await works(one, third)
                assert one.mesh.statistics().half_open <= Limits().half_open
                assert resident() - before < 50_000_000
            await until(lambda: one.mesh.statistics().half_open == 0)
            assert one.peer(2).reconnects == other.peer(1).reconnects == 0

    run(scenario())


def test_beyond_the_places_newcomers_are_closed_at_once(run: Run) -> None:
    """While those who hold them still have their chance."""

    async def scenario() -> None:
        book = book_of(1)
        timing = Timing(patience=3600 * SECOND, handshake=3600 * SECOND)
        one = Node(1, book, limits=Limits(half_open=3), timing=timing)
        async with started(one), crowd(book[1], 3) as callers:
            await until(lambda: one.mesh.statistics().half_open == 3)
            for _ in range(5):
                assert await knock(book[1], b"") is None
            assert one.refused(Reason.CROWDED) == 5
            assert one.mesh.statistics().half_open == 3
            for caller in callers:
                await caller.say(hello())
                assert await caller.ended() is Reason.UNKNOWN_REPLICA, "those inside were not disturbed"

    run(scenario())


def test_who_had_its_chance_makes_room(run: Run) -> None:
    """The oldest first, with a word: ten thousand idle connections keep a peer out for moments only."""

    async def scenario() -> None:
        book = book_of(2)
        timing = msgspec.structs.replace(QUICK, patience=0, handshake=3600 * SECOND)
        one = Node(1, book, limits=Limits(half_open=3), timing=timing)
        async with started(one), crowd(book[1], 3) as callers:
            await until(lambda: one.mesh.statistics().half_open == 3)
            async with calling(book[1]) as fourth:
                assert await callers[0].ended() is Reason.CROWDED
                assert one.mesh.statistics().half_open == 3
                await fourth.say(hello())
                assert isinstance(await fourth.hear(), Hello)

    run(scenario())


def test_a_made_link_takes_no_place(run: Run) -> None:
    """One place is enough for a whole cell, one after the other."""

    async def scenario() -> None:
        book = book_of(5)
        nodes = [Node(replica, book, limits=Limits(half_open=1)) for replica in book]
        async with connected(*nodes):
            assert all(node.mesh.statistics().half_open == 0 for node in nodes)

    run(scenario())


def test_accepting_survives_a_lack_of_descriptors(run: Run) -> None:
    """EMFILE: accepting rests, goes on by itself, and who waited in the backlog gets in. Made links do not suffer."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            # Only a number below the limit can be given out: leave none, then let somebody knock.
            waiting = socket.socket()
            waiting.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                waiting.connect_ex(("127.0.0.1", int(book[1].rpartition(":")[2])))
                async with asyncio.timeout(PATIENCE):
                    while one.mesh.statistics().accept_pauses < 2:
                        await asyncio.sleep(0.002)
                accepted = one.mesh.statistics().accepted
                await works(one, other)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            caller = Caller(waiting)
            await caller.say(hello(cell=999))
            assert await caller.ended() is Reason.WRONG_CELL
            assert one.mesh.statistics().accepted == accepted + 1
            caller.close()

    run(scenario())


class Fickle(socket.socket):
    """A listening socket whose first connection is gone before it can be accepted."""

    refusals = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Refuse once."""
        self.refusals += 1
        if self.refusals == 1:
            raise ConnectionAbortedError
        return super().accept()


def test_a_connection_aborted_in_the_backlog_is_no_lack_of_anything(run: Run) -> None:
    """Accepting does not rest for it."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with started(one):
            real = one.mesh._listener._socket
            assert real is not None
            fickle = Fickle(fileno=real.detach())
            fickle.setblocking(False)
            asyncio.get_running_loop().remove_reader(fickle)
            one.mesh._listener._socket = None
            one.mesh._listener.start(fickle)
            async with started(other):
                await works(one, other)
            assert fickle.refusals > 1
            assert one.mesh.statistics().accept_pauses == 0

    run(scenario())


def test_a_peer_that_hangs_up_before_it_is_accepted(run: Run) -> None:
    """Or right after, or with a reset: nothing but a closed connection."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            for reset in (False, True):
                async with crowd(book[1], 20) as callers:
                    for caller in callers:
                        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
            await until(lambda: one.mesh.statistics().accepted == 41)
            await until(lambda: one.mesh.statistics().half_open == 0)
            await turns(5)
            assert one.mesh.statistics().refused == {}
            await works(one, other)

    run(scenario())
