"""What befalls clients: each fault strikes as it says, and whoever lives is served again."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from chubby.client.state import SessionState
from chubby.client.stream import Phase
from chubby.types.calls import Acquire, Call, CreateMode, Mode, Open
from chubby.types.nodes import LockMode
from chubby.types.results import Answer, LockGranted, Opened
from chubby.types.stream import Resumed, ServerFrame
from chubby.types.time import MILLISECOND, SECOND, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.fault_cells import Cell
from tests.simulation.faults import sessions


def ask(cell: Cell, client: ClientHost, call: Call) -> list[Answer]:
    """The answer, if there is one soon."""
    answers: list[Answer] = []
    client.call(call, answers.append)
    cell.run(200 * MILLISECOND)
    return answers


def hold(cell: Cell, client: ClientHost, mode: LockMode, ephemeral: bool = False) -> list[Answer]:
    """This client takes the lock of /l, or waits for it."""
    both = Mode.READ | Mode.WRITE
    if ephemeral:
        ask(cell, client, Open(900, f"/here-{client.place}", both, create=CreateMode.MAY, ephemeral=True))
    (opened,) = ask(cell, client, Open(901, "/l", both, create=CreateMode.MAY))
    assert isinstance(opened, Opened)
    return ask(cell, client, Acquire(901, mode))


def mended(cell: Cell) -> bool:
    """Whether the network is as it was."""
    return not cell.field.network._slow and not cell.field.network._cuts


def test_a_bad_line_is_slow_for_a_while() -> None:
    """One way or both, never more than a second."""
    cell, found = Cell(), 0
    for seed in range(6):
        cell.field.chance = random.Random(seed)
        sessions.bad_line(cell.field)
        slow = cell.field.network._slow
        assert slow and all(5 * MILLISECOND <= each.delay <= SECOND for each in slow.values())
        found += any(source.startswith("c") for source, _ in slow)
        cell.run(30 * SECOND)
        assert mended(cell)
    assert 0 < found < 6


def test_what_is_said_last_on_a_line_that_fades_comes_late() -> None:
    """Then nothing comes, then all is well; sometimes what came last was the answer to a KeepAlive."""
    last: list[bool] = []
    for seed in range(6):
        cell = Cell(clients=1)
        (client,) = cell.scenario.population.clients
        cell.field.chance = random.Random(seed)
        sessions.fade(cell.field)
        cuts = cell.field.network._cuts
        for _ in range(1000):
            cell.run(10 * MILLISECOND)
            if cuts:
                break
        assert len(cuts) == 2 * len(cell.hosts) and len(cell.field.network._slow) == len(cell.hosts)
        last.append(client.core._tenure.keep_alive._asked is not None)
        cell.run(30 * SECOND)
        assert mended(cell)
    assert any(last)


def test_who_is_stranded_does_not_hear_of_the_next_master() -> None:
    """Who is not has it at once."""
    cell = Cell(clients=4)
    cell.field.chance = random.Random(2)
    before = next(host.number for host in cell.hosts if host.believes)
    sessions.strand(cell.field)
    stranded = {source for source, _ in cell.field.network._cuts if source.startswith("c")}
    cell.run(150 * MILLISECOND)
    master = next(host for host in cell.hosts if host.believes)
    assert master.number != before and master.replica is not None and master.replica.machine is not None
    epoch = master.replica.machine.epoch
    followed = {client.place for client in cell.scenario.population.clients if client.core.identity.epoch == epoch}
    assert stranded and followed and not stranded & followed and len(stranded | followed) == 4
    cell.run(30 * SECOND)
    assert mended(cell) and cell.settled()


def test_all_that_share_a_lock_die_at_once() -> None:
    """And nobody else does."""
    cell = Cell(clients=4)
    clients = cell.scenario.population.clients[:4]
    assert all(isinstance(hold(cell, each, LockMode.SHARED)[0], LockGranted) for each in clients[:2])
    assert not hold(cell, clients[2], LockMode.EXCLUSIVE)
    cell.field.chance = random.Random(1)
    sessions.bereave(cell.field)
    assert [each.alive for each in clients] == [False, False, True, True]
    cell.run(30 * SECOND)
    assert cell.settled()


def test_who_dies_in_a_queue_has_files() -> None:
    """The living hear late of what goes with it."""
    cell = Cell(clients=4)
    holder, plain, candidate, _ = cell.scenario.population.clients[:4]
    hold(cell, holder, LockMode.EXCLUSIVE)
    hold(cell, plain, LockMode.EXCLUSIVE)
    hold(cell, candidate, LockMode.EXCLUSIVE, ephemeral=True)
    sessions.die_waiting(cell.field)
    assert [holder.alive, plain.alive, candidate.alive] == [True, True, False] and mended(cell)
    late = False
    for _ in range(100):
        cell.run(100 * MILLISECOND)
        late = late or not mended(cell)
    assert late
    cell.run(10 * SECOND)
    assert mended(cell)


def test_nobody_dies_where_no_lock_is_held() -> None:
    """There is nothing to strike at."""
    cell = Cell()
    sessions.bereave(cell.field)
    sessions.die_waiting(cell.field)
    assert all(client.alive for client in cell.scenario.population.clients) and mended(cell)


def test_an_answer_comes_when_its_client_has_greeted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §6: the highest stream number wins, so it is dropped; the session goes on, or its client is told."""
    cell = Cell(clients=1)
    cell.run(10 * SECOND)
    (client,) = cell.scenario.population.clients
    late: list[int] = []
    received = client.core.received

    def take(stream: int, frames: Sequence[ServerFrame], now: Instant) -> None:
        greets = client.core._stream.phase is Phase.GREETING and client.core._stream.number > stream
        late.extend(stream for frame in frames if greets and isinstance(frame, Resumed))
        received(stream, frames, now)
        assert not late or not client.core.state.live or stream > late[0]

    monkeypatch.setattr(client.core, "received", take)
    cell.field.chance = random.Random(1)
    sessions.half_open(cell.field)
    cell.run(40 * SECOND)
    assert len(late) == 1 and mended(cell)
    assert client.core.state.live or client.core.state is SessionState.EXPIRED
