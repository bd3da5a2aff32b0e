"""Access-control lists (DESIGN §4 ACLs; paper §2.2)."""

from __future__ import annotations

import msgspec
import pytest

from chubby.types.transaction import Create, Remove, Write
from tests.namespace.cell import GENESIS, Cell


@pytest.fixture
def cell() -> Cell:
    """A cell with a session, whose administrators are `root` and `op`."""
    cell = Cell(msgspec.structs.replace(GENESIS, admins=("root", "op")))
    cell.session()
    return cell


def test_anyone_is_built_in(cell: Cell) -> None:
    """It admits everybody, and no file can change that."""
    assert cell.machine.admits("anyone", "ann")
    assert cell.machine.admits("anyone", "")
    cell.create(1, "/acl/anyone", b"bob")
    assert cell.machine.admits("anyone", "ann")


def test_a_file_lists_principals_one_a_line(cell: Cell) -> None:
    """Paper §2.2: if `/acl/foo` contains an entry `bar`, then bar is admitted where foo is named."""
    cell.create(1, "/acl/team", "ann\n  bob \r\n\n# carol\nzoë".encode())
    for principal, admitted in (
        ("ann", True),
        ("bob", True),
        ("zoë", True),
        ("carol", False),
        ("# carol", False),
        ("an", False),
        ("", False),
        ("anyone", False),
    ):
        assert cell.machine.admits("team", principal) is admitted, principal


def test_a_missing_file_admits_the_administrators_only(cell: Cell) -> None:
    """Nobody is locked out for ever, nobody is let in by a typing error."""
    for acl in ("missing", "administrators", "", "a/b", ".."):
        assert cell.machine.admits(acl, "root")
        assert cell.machine.admits(acl, "op")
        assert not cell.machine.admits(acl, "ann")


def test_administrators_are_admitted_by_every_list(cell: Cell) -> None:
    """Also by one that does not name them."""
    cell.create(1, "/acl/team", b"ann")
    assert cell.machine.admits("team", "op")


def test_a_changed_file_counts_at_once(cell: Cell) -> None:
    """Whatever was remembered of the file is forgotten with its value."""
    cell.create(1, "/acl/team", b"ann")
    assert cell.machine.admits("team", "ann")
    cell.transact(1, Write("/acl/team", b"bob"))
    assert (cell.machine.admits("team", "ann"), cell.machine.admits("team", "bob")) == (False, True)
    cell.transact(1, Remove("/acl/team"))
    assert not cell.machine.admits("team", "bob")
    cell.transact(1, Create("/acl/team", b"carol"))
    assert cell.machine.admits("team", "carol")


def test_what_is_remembered_is_bounded(cell: Cell) -> None:
    """However many lists are asked for."""
    for start in range(0, 1_100, 100):
        cell.transact(1, *(Create(f"/acl/{number}", b"ann") for number in range(start, start + 100)))
        assert all(cell.machine.admits(str(number), "ann") for number in range(start, start + 100))
    assert len(cell.machine._access._parsed) <= 1_024
    assert cell.machine.admits("3", "ann")


def test_bytes_that_are_no_text_harm_nobody(cell: Cell) -> None:
    """A line is compared as bytes."""
    cell.create(1, "/acl/team", b"\xff\xfe\nann\n\x00")
    assert cell.machine.admits("team", "ann")
    assert not cell.machine.admits("team", "bob")
