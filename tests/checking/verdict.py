"""What a checker says of a history, and why."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from tests.checking.history import Operation

C = TypeVar("C")
R = TypeVar("R")

SHOWN = 8
"""So many of the operations that went well are shown, and of those that did not."""
WIDTH = 400
"""So many characters of one line are shown."""


class Judgement(enum.Enum):
    """The three things that can be said. Only LINEARIZABLE is good news."""

    LINEARIZABLE = "linearizable"
    BROKEN = "not linearizable"
    UNDECIDED = "undecided"


class Verdict(msgspec.Struct, Generic[C, R], frozen=True):
    """A judgement and its reasons.

    `order` is an order that explains the history; of one that is broken or undecided, an order of as much as could be
    explained. `state` is the state after `order`. `stuck` are the answered operations that could come next and of which
    none leads on; no order of the history gets past the return of the first of them. `work` counts steps of the model.
    """

    judgement: Judgement
    order: tuple[Operation[C, R], ...] = ()
    state: str = ""
    stuck: tuple[Operation[C, R], ...] = ()
    why: str = ""
    work: int = 0

    @property
    def passed(self) -> bool:
        """Whether the history was proved linearizable."""
        return self.judgement is Judgement.LINEARIZABLE

    def explain(self) -> str:
        """The reasons, in a few lines."""
        head = f"{self.judgement.value}: {self.why}" if self.why else self.judgement.value
        if self.passed:
            return f"{head}, {len(self.order)} operations in {self.work} steps"
        left_out = len(self.order) - SHOWN
        lines = [head, f"the longest order that could be found has {len(self.order)} operations:"]
        lines += [f"    ({left_out} before)"] if left_out > 0 else []
        lines += [f"    {operation.line()}" for operation in self.order[-SHOWN:]]
        lines += [f"and leaves: {self.state}", "after which none of these can be placed:"]
        lines += [f"    {operation.line()}" for operation in self.stuck[:SHOWN]]
        return "\n".join(line if len(line) <= WIDTH else f"{line[:WIDTH]}..." for line in lines)


def worst(verdicts: Iterable[Verdict[C, R]]) -> Verdict[C, R]:
    """The verdict on a whole by those on its parts: broken before undecided before linearizable."""
    order = (Judgement.BROKEN, Judgement.UNDECIDED, Judgement.LINEARIZABLE)
    return min(verdicts, key=lambda verdict: order.index(verdict.judgement), default=Verdict(Judgement.LINEARIZABLE))
