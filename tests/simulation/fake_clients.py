"""Clients whose calls are answered by hand, for tests of what is taken down of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from chubby.client.session_core import SessionCore
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Call, CreateMode, Open
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.results import Answer, Opened
from tests.simulation.clients import ClientHost
from tests.simulation.histories import Chronicle
from tests.simulation.world import Clock, World


class FakeCore:
    """A session whose lease runs as long as it is told."""

    def __init__(self) -> None:
        self.lasts = True

    def certain(self, now: int) -> bool:
        """Whether the session lease runs."""
        return self.lasts


class FakeClient:
    """A client whose calls are answered by hand."""

    def __init__(self, world: World, chronicle: Chronicle, place: str) -> None:
        self.place = place
        self.alive = True
        self.fake = FakeCore()
        self.core = cast(SessionCore, self.fake)
        self.clock = Clock(world, 0, world.stream(place))
        self.on_call: Callable[[Call, Callable[[Answer], None]], Callable[[Answer], None]] = lambda call, done: done
        self.told: list[Answer] = []
        chronicle.follow(cast(ClientHost, self))

    def begin(self, call: Call) -> Callable[[Answer], None]:
        """Make a call; the result takes the answer."""
        return self.on_call(call, self.told.append)

    def call(self, call: Call, answer: Answer) -> None:
        """Make a call that is answered at once."""
        self.begin(call)(answer)


class Stage:
    """Two clients, c1 with handle 1 on `/a` (instance 7)."""

    def __init__(self) -> None:
        self.world = World(1)
        self.chronicle = Chronicle(self.world)
        self.one = FakeClient(self.world, self.chronicle, "c1")
        self.two = FakeClient(self.world, self.chronicle, "c2")
        self.one.call(Open(1, "/a", create=CreateMode.MAY), opened("/a", created=True))

    def seen(self) -> list[tuple[object, object]]:
        """Calls and results on nodes, but for the first creation."""
        return [(each.call, each.result) for each in self.chronicle.nodes.history().operations[1:]]

    def lock_seen(self) -> list[tuple[object, object]]:
        """Calls and results on locks."""
        return [(each.call, each.result) for each in self.chronicle.locks.history().operations]


def stat(instance: int = 7, generation: int = 1, modified: int = 100) -> Stat:
    """Metadata of a node."""
    return Stat(
        kind=NodeKind.FILE,
        ephemeral=False,
        instance=instance,
        content_generation=generation,
        acl_generation=1,
        checksum=0,
        length=0,
        created=100,
        modified=modified,
        created_ms=0,
        modified_ms=0,
        acl=AclNames("", "", ""),
    )


def opened(path: str, created: bool = False, instance: int = 7) -> Opened:
    """An answer to Open."""
    return Opened(b"", path, created, stat(instance))


def refused(code: ErrorCode) -> Failure:
    """A failure of this kind."""
    return Failure(code, "no")
