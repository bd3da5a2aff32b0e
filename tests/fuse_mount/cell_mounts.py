"""Mounts of one fake cell without FUSE: open files over a real synchronous session, and a kernel that takes notes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chubby.client import waiting
from chubby.client.dependant import Drop
from chubby.client.sync import Session, connect
from chubby.client.sync_handle import Handle
from chubby.types.identity import Revision
from chubby.types.nodes import Stat
from chubby.types.stream import CacheKey
from chubby.types.time import SECOND
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.files import Files
from fuse_mount.tenure import Tenure
from tests.client.conftest import GRACE, cut_off, sleep_through
from tests.client.fake_cell import FakeCell
from tests.client.fake_network import ADDRESSES, FakeNetwork
from tests.client.test_sync import until

READ, WRITE, BOTH = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
APPEND = os.O_WRONLY | os.O_APPEND
LEASE = 600
"""Seconds of every lease: none runs out by itself, however slow the machine is."""
DEADLINE = 30.0
"""Seconds in which anything that is going to happen has happened."""


def connected(cell: FakeCell, drop: Drop | None = None, timeout: float = DEADLINE) -> Session:
    """A session over a network of its own."""
    return connect("/ls/local", addresses=ADDRESSES, network=lambda: FakeNetwork(cell), timeout=timeout, dependant=drop)


def expire(session: Session) -> None:
    """It loses its cell for longer than its lease and the grace period."""

    def act() -> None:
        cut_off(session._seam.session)
        for seconds in (LEASE * 1.1, GRACE):
            sleep_through(session._seam.session, seconds)

    session._seam.on_loop(act)
    until(lambda: session.state.final)


def network_of(session: Session) -> FakeNetwork:
    """The way to the cell."""
    network = session._seam.session._driver.network
    assert isinstance(network, FakeNetwork)
    return network


class Mount:
    """One mount's open files. `dropped` are the names of which the kernel was told to forget the pages."""

    def __init__(self, cell: FakeCell) -> None:
        self.cell = cell
        self.dropped: list[str] = []
        self.made: list[Revision] = []
        self.free = threading.Event()
        self.free.set()
        self.files = Files(self.dropped.append, self.made.append)
        self.session = connected(cell, self._invalidated)
        self.tenure = Tenure(1, self.session)

    def _invalidated(self, keys: tuple[CacheKey, ...] | None) -> None:
        assert self.free.wait(DEADLINE)

    def open(self, path: str, flags: int = READ) -> int:
        """The number of a new open file."""
        return self.files.open(self.tenure, path, path, flags).file

    def create(self, path: str, flags: int = WRITE) -> int:
        """The same of one that is made."""
        return self.files.create(self.tenure, path, path, flags | os.O_CREAT, {}).file

    def read(self, number: int) -> bytes:
        """All of it."""
        return self.files.read(number, 1 << 20, 0)

    def close(self, number: int) -> None:
        """The last descriptor is closed."""
        try:
            self.files.flush(number)
        finally:
            self.files.release(number)

    def wrote(self, path: str, data: bytes, flags: int = WRITE | os.O_TRUNC) -> None:
        """Open, write, close."""
        number = self.open(path, flags)
        self.files.write(number, data, 0)
        self.close(number)

    def news(self, path: str) -> None:
        """The watch has told of a change: what is open is shown as it is."""
        contents, stat = self.tenure.reader.contents(path)
        self.files.adopt(self.tenure, path, contents, stat)

    def end(self) -> None:
        """Everything is over."""
        self.free.set()
        self.tenure.close()


Another = Callable[[], Mount]
"""Makes one more mount of the same cell."""


@contextmanager
def mounts(cell: FakeCell) -> Iterator[Another]:
    """Gives mounts, which end with the block."""
    made: list[Mount] = []

    def another() -> Mount:
        made.append(Mount(cell))
        return made[-1]

    try:
        yield another
    finally:
        for mount in made:
            mount.free.set()
        for mount in made:
            mount.end()


@pytest.fixture
def cell() -> FakeCell:
    """One with a file."""
    cell = FakeCell(session_lease=LEASE * SECOND, cache_lease=LEASE * SECOND)
    put(cell, "/a", b"first\n")
    return cell


@pytest.fixture
def another(cell: FakeCell) -> Iterator[Another]:
    """Gives mounts of the cell."""
    with mounts(cell) as made:
        yield made


@pytest.fixture
def mount(another: Another) -> Mount:
    """One of them."""
    return another()


def put(cell: FakeCell, path: str, contents: bytes, ephemeral: bool = False) -> None:
    """Before any session looks: a node is there."""
    assert cell.tree.transact((), (Create(path, contents, ephemeral=ephemeral),)).succeeded


def behind(cell: FakeCell, *operations: Create | Remove | Write) -> None:
    """Something changes in the cell, of which no watch has told yet: in a session of its own, which is waited for."""
    with connected(cell) as session:
        assert session.transaction((), operations).succeeded


def contents(cell: FakeCell, path: str = "/a") -> bytes:
    """What the cell has."""
    return cell.tree.nodes[path].contents


def refused(number: int) -> pytest.RaisesExc[OSError]:
    """An OSError with that errno."""
    return pytest.RaisesExc(OSError, check=lambda error: error.errno == number)


class Interrupt:
    """What a thread heeds: `now` interrupts it, when it waits next."""

    def __init__(self) -> None:
        self.now = threading.Event()

    def check(self) -> None:
        """As the binding's does."""
        if self.now.is_set():
            raise InterruptedError(4, "the caller was interrupted")


@contextmanager
def heeding(interrupt: Interrupt) -> Iterator[None]:
    """Within it this thread can be interrupted."""
    waiting.heed(interrupt.check)
    try:
        yield
    finally:
        waiting.heed(None)


class Doing:
    """Something that is done in a thread of its own."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self.result: object = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._action()
        except BaseException as error:
            self.error = error

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def ended(self) -> BaseException | None:
        """Wait for its end; what it raised."""
        self._thread.join(DEADLINE)
        assert self.done, "it never ended"
        return self.error


class Gate:
    """Every SetContents of the process stops here until it is opened; `before`: before it is sent, else after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: bool = True) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        self.failures: list[BaseException] = []
        self.calls = 0
        original = Handle.set_contents

        def gated(handle: Handle, data: bytes, *, generation: int | None = None, timeout: float | None = None) -> Stat:
            self.calls += 1
            stat = None if before else original(handle, data, generation=generation)
            self.reached.set()
            assert self.open.wait(DEADLINE)
            if self.failures:
                raise self.failures.pop(0)
            return stat or original(handle, data, generation=generation)

        monkeypatch.setattr(Handle, "set_contents", gated)
