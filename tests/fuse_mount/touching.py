"""What touches a mount for those who watch it, without a mount: the truth, what the kernel knows, and a hand that notes
what it is told.
"""

from __future__ import annotations

import stat as posix
from collections.abc import Iterator

import pytest

from chubby.errors import NoNode
from chubby.types.events import Event, EventKind
from fuse_mount.filesystem import Attributes
from fuse_mount.hand import Hand
from fuse_mount.touches import OwnRevisions, Toucher
from tests.client.test_sync import until

WORKER = 4711
DIRECTORY: Attributes = {"st_mode": posix.S_IFDIR | 0o755}
FILE: Attributes = {"st_mode": posix.S_IFREG | 0o644}


class FakeHand(Hand):
    """Notes what it is told; `failures` come of it. `inside`: what the kernel would ask for meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str, str]] = []
        self.failures: list[Exception] = []
        self.inside: dict[str, object] = {}

    @property
    def process(self) -> int:
        """See `Hand`."""
        return WORKER

    def do(self, what: str, path: str, directory: str = "", proof: int = 0) -> None:
        """See `Hand`."""
        self.told.append((what, path, directory))
        inside = self.inside.get(what)
        if callable(inside):
            inside()
        if self.failures:
            raise self.failures.pop(0)


class Bench:
    """A toucher whose kernel knows `known`, of a mount that shows `truth`; `asker` makes the present request."""

    def __init__(self) -> None:
        self.known = {"/"}
        self.truth: dict[str, Attributes] = {}
        self.asker = 0
        self.own = OwnRevisions()
        self.used: set[str] = set()
        self.toucher = Toucher(
            lambda: self.asker, lambda name: name in self.known, self._truth, self.own, self.used.__contains__
        )
        self.hand = FakeHand()
        self.toucher._hand = self.hand
        self._revision = 0

    def _truth(self, name: str) -> Attributes:
        if name not in self.truth:
            raise NoNode(name)
        return self.truth[name]

    def tell(self, name: str, kind: EventKind, own: bool = False) -> None:
        """An event."""
        self._revision += 1
        if own:
            self.own.add(self._revision)
        self.toucher.put(name, Event(kind, name, revision=self._revision))

    def done(self, count: int) -> list[tuple[str, str]]:
        """Until so many touches were made."""
        until(lambda: len(self.hand.told) >= count)
        return [(what, path) for what, path, _ in self.hand.told]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """One, at work."""
    made = Bench()
    made.toucher.start("/mnt")
    yield made
    made.toucher.end()
    made.toucher._thread.join(30)
