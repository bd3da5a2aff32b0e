"""Short histories by hand: one line an operation, as `("c1", 0, 10, call, result)`; an end of None is unknown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

from tests.checking import brute, linearizability
from tests.checking.history import ONE_KEY, UNKNOWN, History, Keys, Operation, Unknown
from tests.checking.model import Model

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)

Line = tuple[str, int, int | None, C, R | Unknown]


def lost(client: str, invoked: int, call: C) -> tuple[str, int, None, C, Unknown]:
    """An operation of unknown outcome."""
    return client, invoked, None, call, UNKNOWN


def story(lines: Iterable[Line[C, R]], keys: Keys = ONE_KEY) -> History[C, R]:
    """The history of these operations."""
    return History(
        [Operation(client, call, invoked, returned, result, keys) for client, invoked, returned, call, result in lines]
    )


def holds(history: History[C, R], model: Model[C, R, S]) -> bool:
    """Whether it is linearizable: by the search and, which must agree, by the definition."""
    verdict = linearizability.check(history, model)
    assert verdict.passed == brute.linearizable(history, model), verdict.explain()
    return verdict.passed
