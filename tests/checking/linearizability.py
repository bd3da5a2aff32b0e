"""Is there an order of the operations that respects real time and that the object could have executed one by one?

The search of Wing and Gong (1993) with the memory of Lowe (2017): build an order step by step; a step places an
operation that no unplaced one precedes; where no step leads on, go back to another one. Two beginnings that have placed
the same operations and left the same state have the same future, so each such *configuration* is entered once.

How the search is kept small:

- *What stands in the way.* Answered operations are numbered by their returns. Let b be the lowest number that is not
  placed: exactly the unplaced operations invoked no later than b returned may come next. So a configuration is (b, the
  few above b that are placed already, the unknown ones that are placed, the state), however long the history is.
- *Lists that heal.* Unplaced operations hang in one linked list in order of invocation; whatever is placed is unhooked
  and, going back, hooked in again in the reverse order, in constant time.
- *What was only seen is placed at once.* If an answered operation that never changes anything may come next, and its
  result is certain here, then whatever order leads on still does with that operation moved to here. So there is nothing
  to be tried instead.
- *Unknown outcomes* are optional: never placed where they change nothing, and of those that make the same call only the
  one invoked first, since whatever the others could do it could. Of two configurations that differ only in that one has
  used up more of them, that one can do no more than the other, and is not entered after it.
- *Furthest first.* Of all steps that were not tried, the one is next whose beginning has the highest b; of those, one
  that has used the fewest unknown operations; of those, the youngest. So a history that is linearizable is walked
  through almost straight, and one that is not is searched near the place where it breaks.

Deterministic, without recursion. `bound` limits the steps of the model; who runs into it learns nothing (UNDECIDED).
"""

from __future__ import annotations

import heapq
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


class _Placed:
    """An operation that is placed, and the configuration after it: with those placed `before` it, a beginning."""

    __slots__ = ("base", "before", "depth", "early", "number", "used")

    def __init__(self, before: _Placed | None, number: int, base: int, early: int, used: int) -> None:
        self.before = before
        self.depth: int = 0 if before is None else before.depth + 1
        self.number = number
        self.base = base
        self.early = early
        self.used = used


class _Search(Generic[C, R, S]):
    """One walk. Operations go by number: answered ones in order of their returns, behind them the unknown ones in
    order of invocation.

    `base`, `early` and `used` are the configuration: the lowest answered one that is not placed; bit i: number base + i
    is placed; bit i: the i-th unknown one is placed. `last` is what was placed last, and by it all before.
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
        self.base = self.early = self.used = self.work = self._pushed = 0
        self.state = model.initial()
        self.last = _Placed(None, -1, 0, 0, 0)
        self._agenda: list[tuple[int, int, int, _Placed, int, S]] = []
        self._entered: dict[tuple[int, int, S], list[int]] = {}
        self._best: tuple[int, _Placed, S] = (-1, self.last, self.state)

    def _hang_up(self, answered: list[Operation[C, R]]) -> None:
        """Link the answered ones in order of invocation; the end of the ring has the number after the last."""
        end = self._count
        ring = [end, *sorted(range(end), key=lambda number: (answered[number].invoked, number)), end]
        self._next = [0] * (end + 1)
        self._before = [0] * (end + 1)
        for one, other in pairwise(ring):
            self._next[one], self._before[other] = other, one

    def run(self) -> Verdict[C, R]:
        """Place until all answered operations are placed, or nothing is left to try."""
        while True:
            if self._enter():
                self._go_on()
            if self.base == self._count:
                return Verdict(Judgement.LINEARIZABLE, self._order(), self._model.show(self.state), work=self.work)
            if not self._agenda:
                return self._stuck(Judgement.BROKEN, "no order gets past the return of the first operation below")
            if self.work > self._bound:
                return self._stuck(Judgement.UNDECIDED, f"given up after {self.work} steps")
            _, _, _, beginning, number, self.state = heapq.heappop(self._agenda)
            self._go_to(beginning)
            self._place(number)

    def _enter(self) -> bool:
        """Whether this configuration may lead where none before it did."""
        uses = self._entered.setdefault((self.base, self.early, self.state), [])
        if any(use & self.used == use for use in uses):
            return False
        uses.append(self.used)
        return True

    def _go_on(self) -> None:
        """Place what was only seen, and put the steps from there on the agenda, the first to be taken last."""
        before = self.last
        moves = self._settle()
        if self.last is not before and not self._enter():
            return
        if self.base > self._best[0]:
            self._best = self.base, self.last, self.state
        used = self.used.bit_count()
        for number, state in reversed(moves):
            self._pushed += 1
            guesses = used + (number >= self._count)
            heapq.heappush(self._agenda, (-self.base, guesses, -self._pushed, self.last, number, state))

    def _settle(self) -> list[tuple[int, S]]:
        """Place what may come next and was only seen; what else may come next, and the state after it."""
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
        """Put this operation behind those that are placed."""
        if number >= self._count:
            self.used |= 1 << (number - self._count)
        else:
            self._unhook(number)
            self.early |= 1 << (number - self.base)
            while self.early & 1:
                self.early >>= 1
                self.base += 1
        self.last = _Placed(self.last, number, self.base, self.early, self.used)

    def _unhook(self, number: int) -> None:
        before, after = self._before[number], self._next[number]
        self._next[before], self._before[after] = after, before

    def _take_back(self) -> None:
        """The last operation is not placed after all."""
        number = self.last.number
        if number < self._count:
            self._next[self._before[number]] = self._before[self._next[number]] = number
        assert self.last.before is not None, "nothing comes before the start"
        self.last = self.last.before

    def _go_to(self, beginning: _Placed) -> None:
        """Have those placed that are placed in this beginning: back to where it branches off, and down its branch."""
        branch: list[_Placed] = []
        ahead = beginning
        while ahead is not self.last:
            if self.last.depth >= ahead.depth:
                self._take_back()
            if ahead.depth > self.last.depth:
                branch.append(ahead)
                assert ahead.before is not None, "all beginnings have one start"
                ahead = ahead.before
        for placed in reversed(branch):
            if placed.number < self._count:
                self._unhook(placed.number)
        self.last = beginning
        self.base, self.early, self.used = beginning.base, beginning.early, beginning.used

    def _order(self) -> tuple[Operation[C, R], ...]:
        """Those that are placed."""
        numbers: list[int] = []
        placed = self.last
        while placed.before is not None:
            numbers.append(placed.number)
            placed = placed.before
        return tuple(self._operations[number] for number in reversed(numbers))

    def _stuck(self, judgement: Judgement, why: str) -> Verdict[C, R]:
        """The verdict with the beginning that got furthest, and what could have come after it."""
        base, beginning, state = self._best
        self._go_to(beginning)
        stuck: list[Operation[C, R]] = [self._operations[base]]
        number = self._next[self._count]
        while number != self._count and self._operations[number].invoked <= self._returned[base]:
            if number != base:
                stuck.append(self._operations[number])
            number = self._next[number]
        return Verdict(judgement, self._order(), self._model.show(state), tuple(stuck), why, self.work)


def _twins(unknown: list[Operation[C, R]]) -> list[int | None]:
    """For each unknown operation the last one before it that makes the same call."""
    seen: dict[C, int] = {}
    twins: list[int | None] = []
    for index, each in enumerate(unknown):
        twins.append(seen.get(each.call))
        seen[each.call] = index
    return twins
