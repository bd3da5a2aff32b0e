"""The definition, word for word: try every order. For histories of a handful of operations."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations, permutations
from typing import TypeVar

from tests.checking.history import History, Operation
from tests.checking.model import Model

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)


def linearizable(history: History[C, R], model: Model[C, R, S]) -> bool:
    """Whether some order of all answered and some unknown operations respects real time and obeys the model."""
    answered = [each for each in history.operations if each.known]
    unknown = [each for each in history.operations if not each.known]
    return any(
        _respects_time(order) and _obeys(order, model)
        for count in range(len(unknown) + 1)
        for chosen in combinations(unknown, count)
        for order in permutations((*answered, *chosen))
    )


def _respects_time(order: tuple[Operation[C, R], ...]) -> bool:
    return not any(later.precedes(earlier) for earlier, later in combinations(order, 2))


def _obeys(order: tuple[Operation[C, R], ...], model: Model[C, R, S]) -> bool:
    state: S | None = model.initial()
    for each in order:
        state = None if state is None else model.step(state, each.call, each.result)
    return state is not None


def proves(order: tuple[Operation[C, R], ...], history: History[C, R], model: Model[C, R, S]) -> bool:
    """Whether this order is a proof: all that was answered, nothing twice, real time respected, the model obeyed."""
    wanted = sum(1 for each in history.operations if each.known)
    places = {id(each) for each in history.operations}
    if len({id(each) for each in order}) != len(order) or not {id(each) for each in order} <= places:
        return False
    return sum(1 for each in order if each.known) == wanted and _respects_time(order) and _obeys(order, model)
