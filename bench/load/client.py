"""What workloads are written against: a client, an engine that runs what the client can do, and the two together.

An *act* is one operation, ready to be run again and again; what kind of thing that is depends on how the client is
used: something to await, something that blocks, something that calls back. Only engines look into it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from bench.load.sample import Record

A = TypeVar("A")
"""The kind of act."""
A_contra = TypeVar("A_contra", contravariant=True)


DIRECTORY = 1000
"""Nodes in each directory that `fill` makes."""


def directories(nodes: int) -> list[range]:
    """The numbers of the nodes in each directory."""
    return [range(first, min(first + DIRECTORY, nodes)) for first in range(0, nodes, DIRECTORY)]


def batches(numbers: range, size: int) -> list[range]:
    """The same in parts of at most that size."""
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


class Lock(msgspec.Struct, Generic[A], frozen=True):
    """A lock of one client: take it, waiting in line; give it back; both, one after the other."""

    acquire: A
    release: A
    cycle: A


class Client(Protocol[A]):
    """A connection of its own to a system. What it makes is made before the clock runs, and may take its time."""

    async def writer(self, name: str, value: bytes) -> A:
        """Replace the content of a node, which is made if need be."""
        ...

    async def reader(self, name: str) -> A:
        """Read a node so that no earlier write can be missed."""
        ...

    async def near_reader(self, name: str) -> A:
        """Read a node in the cheapest way that the client has: from its cache, or from a member that may be behind."""
        ...

    async def lock(self, name: str) -> Lock[A]:
        """A lock, by what the client has for locks."""
        ...

    async def watch(self, name: str, told: Callable[[], object]) -> None:
        """Have `told` called, in any thread, after each write to a node that is there."""
        ...

    async def renew(self) -> None:
        """Set those watches again that hold for one write only."""
        ...

    async def fill(self, nodes: int, value: bytes) -> None:
        """Have so many nodes of that content, a thousand in a directory, in as few steps as the system allows."""
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


class Engine(Protocol[A_contra]):
    """Runs acts."""

    async def repeat(self, acts: Sequence[A_contra], seconds: float) -> Record:
        """Each over and over, all at once, for so long."""
        ...

    async def once(self, acts: Sequence[A_contra]) -> None:
        """Each once, all at once; raises what one raises."""
        ...


class Driver(msgspec.Struct, Generic[A], frozen=True):
    """A way to use a system: how to connect to an endpoint (or, of those, to whom it likes), and what runs the acts."""

    connect: Callable[[Sequence[str]], Awaitable[Client[A]]]
    engine: Engine[A]


class Unsupported(Exception):
    """The client has nothing for this."""
