"""Makes histories that are linearizable by construction: real objects, used by clients whose calls take their time.

A call is made at one instant, takes effect at a later one, is answered at a later one again. Now and then the answer is
lost; then the call has taken effect, or will do so much later, or never.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec

from tests.checking.history import History, Operation

C = TypeVar("C")
R = TypeVar("R")
C_contra = TypeVar("C_contra", contravariant=True)


class Effect(msgspec.Struct, Generic[R], frozen=True):
    """What came of a call: its result, and the revision that it made or saw."""

    result: R
    made: int | None = None
    saw: int | None = None


class Thing(Protocol[C_contra, R]):
    """An object that does one thing after the other."""

    def apply(self, call: C_contra) -> Effect[R]:
        """Take effect now."""


class Load(msgspec.Struct, frozen=True):
    """How much is done. `lost`: the share of answers that are lost."""

    clients: int = 4
    operations: int = 40
    lost: float = 0.0


class Play(Generic[C, R]):
    """Several clients that use one thing together; `next_call` says what a client does next."""

    def __init__(
        self, chance: random.Random, thing: Thing[C, R], next_call: Callable[[random.Random, str], C], load: Load
    ) -> None:
        self._chance = chance
        self._thing = thing
        self._next_call = next_call
        self._load = load
        self._now = 0
        self._count = itertools.count()
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._operations: list[Operation[C, R]] = []

    def run(self) -> History[C, R]:
        """All that the clients saw."""
        for number in range(self._load.clients):
            self._after(20, partial(self._invoke, f"c{number}"))
        while self._agenda:
            self._now, _, action = heapq.heappop(self._agenda)
            action()
        return History(self._operations)

    def _after(self, longest: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self._now + 1 + self._chance.randrange(longest), next(self._count), action))

    def _invoke(self, client: str) -> None:
        if len(self._operations) == self._load.operations:
            return
        number = len(self._operations)
        self._operations.append(Operation(client, self._next_call(self._chance, client), self._now))
        if self._chance.random() >= self._load.lost:
            self._after(20, partial(self._take_effect, number))
            return
        self._after(20, partial(self._invoke, client))
        if self._chance.random() < 0.7:
            self._after(200, partial(self._take_effect_unseen, number))

    def _take_effect(self, number: int) -> None:
        effect = self._thing.apply(self._operations[number].call)
        self._after(20, partial(self._answer, number, effect))

    def _take_effect_unseen(self, number: int) -> None:
        self._thing.apply(self._operations[number].call)

    def _answer(self, number: int, effect: Effect[R]) -> None:
        begun = self._operations[number]
        self._operations[number] = msgspec.structs.replace(
            begun, returned=self._now, result=effect.result, made=effect.made, saw=effect.saw
        )
        self._after(10, partial(self._invoke, begun.client))
