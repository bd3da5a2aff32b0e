"""ZooKeeper by kazoo: its blocking calls in threads, and its asynchronous ones with callbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.recipe.lock import Lock as Recipe

from bench.load.client import Client, Driver, Lock, Unsupported, batches, directories
from bench.load.engines import CallbackAct, CallbackEngine, Outcome, ThreadAct, ThreadEngine

TIMEOUT = 10.0
"""Seconds of a session's timeout, kazoo's default."""
ROOT = "/bench"
BATCH = 500
"""Nodes that are made in one transaction."""


class _Kazoo:
    """What both ways have in common."""

    def __init__(self, endpoints: Sequence[str]) -> None:
        self.kazoo = KazooClient(hosts=",".join(endpoints), timeout=TIMEOUT, randomize_hosts=False)
        self.kazoo.start(timeout=30)
        self.kazoo.ensure_path(ROOT)
        self._watches: list[tuple[str, Callable[[], object]]] = []

    def make(self, name: str) -> str:
        """The path of a node that is there now."""
        path = f"{ROOT}/{name}"
        with suppress(NodeExistsError):
            self.kazoo.create(path, b"")
        return path

    async def watch(self, name: str, told: Callable[[], object]) -> None:
        """See `Client`."""
        self._watches.append((f"{ROOT}/{name}", told))
        self._set(*self._watches[-1])

    async def fill(self, nodes: int, value: bytes) -> None:
        """See `Client`: transactions; a directory that is there is full."""
        self.kazoo.ensure_path(f"{ROOT}/full")
        for numbers in directories(nodes):
            top = f"{ROOT}/full/{numbers.start}"
            if self.kazoo.exists(top) is None:
                self.kazoo.create(top)
                for batch in batches(numbers, BATCH):
                    request = self.kazoo.transaction()
                    for number in batch:
                        request.create(f"{top}/{number}", value)
                    request.commit()

    async def renew(self) -> None:
        """See `Client`: a watch holds for one event."""
        for path, told in self._watches:
            self._set(path, told)

    def _set(self, path: str, told: Callable[[], object]) -> None:
        self.kazoo.get(path, watch=lambda _: told())

    async def close(self) -> None:
        """See `Client`."""
        self.kazoo.stop()
        self.kazoo.close()


class ThreadClient(_Kazoo):
    """Calls that block."""

    async def writer(self, name: str, value: bytes) -> ThreadAct:
        """See `Client`."""
        path = self.make(name)
        return lambda: self.kazoo.set(path, value)

    async def reader(self, name: str) -> ThreadAct:
        """See `Client`: a sync, and behind it on the same connection the read."""
        path = f"{ROOT}/{name}"

        def read() -> None:
            synced, got = self.kazoo.sync_async(path), self.kazoo.get_async(path)
            synced.get()
            got.get()

        return read

    async def near_reader(self, name: str) -> ThreadAct:
        """See `Client`: from the member one is connected to, which may be behind."""
        path = f"{ROOT}/{name}"
        return lambda: self.kazoo.get(path)

    async def lock(self, name: str) -> Lock[ThreadAct]:
        """See `Client`: kazoo's recipe."""
        recipe = Recipe(self.kazoo, f"{ROOT}/locks/{name}")

        def cycle() -> None:
            recipe.acquire()
            recipe.release()

        return Lock(recipe.acquire, recipe.release, cycle)


class CallbackClient(_Kazoo):
    """Calls that return at once."""

    async def writer(self, name: str, value: bytes) -> CallbackAct:
        """See `Client`."""
        path = self.make(name)

        def begin(ended: Callable[[Outcome], object]) -> None:
            self.kazoo.set_async(path, value).rawlink(ended)

        return begin

    async def reader(self, name: str) -> CallbackAct:
        """See `Client`: a sync, and behind it on the same connection the read."""
        path = f"{ROOT}/{name}"

        def begin(ended: Callable[[Outcome], object]) -> None:
            self.kazoo.sync_async(path)
            self.kazoo.get_async(path).rawlink(ended)

        return begin

    async def near_reader(self, name: str) -> CallbackAct:
        """See `Client`: from the member one is connected to, which may be behind."""
        path = f"{ROOT}/{name}"

        def begin(ended: Callable[[Outcome], object]) -> None:
            self.kazoo.get_async(path).rawlink(ended)

        return begin

    async def lock(self, name: str) -> Lock[CallbackAct]:
        """See `Client`: kazoo's locks block."""
        raise Unsupported("kazoo has no asynchronous locks")


async def connect_threads(endpoints: Sequence[str]) -> Client[ThreadAct]:
    """A session with the first endpoint that answers."""
    return ThreadClient(endpoints)


async def connect_callbacks(endpoints: Sequence[str]) -> Client[CallbackAct]:
    """The same, for asynchronous calls."""
    return CallbackClient(endpoints)


THREADS = Driver(connect_threads, ThreadEngine())
CALLBACKS = Driver(connect_callbacks, CallbackEngine())
