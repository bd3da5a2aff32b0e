"""A blank replica learns which cell it belongs to from the first peer it meets (DESIGN §3 Incarnations, Membership)."""

from __future__ import annotations

from chubby.transport.greetings import UNKNOWN_CELL, Reason
from tests.transport.conftest import Run
from tests.transport.meshes import CELL, Node, all_connected, book_of, connected, started, until, works


def test_a_blank_joiner_learns_its_cell_and_is_in(run: Run) -> None:
    """Told once; messages flow both ways."""

    async def scenario() -> None:
        book = book_of(3)
        one, other, joiner = Node(1, book), Node(2, book), Node(3, book, cell=UNKNOWN_CELL)
        async with connected(one, other), started(joiner):
            await works(one, joiner)
            await works(other, joiner)
            assert joiner.learned == [CELL]
            assert joiner.mesh.identity.cell == CELL
            assert joiner.mesh.statistics().cell == CELL
        assert one.learned == other.learned == []

    run(scenario())


def test_a_joiner_is_shown_as_joining(run: Run) -> None:
    """Here it is the joiner that dials: the others cannot reach it yet."""

    async def scenario() -> None:
        book = book_of(3)
        wrong = {**book, 3: book[1]}
        one = Node(1, {**wrong, 3: book[2]})
        joiner = Node(3, book, cell=UNKNOWN_CELL, incarnation=4711)
        async with started(one, joiner):
            await until(lambda: one.hears(3))
            assert one.peer(3).joining
            assert one.peer(3).incarnation == 4711
            await until(lambda: joiner.sends_to(1))
            assert joiner.learned == [CELL]

    run(scenario())


def test_an_unexpected_blank_is_a_stranger(run: Run) -> None:
    """Being blank opens no door: only replicas of the address book join."""

    async def scenario() -> None:
        book = book_of(3)
        one, joiner = Node(1, {1: book[1], 2: book[2]}), Node(3, book, cell=UNKNOWN_CELL)
        async with started(one, joiner):
            await until(lambda: one.refused(Reason.UNKNOWN_REPLICA) >= 2)
            assert joiner.learned == []
            assert joiner.dismissed(Reason.UNKNOWN_REPLICA) >= 1
            one.mesh.update_addresses(book)
            await works(one, joiner)
            assert joiner.learned == [CELL]

    run(scenario())


def test_two_blanks_refuse_each_other_until_one_has_learned(run: Run) -> None:
    """Politely: both try again, and meet once a replica that knows the cell is there."""

    async def scenario() -> None:
        book = book_of(3)
        first, second = Node(1, book, cell=UNKNOWN_CELL), Node(2, book, cell=UNKNOWN_CELL)
        async with started(first, second):
            await until(lambda: first.refused(Reason.BOTH_BLANK) >= 2 and second.refused(Reason.BOTH_BLANK) >= 2)
            await until(lambda: first.dismissed(Reason.BOTH_BLANK) >= 2)
            assert first.learned == second.learned == []
            assert not first.sends_to(2) and not second.sends_to(1)
            async with started(third := Node(3, book)):
                await until(lambda: all_connected([first, second, third]))
                assert first.learned == second.learned == [CELL]
                await works(first, second)

    run(scenario())


def test_a_joiner_keeps_the_cell_it_learned_first(run: Run) -> None:
    """A replica of another cell under an expected number is refused from then on."""

    async def scenario() -> None:
        book = book_of(3)
        one, joiner = Node(1, book), Node(3, book, cell=UNKNOWN_CELL)
        async with started(one, joiner):
            await until(lambda: joiner.learned == [CELL])
            async with started(Node(2, book, cell=999)):
                await until(lambda: joiner.refused(Reason.WRONG_CELL) >= 1)
            assert joiner.learned == [CELL]
            await works(one, joiner)

    run(scenario())


def test_cells_do_not_mix(run: Run) -> None:
    """Two cells with each other's addresses: all four refuse, and say so."""

    async def scenario() -> None:
        book = book_of(4)
        nodes = [Node(1, book), Node(2, book), Node(3, book, cell=999), Node(4, book, cell=999)]
        async with started(*nodes):
            await works(nodes[0], nodes[1])
            await works(nodes[2], nodes[3])
            await until(lambda: all(node.refused(Reason.WRONG_CELL) for node in nodes))
            assert not nodes[0].sends_to(3) and not nodes[3].sends_to(1)
            assert {sender for node in nodes[:2] for sender, _ in node.received} == {1, 2}

    run(scenario())
