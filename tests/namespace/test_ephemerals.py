"""Ephemerals: who keeps them, and when they go (DESIGN §4 Ephemerals; paper §2.2)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import CloseHandle, CloseSession, ExpireSession, OpenCreated, OpenExisting
from chubby.types.events import EventKind
from chubby.types.nodes import LockOwner
from chubby.types.transaction import Create, Remove
from tests.namespace.cell import HELD, Cell, code_of, result_of, standing_of


@pytest.fixture
def cell() -> Cell:
    """A cell with the sessions 1 and 2."""
    cell = Cell()
    assert (cell.session(), cell.session()) == (1, 2)
    return cell


def open_existing(cell: Cell, session: int, path: str, handle: int = 1) -> None:
    """Open the node that is there."""
    assert cell.result(session, OpenExisting(path, cell.instance(path), handle)).failure is None


def test_made_without_a_handle_it_belongs_to_the_session(cell: Cell) -> None:
    """Handle 0 is the session itself: such a node lives as long as the session, or until it is deleted."""
    cell.create(1, "/e", ephemeral=True)
    assert cell.machine.has_open("/e", LockOwner(1, 0))
    assert cell.machine.ephemerals_of(1) == (("/e", 0),)
    cell.do(CloseSession(1))
    assert not cell.has("/e")


def test_made_with_a_handle_it_belongs_to_that_alone(cell: Cell) -> None:
    """OpenCreated enters the handle instead of the session: closing it deletes the node."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(4))
    assert cell.machine.ephemerals_of(1) == (("/e", 4),)
    outcome = cell.close(1, "/e", handle=4)
    assert not cell.has("/e")
    assert [(change.kind, change.path) for change in outcome.changes] == [(EventKind.DELETED, "/e")]


def test_it_goes_with_the_last_member(cell: Cell) -> None:
    """The open-set is over handles and sessions; each leaves for itself."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(1), OpenCreated(2))
    open_existing(cell, 2, "/e", 1)
    assert cell.machine.open_count("/e") == 3
    cell.close(1, "/e", handle=1)
    cell.do(ExpireSession(2))
    assert cell.has("/e")
    cell.close(1, "/e", handle=2)
    assert not cell.has("/e")


def test_entering_twice_is_entering_once(cell: Cell) -> None:
    """A member is in the set or not; a repeated Open does not count it twice."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(1), OpenCreated(1))
    open_existing(cell, 1, "/e", 1)
    assert cell.machine.open_count("/e") == 1
    cell.close(1, "/e", handle=1)
    assert not cell.has("/e")


def test_closing_what_was_not_open_changes_nothing(cell: Cell) -> None:
    """Close never fails, and only members leave; a handle of another instance is none of this one."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(1))
    instance = cell.instance("/e")
    assert code_of(cell.close(2, "/e", handle=1)) is None
    assert code_of(cell.request(1, CloseHandle(1, "/e", instance - 1))) is None
    assert code_of(cell.request(1, CloseHandle(1, "/none", instance))) is None
    assert cell.has("/e")
    assert code_of(cell.request(1, CloseHandle(0, "/e", instance))) is ErrorCode.BAD_ARGUMENT


def test_permanent_nodes_have_no_open_set(cell: Cell) -> None:
    """Opening a permanent node is no state of the machine, and closing it deletes nothing."""
    cell.transact(1, Create("/p"), OpenCreated(1))
    open_existing(cell, 2, "/p")
    assert cell.machine.open_count("/p") == 0
    cell.close(1, "/p")
    assert cell.has("/p")


def test_with_children_it_stays(cell: Cell) -> None:
    """Paper §2.2: directories are also deleted when nobody has them open, but only when they are empty."""
    cell.create(1, "/e", ephemeral=True)
    cell.create(2, "/e/child")
    cell.do(CloseSession(1))
    assert cell.has("/e")
    assert cell.machine.open_count("/e") == 0
    outcome = cell.remove(2, "/e/child")
    assert [change.path for change in outcome.changes] == ["/e/child", "/e"]
    assert not cell.has("/e")


def test_the_last_child_takes_a_chain_of_parents_along(cell: Cell) -> None:
    """Abandoned ephemerals above go in the same revision, up to the first that something keeps."""
    cell.create(2, "/top")
    cell.create(1, "/top/e", ephemeral=True)
    cell.create(1, "/top/e/f", ephemeral=True)
    cell.create(2, "/top/e/f/g", ephemeral=True)
    cell.do(CloseSession(1))
    outcome = cell.do(ExpireSession(2))
    assert [change.path for change in outcome.changes] == ["/top/e/f/g", "/top/e/f", "/top/e"]
    assert len({change.revision for change in outcome.changes}) == 1
    assert cell.has("/top")


def test_a_kept_parent_stops_the_chain(cell: Cell) -> None:
    """An ephemeral that somebody has open outlives its children."""
    cell.create(1, "/e", ephemeral=True)
    cell.create(2, "/e/f", ephemeral=True)
    cell.do(CloseSession(2))
    assert cell.has("/e")


def test_the_end_of_a_session_empties_all_its_open_sets(cell: Cell) -> None:
    """Expiry closes every handle at once; the deletions are one revision of the history, in path order."""
    for path in ("/b", "/a", "/c"):
        cell.transact(1, Create(path, ephemeral=True), OpenCreated(1), OpenCreated(2))
    open_existing(cell, 2, "/c")
    revision = cell.machine.revision
    outcome = cell.do(ExpireSession(1))
    assert [(change.revision, change.path) for change in outcome.changes] == [
        (revision + 1, "/a"),
        (revision + 1, "/b"),
    ]
    assert cell.machine.history_since(revision) == outcome.changes
    assert outcome.ended_sessions == (1,)
    assert cell.has("/c")


def test_explicit_deletion_does_not_ask_who_has_it_open(cell: Cell) -> None:
    """Any node can be deleted; members of its open-set are forgotten and a new node of that name has its own."""
    cell.create(1, "/e", ephemeral=True)
    open_existing(cell, 2, "/e", 3)
    cell.remove(2, "/e")
    assert cell.machine.ephemerals_of(1) == cell.machine.ephemerals_of(2) == ()
    cell.create(1, "/e", ephemeral=True)
    cell.do(CloseSession(2))
    assert cell.machine.open_count("/e") == 1


def test_deleted_and_made_again_in_one_transaction(cell: Cell) -> None:
    """Whoever had the old instance open has not the new one open."""
    cell.create(1, "/e", ephemeral=True)
    cell.transact(2, Remove("/e"), Create("/e", ephemeral=True))
    assert cell.machine.ephemerals_of(1) == ()
    assert cell.machine.ephemerals_of(2) == (("/e", 0),)
    cell.transact(2, Remove("/e"), Create("/e", ephemeral=True), OpenCreated(1))
    assert cell.machine.ephemerals_of(2) == (("/e", 1),)


def test_a_new_ephemeral_is_kept_while_its_branch_runs(cell: Cell) -> None:
    """Nobody has it open yet, and its child comes and goes: it stays all the same."""
    result = cell.result(1, Create("/e", ephemeral=True), Create("/e/c"), Remove("/e/c"), OpenCreated(1))
    assert result.failure is not None and result.failure.code is ErrorCode.NO_NODE, "the last Create's node is gone"
    result = cell.result(1, Create("/e", ephemeral=True), Create("/e/c"), Remove("/e/c"))
    assert result.failure is None
    assert cell.machine.ephemerals_of(1) == (("/e", 0),)


def test_made_and_deleted_in_one_branch(cell: Cell) -> None:
    """An ephemeral that is gone at the end of its branch is opened by nobody, whatever has its name by then."""
    assert cell.result(1, Create("/e", ephemeral=True), Remove("/e")).failure is None
    assert not cell.has("/e")
    assert cell.result(1, Create("/e", ephemeral=True), Remove("/e"), Create("/e")).failure is None
    assert cell.machine.ephemerals_of(1) == ()
    assert not cell.node("/e").ephemeral
    branch = (Create("/f", ephemeral=True), OpenCreated(1), Remove("/f"), Create("/f", ephemeral=True), OpenCreated(2))
    assert cell.result(1, *branch).failure is None
    assert cell.machine.ephemerals_of(1) == (("/f", 2),)


def test_an_abandoned_parent_goes_within_the_branch(cell: Cell) -> None:
    """Later operations of the branch see that it went; opened in time it stays."""
    cell.create(1, "/e", ephemeral=True)
    cell.create(2, "/e/c")
    cell.do(CloseSession(1))
    result = cell.result(2, Remove("/e/c"), Create("/e/d"))
    assert result.failure is not None and result.failure.code is ErrorCode.NO_NODE
    instance = cell.instance("/e")
    result = cell.result(2, OpenExisting("/e", instance, 1), Remove("/e/c"), Create("/e/d"))
    assert result.failure is None
    assert cell.instance("/e") == instance


def test_open_created_means_the_last_create_of_the_branch(cell: Cell) -> None:
    """Made or found: an Open that may create enters the open-set either way."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(1), Create("/f", ephemeral=True), OpenCreated(2))
    assert cell.machine.ephemerals_of(1) == (("/e", 1), ("/f", 2))
    cell.transact(2, Create("/e", ephemeral=True, may_exist=True), OpenCreated(9))
    assert cell.machine.ephemerals_of(2) == (("/e", 9),)
    name = result_of(cell.transact(2, Create("/s-", ephemeral=True, sequential=True), OpenCreated(3))).results[0].path
    assert cell.machine.has_open(name, LockOwner(2, 3))


def test_open_is_refused(cell: Cell) -> None:
    """Without a Create before it, for a handle that is none, for a node that is gone or another one."""
    cell.create(1, "/e", ephemeral=True)
    instance = cell.instance("/e")
    assert code_of(cell.transact(2, OpenCreated(1))) is ErrorCode.BAD_ARGUMENT
    assert code_of(cell.transact(2, OpenExisting("/e", instance, 0))) is ErrorCode.BAD_ARGUMENT
    assert code_of(cell.transact(2, OpenExisting("/e", instance + 1, 1))) is ErrorCode.HANDLE_INVALID
    assert code_of(cell.transact(2, OpenExisting("/none", instance, 1))) is ErrorCode.NO_NODE
    assert cell.machine.open_count("/e") == 1


def test_opening_is_no_change_that_clients_see(cell: Cell) -> None:
    """Open-sets are state, but no revision and no event: a reader opens without disturbing anybody."""
    cell.create(1, "/e", ephemeral=True)
    node, revision = cell.node("/e"), cell.machine.revision
    outcome = cell.transact(2, OpenExisting("/e", node.instance, 1))
    assert (outcome.changes, cell.machine.revision) == ((), revision)
    assert cell.node("/e") is node


def test_closing_gives_up_lock_and_node_in_one_step(cell: Cell) -> None:
    """A lock that becomes free because its node goes is granted to nobody: who waits is orphaned."""
    cell.transact(1, Create("/e", ephemeral=True), OpenCreated(1))
    assert standing_of(cell.acquire(1, "/e", handle=1)) is HELD
    cell.acquire(2, "/e", handle=1)
    outcome = cell.close(1, "/e", handle=1)
    assert outcome.grants == ()
    assert outcome.orphaned == (LockOwner(2, 1),)
    assert not cell.has("/e")


def test_the_end_of_a_session_grants_no_lock_of_a_node_that_goes(cell: Cell) -> None:
    """The same for expiry: first everything is let go, then what is left is granted."""
    cell.create(1, "/e", ephemeral=True)
    cell.create(1, "/p")
    for path in ("/e", "/p"):
        cell.acquire(1, path)
        cell.acquire(2, path)
    outcome = cell.do(ExpireSession(1))
    assert [grant.path for grant in outcome.grants] == ["/p"]
    assert outcome.orphaned == (LockOwner(2, 1),)
