"""Which cacheable things a change touches (DESIGN §5 Invalidate first).

| what happens                      | touched                                                                  |
|-----------------------------------|--------------------------------------------------------------------------|
| create `/a/b`                     | `/a/b` (its absence), names below `/a`, and `/a` itself unless that is a |
|                                   | directory: it will be one                                                |
| create `/a/b` sequentially        | the same but for `/a/b`; absences of such names are never cacheable      |
| write content, ACL, attributes    | the node                                                                 |
| remove `/a/b`                     | the node, names below it, names below `/a`; if that leaves an abandoned  |
|                                   | ephemeral above, the same for it                                         |
| close of an ephemeral             | as remove, if nobody else keeps it open                                  |

Whether `/a` is a directory may change between this look and the moment at which the child is made: another command, on
its way already, may put a file in its place. It would be too late then to invalidate what somebody caches of that file.
So nobody caches it: a file below which something is under way is not cacheable (see `answers`).

`Departures` knows which members of open-sets are about to leave: commands on their way, not yet applied. With commands
applied in the order in which they are proposed, the one that empties an open-set can be told before it is proposed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from chubby.namespace.commands import MachineOperation
from chubby.namespace.nodes import Node
from chubby.paths import ROOT, parent
from chubby.types.nodes import LockOwner, NodeKind
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.transaction import Create, Remove, Write, WriteAcl, WriteAttributes

_SEQUENTIAL_NAME = re.compile(r"[0-9]{10}\Z")

Members = Mapping[str, int]
"""How many members of the open-set of each path leave with the command in question."""


class Nodes(Protocol):
    """What of the machine decides which ephemerals go, and which parents become directories."""

    def node(self, path: str) -> Node | None:
        """The node of that name."""

    def open_count(self, path: str) -> int:
        """How many members the open-set of that ephemeral has."""


def node_key(path: str) -> CacheKey:
    """Content, stat or absence of a node."""
    return CacheKey(path, CacheKind.NODE)


def children_key(path: str) -> CacheKey:
    """The names of a node's children."""
    return CacheKey(path, CacheKind.CHILDREN)


def keys_above(machine: Nodes, path: str) -> tuple[CacheKey, ...]:
    """What is touched above `path` when a node of that name is made: the names there, and a parent that is made a
    directory by it. One that is not there now may come before, as anything.
    """
    above = parent(path)
    node = machine.node(above)
    if node is not None and node.stat.kind is NodeKind.DIRECTORY:
        return (children_key(above),)
    return (children_key(above), node_key(above))


def looks_sequential(path: str) -> bool:
    """Whether a sequential create might make this very name one day: its absence cannot be invalidated in advance."""
    return _SEQUENTIAL_NAME.search(path) is not None


class Departures:
    """Members of open-sets whose leaving is on its way to the log."""

    def __init__(self) -> None:
        """Nobody leaves."""
        self._leaving: dict[str, dict[LockOwner, int]] = {}

    def begin(self, members: Iterable[tuple[str, LockOwner]]) -> None:
        """These members' leaving was proposed."""
        for path, owner in members:
            owners = self._leaving.setdefault(path, {})
            owners[owner] = owners.get(owner, 0) + 1

    def end(self, members: Iterable[tuple[str, LockOwner]]) -> None:
        """That command was applied, or is void."""
        for path, owner in members:
            owners = self._leaving[path]
            owners[owner] -= 1
            if not owners[owner]:
                del owners[owner]
            if not owners:
                del self._leaving[path]

    def count(self, path: str) -> int:
        """How many members are about to leave."""
        return len(self._leaving.get(path, ()))

    def includes(self, path: str, owner: LockOwner) -> bool:
        """Whether this member is about to leave already."""
        return owner in self._leaving.get(path, ())

    def clear(self) -> None:
        """The mastership is over."""
        self._leaving.clear()


def _abandoned(machine: Nodes, departures: Departures, path: str, leaving: Members) -> bool:
    """Whether nobody keeps the node at `path` once those leave: an ephemeral with nobody left in its open-set."""
    node = machine.node(path)
    if node is None or not node.ephemeral:
        return False
    return machine.open_count(path) <= departures.count(path) + leaving.get(path, 0)


def keys_of_removal(
    machine: Nodes, departures: Departures, path: str, leaving: Members | None = None
) -> Iterator[CacheKey]:
    """What the removal of the node at `path` touches, abandoned ephemerals above it included."""
    leaving = leaving or {}
    while path != ROOT:
        yield node_key(path)
        yield children_key(path)
        path = parent(path)
        yield children_key(path)
        if not _abandoned(machine, departures, path, leaving):
            return


def keys_of_leaving(machine: Nodes, departures: Departures, leaving: Members) -> Iterator[CacheKey]:
    """What is touched when these members leave their open-sets."""
    for path in leaving:
        if _abandoned(machine, departures, path, leaving):
            yield from keys_of_removal(machine, departures, path, leaving)


def keys_of_operations(
    machine: Nodes, departures: Departures, operations: Iterable[MachineOperation]
) -> tuple[CacheKey, ...]:
    """What the operations of a branch touch, without repetition, in the order of first mention.

    Operations on open-sets and reads touch nothing.
    """
    found: dict[CacheKey, None] = {}
    for operation in operations:
        for key in _keys_of_operation(machine, departures, operation):
            found[key] = None
    return tuple(found)


def _keys_of_operation(machine: Nodes, departures: Departures, operation: MachineOperation) -> Iterator[CacheKey]:
    if isinstance(operation, Create):
        if not operation.sequential:
            yield node_key(operation.path)
        if operation.path != ROOT:
            yield from keys_above(machine, operation.path)
    elif isinstance(operation, Remove):
        yield from keys_of_removal(machine, departures, operation.path)
    elif isinstance(operation, Write | WriteAcl | WriteAttributes):
        yield node_key(operation.path)
