"""Transactions: what is proposed, what is answered like a read, and that both say the same (DESIGN §4, §5)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import ErrorCode
from chubby.namespace.commands import Command, Request
from chubby.namespace.commands import Transaction as TransactionCommand
from chubby.namespace.outcomes import Transacted as TransactedReply
from chubby.types.calls import Acquire, Call, Release, SetContents, Transact
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.types.results import Done, LockGranted, Transacted
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
    TransactionResult,
    Write,
    WriteAttributes,
)
from tests.master.cell import Cell, Client, code_of


def result(client: Client, call: Transact) -> TransactionResult:
    """What the transaction gave."""
    answer = client.call(call)
    assert isinstance(answer, Transacted), answer
    return answer.result


def test_if_then_else() -> None:
    """All guards hold: then; else otherwise. All or nothing."""
    cell = Cell()
    alice = cell.client()
    done = result(alice, Transact((Absent("/a"),), (Create("/a", b"1"), Create("/b", b"1"))))
    assert done.succeeded and [one.path for one in done.results] == ["/a", "/b"]
    undone = result(alice, Transact((Absent("/a"),), (Write("/a", b"2"),), (Write("/b", b"3"),)))
    assert not undone.succeeded and undone.failed_guard == 0
    failed = result(alice, Transact((), (Write("/a", b"9"), Remove("/nowhere"))))
    assert failed.failure is not None and failed.failed_operation == 1
    node = cell.machine.node("/a")
    assert node is not None and node.contents == b"1"


def test_a_token_fences() -> None:
    """A write on the condition that the lock is still held in this period."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/l")
    granted = alice.call(Acquire(handle))
    assert isinstance(granted, LockGranted)
    fenced = Transact((TokenIs("/l", granted.token),), (Create("/data", b"1", may_exist=True), Write("/data", b"1")))
    assert result(bob, fenced).succeeded
    assert isinstance(alice.call(Release(handle)), Done)
    assert not result(bob, fenced).succeeded


def test_a_token_stands_behind_a_release_in_flight() -> None:
    """A guard on a lock looks at the lock's own lane."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/l")
    granted = alice.call(Acquire(handle))
    assert isinstance(granted, LockGranted)
    cell.applying = False
    alice.start(Release(handle))
    call = alice.start(Transact((TokenIs("/l", granted.token),), (Read("/l"),)))
    assert alice.answer(call) is None
    cell.applying = True
    cell.settle()
    answer = alice.answer(call)
    assert isinstance(answer, Transacted) and not answer.result.succeeded


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (Transact((Exists("a"),)), ErrorCode.BAD_PATH),
        (Transact((), (Write("/a/", b""),)), ErrorCode.BAD_PATH),
        (Transact((), (), (Create("relative", sequential=True),)), ErrorCode.BAD_PATH),
        (Transact((Exists("/a"),) * (TRANSACTION_LIMIT + 1)), ErrorCode.TOO_LARGE),
    ],
    ids=["guard", "operation", "otherwise", "size"],
)
def test_malformed_transactions_are_refused(call: Call, code: ErrorCode) -> None:
    """Before anything is proposed."""
    cell = Cell()
    alice = cell.client()
    before = len(cell.commands)
    assert code_of(alice.call(call)) is code and len(cell.commands) == before


def test_both_branches_count_for_the_caches() -> None:
    """Which one runs is decided when it is applied."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    one, two = alice.open_handle("/one"), alice.open_handle("/two")
    for path in ("/one", "/two"):
        bob.open_handle(path)
    alice.call(Transact((ContentIs("/one", b""),), (Write("/one", b"x"),), (Write("/two", b"x"),)))
    assert [key.path for key in bob.invalidated] == ["/one", "/two"] and one != two


def test_a_transaction_is_remembered() -> None:
    """A repeat is answered from the table, once made."""
    cell = Cell()
    alice = cell.client()
    call = alice.start(Transact((), (Create("/n", sequential=True),)))
    first = alice.replies.pop(call)
    alice.acknowledged = call - 1
    alice.resume()
    alice.again(call)
    assert alice.replies[call].answer == first.answer and cell.machine.node("/n0000000001") is None


def test_reads_in_one_breath_are_of_one_moment() -> None:
    """Behind one's own writes, and atomic."""
    cell = Cell()
    alice = cell.client()
    one, two = alice.open_handle("/one"), alice.open_handle("/two")
    cell.applying = False
    alice.start(SetContents(one, b"x"))
    alice.start(SetContents(two, b"x"))
    call = alice.start(Transact((), (Read("/one"), Read("/two"))))
    cell.applying = True
    cell.settle()
    answer = alice.answer(call)
    assert isinstance(answer, Transacted) and [one.contents for one in answer.result.results] == [b"x", b"x"]


paths = st.sampled_from(["/a", "/b", "/a/x", "/missing"])
guards = st.one_of(
    st.builds(Exists, paths, st.one_of(st.none(), st.integers(1, 6))),
    st.builds(Absent, paths),
    st.builds(GenerationIs, paths, st.integers(1, 2)),
    st.builds(AclGenerationIs, paths, st.integers(1, 2)),
    st.builds(ContentIs, paths, st.sampled_from([b"", b"1"])),
    st.builds(TokenIs, paths, st.integers(0, 2)),
)
reads = st.builds(Read, paths)
changes: st.SearchStrategy[Operation] = st.one_of(
    reads, st.builds(Write, paths, st.just(b"2")), st.builds(WriteAttributes, paths, st.just({"a": b"1"}))
)


@settings(max_examples=60)
@given(
    st.lists(guards, max_size=3).map(tuple),
    st.lists(reads, max_size=3).map(tuple),
    st.lists(changes, max_size=2).map(tuple),
    st.booleans(),
)
def test_answered_like_a_read_says_what_the_machine_would(
    conditions: tuple[Guard, ...], looking: tuple[Operation, ...], changing: tuple[Operation, ...], swap: bool
) -> None:
    """Whatever is not proposed is answered as if it had been."""
    cell = Cell()
    alice = cell.client("root")
    handle = alice.open_handle("/a", contents=b"1")
    alice.open_handle("/b")
    alice.open_handle("/a/x")
    alice.call(Acquire(handle))
    then, otherwise = (changing, looking) if swap else (looking, changing)
    before = len(cell.commands)
    told = result(alice, Transact(conditions, then, otherwise))
    if len(cell.commands) > before:
        return
    action = TransactionCommand(conditions, then, otherwise)
    cell.slot += 1
    command = Command(cell.epoch, 9_999, 0, Request(alice.session, alice.number + 1, 0, action))
    outcome = cell.machine.apply(cell.slot, command)
    assert isinstance(outcome.reply, TransactedReply) and outcome.changes == ()
    expected = outcome.reply.result
    assert (told.succeeded, told.revision, told.results, told.failed_guard, told.failed_operation) == (
        expected.succeeded,
        expected.revision,
        expected.results,
        expected.failed_guard,
        expected.failed_operation,
    )
    assert (told.failure and told.failure.code) == (expected.failure and expected.failure.code)
