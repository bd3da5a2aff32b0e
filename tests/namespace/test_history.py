"""The history: what happened since (DESIGN §4 Revision; §5 Events)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.namespace.commands import ExpireSession, Limits
from chubby.namespace.outcomes import Change
from chubby.types.events import EventKind
from chubby.types.transaction import Create, Read, Write
from tests.namespace.cell import Cell


@pytest.fixture
def cell() -> Cell:
    """A cell with one session, 1."""
    cell = Cell()
    cell.session()
    return cell


def test_all_changes_above_a_revision(cell: Cell) -> None:
    """In order; a transaction with several is told whole; nothing for one who is up to date or ahead."""
    cell.transact(1, Create("/a"), Create("/b"))
    cell.write(1, "/a", b"x")
    cell.remove(1, "/b")
    whole = cell.machine.history_since(0)
    assert whole is not None
    assert [(change.revision, change.kind, change.path) for change in whole] == [
        (1, EventKind.CREATED, "/a"),
        (1, EventKind.CREATED, "/b"),
        (2, EventKind.CONTENTS_MODIFIED, "/a"),
        (3, EventKind.DELETED, "/b"),
    ]
    assert cell.machine.history_since(1) == whole[2:]
    assert cell.machine.history_since(2) == whole[3:]
    assert cell.machine.history_since(3) == cell.machine.history_since(99) == ()


def test_what_the_outcome_said_is_what_the_history_says(cell: Cell) -> None:
    """Deletions of ephemerals by expiry included."""
    told: list[Change] = []
    for path in ("/a", "/b"):
        told += cell.transact(1, Create(path, ephemeral=True)).changes
    told += cell.transact(1, Read("/a"), Write("/a", b"x")).changes
    told += cell.do(ExpireSession(1)).changes
    assert cell.machine.history_since(0) == tuple(told)
    assert [change.kind for change in told[-2:]] == [EventKind.DELETED] * 2


def test_the_history_is_bounded(cell: Cell) -> None:
    """The last `Limits.history` changes; who asks from before them is told so, never given a part."""
    cell.set_limits(Limits(history=5))
    for number in range(8):
        cell.create(1, f"/{number}")
    assert cell.machine.revision == 8
    assert cell.machine.history_since(2) is None
    since = cell.machine.history_since(3)
    assert since is not None
    assert [change.revision for change in since] == [4, 5, 6, 7, 8]
    assert cell.machine.forgotten == 3


def test_a_revision_is_forgotten_as_soon_as_one_of_its_changes_is(cell: Cell) -> None:
    """A cursor just before a transaction of which only the end is kept is too old."""
    cell.set_limits(Limits(history=2))
    cell.transact(1, Create("/a"), Create("/b"), Create("/c"))
    assert cell.machine.history_since(0) is None
    assert cell.machine.history_since(1) == ()
    assert cell.machine.forgotten == 1


def test_a_lowered_limit_cuts_at_once_and_a_raised_one_brings_nothing_back(cell: Cell) -> None:
    """The history cannot be regained."""
    for number in range(6):
        cell.create(1, f"/{number}")
    cell.set_limits(Limits(history=2))
    assert cell.machine.history_since(3) is None
    cell.set_limits(Limits(history=100))
    assert cell.machine.history_since(3) is None
    assert len(cell.machine.history_since(4) or ()) == 2


def test_no_history_at_all(cell: Cell) -> None:
    """Limit 0: only who is up to date gets an answer."""
    cell.set_limits(Limits(history=0))
    cell.create(1, "/a")
    assert cell.machine.history_since(0) is None
    assert cell.machine.history_since(1) == ()


@given(sizes=st.lists(st.integers(1, 5), max_size=30), limit=st.integers(0, 20))
def test_any_cursor_gets_all_or_none(sizes: list[int], limit: int) -> None:
    """For every revision: exactly the changes above it, or None if one of them is gone."""
    cell = Cell()
    cell.session()
    cell.set_limits(Limits(history=limit))
    told: list[Change] = []
    for number, size in enumerate(sizes):
        told += cell.transact(1, *(Create(f"/{number}-{index}") for index in range(size))).changes
    kept = told[max(0, len(told) - limit) :]
    for revision in range(len(sizes) + 2):
        wanted = [change for change in told if change.revision > revision]
        complete = all(change in kept for change in wanted)
        assert cell.machine.history_since(revision) == (tuple(wanted) if complete else None)
