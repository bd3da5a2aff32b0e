"""What costs what: a call does not look at every session (DESIGN §7; the master's own chapter).

Counted are Python calls, which a busy machine does not change: the same input with two hundred and with two thousand
sessions must take about as many.
"""

from __future__ import annotations

from functools import partial

import pytest

from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    GetContentsAndStat,
    Mode,
    Open,
    Release,
    SetContents,
    Transact,
    Watch,
)
from chubby.types.stream import CallFrame, KeepAlive, OpenSession
from chubby.types.time import SECOND
from chubby.types.transaction import Write
from tests.master.cell import Cell, Client
from tests.master.counting import count_calls

FEW, MANY = 200, 2_000
Crowd = tuple[Cell, Client, list[Client]]


def crowd(size: int) -> Crowd:
    """A cell with so many sessions, all of which have a file of their own open and watch it."""
    cell = Cell()
    alice = cell.client("alice")
    alice.open_handle("/f")
    alice.open_handle("/lock")
    others = []
    for number in range(size):
        other = Client(cell, f"u{number}")
        cell.clients.pop()
        others.append(other)
        other.connect()
        receive(cell, other, OpenSession(other.nonce))
        mode = Mode.READ | Mode.WRITE
        receive(cell, other, CallFrame(1, 0, 0, Open(1, f"/own{number}", mode, create=CreateMode.MAY), True))
        receive(cell, other, CallFrame(2, 1, 0, Watch(1, f"/own{number}", recursive=True), True))
    return cell, alice, others


def receive(cell: Cell, client: Client, frame: CallFrame | KeepAlive | OpenSession) -> None:
    """One frame, and everything that follows from it, without anybody reading."""
    cell.master.receive(client.stream, frame, cell.now, cell.lease_until)
    cell.settle()


@pytest.fixture(scope="module")
def crowds() -> tuple[Crowd, Crowd]:
    """A small one and a big one."""
    return crowd(FEW), crowd(MANY)


def test_they_are_as_big_as_they_should_be(crowds: tuple[Crowd, Crowd]) -> None:
    """Every session has its handle and its watch."""
    for (cell, _, _), size in zip(crowds, (FEW, MANY), strict=True):
        figures = cell.master.statistics()
        assert (figures.sessions, figures.watches) == (size + 1, size) and figures.handles == size + 2


CALLS: tuple[Call, ...] = (
    GetContentsAndStat(1),
    SetContents(1, b"x"),
    Transact((), (Write("/f", b"x"),)),
    Acquire(2),
    Release(2),
    Open(77, "/new", Mode.READ | Mode.WRITE, create=CreateMode.MAY, ephemeral=True),
    Close(77),
    Watch(5, "/", recursive=True),
)


def test_a_call_costs_the_same(crowds: tuple[Crowd, Crowd]) -> None:
    """Reads, writes, locks, handles: from the frame to the answer, the log included."""
    costs: list[list[int]] = []
    for cell, alice, _ in crowds:
        costs.append([])
        for call in CALLS:
            alice.number += 1
            alice.read()
            frame = CallFrame(alice.number, alice.acknowledged, 0, call, True)
            costs[-1].append(count_calls(partial(receive, cell, alice, frame)))
    for call, few, many in zip(CALLS, *costs, strict=True):
        assert many < few * 1.5 + 20, f"{type(call).__name__} took {few} calls among {FEW}, {many} among {MANY}"


def test_a_keep_alive_and_a_tick_cost_the_same(crowds: tuple[Crowd, Crowd]) -> None:
    """93 % of all calls are KeepAlives (paper §4.1)."""
    beats = [count_calls(partial(receive, cell, alice, KeepAlive(1, True))) for cell, alice, _ in crowds]
    ticks = [count_calls(partial(cell.master.tick, cell.now, cell.lease_until)) for cell, _, _ in crowds]
    for few, many in (beats, ticks):
        assert many < few * 1.5 + 20


def test_a_session_that_expires_costs_what_it_had(crowds: tuple[Crowd, Crowd]) -> None:
    """Not what everybody has: of the others only the heap entries surface that their KeepAlives have outdated."""
    costs = []
    for cell, _, others in crowds:
        cell.now += 6 * SECOND
        for other in others[1:]:
            receive(cell, other, KeepAlive(2, True))
        receive(cell, cell.clients[0], KeepAlive(2, True))
        cell.now += 6 * SECOND
        costs.append(count_calls(cell.tick))
        assert cell.machine.session_count == len(others), "one is gone, alice is there"
    few, many = costs
    assert many - few < 2 * (MANY - FEW)
