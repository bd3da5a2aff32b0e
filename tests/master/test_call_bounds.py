"""Calls of the master, continued (DESIGN §4 Sessions, §5)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import MasterSettings
from chubby.namespace.commands import CheckDigest, Limits, SetLimits
from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    GetStat,
    Mode,
    Open,
    SetContents,
    Unwatch,
)
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.results import (
    StatResult,
)
from chubby.types.stream import Acknowledge, CallFrame, KeepAlive
from chubby.types.time import SECOND
from tests.master.calling import pipelined, requests
from tests.master.cell import Cell, code_of

# ------------------------------------------------------------------------------------------------------------- bounds


def test_calls_per_session_are_bounded() -> None:
    """OVERLOADED; KeepAlives go on."""
    cell = Cell(MasterSettings(replica=1, calls_per_session=3))
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    calls = [alice.start(SetContents(handle, b"x")) for _ in range(5)]
    assert [code_of(alice.answer(call)) for call in calls] == [None] * 3 + [ErrorCode.OVERLOADED] * 2
    alice.send(KeepAlive(1, True))
    assert len(alice.keep_alives) == 1 and cell.master.statistics().calls_overloaded == 2
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(calls[2]), StatResult) and isinstance(alice.call(GetStat(handle)), StatResult)


def test_calls_in_total_are_bounded() -> None:
    """Whoever comes last is told."""
    cell = Cell(MasterSettings(replica=1, calls_in_total=2))
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), bob.open_handle("/f")
    cell.applying = False
    for _ in range(2):
        alice.start(SetContents(handle, b"x"))
    assert code_of(bob.call(GetStat(other))) is ErrorCode.OVERLOADED


def test_the_window_of_numbers() -> None:
    """DESIGN §4: at most 1,024 unacknowledged results."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    alice.number = 1 + REPLY_TABLE_LIMIT - 1
    assert isinstance(alice.call(GetStat(handle)), StatResult)
    assert code_of(alice.call(GetStat(handle))) is ErrorCode.OVERLOADED


def test_a_repeat_is_answered_however_crowded_it_is() -> None:
    """Its answer exists: there is nothing to be short of."""
    cell = Cell(MasterSettings(replica=1, calls_per_session=1))
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/f")
    call = alice.start(SetContents(handle, b"x"))
    first = alice.replies.pop(call)
    alice.acknowledged = call - 1
    bob.call(Acquire(bob.open_handle("/f")))
    alice.start(Acquire(handle))
    alice.resume()
    alice.again(call)
    assert alice.replies[call].answer == first.answer


@pytest.mark.parametrize("call", [GetStat(9), Close(9), Unwatch(9)], ids=lambda call: type(call).__name__)
def test_every_call_is_answered(call: Call) -> None:
    """Also one that makes no sense."""
    cell = Cell()
    assert cell.client().call(call) is not None


def test_a_void_command_is_answered_with_why() -> None:
    """The machine's own refusal, here of a full reply table, reaches the caller."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    for _ in range(REPLY_TABLE_LIMIT - 1):
        alice.send(CallFrame(alice.number + 1, 0, 0, SetContents(handle, b"x")))
        alice.number += 1
    assert isinstance(alice.answer(alice.number), StatResult)
    number = alice.number + 1
    alice.send(CallFrame(number, 0, 0, SetContents(handle, b"x")))
    assert code_of(alice.answer(number)) is ErrorCode.OVERLOADED


def test_the_replicas_own_commands() -> None:
    """`propose` puts a command of the replica's making under our epoch; a follower ignores it."""
    cell = Cell()
    cell.master.propose(CheckDigest(), cell.now)
    cell.settle()
    assert [command.epoch for command in cell.proposed(CheckDigest)] == [cell.epoch]
    cell.depose()
    cell.master.propose(SetLimits(Limits()), cell.now)
    cell.settle()
    assert cell.proposed(SetLimits) == []


def test_commands_are_numbered_and_stamped() -> None:
    """`sequence` is the master's running number within its epoch; `time_ms` is the wall clock, for display."""
    cell = Cell()
    alice = cell.client()
    alice.open_handle("/f")
    cell.advance(5 * SECOND)
    alice.open_handle("/g")
    ours = [command for command in cell.commands if command.epoch == cell.epoch]
    assert [command.sequence for command in ours] == list(range(1, len(ours) + 1))
    assert ours[-1].time_ms == cell.wall_ms


def test_a_write_behind_an_open_keeps_its_place() -> None:
    """Sent through a handle that is still being opened, followed by one through another handle: in that order."""
    cell = Cell()
    alice = cell.client()
    known = alice.open_handle("/f")
    opening = Open(50, "/f", Mode.READ | Mode.WRITE, create=CreateMode.MAY)
    *_, last = pipelined(
        cell, alice, SetContents(known, b"0"), opening, SetContents(50, b"1"), SetContents(known, b"2"), GetStat(known)
    )
    node = cell.machine.node("/f")
    assert isinstance(last, StatResult) and node is not None and node.contents == b"2"


def test_a_condition_that_waits_keeps_its_place() -> None:
    """It stands behind somebody else's write in flight; one's own next write does not overtake it."""
    cell = Cell()
    alice, bob = cell.client(caching=False), cell.client("bob", caching=False)
    handle, other = alice.open_handle("/f"), bob.open_handle("/f")
    cell.applying = False
    bob.start(SetContents(other, b"bob"))
    condition = alice.start(SetContents(handle, b"1", generation=2))
    last = alice.start(SetContents(handle, b"2"))
    assert len(cell.log) == 1
    cell.applying = True
    cell.settle()
    first, second = alice.answer(condition), alice.answer(last)
    assert isinstance(first, StatResult) and first.stat.content_generation == 3
    assert isinstance(second, StatResult) and second.stat.content_generation == 4


def test_what_waited_for_the_lease_comes_before_what_came_later() -> None:
    """The master lease is renewed by the very input that brings a later call."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.live = False
    alice.start(SetContents(handle, b"1"))
    alice.start(SetContents(handle, b"2"))
    cell.live = True
    alice.start(SetContents(handle, b"3"))
    node = cell.machine.node("/f")
    assert node is not None and node.contents == b"3"


def test_a_deadline_that_passed_while_the_lease_was_gone() -> None:
    """The lease is live again, and the patience over, in the same instant."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.live = False
    call = alice.start(GetStat(handle), patience=SECOND)
    cell.now += SECOND
    cell.live = True
    alice.send(KeepAlive(1, True))
    assert code_of(alice.answer(call)) is ErrorCode.DEADLINE_EXCEEDED


def test_a_client_that_acknowledges_a_call_it_has_in_flight() -> None:
    """It has no more use for the answer: what is not proposed is given up, what is proposed runs its course."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), alice.open_handle("/g")
    bob.call(GetStat(bob.open_handle("/f")))
    bob.auto_ack = False
    cell.applying = False
    waiting = alice.start(SetContents(handle, b"x"))
    proposed = alice.start(SetContents(other, b"x"))
    alice.number += 1
    alice.send(CallFrame(alice.number, proposed, 0, GetStat(other)))
    assert cell.master.statistics().commands_waiting == 0
    bob.send(Acknowledge(1))
    assert requests(cell, waiting) == 0 and requests(cell, proposed) == 1


def test_two_sessions_have_numbers_of_their_own() -> None:
    """A call number names nothing without its session."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    one, two = alice.open_handle("/f"), bob.open_handle("/g")
    assert isinstance(alice.call(SetContents(one, b"a")), StatResult)
    assert isinstance(bob.call(SetContents(two, b"b")), StatResult)
    assert alice.number == bob.number
    for path, contents in (("/f", b"a"), ("/g", b"b")):
        node = cell.machine.node(path)
        assert node is not None and node.contents == contents
