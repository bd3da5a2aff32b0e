"""The locks of two mounts against a real cell: what the fakes of the other tests promise, the cell and its client keep.

Two `Locks` on two sessions of one replica. After each story the cell's own list says what is held and waited for.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

import chubby
from chubby.errors import HandleInvalid
from chubby.types.nodes import LockMode
from fuse_mount.grips import Node
from fuse_mount.locks import Locks
from fuse_mount.obstacles import Obstacle
from fuse_mount.ranges import WHOLE
from tests.fuse_mount.lock_service import Call, wait_for
from tests.integration.cells import Cell, running_cell

EXCLUSIVE, SHARED = LockMode.EXCLUSIVE, LockMode.SHARED
MANY = 200
_names = count()


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """One replica."""
    with running_cell(tmp_path_factory.mktemp("cell"), replicas=1) as running:
        yield running


class Mount:
    """One session and its locks."""

    def __init__(self, cell: Cell) -> None:
        self.session = cell.connect()
        self.locks = Locks(self._open)

    def _open(self, path: str, instance: int) -> chubby.Handle:
        handle = self.session.open(f"/ls/test{path}")
        if handle.instance != instance:
            handle.close()
            raise HandleInvalid("another node of that name")
        return handle


@pytest.fixture
def here(cell: Cell) -> Iterator[Mount]:
    """A mount."""
    mount = Mount(cell)
    with mount.session:
        yield mount


@pytest.fixture
def there(cell: Cell) -> Iterator[Mount]:
    """Another one."""
    mount = Mount(cell)
    with mount.session:
        yield mount


@pytest.fixture
def node(here: Mount) -> Node:
    """A file of its own for each test."""
    with here.session.open(f"/ls/test/f{next(_names)}", create=True) as handle:
        return Node(handle.path, handle.instance)


def crowd(mount: Mount, node: Node) -> tuple[int, int]:
    """How many hold, how many wait, says the cell."""
    for info in mount.session.locks():
        if info.path == node.path:
            return len(info.holders), len(info.waiters)
    return 0, 0


def settles(mount: Mount, node: Node, holders: int, waiters: int) -> None:
    """Wait until so many hold and wait."""
    wait_for(lambda: crowd(mount, node) == (holders, waiters))


def test_a_lock_goes_from_mount_to_mount(here: Mount, there: Mount, node: Node) -> None:
    """flock here, fcntl there; each has a greater token than the one before."""
    here.locks.flock(node, 1, 10, EXCLUSIVE, True)
    first = here.locks.held(node, 10)
    with pytest.raises(BlockingIOError):
        there.locks.lock(node, 1, 200, 20, SHARED, WHOLE, False)
    assert there.locks.test(node, 200, 20, SHARED) == Obstacle(EXCLUSIVE)
    waiter = Call(lambda: there.locks.lock(node, 1, 200, 20, EXCLUSIVE, WHOLE, True))
    settles(here, node, 1, 1)
    here.locks.unflock(node, 1)
    waiter.end()
    second = there.locks.held(node, 20)
    assert first is not None
    assert second is not None
    assert second.token > first.token
    there.locks.drop_file(1)
    assert crowd(here, node) == (0, 0)


def test_conversions(here: Mount, there: Mount, node: Node) -> None:
    """Up and down, alone and with another reader."""
    here.locks.flock(node, 1, 10, SHARED, True)
    here.locks.flock(node, 1, 10, EXCLUSIVE, False)
    here.locks.flock(node, 1, 10, SHARED, True)
    there.locks.flock(node, 1, 20, SHARED, False)
    with pytest.raises(BlockingIOError):
        here.locks.flock(node, 1, 10, EXCLUSIVE, False)
    assert crowd(here, node) == (2, 0)
    writer = Call(lambda: here.locks.flock(node, 1, 10, EXCLUSIVE, True))
    settles(here, node, 1, 1)
    there.locks.unflock(node, 1)
    writer.end()
    assert crowd(here, node) == (1, 0)


def test_many_waiters_and_half_of_them_killed(here: Mount, there: Mount, node: Node) -> None:
    """Nobody freezes, no ghost stays in line, and each of the others gets its turn."""
    here.locks.flock(node, 1, 1, EXCLUSIVE, True)

    def take(file: int) -> None:
        there.locks.flock(node, file, file, EXCLUSIVE, True)
        there.locks.drop_file(file)

    waiters = [Call(partial(take, file)) for file in range(10, 10 + MANY)]
    settles(here, node, 1, MANY)
    for waiter in waiters[::2]:
        waiter.interrupt()
    for waiter in waiters[::2]:
        with pytest.raises(InterruptedError):
            waiter.end()
    settles(here, node, 1, MANY // 2)
    here.locks.drop_file(1)
    for waiter in waiters[1::2]:
        waiter.end()
    settles(here, node, 0, 0)
    wait_for(lambda: there.locks.count == 0)


def test_interruptions_in_the_moment_of_the_grant(here: Mount, there: Mount, node: Node) -> None:
    """Whichever comes first: who was told that it has the lock has it, who was not leaves nothing."""
    for turn in range(40):
        here.locks.flock(node, 1, 1, EXCLUSIVE, True)
        waiter = Call(partial(there.locks.flock, node, 100 + turn, 5, EXCLUSIVE, True))
        settles(here, node, 1, 1)
        waiter.interrupt()
        here.locks.unflock(node, 1)
        if waiter.exception(30) is None:
            assert crowd(here, node) == (1, 0)
        there.locks.drop_file(100 + turn)
        settles(here, node, 0, 0)


def test_a_node_that_is_deleted(here: Mount, there: Mount, node: Node) -> None:
    """Its waiters are told, and nobody locks its successor by mistake."""
    here.locks.flock(node, 1, 1, EXCLUSIVE, True)
    waiter = Call(lambda: there.locks.flock(node, 1, 2, EXCLUSIVE, True))
    settles(here, node, 1, 1)
    with here.session.open(f"/ls/test{node.path}") as handle:
        handle.delete()
    with pytest.raises(OSError, match="Stale"):
        waiter.end()
    with here.session.open(f"/ls/test{node.path}", create=True):
        with pytest.raises(OSError, match="Stale"):
            there.locks.flock(node, 1, 2, EXCLUSIVE, True)
        assert crowd(here, node) == (0, 0)
    here.locks.drop_file(1)


def test_a_session_that_ends(here: Mount, there: Mount, node: Node) -> None:
    """Its waiters end with EIO, its locks are another's."""
    there.locks.flock(node, 1, 1, EXCLUSIVE, True)
    waiter = Call(lambda: there.locks.flock(node, 2, 2, EXCLUSIVE, True))
    settles(here, node, 1, 1)
    there.locks.abandon()
    there.session.close()
    with pytest.raises(OSError, match="Input/output") as told:
        waiter.end()
    assert told.value.errno == errno.EIO
    here.locks.flock(node, 1, 1, EXCLUSIVE, True)
