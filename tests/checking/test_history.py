"""Histories: what is one, what is none, and how they fall apart into those of single objects."""

from __future__ import annotations

import pytest

from tests.checking.history import ONE_KEY, UNKNOWN, History, HistoryBuilder, Malformed, Operation


def answered(client: str, invoked: int, returned: int, *keys: str) -> Operation[str, str]:
    """An operation that does not matter otherwise."""
    return Operation(client, "call", invoked, returned, "result", keys or ONE_KEY)


def test_operations_come_in_order_of_invocation() -> None:
    """Whatever the order in which they were taken down."""
    history = History([answered("c2", 5, 6), answered("c1", 1, 9)])
    assert [each.client for each in history.operations] == ["c1", "c2"]
    assert len(history) == 2


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ([answered("c1", 5, 4)], "answered before it was invoked"),
        ([answered("c1", 1, 5), answered("c1", 5, 7)], "two at a time"),
        ([answered("c1", 1, 9), answered("c1", 2, 3)], "two at a time"),
        ([answered("c1", 1, 9), Operation("c1", "call", 2)], "two at a time"),
        ([Operation("c1", "call", 1, 2)], "an answer without a result"),
        ([Operation("c1", "call", 1, None, "result")], "a result without an answer"),
        ([Operation("c1", "call", 1, keys=())], "about nothing"),
    ],
)
def test_what_nobody_can_have_seen_is_refused(operations: list[Operation[str, str]], why: str) -> None:
    """A wrong recording would make a right verdict about nothing."""
    with pytest.raises(Malformed, match=why):
        History(operations)


def test_who_was_not_answered_goes_on() -> None:
    """A client gives up waiting; its operation may take effect beside its later ones."""
    unknown: Operation[str, str] = Operation("c1", "call", 1)
    history = History([unknown, answered("c1", 2, 3), answered("c1", 4, 5)])
    assert len(history) == 3


def test_precedence_is_strict() -> None:
    """What returns at the instant at which another is invoked is concurrent with it; the unknown precedes nothing."""
    first, touching, later = answered("c1", 1, 5), answered("c2", 5, 6), answered("c3", 6, 7)
    unknown: Operation[str, str] = Operation("c4", "call", 0)
    assert first.precedes(later) and not later.precedes(first)
    assert not first.precedes(touching) and not touching.precedes(first)
    assert not unknown.precedes(later)


def test_histories_fall_apart_by_keys() -> None:
    """Linearizability is local: each object is judged by itself."""
    history = History([answered("c1", 1, 2, "b"), answered("c1", 3, 4, "a"), answered("c2", 1, 4, "b")])
    parts = history.partition()
    assert list(parts) == [("a",), ("b",)]
    assert [len(part) for part in parts.values()] == [1, 2]


def test_what_a_transaction_names_stays_together() -> None:
    """Also by way of others: a with b, b with c; d by itself."""
    history = History(
        [
            answered("c1", 1, 2, "d"),
            answered("c1", 3, 4, "b", "c"),
            answered("c1", 5, 6, "a"),
            answered("c1", 7, 8, "a", "b"),
            answered("c2", 1, 2, "c"),
        ]
    )
    parts = history.partition()
    assert list(parts) == [("a", "b", "c"), ("d",)]
    assert len(parts["a", "b", "c"]) == 4


def test_the_builder_knows_three_fates() -> None:
    """Answered, failed, and everything else."""
    builder: HistoryBuilder[str, str] = HistoryBuilder()
    good = builder.invoke("c1", "good", 1, ("b", "a", "b"))
    bad = builder.invoke("c2", "bad", 2)
    builder.invoke("c3", "lost", 3)
    builder.answer(good, "fine", 4, made=7)
    builder.fail(bad)
    assert len(builder) == 2
    first, second = builder.history().operations
    assert first == Operation("c1", "good", 1, 4, "fine", ("a", "b"), made=7)
    assert second == Operation("c3", "lost", 3, None, UNKNOWN)


def test_an_operation_tells_itself_in_a_line() -> None:
    """Who, when, about what, and what came of it."""
    operation = Operation("c1", "write", 1, 4, "done", ("/a", "/b"))
    assert operation.line() == "c1 [1, 4] /a /b: 'write' -> 'done'"
    unknown: Operation[str, str] = Operation("c1", "write", 1)
    assert unknown.line() == "c1 [1, ...] 'write' -> unknown"
