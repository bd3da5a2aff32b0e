"""Links that break are made anew, and queues to those who are away stay small."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest

from chubby.transport.greetings import Goodbye, Hello, Reason, Welcome
from chubby.transport.outbox import Bounds
from chubby.transport.settings import Limits, Timing
from chubby.transport.statistics import PeerState
from chubby.types.time import MILLISECOND, SECOND
from tests.transport.conftest import Run
from tests.transport.meshes import (
    QUICK,
    UNHURRIED,
    Caller,
    Node,
    Note,
    book_of,
    calling,
    connected,
    control,
    free_addresses,
    hello,
    is_waiting,
    started,
    until,
    works,
)


def test_a_restarted_peer_is_found_again(run: Run) -> None:
    """On the same port, as the same incarnation: nothing but time has passed."""

    async def scenario() -> None:
        book = book_of(3)
        one, other, third = (Node(replica, book) for replica in book)
        async with connected(one, third):
            for round_number in range(1, 4):
                async with started(other):
                    await works(one, other)
                    await works(third, other)
                await until(lambda: not one.sends_to(2) and not one.hears(2))
                assert one.peer(2).connected_since is None
                await works(one, third)
                assert one.peer(2).reconnects == round_number - 1
                other = Node(2, book)

    run(scenario())


def test_a_newer_incarnation_takes_the_place_of_the_older(run: Run) -> None:
    """DESIGN §3 Incarnations: a replica that lost its vote state is another member; the link says which it is."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book)
        async with started(one):
            async with started(first := Node(2, book, incarnation=1000)):
                await works(one, first)
                assert one.peer(2).incarnation == 1000
            async with started(second := Node(2, book, incarnation=2000)):
                await until(lambda: one.peer(2).incarnation == 2000)
                await works(one, second)

    run(scenario())


async def enter(caller: Caller, frame: bytes) -> None:
    """Finish a handshake as the dialling side."""
    await caller.say(frame)
    assert isinstance(await caller.hear(), Hello)
    await caller.say(control(Welcome()))


@pytest.mark.parametrize("incarnation", [1000, 2000], ids=["same", "other"])
def test_the_last_link_of_a_replica_replaces_the_one_before(run: Run, incarnation: int) -> None:
    """A connection that a crashed peer left behind, half dead, must not keep its successor out."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book)
        async with started(one), calling(book[1]) as older, calling(book[1]) as newer:
            await enter(older, hello(incarnation=1000))
            await until(lambda: one.hears(2))
            await enter(newer, hello(incarnation=incarnation))
            assert await older.ended() is Reason.REPLACED
            await until(lambda: one.refused(Reason.REPLACED) == 1)
            assert one.hears(2)
            assert one.peer(2).incarnation == incarnation

    run(scenario())


def test_a_half_finished_handshake_replaces_nobody(run: Run) -> None:
    """Only who has finished it speaks for the replica."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other), calling(book[1]) as pretender:
            await pretender.say(hello(incarnation=666))
            assert isinstance(await pretender.hear(), Hello)
            await works(one, other)
            assert one.peer(2).incarnation == 20
            assert one.refused(Reason.REPLACED) == 0

    run(scenario())


def test_messages_bridge_a_short_absence(run: Run) -> None:
    """What fits the small queue arrives once the peer is back, in order."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book)
        async with started(one):
            for number in range(100):
                one.mesh.send(2, Note(number))
            await until(lambda: is_waiting(one, 2))
            assert one.peer(2).queued_frames == 100
            async with started(other := Node(2, book)):
                await until(lambda: other.from_peer(1) == list(range(100)))
                assert one.peer(2).queued_frames == 0

    run(scenario())


def test_messages_to_an_absent_peer_are_bounded(run: Run) -> None:
    """By count here: nobody is greeted by an hour of heartbeats; what is dropped is counted, the newest is kept."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, limits=Limits(away=Bounds(1_000_000, 64)))
        async with started(one):
            for number in range(10_000):
                one.mesh.send(2, Note(number))
                assert one.peer(2).queued_frames <= 64
            kept = one.peer(2).queued_frames
            assert one.peer(2).dropped_frames == 10_000 - kept
            async with started(other := Node(2, book)):
                await until(lambda: other.from_peer(1) == list(range(10_000 - kept, 10_000)))

    run(scenario())


def test_the_default_queue_to_an_absent_peer_is_a_mebibyte() -> None:
    """And that to a present one 64."""
    assert Limits().away == Bounds(1024 * 1024, 1024)
    assert Limits().queue.size == 64 * 1024 * 1024


def test_a_peer_that_makes_itself_heard_is_dialled_at_once(run: Run) -> None:
    """A replica that comes back after long is in touch both ways as soon as it dials."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=UNHURRIED)
        async with started(one):
            await until(lambda: is_waiting(one, 2))
            async with started(other := Node(2, book, timing=UNHURRIED)):
                await works(one, other)

    run(scenario())


@pytest.mark.parametrize("reason", [Reason.WRONG_CELL, Reason.BOTH_BLANK, Reason.REPLACED, Reason.OTHER])
def test_a_goodbye_is_waited_out(run: Run, reason: Reason) -> None:
    """Whoever was refused asks again, but after the longest wait only: here half of 100 s at least."""

    async def scenario() -> None:
        book = book_of(2)
        timing = msgspec.structs.replace(UNHURRIED, backoff_shortest=1 * MILLISECOND)
        one = Node(1, book, timing=timing)
        with socket.create_server(("127.0.0.1", int(book[2].rpartition(":")[2]))) as door:
            door.setblocking(False)
            async with started(one):
                connection, _ = await asyncio.get_running_loop().sock_accept(door)
                with connection:
                    caller = Caller(connection)
                    assert isinstance(await caller.hear(), Hello)
                    await caller.say(control(Goodbye(reason)))
                    await until(lambda: one.peer(2).last_reason is reason)
                    assert one.dismissed(reason) == 1
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await asyncio.get_running_loop().sock_accept(door)

    run(scenario())


def test_a_peer_that_shuts_down_is_dialled_again_soon(run: Run) -> None:
    """A rolling restart is no refusal: with an hour between hopeless attempts, the peer is back within moments."""

    async def scenario() -> None:
        book = book_of(2)
        timing = Timing(backoff_shortest=5 * MILLISECOND, backoff_longest=3600 * SECOND)
        one, other = Node(1, book, timing=timing), Node(2, book)
        async with started(one):
            async with started(other):
                await works(one, other)
            await until(lambda: one.peer(2).last_reason in (Reason.UNREACHABLE, Reason.LOST, Reason.STOPPED))
            async with started(again := Node(2, book)):
                await works(one, again)
        assert one.mesh.statistics().dismissed == {}

    run(scenario())


def test_success_resets_the_backoff(run: Run) -> None:
    """However long the peer was away before: once it was there, its next absence is a new one."""

    async def scenario() -> None:
        book = book_of(2)
        timing = Timing(backoff_shortest=5 * MILLISECOND, backoff_longest=7200 * SECOND)
        one = Node(1, book, timing=timing)
        async with started(one):
            await until(lambda: is_waiting(one, 2))
            one.mesh._diallers[2]._backoff.exhaust()
            async with started(other := Node(2, book)):
                await works(one, other)
            # It cannot make itself heard this time: only the backoff brings them together.
            async with started(Node(2, {2: book[2], 1: free_addresses(1)[0]})):
                await until(lambda: one.sends_to(2))

    run(scenario())


def test_an_unreachable_peer_is_told_from_one_that_refuses(run: Run) -> None:
    """The operator sees which it is."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book)
        async with started(one):
            await until(lambda: one.peer(2).last_reason is Reason.UNREACHABLE)
            assert one.mesh.statistics().refused == {}
            async with started(Node(2, book, cell=999)):
                await until(lambda: one.peer(2).last_reason is Reason.WRONG_CELL)

    run(scenario())


def test_a_connection_that_is_not_answered_is_given_up(run: Run) -> None:
    """A peer whose kernel accepts and whose process hangs: handshake runs out, and the next attempt is made."""

    async def scenario() -> None:
        book = book_of(2)
        timing = msgspec.structs.replace(QUICK, handshake=30 * MILLISECOND)
        one = Node(1, book, timing=timing)
        with socket.create_server(("127.0.0.1", int(book[2].rpartition(":")[2]))):
            async with started(one):
                await until(lambda: one.refused(Reason.TIMEOUT) >= 3)
                assert one.peer(2).last_reason is Reason.TIMEOUT

    run(scenario())


def test_an_attempt_to_connect_takes_its_time_at_most(run: Run) -> None:
    """A listener whose backlog is full swallows the first segment, as a partition does."""

    async def scenario() -> None:
        book = book_of(2)
        timing = msgspec.structs.replace(QUICK, connect=30 * MILLISECOND)
        with socket.socket() as door:
            door.bind(("127.0.0.1", int(book[2].rpartition(":")[2])))
            door.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(door.getsockname())
            async with started(one := Node(1, book, timing=timing)):
                await until(lambda: one.peer(2).last_reason is Reason.UNREACHABLE)
            for filler in fillers:
                filler.close()

    run(scenario())


def test_states_of_a_dialled_link(run: Run) -> None:
    """Waiting before the start, dialling, connected, waiting."""

    async def scenario() -> None:
        book = book_of(2)
        one = Node(1, book, timing=UNHURRIED)
        assert one.peer(2).state is PeerState.WAITING
        async with started(one):
            await until(lambda: one.peer(2).state is PeerState.DIALLING or is_waiting(one, 2))
            async with started(Node(2, book)):
                await until(lambda: one.peer(2).state is PeerState.CONNECTED)
                assert one.sends_to(2)
            await until(lambda: is_waiting(one, 2))
            assert not one.sends_to(2)

    run(scenario())
