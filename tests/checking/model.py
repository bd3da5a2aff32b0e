"""What an object may do, one operation after the other: the sequential specification that a history is held against."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, TypeVar

from tests.checking.history import Unknown

C_contra = TypeVar("C_contra", contravariant=True)
R_contra = TypeVar("R_contra", contravariant=True)
S = TypeVar("S", bound=Hashable)


class Model(Protocol[C_contra, R_contra, S]):
    """An object with calls C, results R and states S. States are small, hashable, and equal if they behave alike.

    Where a result brings a number that the model cannot foresee (an instance, a token), an operation of unknown outcome
    leaves a state that knows a bound of the number only; the first result that shows it makes the state exact.
    """

    def initial(self) -> S:
        """The state before the first operation."""

    def step(self, state: S, call: C_contra, result: R_contra | Unknown) -> S | None:
        """The state after `call` took effect in `state` and gave `result`; None if it cannot have given that.

        With an unknown result: the state after it took whatever effect it can have in `state`.
        """

    def observes(self, call: C_contra, result: R_contra) -> bool:
        """Whether `call` with this result changes no state whatever, but at most makes one exact."""

    def show(self, state: S) -> str:
        """The state in a few words, for a human."""
