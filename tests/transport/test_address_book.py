"""The mesh follows the configuration: replicas move, leave and come while it runs (DESIGN §3 Membership)."""

from __future__ import annotations

from chubby.transport.greetings import Reason
from tests.transport.conftest import Run
from tests.transport.meshes import (
    UNHURRIED,
    Node,
    Note,
    book_of,
    connected,
    free_addresses,
    is_waiting,
    started,
    until,
    works,
)


def test_a_peer_that_moved_is_dialled_at_its_new_address(run: Run) -> None:
    """At once, whatever the backoff was at."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book, timing=UNHURRIED), Node(2, book, timing=UNHURRIED)
        async with started(one):
            async with started(other):
                await works(one, other)
            await until(lambda: is_waiting(one, 2))
            moved = {1: book[1], 2: free_addresses(1)[0]}
            # It expects replica 1 and cannot reach it: only replica 1's new book can bring them together.
            async with started(again := Node(2, {**moved, 1: free_addresses(1)[0]}, timing=UNHURRIED)):
                one.mesh.update_addresses(moved)
                await until(lambda: one.sends_to(2))
                one.mesh.send(2, Note(1))
                await until(lambda: again.from_peer(1) == [1])
                assert one.peer(2).address == moved[2]

    run(scenario())


def test_moving_while_connected_changes_the_link(run: Run) -> None:
    """Even if the old address still answers."""

    async def scenario() -> None:
        book = book_of(2)
        elsewhere = free_addresses(1)[0]
        one = Node(1, book)
        old, new = Node(2, book), Node(2, book, address=elsewhere)
        async with started(one, old):
            await until(lambda: one.sends_to(2))
            async with started(new):
                one.mesh.update_addresses({1: book[1], 2: elsewhere})
                one.mesh.send(2, Note(1))
                await until(lambda: new.from_peer(1) == [1])
                assert old.from_peer(1) == []

    run(scenario())


def test_an_unchanged_book_changes_nothing(run: Run) -> None:
    """Links are not made anew for it."""

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book), Node(2, book)
        async with connected(one, other):
            one.mesh.update_addresses(dict(book))
            await works(one, other)
            assert one.peer(2).reconnects == 0
            assert other.peer(1).reconnects == 0

    run(scenario())


def test_a_replica_that_left_is_a_stranger(run: Run) -> None:
    """Its links end with a word, it is not dialled, and it is not let in again until it is back in the book."""

    async def scenario() -> None:
        book = book_of(3)
        one, other, third = (Node(replica, book) for replica in book)
        async with connected(one, other, third):
            one.mesh.update_addresses({1: book[1], 3: book[3]})
            await until(lambda: other.dismissed(Reason.UNKNOWN_REPLICA) >= 1)
            await until(lambda: one.refused(Reason.UNKNOWN_REPLICA) >= 2)
            assert [peer.replica for peer in one.mesh.statistics().peers] == [3]
            one.mesh.send(2, Note(1))
            assert one.mesh.statistics().unaddressed == 1
            await works(one, third)
            one.mesh.update_addresses(book)
            await works(one, other)
            assert 1 not in other.from_peer(1)

    run(scenario())


def test_a_new_replica_is_dialled(run: Run) -> None:
    """As soon as it is in the book, without a restart."""

    async def scenario() -> None:
        book = book_of(3)
        one, third = Node(1, {1: book[1]}), Node(3, book)
        async with started(one, third):
            await until(lambda: third.dismissed(Reason.UNKNOWN_REPLICA) >= 1)
            one.mesh.update_addresses({1: book[1], 3: book[3]})
            await works(one, third)

    run(scenario())


def test_the_book_may_change_before_the_start_and_after_the_stop(run: Run) -> None:
    """Nothing is dialled too early or too late."""

    async def scenario() -> None:
        book = book_of(3)
        one, other = Node(1, {1: book[1], 3: book[3]}), Node(2, book)
        one.mesh.update_addresses({1: book[1], 2: book[2]})
        async with started(one, other):
            await works(one, other)
        one.mesh.update_addresses(book)
        assert one.mesh.statistics().peers == ()

    run(scenario())
