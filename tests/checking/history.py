"""What clients saw: operations with the instants at which they were invoked and answered.

An operation has one of three fates. *Answered*: it took effect at one instant between `invoked` and `returned`, and
`result` is what its client was told. *Unknown* (`returned` None): it took effect at some instant after `invoked`, or
never will. *Failed*: it certainly took no effect, so it is not in the history at all; a refusal that says something of
the state (a lost compare-and-set, an absent node) is an answer, not a failure.

One operation precedes another if it returned strictly before the other was invoked; all else is concurrent. Instants
are any integers that order what happened.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

C = TypeVar("C")
R = TypeVar("R")

Keys = tuple[str, ...]
"""What an operation is about, in order of names: one node, or the several of a transaction."""

ONE_KEY: Keys = ("",)
"""For histories of a single object, which needs no name."""


class Unknown(enum.Enum):
    """The result of an operation whose outcome nobody was told."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown.UNKNOWN


class Malformed(ValueError):
    """This cannot have been seen by anyone: the recording is wrong, not the system."""


class Operation(msgspec.Struct, Generic[C, R], frozen=True, gc=False):
    """One operation of one client.

    `made` is the revision that it made, if it was told one; `saw` the revision that made the state which it was told.
    """

    client: str
    call: C
    invoked: int
    returned: int | None = None
    result: R | Unknown = UNKNOWN
    keys: Keys = ONE_KEY
    made: int | None = None
    saw: int | None = None

    @property
    def known(self) -> bool:
        """Whether its client was answered."""
        return self.returned is not None

    def precedes(self, other: Operation[C, R]) -> bool:
        """Whether it was over before the other began."""
        return self.returned is not None and self.returned < other.invoked

    def line(self) -> str:
        """The operation in one line, for a human."""
        about = "" if self.keys == ONE_KEY else f"{' '.join(self.keys)}: "
        end = "..." if self.returned is None else str(self.returned)
        return f"{self.client} [{self.invoked}, {end}] {about}{self.call!r} -> {self.result!r}"


class History(Generic[C, R]):
    """Operations in order of invocation. Raises Malformed for what cannot be a history."""

    def __init__(self, operations: Iterable[Operation[C, R]]) -> None:
        self.operations = tuple(sorted(operations, key=_by_invocation))
        for operation in self.operations:
            _check_operation(operation)
        _check_clients(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def partition(self) -> dict[Keys, History[C, R]]:
        """The history of each group of keys that operations tie together, in order of names.

        Linearizability is local: a history is linearizable if, and only if, that of each object is. Keys that are
        ever named by one operation count as one object.
        """
        groups = _groups(self.operations)
        parts: dict[Keys, list[Operation[C, R]]] = {group: [] for group in sorted(set(groups.values()))}
        for operation in self.operations:
            parts[groups[operation.keys[0]]].append(operation)
        return {group: History(operations) for group, operations in parts.items()}


def _by_invocation(operation: Operation[C, R]) -> int:
    return operation.invoked


def _check_operation(operation: Operation[C, R]) -> None:
    if not operation.keys:
        raise Malformed(f"about nothing: {operation.line()}")
    if operation.returned is None:
        if operation.result is not UNKNOWN:
            raise Malformed(f"a result without an answer: {operation.line()}")
        return
    if operation.result is UNKNOWN:
        raise Malformed(f"an answer without a result: {operation.line()}")
    if operation.returned < operation.invoked:
        raise Malformed(f"answered before it was invoked: {operation.line()}")


def _check_clients(operations: tuple[Operation[C, R], ...]) -> None:
    """A client does one thing at a time; one that was not answered goes on when it has given up."""
    latest: dict[str, Operation[C, R]] = {}
    for operation in operations:
        before = latest.get(operation.client)
        if before is not None and before.returned is not None and before.returned >= operation.invoked:
            raise Malformed(f"two at a time: {before.line()} and {operation.line()}")
        if operation.known or before is None:
            latest[operation.client] = operation


def _groups(operations: tuple[Operation[C, R], ...]) -> dict[str, Keys]:
    """Each key's group: what is connected by operations about several keys."""
    above: dict[str, str] = {}

    def top(key: str) -> str:
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    for operation in operations:
        for key in operation.keys:
            above[top(key)] = top(operation.keys[0])
    members: dict[str, list[str]] = {}
    for key in sorted(above):
        members.setdefault(top(key), []).append(key)
    return {key: tuple(group) for group in members.values() for key in group}


class HistoryBuilder(Generic[C, R]):
    """Takes down what happens, as it happens. Whatever is neither answered nor failed in the end is unknown."""

    def __init__(self) -> None:
        self._open: dict[int, Operation[C, R]] = {}
        self._answered: list[Operation[C, R]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._answered)

    def invoke(self, client: str, call: C, at: int, keys: Keys = ONE_KEY) -> int:
        """A client begins. The number names the operation from now on."""
        self._count += 1
        self._open[self._count] = Operation(client, call, at, keys=tuple(sorted(set(keys))))
        return self._count

    def answer(self, number: int, result: R, at: int, made: int | None = None, saw: int | None = None) -> None:
        """The client was told what came of it."""
        begun = self._open.pop(number)
        self._answered.append(msgspec.structs.replace(begun, returned=at, result=result, made=made, saw=saw))

    def fail(self, number: int) -> None:
        """The client was told that it took no effect, and nothing else."""
        del self._open[number]

    def history(self) -> History[C, R]:
        """What was seen so far. Raises Malformed."""
        return History([*self._answered, *self._open.values()])
