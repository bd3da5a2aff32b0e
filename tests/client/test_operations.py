"""Operations say what is done, and nothing of how one waits (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

from chubby.client import operations
from chubby.client.names import Names
from chubby.client.operations import Steps, expect
from chubby.client.sequencer import SequencerBytes
from chubby.errors import ErrorCode, Failure, InternalError, NodeExists
from chubby.types.calls import Acquire, Call, ListLocks, ListSessions, ReadDir, SetContents, Transact
from chubby.types.nodes import DirEntry, LockInfo, LockMode
from chubby.types.results import (
    Contents,
    Done,
    Listing,
    LockGranted,
    Locks,
    Result,
    SequencerResult,
    SessionInfo,
    Sessions,
    StatResult,
    Transacted,
)
from chubby.types.transaction import Create, Exists, TransactionResult
from tests.client.script import stat

T = TypeVar("T")


def play(steps: Steps[T], answers: Sequence[Result]) -> tuple[T, list[Call]]:
    """Run an operation with these answers; its result, and the calls it made."""
    calls = [next(steps)]
    for answer in answers:
        try:
            calls.append(steps.send(answer))
        except StopIteration as stop:
            value: T = stop.value
            return value, calls
    raise AssertionError(f"it asks on: {calls}")


def entry(name: str) -> DirEntry:
    """A child."""
    return DirEntry(name, stat())


def test_reading() -> None:
    """Content and metadata together."""
    result, _ = play(operations.get_contents_and_stat(3), [Contents(b"1", stat())])
    assert result == (b"1", stat())


def test_a_directory_is_read_page_by_page() -> None:
    """Each page goes on after the last name of the one before."""
    pages = [Listing((entry("a"), entry("b")), True), Listing((entry("c"),), False)]
    result, calls = play(operations.read_dir(3), pages)
    assert [child.name for child in result] == ["a", "b", "c"]
    assert calls == [ReadDir(3), ReadDir(3, "b")]


def test_a_page_that_promises_more_and_holds_nothing_ends_it() -> None:
    """No master may make us ask for ever."""
    result, calls = play(operations.read_dir(3), [Listing((), True)])
    assert result == [] and len(calls) == 1


def test_lists_for_operators_are_whole() -> None:
    """Locks by path, sessions by number."""
    lock = LockInfo("/a", None, 1, 1, (), (), False, 0)
    result, calls = play(operations.list_locks(), [Locks((lock,), True), Locks((), False)])
    assert result == [lock] and calls == [ListLocks(), ListLocks("/a")]
    session = SessionInfo(7, "anyone", 0, True, 0, 0, 0, 0)
    found, calls = play(operations.list_sessions(), [Sessions((session,), True), Sessions((session,), False)])
    assert found == [session, session] and calls == [ListSessions(), ListSessions(7)]


def test_writing_with_compare_and_set() -> None:
    """The generation travels; None means unconditionally."""
    _, calls = play(operations.set_contents(3, b"1", 5), [StatResult(stat())])
    assert calls == [SetContents(3, b"1", 5)]
    _, calls = play(operations.set_contents(3, b"1", None), [StatResult(stat())])
    assert calls == [SetContents(3, b"1", None)]


def test_acquiring() -> None:
    """Waiting or not, with a lock-delay in seconds."""
    granted, calls = play(operations.acquire(3, LockMode.SHARED, False, 1.5), [LockGranted(7, 1)])
    assert granted.token == 7
    assert calls == [Acquire(3, LockMode.SHARED, False, 1_500_000_000)]


def test_a_sequencer_is_bytes_with_a_meaning() -> None:
    """Bytes to pass on; `.token` is the number."""
    answer = SequencerResult(b"opaque", "/a", LockMode.EXCLUSIVE, 2, 7)
    sequencer, _ = play(operations.get_sequencer(3), [answer])
    assert sequencer == b"opaque" and isinstance(sequencer, SequencerBytes)
    assert (sequencer.token, sequencer.path, sequencer.generation) == (7, "/a", 2)
    assert sequencer.mode is LockMode.EXCLUSIVE


def test_a_transaction_names_nodes_as_the_user_does() -> None:
    """And gives its result, whichever branch ran."""
    names = Names("/ls/local/svc")
    done = TransactionResult(False, 9, failed_guard=0)
    result, calls = play(operations.transaction(names, [Exists("a")], [Create("/ls/local/b")], []), [Transacted(done)])
    assert result is done
    assert calls == [Transact((Exists("/svc/a"),), (Create("/b"),), ())]


def test_a_transaction_that_failed_says_why_and_where() -> None:
    """Nothing changed."""
    failure = Failure(ErrorCode.NODE_EXISTS, "/b is there")
    failed = TransactionResult(True, 9, failed_operation=1, failure=failure)
    with pytest.raises(NodeExists, match="/b is there") as caught:
        play(operations.transaction(Names("/ls/local"), [], [Create("/a"), Create("/b")], []), [Transacted(failed)])
    assert "operation 1" in caught.value.__notes__[0]


def test_a_master_that_answers_something_else_has_a_bug() -> None:
    """It is not the caller's."""
    with pytest.raises(InternalError, match="Done where StatResult was due"):
        expect(Done(), StatResult)
