"""What a session knows of its handles (DESIGN §5 Handles)."""

from __future__ import annotations

import pytest

from chubby.client.handle_table import HandleTable, through_handle
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    CheckSequencer,
    Close,
    GetStat,
    ListLocks,
    Mode,
    Open,
    SetSequencer,
    Transact,
    Watch,
)
from chubby.types.events import EventMask
from chubby.types.nodes import ANYONE, AclNames, NodeKind, Stat
from chubby.types.results import Opened
from chubby.types.stream import HandleClaim

STAT = Stat(NodeKind.FILE, True, 5, 1, 1, 0, 0, 1, 1, 0, 0, AclNames(ANYONE, ANYONE, ANYONE))
GONE = Failure(ErrorCode.HANDLE_INVALID, "deleted")
POISONED = Failure(ErrorCode.HANDLE_POISONED, "poisoned")


def table() -> HandleTable:
    """One open handle, number 1."""
    handles = HandleTable()
    call = Open(handles.fresh_number(), "/asked", Mode.READ, EventMask.LOCK_ACQUIRED)
    handles.add(call, Opened(b"ticket", "/got", True, STAT))
    return handles


def test_a_handle_is_what_was_opened() -> None:
    """The path may differ from the one asked for; the instance is for life."""
    record = table().get(1)
    assert record is not None
    assert (record.path, record.instance, record.ephemeral, record.mode) == ("/got", 5, True, Mode.READ)


def test_numbers_are_never_reused() -> None:
    """(session, handle number) owns locks."""
    handles = table()
    handles.remove(1)
    assert [handles.fresh_number() for _ in range(3)] == [2, 3, 4]


def test_an_open_handle_refuses_nothing() -> None:
    """Until something happens to it."""
    assert table().refusal(GetStat(1)) is None


@pytest.mark.parametrize("how", ["never", "removed", "closing"])
def test_a_closed_handle_refuses_everything_but_close(how: str) -> None:
    """Close never fails."""
    handles = HandleTable() if how == "never" else table()
    if how == "removed":
        handles.remove(1)
        handles.remove(1)
    elif how == "closing" and (record := handles.get(1)):
        record.closing = True
    refusal = handles.refusal(GetStat(1))
    assert refusal is not None and refusal.code is ErrorCode.HANDLE_INVALID
    assert handles.refusal(Close(1)) is None


def test_a_lost_handle_says_why_for_ever() -> None:
    """The first reason stays."""
    handles = table()
    assert handles.lose(1, GONE) is handles.get(1)
    handles.lose(1, POISONED)
    assert handles.refusal(Acquire(1)) == GONE
    assert handles.refusal(Close(1)) is None
    assert handles.lose(9, GONE) is None


def test_claims_present_every_handle_still_of_use() -> None:
    """DESIGN §5: a new master recreates one when presented; a poisoned one must still be closed."""
    handles = table()
    assert handles.claims() == (HandleClaim(1, b"ticket", EventMask.LOCK_ACQUIRED),)
    handles.lose(1, POISONED)
    assert len(handles.claims()) == 1
    handles = table()
    handles.lose(1, GONE)
    assert handles.claims() == ()


def test_a_closing_handle_is_still_claimed() -> None:
    """Its Close will be repeated, and the new master must know what it closes: locks, ephemerals."""
    handles = table()
    record = handles.get(1)
    assert record is not None
    record.closing = True
    assert len(handles.claims()) == 1


@pytest.mark.parametrize("call", [Acquire(1), Close(1), GetStat(1), SetSequencer(1, b"")])
def test_calls_that_go_through_a_handle(call: Call) -> None:
    """They are refused with it."""
    assert through_handle(call)


@pytest.mark.parametrize("call", [Open(1, "/a"), Transact(), Watch(1, "/a"), ListLocks(), CheckSequencer(b"")])
def test_calls_that_do_not(call: Call) -> None:
    """Open makes one; the others need none."""
    assert not through_handle(call)
