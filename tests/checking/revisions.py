"""Long histories, checked by revision order: where answers carry revisions, the order need not be searched for.

A changing operation is told the revision it `made`, a read the revision of the state it `saw`. So the changes of one
object stand in a line, and these things are left to be checked, in O(n log n) for n operations:

1. each change gives the result it was told, in the state that the ones before it leave;
2. each read that was told a revision was told the state which that revision left;
3. the line fits into real time, and so does each read between its neighbours (`timetable`). A read without a revision
   (an absence, a lost compare-and-set) has to fit into some state that lasted during it.

Every answered operation that changes something must carry the revision it made.

**Unknown outcomes.** A change of which nobody was told shows by a revision that reads saw and nobody made, or by a
result that does not follow from the last known one. It is then looked for among the operations of unknown outcome, the
fewest that do. A verdict in favour is a proof, whatever was taken. One against is BROKEN only where no operation of
unknown outcome could have helped, otherwise UNDECIDED: `linearizability` then knows more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from tests.checking.history import History, Keys, Operation
from tests.checking.model import Model
from tests.checking.timetable import FOREVER, START, Late, Span, Timetable
from tests.checking.verdict import Judgement, Verdict

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)

GAP = 3
"""So many changes of which nobody was told are looked for between two that are known."""


def check(history: History[C, R], model: Model[C, R, S]) -> Verdict[C, R]:
    """Judge the history of one object."""
    line = _Line(history, model)
    refuted = line.build() or line.fit()
    judgement = Judgement.LINEARIZABLE
    if refuted is not None:
        judgement = Judgement.UNDECIDED if refuted.unsure else Judgement.BROKEN
    stuck, why = ((), "") if refuted is None else (refuted.stuck, refuted.why)
    end = len(line.changes) if refuted is None else refuted.place
    order = tuple(line.operations[number] for number in line.changes[1:end])
    return Verdict(judgement, order, model.show(line.states[end - 1]), stuck, why, line.work)


def check_each(history: History[C, R], model_of: Callable[[Keys], Model[C, R, S]]) -> dict[Keys, Verdict[C, R]]:
    """Judge the history of many objects, each by itself."""
    return {keys: check(part, model_of(keys)) for keys, part in history.partition().items()}


class _Refutation(Generic[C, R]):
    """Why it cannot be, at which place of the line. `unsure`: an operation of unknown outcome might help."""

    def __init__(self, why: str, place: int, stuck: Sequence[Operation[C, R]], unsure: bool) -> None:
        self.why = why
        self.place = place
        self.stuck = tuple(stuck)
        self.unsure = unsure


class _Line(Generic[C, R, S]):
    """The changes in the order of their revisions, the state after each, and who was told that state.

    Operations go by their numbers in the history. At place 0 is the state before all changes, made by nobody.
    """

    def __init__(self, history: History[C, R], model: Model[C, R, S]) -> None:
        self.operations = history.operations
        self.changes: list[int] = [-1]
        self.states: list[S] = [model.initial()]
        self.told: list[list[int]] = [[]]
        self.work = 0
        self._model = model
        self._unknown = [number for number, each in enumerate(self.operations) if not each.known]
        self._guessed = False

    def build(self) -> _Refutation[C, R] | None:
        """Follow the revisions, as far as they lead."""
        made: dict[int, int] = {}
        saw: dict[int, list[int]] = {}
        for number, each in enumerate(self.operations):
            if each.made is not None:
                if made.setdefault(each.made, number) != number:
                    both = (self.operations[made[each.made]], each)
                    return _Refutation(f"revision {each.made} was made twice", 1, both, unsure=False)
            elif each.saw is not None:
                saw.setdefault(each.saw, []).append(number)
        for revision in sorted(made.keys() | saw.keys()):
            if (refuted := self._follow(revision, made.get(revision), saw.get(revision, []))) is not None:
                return refuted
        return None

    def _follow(self, revision: int, change: int | None, reads: list[int]) -> _Refutation[C, R] | None:
        """Put the change of this revision into line, and before it what nobody was told of, if it takes that."""
        steps = reads if change is None else [change, *reads]
        # A revision that nobody made is that of the state before all changes, or of a change nobody was told of.
        nothing_between = change is not None or len(self.states) == 1
        end = self._walk(self.states[-1], steps) if nothing_between else None
        if end is None:
            latest = min((self.operations[number].returned or FOREVER for number in steps), default=FOREVER)
            near = [number for number in self._unknown if self.operations[number].invoked <= latest]
            trail = self._bridge(steps, near)
            if trail is None:
                stuck = [self.operations[number] for number in steps]
                why = f"what revision {revision} left does not follow from what was before it"
                return _Refutation(why, len(self.changes), stuck, unsure=bool(near) or self._guessed)
            self._guessed |= len(near) > 1
            for number in trail:
                self._append(number, self._walk(self.states[-1], [number]))
            self._unknown = [number for number in self._unknown if number not in trail]
            end = self._walk(self.states[-1], steps)
        if change is not None:
            self._append(change, end)
        assert end is not None, "what was found leads on"
        self.states[-1] = end
        self.told[-1] += reads
        return None

    def _append(self, change: int, state: S | None) -> None:
        assert state is not None, "only what leads on gets into line"
        self.changes.append(change)
        self.states.append(state)
        self.told.append([])

    def _walk(self, state: S, steps: Sequence[int]) -> S | None:
        """Where these operations lead, one after the other."""
        here: S | None = state
        for number in steps:
            if here is None:
                return None
            self.work += 1
            operation = self.operations[number]
            here = self._model.step(here, operation.call, operation.result)
        return here

    def _bridge(self, steps: Sequence[int], near: list[int]) -> list[int] | None:
        """The fewest operations of `near` that lead to where `steps` can be taken; None if there are no such."""
        trails: deque[tuple[list[int], S]] = deque([([], self.states[-1])])
        while trails:
            trail, state = trails.popleft()
            for number in near:
                after = self._walk(state, [number]) if number not in trail else None
                if after is None or after == state:
                    continue
                if self._walk(after, steps) is not None:
                    return [*trail, number]
                if len(trail) + 1 < GAP:
                    trails.append(([*trail, number], after))
        return None

    def fit(self) -> _Refutation[C, R] | None:
        """Fit the line, and all reads, into real time."""
        changes = [START if number < 0 else self._span(number) for number in self.changes]
        bound = [[self._span(number) for number in numbers] for numbers in self.told]
        free = [
            self._span(number)
            for number, each in enumerate(self.operations)
            if each.known and each.made is None and each.saw is None
        ]
        table = Timetable(changes, bound, free, self._fits)
        try:
            table.fit()
        except Late as late:
            stuck = [self.operations[number] for number in late.numbers]
            is_free = any(span.number in late.numbers for span in free)
            unsure = late.given_up or self._guessed or (is_free and bool(self._unknown))
            return _Refutation(str(late), self._place_of(late.numbers), stuck, unsure)
        finally:
            self.work += table.work
        return None

    def _place_of(self, numbers: Sequence[int]) -> int:
        """The first place in line of one of these."""
        for place, change in enumerate(self.changes):
            if place and (change in numbers or any(number in self.told[place] for number in numbers)):
                return place
        return len(self.changes)

    def _span(self, number: int) -> Span:
        each = self.operations[number]
        return Span(each.invoked, FOREVER if each.returned is None else each.returned, number)

    def _fits(self, place: int, read: Span) -> bool:
        each = self.operations[read.number]
        state = self.states[place]
        return self._model.step(state, each.call, each.result) == state
