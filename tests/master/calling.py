"""What the tests of calls share."""

from __future__ import annotations

from chubby.namespace.commands import Request
from chubby.types.calls import (
    Call,
)
from chubby.types.results import (
    Answer,
)
from tests.master.cell import Cell, Client


def requests(cell: Cell, number: int) -> int:
    """How often call `number` was proposed."""
    bodies = [command.body for command in cell.proposed(Request)]
    return sum(isinstance(body, Request) and body.number == number for body in bodies)


def pipelined(cell: Cell, client: Client, *calls: Call) -> list[Answer | None]:
    """Send calls without waiting in between while the log stands still; then let everything happen."""
    cell.applying = False
    numbers = [client.start(call) for call in calls]
    cell.applying = True
    cell.settle()
    return [client.answer(number) for number in numbers]
