"""Is there an order of the operations that respects real time and that the object could have executed one by one?

The search of Wing and Gong (1993) with the memory of Lowe (2017): walk down one order, step by step; a step places an
operation that no unplaced one precedes; at a dead end step back. Two walks that have placed the same operations and
left the same state have the same future, so each such *configuration* is entered once.

How the search is kept small:

- *What stands in the way.* Answered operations are numbered by their returns. Let b be the lowest number that is not
  placed: exactly the unplaced operations invoked no later than b returned may come next. So a configuration is (b, the
  few above b that are placed already, the unknown ones that are placed, the state), however long the history is.
- *Lists that heal.* Unplaced operations hang in one linked list in order of invocation; whatever is placed is unhooked
  and, stepping back, hooked in again in the reverse order, in constant time.
- *What was only seen is placed at once.* If an answered operation that never changes anything may come next, and its
  result is certain here, then whatever order leads on still does with that operation moved to here. So there is nothing
  to be tried instead.
- *Unknown outcomes* are optional: tried last, never if they change nothing, and of those that make the same call only
  the one invoked first, since whatever the others could do it could. Of two configurations that differ only in that one
  has used up more of them, that one can do no more than the other, and is not entered after it.

Deterministic, without recursion. `bound` limits the steps of the model; who runs into it learns nothing (UNDECIDED).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import Generic, TypeVar

from tests.checking.history import UNKNOWN, History, Keys, Operation
from tests.checking.model import Model
from tests.checking.verdict import Judgement, Verdict

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)

BOUND = 2_000_000
"""Steps of the model: some seconds, some hundred megabytes."""


def check(history: History[C, R], model: Model[C, R, S], bound: int = BOUND) -> Verdict[C, R]:
    """Judge the history of one object."""
    return _Search(history, model, bound).run()


def check_each(
    history: History[C, R], model_of: Callable[[Keys], Model[C, R, S]], bound: int = BOUND
) -> dict[Keys, Verdict[C, R]]:
    """Judge the history of many objects, each group of keys that transactions tie together by itself.

    `bound` is for each group.
    """
    return {keys: check(part, model_of(keys), bound) for keys, part in history.partition().items()}


class _Frame(Generic[S]):
    """A configuration on the way, and the steps from it that are still to be tried, the next one last."""

    __slots__ = ("base", "early", "moves", "placed", "state", "used")

    def __init__(self, base: int, early: int, used: int, state: S, placed: int, moves: list[tuple[int, S]]) -> None:
        self.base = base
        self.early = early
        self.used = used
        self.state = state
        self.placed = placed
        self.moves = moves


class _Search(Generic[C, R, S]):
    """One walk. Operations go by number: answered ones in order of their returns, behind them the unknown ones in
    order of invocation.

    `base`, `early` and `used` are the configuration: the lowest answered one that is not placed; bit i: number base + i
    is placed; bit i: the i-th unknown one is placed.
    """

    def __init__(self, history: History[C, R], model: Model[C, R, S], bound: int) -> None:
        answered = [each for each in history.operations if each.returned is not None]
        answered.sort(key=lambda each: (each.returned, each.invoked))
        unknown = [each for each in history.operations if each.returned is None]
        self._operations = answered + unknown
        self._count = len(answered)
        self._returned = [each.returned or 0 for each in answered]
        self._observes = [model.observes(each.call, each.result) for each in answered if each.result is not UNKNOWN]
        self._twins = _twins(unknown)
        self._model = model
        self._bound = bound
        self._hang_up(answered)
        self.base = self.early = self.used = self.work = 0
        self.state = model.initial()
        self.placed: list[int] = []
        self._best: tuple[int, list[int], S] = (-1, [], self.state)

    def _hang_up(self, answered: list[Operation[C, R]]) -> None:
        """Link the answered ones in order of invocation; the end of the ring has the number after the last."""
        end = self._count
        ring = [end, *sorted(range(end), key=lambda number: (answered[number].invoked, number)), end]
        self._next = [0] * (end + 1)
        self._before = [0] * (end + 1)
        for one, other in pairwise(ring):
            self._next[one], self._before[other] = other, one

    def run(self) -> Verdict[C, R]:
        """Walk until all answered operations are placed, or nothing is left to try."""
        entered: dict[tuple[int, int, S], list[int]] = {}
        frames: list[_Frame[S]] = []
        while True:
            moves = self._settle()
            if self.base == self._count:
                return Verdict(
                    Judgement.LINEARIZABLE, self._order(self.placed), self._model.show(self.state), work=self.work
                )
            uses = entered.setdefault((self.base, self.early, self.state), [])
            if moves and not any(use & self.used == use for use in uses):
                uses.append(self.used)
                frames.append(_Frame(self.base, self.early, self.used, self.state, len(self.placed), moves))
            else:
                self._note_dead_end()
            while frames and not frames[-1].moves:
                frames.pop()
            if not frames:
                return self._stuck(Judgement.BROKEN, "no order gets past the return of the first operation below")
            if self.work > self._bound:
                self._note_dead_end()
                return self._stuck(Judgement.UNDECIDED, f"given up after {self.work} steps")
            self._return_to(frames[-1])
            number, state = frames[-1].moves.pop()
            self._place(number)
            self.state = state

    def _settle(self) -> list[tuple[int, S]]:
        """Place what may come next and changes nothing; what else may come next, the best guess last."""
        if self.base == self._count:
            return []
        step, state, operations, following = self._model.step, self.state, self._operations, self._next
        moves: list[tuple[int, S]] = []
        number = following[self._count]
        while number != self._count and operations[number].invoked <= self._returned[self.base]:
            operation = operations[number]
            self.work += 1
            after = step(state, operation.call, operation.result)
            if after is not None:
                if after == state and self._observes[number]:
                    self._place(number)
                    if self.base == self._count:
                        return []
                else:
                    moves.append((number, after))
            number = following[number]
        if len(self._twins) > 0:
            moves += self._guesses()
        moves.reverse()
        return moves

    def _guesses(self) -> list[tuple[int, S]]:
        """The unknown ones that may come next."""
        moves: list[tuple[int, S]] = []
        for index, twin in enumerate(self._twins):
            operation = self._operations[self._count + index]
            if operation.invoked > self._returned[self.base]:
                break
            if self.used >> index & 1 or (twin is not None and not self.used >> twin & 1):
                continue
            self.work += 1
            after = self._model.step(self.state, operation.call, UNKNOWN)
            if after is not None and after != self.state:
                moves.append((self._count + index, after))
        return moves

    def _place(self, number: int) -> None:
        self.placed.append(number)
        if number >= self._count:
            self.used |= 1 << (number - self._count)
            return
        before, after = self._before[number], self._next[number]
        self._next[before], self._before[after] = after, before
        self.early |= 1 << (number - self.base)
        while self.early & 1:
            self.early >>= 1
            self.base += 1

    def _return_to(self, frame: _Frame[S]) -> None:
        """Take back what was placed after this configuration."""
        while len(self.placed) > frame.placed:
            number = self.placed.pop()
            if number < self._count:
                self._next[self._before[number]] = self._before[self._next[number]] = number
        self.base, self.early, self.used, self.state = frame.base, frame.early, frame.used, frame.state

    def _note_dead_end(self) -> None:
        if self.base > self._best[0]:
            self._best = self.base, self.placed[:], self.state

    def _order(self, numbers: list[int]) -> tuple[Operation[C, R], ...]:
        return tuple(self._operations[number] for number in numbers)

    def _stuck(self, judgement: Judgement, why: str) -> Verdict[C, R]:
        """The verdict with the walk that got furthest, and what could have come after it."""
        base, placed, state = self._best
        done = set(placed)
        others = [
            number
            for number in range(base + 1, self._count)
            if number not in done and self._operations[number].invoked <= self._returned[base]
        ]
        return Verdict(
            judgement, self._order(placed), self._model.show(state), self._order([base, *others]), why, self.work
        )


def _twins(unknown: list[Operation[C, R]]) -> list[int | None]:
    """For each unknown operation the last one before it that makes the same call."""
    seen: dict[C, int] = {}
    twins: list[int | None] = []
    for index, each in enumerate(unknown):
        twins.append(seen.get(each.call))
        seen[each.call] = index
    return twins
