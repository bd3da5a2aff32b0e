"""Transactions: guards, branches, all or nothing (DESIGN §4, "One mutating command")."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import CheckDigest, OpenCreated, OpenExisting, Transaction
from chubby.types.events import EventKind
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.nodes import AclNames
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Read,
    Remove,
    TokenIs,
    Write,
    WriteAcl,
    WriteAttributes,
)
from tests.namespace.cell import Cell, code_of, message_of, result_of, token_of


@pytest.fixture
def cell() -> Cell:
    """A cell with a session (1) and a node `/a` that contains `one`."""
    cell = Cell()
    session = cell.session()
    assert session == 1
    cell.create(session, "/a", b"one")
    return cell


def test_then_if_all_guards_hold_else_otherwise(cell: Cell) -> None:
    """The branch is chosen by the guards, and the result says which and by which guard."""
    branches = Transaction((Exists("/a"), ContentIs("/a", b"one")), (Write("/a", b"two"),), (Create("/other"),))
    first = result_of(cell.request(1, branches))
    assert (first.succeeded, first.failed_guard) == (True, None)
    assert cell.node("/a").contents == b"two"
    second = result_of(cell.request(1, branches))
    assert (second.succeeded, second.failed_guard, second.failure) == (False, 1, None)
    assert cell.has("/other")


def _guards_of(cell: Cell) -> list[tuple[Guard, bool]]:
    """All kinds of guards on `/a`, locked, and whether they hold."""
    token = token_of(cell.acquire(1, "/a"))
    instance = cell.instance("/a")
    return [
        (Exists("/a"), True),
        (Exists("/b"), False),
        (Exists("/a", instance), True),
        (Exists("/a", instance - 1), False),
        (Absent("/b"), True),
        (Absent("/a"), False),
        (Absent("not a path"), True),
        (GenerationIs("/a", 1), True),
        (GenerationIs("/a", 2), False),
        (GenerationIs("/b", 1), False),
        (AclGenerationIs("/a", 1), True),
        (AclGenerationIs("/a", 2), False),
        (ContentIs("/a", b"one"), True),
        (ContentIs("/a", b"on"), False),
        (ContentIs("/b", b""), False),
        (TokenIs("/a", token), True),
        (TokenIs("/a", token + 1), False),
        (TokenIs("/", token), False),
        (TokenIs("/b", 0), False),
    ]


def test_each_kind_of_guard(cell: Cell) -> None:
    """Each guard holds exactly when its docstring says so; readers and transactions agree on it."""
    for guard, holds in _guards_of(cell):
        assert cell.machine.failing_guard([guard]) == (None if holds else 0), guard
        assert cell.result(1, guards=(guard,)).succeeded is holds


def test_token_guard_needs_a_lock_that_is_held_now(cell: Cell) -> None:
    """TokenIs speaks of the present: a released lock has no valid token, not even 0."""
    token = token_of(cell.acquire(1, "/a"))
    cell.release(1, "/a")
    assert cell.machine.failing_guard([TokenIs("/a", token)]) == 0
    assert cell.machine.failing_guard([TokenIs("/", 0)]) == 0


def test_the_first_failing_guard_is_named(cell: Cell) -> None:
    """`failed_guard` is the index of the first that does not hold."""
    assert cell.machine.failing_guard([Exists("/a"), Absent("/a"), Exists("/b")]) == 1
    assert cell.machine.failing_guard([]) is None


def test_later_operations_see_earlier_ones(cell: Cell) -> None:
    """Within a branch a created node has children, can be read, written and deleted."""
    result = cell.result(
        1,
        Create("/d"),
        Create("/d/e", b"new"),
        Read("/d/e"),
        Write("/d/e", b"newer"),
        Read("/d/e"),
        Remove("/d/e"),
        Remove("/d"),
        Create("/d", b"again"),
    )
    assert result.failure is None
    assert [found.contents for found in result.results] == [None, None, b"new", None, b"newer", None, None, None]
    assert result.results[6].stat is None
    assert cell.node("/d").contents == b"again"
    assert cell.names("/d") == []


def test_results_tell_the_metadata_afterwards(cell: Cell) -> None:
    """Each result has the node's full name and its metadata after that operation."""
    acl = AclNames("team", "team", "team")
    result = cell.result(1, Write("/a", b"x"), WriteAcl("/a", acl), WriteAttributes("/a", {"k": b"v"}), Read("/a"))
    written, acled, attributed, read = (found.stat for found in result.results)
    assert written is not None and acled is not None and attributed is not None and read is not None
    assert (written.content_generation, written.acl_generation) == (2, 1)
    assert (acled.acl_generation, acled.acl) == (2, acl)
    assert attributed.attributes == {"k": b"v"}
    assert read == attributed == cell.node("/a").stat
    assert [found.path for found in result.results] == ["/a"] * 4


_FAILING: list[tuple[Operation, ErrorCode]] = [
    (Create("/a"), ErrorCode.NODE_EXISTS),
    (Create("/"), ErrorCode.NODE_EXISTS),
    (Create("/none/b"), ErrorCode.NO_NODE),
    (Create("/none/b", sequential=True), ErrorCode.NO_NODE),
    (Create("/x/", sequential=False), ErrorCode.BAD_PATH),
    (Create("b"), ErrorCode.BAD_PATH),
    (Create("b", sequential=True), ErrorCode.BAD_PATH),
    (Create("", sequential=True), ErrorCode.BAD_PATH),
    (Create("/a/.contents"), ErrorCode.BAD_PATH),
    (Create("/.chubby/b"), ErrorCode.BAD_PATH),
    (Create("/b", acl=AclNames("a/b", "x", "x")), ErrorCode.BAD_ARGUMENT),
    (Create("/b", attributes={"": b"x"}), ErrorCode.BAD_ARGUMENT),
    (Create("/b", attributes={"k": b"x" * 1024}), ErrorCode.TOO_LARGE),
    (Create("/b", b"x" * (256 * 1024 + 1)), ErrorCode.TOO_LARGE),
    (Write("/b", b""), ErrorCode.NO_NODE),
    (Write("/a", b"x" * (256 * 1024 + 1)), ErrorCode.TOO_LARGE),
    (WriteAcl("/b", AclNames("x", "x", "x")), ErrorCode.NO_NODE),
    (WriteAcl("/a", AclNames("x", "", "x")), ErrorCode.BAD_ARGUMENT),
    (WriteAcl("/a", AclNames("x", "x", "..")), ErrorCode.BAD_ARGUMENT),
    (WriteAttributes("/b", {}), ErrorCode.NO_NODE),
    (WriteAttributes("/a", {"k": b"x" * 1024}), ErrorCode.TOO_LARGE),
    (WriteAttributes("/a", {"": b""}), ErrorCode.BAD_ARGUMENT),
    (Remove("/b"), ErrorCode.NO_NODE),
    (Remove("/full"), ErrorCode.NOT_EMPTY),
    (Remove("/"), ErrorCode.BAD_ARGUMENT),
    (Remove("/acl"), ErrorCode.BAD_ARGUMENT),
    (Read("/b"), ErrorCode.NO_NODE),
]


@pytest.mark.parametrize(("operation", "code"), _FAILING)
def test_a_failing_operation_leaves_no_trace(cell: Cell, operation: Operation, code: ErrorCode) -> None:
    """All or nothing: whatever went before in the branch, nothing of it is left, in no counter and no list."""
    cell.create(1, "/full")
    cell.create(1, "/full/child")
    cell.create(1, "/gone", ephemeral=True)
    machine = cell.machine
    untouched = {path: machine.node(path) for path in ("/", "/a", "/full", "/gone")}
    before = (machine.revision, machine.node_count, machine.history_since(0), machine.open_count("/gone"))
    branch = (
        Create("/new", b"x"),
        OpenCreated(7),
        Create("/full/s-", sequential=True),
        Write("/a", b"changed"),
        OpenExisting("/gone", cell.instance("/gone"), 5),
        Remove("/gone"),
        operation,
        Create("/never"),
    )
    outcome = cell.transact(1, *branch)
    result = result_of(outcome)
    assert code_of(outcome) is code
    assert (result.failed_operation, result.results, result.succeeded) == (6, (), True)
    assert result.revision == machine.revision
    assert outcome.changes == ()
    assert before == (machine.revision, machine.node_count, machine.history_since(0), machine.open_count("/gone"))
    assert all(machine.node(path) is node for path, node in untouched.items())
    assert not cell.has("/new")
    assert cell.instance(cell.create(1, "/next")) == cell.instance("/gone") + 1
    assert cell.create(1, "/full/s-", sequential=True) == "/full/s-0000000000"


def test_a_failure_changes_nothing_in_the_digest_but_the_reply(cell: Cell) -> None:
    """The digest after a failed transaction is that of a cell in which it failed at once, without any work."""
    twin = Cell()
    twin.session()
    twin.create(1, "/a", b"one")
    cell.transact(1, Create("/b"), Write("/a", b"x"), Remove("/a"), Create("/a/x"), Read("/zzz"))
    twin.transact(1, Read("/zzz"), Read("/zzz"), Read("/zzz"), Read("/zzz"), Read("/zzz"))
    assert cell.machine.digest() != twin.machine.digest(), "the replies differ: another operation failed"
    for either in (cell, twin):
        either.request(1, Transaction(), number=9, acknowledged=8)
    assert cell.machine.digest() == twin.machine.digest()


def test_failures_in_the_otherwise_branch(cell: Cell) -> None:
    """A failure of `otherwise` tells both the guard that led there and the operation that failed."""
    result = result_of(cell.request(1, Transaction((Absent("/a"),), (), (Write("/a", b"x"), Read("/none")))))
    assert (result.succeeded, result.failed_guard, result.failed_operation) == (False, 0, 1)
    assert cell.node("/a").contents == b"one"


def test_the_revision_counts_changes_only(cell: Cell) -> None:
    """DESIGN §4 Revision: +1 per transaction that changed something, however much; else it stays."""
    revision = cell.machine.revision
    assert cell.result(1, Read("/a")).revision == revision
    assert cell.result(1, Create("/a", may_exist=True)).revision == revision
    assert cell.result(1, WriteAttributes("/a", {})).revision == revision
    assert cell.result(1, WriteAttributes("/a", {"gone": b""})).revision == revision
    cell.acquire(1, "/a")
    cell.do(CheckDigest())
    assert cell.machine.revision == revision
    outcome = cell.transact(1, Create("/b"), Create("/c"), Write("/a", b"one"))
    assert result_of(outcome).revision == cell.machine.revision == revision + 1
    assert {change.revision for change in outcome.changes} == {revision + 1}


def test_changes_tell_what_happened_in_order(cell: Cell) -> None:
    """Every operation that changes something is one change, with the generation that goes with its kind."""
    outcome = cell.transact(
        1,
        Create("/b"),
        Write("/b", b"x"),
        WriteAcl("/b", AclNames("x", "x", "x")),
        WriteAttributes("/b", {"k": b"v"}),
        Remove("/b"),
    )
    assert [(change.kind, change.path, change.generation) for change in outcome.changes] == [
        (EventKind.CREATED, "/b", 1),
        (EventKind.CONTENTS_MODIFIED, "/b", 2),
        (EventKind.ACL_MODIFIED, "/b", 2),
        (EventKind.ATTRIBUTES_MODIFIED, "/b", 2),
        (EventKind.DELETED, "/b", 2),
    ]
    assert len({change.instance for change in outcome.changes}) == 1


def test_may_exist_finds_and_changes_nothing(cell: Cell) -> None:
    """Create with may_exist: an existing node is a success, told apart by `created`."""
    node = cell.node("/a")
    found = cell.result(1, Create("/a", b"other", may_exist=True)).results[0]
    assert (found.created, found.stat) == (False, node.stat)
    assert cell.node("/a") is node
    assert cell.result(1, Create("/b", may_exist=True)).results[0].created
    assert not cell.result(1, Create("/", may_exist=True)).results[0].created


def test_the_size_of_a_transaction_is_limited(cell: Cell) -> None:
    """Guards plus operations of both branches count; beyond the limit the call itself is refused."""
    guards = tuple(Exists("/a") for _ in range(TRANSACTION_LIMIT - 2))
    assert code_of(cell.request(1, Transaction(guards, (Read("/a"),), (Read("/a"),)))) is None
    outcome = cell.request(1, Transaction(guards, (Read("/a"),), (Read("/a"), Read("/a"))))
    assert code_of(outcome) is ErrorCode.TOO_LARGE
    assert "128" in message_of(outcome)


def test_wording_of_failures_is_bounded_and_ascii(cell: Cell) -> None:
    """Messages are state: the same on every interpreter, and never as long as what they complain of."""
    for path in ("/" + "x" * 100_000, "/\U0001fae8" * 40, "/a/\u0301"):
        message = message_of(cell.transact(1, Write(path, b"")))
        assert message.isascii()
        assert len(message) < 1_500
