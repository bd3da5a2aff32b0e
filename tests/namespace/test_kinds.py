"""A node that gets a child is a directory from then on (DESIGN §4 Node, the `kind` hint)."""

from __future__ import annotations

import msgspec
import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import Limits, OpenCreated
from chubby.namespace.machine import Machine
from chubby.types.events import EventKind
from chubby.types.nodes import NodeKind, Stat
from chubby.types.transaction import Absent, Create, Read, Remove, Write
from tests.namespace.cell import Cell, code_of, result_of

FILE, DIRECTORY = NodeKind.FILE, NodeKind.DIRECTORY


@pytest.fixture
def cell() -> Cell:
    """A cell with one session, 1, and a file `/f` that says something."""
    cell = Cell()
    cell.session()
    cell.transact(1, Create("/f", b"data", attributes={"k": b"v"}))
    assert kind(cell, "/f") is FILE
    return cell


def kind(cell: Cell, path: str) -> NodeKind:
    """What the node shows itself as."""
    return cell.node(path).stat.kind


def as_directory(stat: Stat) -> Stat:
    """The same metadata, of a directory."""
    return msgspec.structs.replace(stat, kind=DIRECTORY)


def test_the_first_child_makes_a_directory_of_a_file(cell: Cell) -> None:
    """It is a hint: content, generations, checksum, revisions and times stay, and nobody is told of the parent."""
    before = cell.node("/f")
    cell.time_ms += 5_000
    outcome = cell.transact(1, Create("/f/child"))
    assert cell.node("/f").stat == as_directory(before.stat)
    assert cell.node("/f") == msgspec.structs.replace(before, stat=as_directory(before.stat))
    assert [(change.kind, change.path) for change in outcome.changes] == [(EventKind.CREATED, "/f/child")]
    assert kind(cell, "/f/child") is FILE


def test_a_directory_stays_one_when_its_children_go(cell: Cell) -> None:
    """From then on, whatever happens; another node of the same name begins as it is asked for."""
    cell.create(1, "/f/child")
    cell.remove(1, "/f/child")
    cell.write(1, "/f", b"more")
    assert kind(cell, "/f") is DIRECTORY
    cell.remove(1, "/f")
    cell.create(1, "/f")
    assert kind(cell, "/f") is FILE


def test_a_child_of_a_directory_changes_nothing_above(cell: Cell) -> None:
    """Not even the value: what reads it may go on sharing it."""
    cell.transact(1, Create("/d", kind=DIRECTORY))
    before = cell.node("/d")
    cell.create(1, "/d/child")
    cell.create(1, "/d/child/below")
    assert cell.node("/d") is before and kind(cell, "/d/child") is DIRECTORY


def test_a_sequential_child_counts_too(cell: Cell) -> None:
    """The parent's value changes twice in this case: its counter moves on, and it is a directory."""
    cell.create(1, "/f/n-", sequential=True)
    cell.create(1, "/f/n-", sequential=True)
    node = cell.node("/f")
    assert cell.names("/f") == ["n-0000000000", "n-0000000001"]
    assert (node.stat.kind, node.sequence, node.contents) == (DIRECTORY, 2, b"data")


def test_so_does_a_child_made_by_open(cell: Cell) -> None:
    """An Open that creates is a Create, and an entry into the open-set of what it made."""
    cell.transact(1, Create("/f/e", ephemeral=True), OpenCreated(7))
    assert kind(cell, "/f") is DIRECTORY
    cell.close(1, "/f/e", handle=7)
    assert not cell.has("/f/e") and kind(cell, "/f") is DIRECTORY


def test_within_a_transaction_later_operations_see_it(cell: Cell) -> None:
    """And earlier ones do not: their results are of their moment."""
    result = cell.result(1, Read("/f"), Create("/f/x"), Read("/f"), Write("/f", b"new"), Create("/p"), Create("/p/q"))
    stats = [each.stat for each in result.results]
    assert [stat and stat.kind for stat in stats] == [FILE, FILE, DIRECTORY, DIRECTORY, FILE, FILE]
    assert kind(cell, "/f") is kind(cell, "/p") is DIRECTORY and cell.node("/f").contents == b"new"


def test_a_child_that_comes_and_goes_in_one_transaction_counts(cell: Cell) -> None:
    """The parent had a child, if only for as long as the transaction ran."""
    cell.transact(1, Create("/f/x"), Remove("/f/x"))
    assert cell.names("/f") == [] and kind(cell, "/f") is DIRECTORY


def test_a_transaction_that_fails_changes_nothing(cell: Cell) -> None:
    """All or nothing, hints included."""
    before, digest = cell.node("/f"), cell.machine.digest()
    outcome = cell.transact(1, Create("/f/x"), Create("/f/n", sequential=True), Remove("/nowhere"))
    assert code_of(outcome) is ErrorCode.NO_NODE and cell.node("/f") is before
    assert cell.machine.digest() != digest, "the reply is kept"
    outcome = cell.transact(1, Create("/f/x"), guards=(Absent("/f"),))
    assert result_of(outcome).failed_guard == 0 and cell.node("/f") is before


def test_a_child_that_the_quota_refuses_does_not_count(cell: Cell) -> None:
    """What is not made has no parent."""
    cell.set_limits(Limits(nodes=cell.machine.node_count))
    assert code_of(cell.transact(1, Create("/f/x"))) is ErrorCode.QUOTA_EXCEEDED
    assert kind(cell, "/f") is FILE


def test_a_create_that_finds_its_node_makes_none(cell: Cell) -> None:
    """`may_exist`, and the node is there: nothing changes, so neither does what is above it."""
    cell.create(1, "/f/x")
    before = cell.node("/f")
    revision = cell.machine.revision
    assert code_of(cell.transact(1, Create("/f/x", may_exist=True))) is None
    assert cell.node("/f") is before and cell.machine.revision == revision


def test_it_survives_snapshots_and_the_digest_covers_it(cell: Cell) -> None:
    """A replica that restores a snapshot agrees with one that applied the same commands."""
    cell.create(1, "/f/x")
    restored = Machine.restore(cell.machine.snapshot().slices(1 << 16))
    node = restored.node("/f")
    assert node is not None and node.stat.kind is DIRECTORY
    assert restored.digest() == cell.machine.digest() and cell.machine.scrub(100)
