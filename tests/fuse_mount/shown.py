"""One cell as a file system, without FUSE: what a mount serves, over a real session with a cell in memory.

The test asks what the kernel would ask. Others are other clients of the same cell. `MeddledCell` has something happen
just before a certain kind of call is carried out: that is how a node is deleted and made again at every point.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from chubby import Handle, Session
from chubby.client.dependant import Drop
from chubby.client.sync import connect
from chubby.errors import ChubbyError, Failure
from chubby.types.calls import Call
from chubby.types.nodes import Stat
from chubby.types.stream import CallFrame, ClientFrame, Reply
from chubby.types.time import Instant
from chubby.types.transaction import Create, Operation, Remove
from fuse_mount.attributes import View
from fuse_mount.cell_files import CellFiles
from fuse_mount.errnos import errno_of
from fuse_mount.filesystem import Caller
from tests.client.conftest import lose
from tests.client.fake_cell import FakeCell, FakeStream
from tests.client.fake_network import ADDRESSES, FakeNetwork

USER, GROUP = 1000, 100
CALLER = Caller(USER, GROUP, os.getpid())
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
"""What a shell opens a file with to write it."""
TIMEOUT = 30.0
"""Seconds in which a session is opened; generous."""


class MeddledCell(FakeCell):
    """A cell with somebody else in it, who is quick."""

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[type, list[Sequence[Operation]]] = {}
        self._refusals: dict[type, list[Failure]] = {}

    def before(self, kind: type[Call], *operations: Operation) -> None:
        """Have these done just before the next call of that kind; asked for again, before the one after it."""
        self._before.setdefault(kind, []).append(operations)

    def refuse(self, kind: type[Call], failure: Failure) -> None:
        """Have the next call of that kind fail."""
        self._refusals.setdefault(kind, []).append(failure)

    def receive(self, stream: FakeStream, frames: Sequence[ClientFrame], now: Instant) -> None:
        """See FakeCell. The call waits for what comes before it, which waits for caches as any change does."""
        for frame in frames:
            kind = type(frame.call) if isinstance(frame, CallFrame) else CallFrame
            if due := self._before.get(kind):
                self._meddle(due.pop(0), stream, frame, now)
            elif isinstance(frame, CallFrame) and (refusals := self._refusals.get(kind)):
                self.send(stream, Reply(frame.number, refusals.pop(0)))
            else:
                super().receive(stream, (frame,), now)

    def _meddle(self, operations: Sequence[Operation], stream: FakeStream, frame: ClientFrame, now: Instant) -> None:
        def run(at: Instant) -> None:
            assert self.tree.transact((), operations).failure is None, "they can be done"
            super(MeddledCell, self).receive(stream, (frame,), at)

        self.change(None, self.tree.keys_of(operations), run, now)


class FakeMounted:
    """What is told to the kernel. It knows the names in `known`; `asker` makes the present request."""

    def __init__(self, directory: str = "/nowhere") -> None:
        self.directory = directory
        self.known: set[str] = set()
        self.dropped: list[str] = []
        self.asker = 0

    def invalidate(self, path: str) -> bool:
        """See `Mounted`."""
        self.dropped.append(path)
        return path in self.known

    def requester(self) -> int:
        """See `Mounted`."""
        return self.asker

    def unmount(self) -> None:
        """See `Mounted`."""


class Shown:
    """A cell and its files; `sessions` are those that the files have had."""

    def __init__(self, cell: FakeCell | None = None, number: int = 0, prefix: str = "", timeout: float = 15.0) -> None:
        self.cell = MeddledCell() if cell is None else cell
        self.sessions: list[Session] = []
        self.files = CellFiles("here", self._connect, View(USER, GROUP, number), prefix=prefix, timeout=timeout)
        self.other: Session | None = None
        self._forgotten = 0

    def _connect(self, drop: Drop, timeout: float) -> Session:
        made = connect(
            "/ls/local", addresses=ADDRESSES, network=lambda: FakeNetwork(self.cell), timeout=timeout, dependant=drop
        )
        self.sessions.append(made)
        return made

    @property
    def meddled(self) -> MeddledCell:
        """The cell, for who meddles."""
        assert isinstance(self.cell, MeddledCell)
        return self.cell

    def close(self) -> None:
        """End everything."""
        self.files.close()
        if self.other is not None:
            self.other.close()

    def lose_session(self) -> None:
        """The present session expires."""
        seam = self.sessions[-1]._seam
        seam.on_loop(lambda: lose(seam.session))

    # ------------------------------------------------------------------------------------------------ others

    @property
    def elsewhere(self) -> Session:
        """Another client of the cell."""
        if self.other is None:
            self.other = connect("/ls/local", addresses=ADDRESSES, network=lambda: FakeNetwork(self.cell))
        return self.other

    def put(self, path: str, contents: bytes = b"") -> None:
        """Somebody else writes a node, which is made if need be."""
        with self.elsewhere.open(path, create=True) as handle:
            handle.set_contents(contents)

    def make_directory(self, path: str) -> None:
        """Somebody else makes a directory, or of a node one, by a child that is taken away again."""
        with self.elsewhere.open(path, create=True), self.elsewhere.open(f"{path}/child", create=True) as child:
            child.delete()

    def delete(self, path: str) -> None:
        """Somebody else deletes a node."""
        with self.elsewhere.open(path) as handle:
            handle.delete()

    def at(self, path: str) -> Handle:
        """A handle of somebody else's, closed with their session."""
        return self.elsewhere.open(path)

    def stat(self, path: str) -> Stat:
        """What the cell has."""
        return self.cell.tree.nodes[path].stat()

    def contents(self, path: str) -> bytes:
        """What the cell has."""
        return self.cell.tree.nodes[path].contents

    def there(self, path: str) -> bool:
        """Whether the cell has a node of that name."""
        return path in self.cell.tree.nodes

    # ------------------------------------------------------------------------------------------------ programs

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """open(2) of what is there."""
        return self.files.open(path, flags, CALLER).file

    def create(self, path: str, flags: int = FLAGS, mode: int = 0o644) -> int:
        """open(2) with O_CREAT of what is not there."""
        return self.files.create(path, flags, mode, CALLER).file

    def close_file(self, file: int) -> None:
        """close(2) of the last descriptor."""
        try:
            self.files.flush(file)
        finally:
            self.files.release(file)

    def write(self, path: str, data: bytes, flags: int = FLAGS) -> None:
        """A shell's `>`."""
        file = self.open(path, flags) if self.exists(path) else self.create(path, flags)
        self.files.write(file, data, 0)
        self.close_file(file)

    def exists(self, path: str) -> bool:
        """What `test -e` says."""
        try:
            self.files.getattr(path)
        except (OSError, ChubbyError) as error:
            assert errno_of(error) in (errno.ENOENT, errno.ENOTDIR)
            return False
        return True

    def read(self, path: str) -> bytes:
        """What `cat` shows."""
        file = self.open(path)
        try:
            return self.all_of(file)
        finally:
            self.close_file(file)

    def all_of(self, file: int) -> bytes:
        """What an open file shows."""
        return self.files.read(file, 1 << 20, 0)

    def ls(self, path: str) -> list[str]:
        """The names in a directory."""
        return [name for name, _ in self.files.readdir(path)]

    def size(self, path: str) -> int:
        """Bytes."""
        return self.files.getattr(path)["st_size"]

    # ------------------------------------------------------------------------------------------------ counting

    def forget(self) -> None:
        """Count from now on."""
        self._forgotten = len(self.cell.received)

    def calls(self) -> Counter[str]:
        """What this mount and others have called since, by kind; how handles go is left out, which takes its time."""
        frames = self.cell.received[self._forgotten :]
        names = (type(frame.call).__name__ for frame in frames if isinstance(frame, CallFrame))
        return Counter(name for name in names if name != "Close")


def remade(path: str, contents: bytes = b"") -> tuple[Operation, Operation]:
    """Delete a node and make it again."""
    return Remove(path), Create(path, contents)


@contextmanager
def refused(number: int) -> Iterator[None]:
    """The block ends with an error that programs see as this errno."""
    with pytest.raises((OSError, ChubbyError)) as caught:
        yield
    found = errno_of(caught.value)
    assert found == number, f"{errno.errorcode[found]} instead of {errno.errorcode[number]}: {caught.value}"


@contextmanager
def shown(cell: FakeCell | None = None, **options: object) -> Iterator[Shown]:
    """A cell, shown; closed in the end."""
    made = Shown(cell, **options)  # type: ignore[arg-type]  # passed on as they are
    made.files.start()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(name="here")
def shown_fixture() -> Iterator[Shown]:
    """A cell, shown."""
    with shown() as made:
        yield made
