"""What is remembered of closed handles is bounded, whatever numbers a client takes (DESIGN §5 Handles)."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.master.handles import CLOSED_GAPS, Handle, HandleTable
from chubby.types.calls import Close, Mode, Open
from chubby.types.events import EventMask
from tests.master.cell import Cell, code_of


def handle(number: int) -> Handle:
    """An open handle of that number."""
    return Handle(number, "/a", 1, Mode.READ, EventMask.NONE, ephemeral=False)


def test_gaps_made_on_purpose_are_taken_for_closed() -> None:
    """Closing every other number for ever takes memory for some thousands of gaps, no more; nothing is forgotten."""
    table = HandleTable()
    for number in range(2, 6 * CLOSED_GAPS, 2):
        table.close(number)
        assert table._closed.pieces <= CLOSED_GAPS + 1
    assert all(table.was_closed(number) for number in range(2, 6 * CLOSED_GAPS, 2))


def test_open_handles_are_never_taken_for_closed() -> None:
    """However many gaps there are around them."""
    table = HandleTable()
    for number in (1, 501, 7001):
        table.add(handle(number))
    for number in range(2, 4 * CLOSED_GAPS, 2):
        table.close(number)
    assert [each.number for each in table] == [1, 501, 7001]
    assert not any(table.was_closed(number) for number in (1, 501, 7001))
    assert table.close(501) is not None and table.was_closed(501)


def test_an_honest_client_is_never_met_by_it() -> None:
    """Numbers one after the other, closed in any order: whatever was not closed can still be opened."""
    table = HandleTable()
    for number in range(1, 3001):
        table.add(handle(number))
    for number in [*range(1, 3001, 2), *range(2, 3001, 2)]:
        assert table.close(number) is not None
        assert not table.was_closed(3001)
    assert table._closed.intervals == ((1, 3000),)


def test_a_client_that_leaves_gaps_hurts_itself_alone() -> None:
    """Its session goes on; a number in a gap is refused as closed, one above them all opens."""
    cell = Cell()
    client = cell.client()
    for number in range(10, 10 + 2 * (CLOSED_GAPS + 10), 2):
        client.call(Close(number))
    assert code_of(client.call(Open(11, "/"))) is ErrorCode.HANDLE_INVALID
    assert code_of(client.call(Open(1_000_000, "/"))) is None
    assert code_of(cell.client("bob").call(Open(11, "/"))) is None
