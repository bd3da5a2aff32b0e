"""Several objects as one, for transactions over more than one of them (DESIGN §4 Transaction).

A group's state is the tuple of its members' states. A transaction looks at some members (its guards) and, if all are as
it wants them, changes some, all at one instant. Operations on one member alone come as `At`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from tests.checking.history import UNKNOWN, History, Keys, Operation, Unknown
from tests.checking.model import Model

C = TypeVar("C")
R = TypeVar("R")
S = TypeVar("S", bound=Hashable)


class At(msgspec.Struct, Generic[C], frozen=True, gc=False):
    """A call to one member. Answered as that answers."""

    key: str
    call: C


class Guard(msgspec.Struct, Generic[C, R], frozen=True, gc=False):
    """Holds if the member would answer this call with this result."""

    key: str
    call: C
    result: R


class Transaction(msgspec.Struct, Generic[C, R], frozen=True, gc=False):
    """`if all guards: then`. Answered with the `Results` of `then`, one each, or with `Failed`."""

    guards: tuple[Guard[C, R], ...]
    then: tuple[At[C], ...]


class Results(msgspec.Struct, Generic[R], frozen=True, gc=False):
    """All guards held; what each call gave."""

    each: tuple[R, ...]


class Failed(msgspec.Struct, frozen=True, gc=False):
    """Some guard did not hold; nothing changed."""


GroupCall = At[C] | Transaction[C, R]
GroupState = tuple[S, ...]


def as_group(
    history: History[C | Transaction[C, R], R | Results[R] | Failed],
) -> History[GroupCall[C, R], R | Results[R] | Failed]:
    """The history of a group in which single calls stand by themselves, as operations on one key."""
    wrapped: list[Operation[GroupCall[C, R], R | Results[R] | Failed]] = []
    for each in history.operations:
        call = each.call if isinstance(each.call, Transaction) else At(each.keys[0], each.call)
        wrapped.append(
            Operation(each.client, call, each.invoked, each.returned, each.result, each.keys, each.made, each.saw)
        )
    return History(wrapped)


class GroupModel(Generic[C, R, S]):
    """The members of `keys`, each of which `member` describes."""

    def __init__(self, keys: Keys, member: Model[C, R, S]) -> None:
        self._places = {key: place for place, key in enumerate(keys)}
        self._member = member

    def initial(self) -> GroupState[S]:
        """Each member's own."""
        return (self._member.initial(),) * len(self._places)

    def step(
        self, state: GroupState[S], call: GroupCall[C, R], result: R | Results[R] | Failed | Unknown
    ) -> GroupState[S] | None:
        """See `Model`."""
        if isinstance(call, At):
            assert not isinstance(result, Results | Failed), "a single call has a result of its own kind"
            return self._put(state, call.key, call.call, result)
        if isinstance(result, Failed):
            return None if self._certain(state, call.guards) else state
        for guard in call.guards:
            after = self._put(state, guard.key, guard.call, guard.result)
            if after is None:
                return None
            state = after
        assert result is UNKNOWN or isinstance(result, Results), "a transaction has a result of its own kind"
        each = (UNKNOWN,) * len(call.then) if result is UNKNOWN else result.each
        for at, one in zip(call.then, each, strict=True):
            after = self._put(state, at.key, at.call, one)
            if after is None:
                return None
            state = after
        return state

    def observes(self, call: GroupCall[C, R], result: R | Results[R] | Failed) -> bool:
        """See `Model`."""
        if isinstance(result, Failed):
            return True
        if isinstance(call, At):
            assert not isinstance(result, Results), "a single call has a result of its own kind"
            return self._member.observes(call.call, result)
        assert isinstance(result, Results), "a transaction has a result of its own kind"
        return all(self._member.observes(at.call, one) for at, one in zip(call.then, result.each, strict=True))

    def show(self, state: GroupState[S]) -> str:
        """See `Model`."""
        return "; ".join(f"{key}: {self._member.show(state[place])}" for key, place in self._places.items())

    def _put(self, state: GroupState[S], key: str, call: C, result: R | Unknown) -> GroupState[S] | None:
        place = self._places[key]
        before = state[place]
        after = self._member.step(before, call, result)
        if after is None:
            return None
        return state if after == before else (*state[:place], after, *state[place + 1 :])

    def _certain(self, state: GroupState[S], guards: tuple[Guard[C, R], ...]) -> bool:
        """Whether all guards hold whatever the state leaves open: then they teach nothing new of it."""
        return all(self._put(state, guard.key, guard.call, guard.result) == state for guard in guards)
