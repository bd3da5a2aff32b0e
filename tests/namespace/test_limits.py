"""Limits and quotas (DESIGN §4 Node; the pain of etcd-io/etcd#16779: deleting makes room at once)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.namespace.commands import ExpireSession, Limits, OpenSession, SetLimits
from chubby.types.transaction import Create, Remove, Write, WriteAttributes
from tests.namespace.cell import Cell, code_of, message_of, result_of


@pytest.fixture
def cell() -> Cell:
    """A cell with one session, 1."""
    cell = Cell()
    cell.session()
    return cell


def test_content_has_a_limit_of_its_own(cell: Cell) -> None:
    """256 KiB unless configured; 0 is no limit."""
    limit = cell.machine.limits.content
    assert limit == 256 * 1024
    cell.create(1, "/a", b"x" * limit)
    assert code_of(cell.transact(1, Write("/a", b"x" * (limit + 1)))) is ErrorCode.TOO_LARGE
    cell.set_limits(Limits(content=3))
    outcome = cell.transact(1, Create("/b", b"four"))
    assert code_of(outcome) is ErrorCode.TOO_LARGE
    assert "limit is 3" in message_of(outcome)
    cell.set_limits(Limits(content=0))
    cell.write(1, "/a", b"x" * (limit + 1))


def test_the_quota_of_nodes(cell: Cell) -> None:
    """Counts all nodes of the cell, the root included; the error names it."""
    cell.set_limits(Limits(nodes=4))
    cell.create(1, "/a")
    cell.create(1, "/a/b")
    outcome = cell.transact(1, Create("/c"))
    assert code_of(outcome) is ErrorCode.QUOTA_EXCEEDED
    assert "nodes in the cell is 4, this would make 5" in message_of(outcome)
    assert cell.result(1, Remove("/a/b"), Create("/c")).failure is None, "room at once, within the transaction"
    assert code_of(cell.transact(1, Create("/d"), Remove("/c"))) is ErrorCode.QUOTA_EXCEEDED


def test_the_quota_of_children(cell: Cell) -> None:
    """Per directory; the error names directory and limit."""
    cell.create(1, "/d")
    cell.set_limits(Limits(children=2))
    cell.create(1, "/d/1")
    cell.create(1, "/d/2")
    outcome = cell.transact(1, Create("/d/3"))
    assert code_of(outcome) is ErrorCode.QUOTA_EXCEEDED
    assert "children of '/d' is 2" in message_of(outcome)
    cell.create(1, "/d/1/x")
    cell.remove(1, "/d/2")
    cell.create(1, "/d/3")
    assert cell.names("/d") == ["1", "3"]


def test_the_quota_of_bytes(cell: Cell) -> None:
    """Contents plus attributes of all nodes; names and metadata do not count."""
    cell.set_limits(Limits(total_bytes=10))
    cell.create(1, "/a", b"12345")
    cell.transact(1, WriteAttributes("/a", {"k": b"v"}))
    cell.create(1, "/b", b"123")
    assert cell.machine.content_bytes == 10
    for operation in (Create("/c", b"x"), Write("/b", b"1234"), WriteAttributes("/a", {"l": b"1"})):
        outcome = cell.transact(1, operation)
        assert code_of(outcome) is ErrorCode.QUOTA_EXCEEDED
        assert "bytes of the cell is 10" in message_of(outcome)
    cell.create(1, "/empty")
    cell.write(1, "/a", b"1234")
    assert cell.machine.content_bytes == 9
    cell.write(1, "/b", b"1234")
    cell.remove(1, "/b")
    cell.create(1, "/c", b"1234")


def test_quotas_count_within_a_transaction(cell: Cell) -> None:
    """Each operation sees what those before it took and gave back, to the node and to the byte."""
    cell.create(1, "/a", b"123")
    cell.set_limits(Limits(nodes=5, total_bytes=10))
    assert result_of(cell.transact(1, Create("/b"), Create("/c"), Create("/d"))).failed_operation == 2
    assert result_of(cell.transact(1, Remove("/a"), Create("/b"), Create("/c"), Create("/d"))).failed_operation is None
    assert result_of(cell.transact(1, Remove("/b"), Create("/e"), Create("/f"))).failed_operation == 2
    cell.transact(1, Remove("/c"), Remove("/d"))
    assert result_of(cell.transact(1, Create("/a", b"12345"), Create("/b", b"123456"))).failed_operation == 1
    assert result_of(cell.transact(1, Create("/a", b"12345"), Write("/a", b"1234567890"))).failed_operation is None
    branch = (Remove("/a"), Create("/a", b"1234567"), Create("/x", b"1234"))
    assert result_of(cell.transact(1, *branch)).failed_operation == 2
    branch = (Remove("/a"), Create("/a", b"1234567"), Create("/x", b"123"))
    assert result_of(cell.transact(1, *branch)).failed_operation is None


def test_what_is_beyond_a_lowered_limit_stays_and_may_shrink(cell: Cell) -> None:
    """Lowering a limit deletes nothing; until there is room nothing may grow, everything may shrink."""
    cell.create(1, "/a", b"x" * 100)
    cell.create(1, "/b", b"x" * 100)
    cell.set_limits(Limits(total_bytes=50, nodes=1, children=1, content=10))
    assert len(cell.node("/a").contents) == 100
    cell.write(1, "/a", b"x" * 10)
    cell.write(1, "/a", b"y" * 10)
    assert code_of(cell.transact(1, Write("/a", b""), Write("/b", b"x" * 11))) is ErrorCode.TOO_LARGE
    cell.set_limits(Limits(total_bytes=50))
    cell.write(1, "/b", b"x" * 99)
    assert code_of(cell.transact(1, Write("/a", b"z" * 11))) is ErrorCode.QUOTA_EXCEEDED
    cell.remove(1, "/b")
    cell.write(1, "/a", b"z" * 50)


def test_bytes_are_given_back_by_every_kind_of_deletion(cell: Cell) -> None:
    """Explicit deletion, the end of a session, and a failed transaction leave exactly what there is."""
    cell.set_limits(Limits(total_bytes=10))
    second = cell.session()
    cell.create(second, "/e", b"12345", ephemeral=True)
    cell.create(1, "/e/below", b"12345")
    assert code_of(cell.transact(1, Remove("/e/below"), Create("/x", b"123456"))) is ErrorCode.QUOTA_EXCEEDED
    cell.remove(1, "/e/below")
    cell.create(1, "/x", b"12345")
    cell.do(ExpireSession(second))
    cell.create(1, "/y", b"12345")


def test_the_quota_of_sessions(cell: Cell) -> None:
    """Live sessions count; one that ends makes room; finding an old one by its nonce needs none."""
    cell.set_limits(Limits(sessions=2))
    second = cell.session(nonce=77)
    outcome = cell.do(OpenSession(78, "somebody", caching=True))
    assert code_of(outcome) is ErrorCode.QUOTA_EXCEEDED
    assert "sessions in the cell is 2" in message_of(outcome)
    assert not outcome.void
    assert cell.session(nonce=77) == second


@pytest.mark.parametrize("field", ["content", "nodes", "children", "total_bytes", "sessions", "history"])
def test_negative_limits_are_refused(cell: Cell, field: str) -> None:
    """A limit is 0 (none) or positive; else all stay as they were."""
    limits = Limits(**{field: -1})
    before = cell.machine.limits
    assert code_of(cell.do(SetLimits(limits))) is ErrorCode.BAD_ARGUMENT
    assert cell.machine.limits == before


def test_limits_are_what_was_set(cell: Cell) -> None:
    """SetLimits replaces all of them."""
    limits = Limits(1, 2, 3, 4, 5, 6)
    assert code_of(cell.set_limits(limits)) is None
    assert cell.machine.limits == limits
