"""Stopping: what was sent leaves, and no task, timer or socket stays, whatever was under way (the fixture looks)."""

from __future__ import annotations

import asyncio
import socket

import pytest

from chubby.transport.greetings import Hello, Reason
from chubby.transport.settings import Timing
from chubby.transport.statistics import PeerState
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
    calling,
    connected,
    hello,
    is_waiting,
    started,
    turns,
    until,
    works,
)


def test_what_was_sent_before_the_stop_arrives(run: Run) -> None:
    """DESIGN §3 SIGTERM: LeaseRelease is the last thing a master says, in the turn in which it stops."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with started(other):
            async with connected(one):
                await works(one, other)
                other.received.clear()
                one.mesh.send(2, Parcel(1, bytes(5_000_000)))
                one.mesh.send(2, Note(2))
            await until(lambda: other.from_peer(1) == [1, 2])

    run(scenario())


def test_a_peer_is_told_that_this_side_stops(run: Run) -> None:
    """So that it tries again soon."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book)
        async with calling_after_start(one, book[1]) as caller:
            await caller.say(hello())
            assert isinstance(await caller.hear(), Hello)
            await one.mesh.stop()
            assert await caller.ended() is Reason.STOPPED

    run(scenario())


def calling_after_start(node: Node, address: str) -> AfterStart:
    """A caller of a node that is started first, and stopped by the test or afterwards."""
    return AfterStart(node, address)


class AfterStart:
    """See `calling_after_start`."""

    def __init__(self, node: Node, address: str) -> None:
        """Nothing happens yet."""
        self._node = node
        self._address = address
        self._caller: Caller | None = None

    async def __aenter__(self) -> Caller:
        """Start, then call."""
        await self._node.mesh.start()
        self._caller = await Caller.dial(self._address)
        return self._caller

    async def __aexit__(self, *_: object) -> None:
        """Hang up, then stop."""
        if self._caller is not None:
            self._caller.close()
        await self._node.mesh.stop()


@pytest.mark.parametrize("after", range(8))
def test_stopping_at_any_moment_of_the_beginning(run: Run, after: int) -> None:
    """So many turns after the start: connections half made, handshakes half done."""

    async def scenario() -> None:
        book = book_of(3)
        nodes = [Node(replica, book) for replica in book]
        for _ in range(5):
            async with started(*nodes):
                await turns(after)
            nodes = [Node(replica, book) for replica in book]

    run(scenario())


def test_stopping_all_at_once(run: Run) -> None:
    """Each side ends the links the other one ends."""

    async def scenario() -> None:
        book = book_of(5)
        nodes = [Node(replica, book) for replica in book]
        async with connected(*nodes):
            for node in nodes:
                node.mesh.broadcast(Note(1))
            await asyncio.gather(*(node.mesh.stop() for node in nodes))

    run(scenario())


def test_stopping_while_waiting_for_the_backoff(run: Run) -> None:
    """A stop does not wait for timers."""

    async def scenario() -> None:
        book = book_of(3)
        one = Node(1, book, timing=UNHURRIED)
        async with started(one):
            await until(lambda: is_waiting(one, 2) and is_waiting(one, 3))

    run(scenario())


def test_stopping_while_a_connection_is_being_made(run: Run) -> None:
    """A peer whose backlog is full."""

    async def scenario() -> None:
        book = book_of(2)
        with socket.socket() as door:
            door.bind(("127.0.0.1", int(book[2].rpartition(":")[2])))
            door.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(door.getsockname())
            async with started(one := Node(1, book, timing=Timing(connect=3600 * SECOND))):
                await until(lambda: one.peer(2).state is PeerState.DIALLING)
                await turns(20)
                assert one.peer(2).state is PeerState.DIALLING
            for filler in fillers:
                filler.close()

    run(scenario())


def test_stopping_with_half_open_connections(run: Run) -> None:
    """They end with the rest."""

    async def scenario() -> None:
        book = book_of(1)
        one = Node(1, book)
        async with started(one), calling(book[1]) as silent, calling(book[1]) as half:
            await half.say(hello()[:5])
            await until(lambda: one.mesh.statistics().half_open == 2)
            await one.mesh.stop()
            assert await silent.ended() is Reason.STOPPED
            assert one.mesh.statistics().half_open == 0

    run(scenario())


def test_stopping_does_not_wait_for_a_peer_that_does_not_read(run: Run) -> None:
    """Its bytes may linger for as long as told, then they are dropped."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=Timing(linger=50 * MILLISECOND, backoff_shortest=QUICK.backoff_shortest))
        other = Node(2, book)
        async with connected(one, other):
            next(iter(other.mesh._listener._inboxes)).pause_reading()
            for number in range(50):
                one.mesh.send(2, Parcel(number, bytes(1_000_000)))
            await until(lambda: one.peer(2).queued_frames > 0)
            async with asyncio.timeout(5):
                await one.mesh.stop()

    run(scenario())


def test_stopping_while_accepting_rests(run: Run) -> None:
    """The timer that would resume it is gone too."""

    async def scenario() -> None:
        book = book_of(1)
        one = Node(1, book, timing=Timing(accept_pause=20 * MILLISECOND))
        async with started(one):
            one.mesh._listener._rest(OSError(24, "Too many open files"))
            assert one.mesh.statistics().accept_pauses == 1
            pause = one.mesh._listener._pause
            assert pause is not None and not pause.cancelled()
        assert pause.cancelled()

    run(scenario())


def test_stopping_twice_or_before_the_start_is_no_error(run: Run) -> None:
    """A daemon that fails half way through its start stops everything."""

    async def scenario() -> None:
        book = book_of(2)
        never = Node(1, book)
        await never.mesh.stop()
        one = Node(2, book)
        async with started(one):
            await one.mesh.stop()
            await one.mesh.stop()
        one.mesh.broadcast(Note(1))
        await turns(2)

    run(scenario())


def test_a_removed_peer_leaves_nothing_behind(run: Run) -> None:
    """Its task and link end although the mesh lives on."""

    async def scenario() -> None:
        book = book_of(3)
        one, other, third = (Node(replica, book) for replica in book)
        async with connected(one, other, third):
            for _ in range(5):
                one.mesh.update_addresses({1: book[1], 2: book[2]})
                await turns(1)
                one.mesh.update_addresses(book)
                await works(one, third)
            await works(one, other)
            tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("link to replica")]
            assert len(tasks) == 6

    run(scenario())
