"""A lock service in memory for threads: handles as `chubby.Handle` has them, several mounts, faults on demand.

Every call looks up once before it has its effect (`chubby.client.waiting`), as a call that takes its time does: so
whatever an interrupted thread still tries to do is interrupted too.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import pytest

from chubby import SequencerBytes
from chubby.client.waiting import Patience, heed
from chubby.errors import ChubbyError, HandleInvalid, LockConflict, LockNotHeld, NoNode, SessionExpired
from chubby.types.nodes import LockInfo, LockMode
from chubby.types.results import LockGranted, SequencerResult
from fuse_mount.grips import Node, Pending
from fuse_mount.locks import LockHandle, Locks
from fuse_mount.ranges import WHOLE
from tests.fuse_mount.fake_lock import FakeLock

T = TypeVar("T")

DEADLINE = 30.0
"""Seconds in which anything that is going to happen has happened."""
NODE = Node("/f", 1)
EXCLUSIVE, SHARED = LockMode.EXCLUSIVE, LockMode.SHARED


class Service:
    """One cell: a lock for each path. Whatever changes is told to whoever waits `until` something holds.

    `failures` are raised by the next calls of a name, one each. `races`: a grant comes just before an interruption.
    """

    def __init__(self) -> None:
        self.mutex = threading.RLock()
        self.changed = threading.Condition(self.mutex)
        self.locks: dict[str, FakeLock] = {}
        self.open_handles: dict[int, FakeHandle] = {}
        self.deleted: set[str] = set()
        self.expired = False
        self.races = False
        self.failures: dict[str, list[BaseException]] = {}
        self.calls: Counter[str] = Counter()
        self.delays: list[float] = []
        self._last = 0

    @property
    def lock(self) -> FakeLock:
        """The lock of the node that most tests are about."""
        return self.locks.setdefault(NODE.path, FakeLock())

    def open(self, path: str, instance: int) -> FakeHandle:
        """Open a node."""
        with self.changed:
            self.begin("open")
            if path in self.deleted:
                raise NoNode("no such node")
            self._last += 1
            handle = FakeHandle(self, self._last, self.locks.setdefault(path, FakeLock()))
            self.open_handles[self._last] = handle
            self.announce()
            return handle

    def begin(self, name: str) -> None:
        """A call comes in."""
        Patience().look_up()
        self.calls[name] += 1
        if self.expired:
            raise SessionExpired("the session is lost")
        failures = self.failures.get(name, [])
        if failures:
            raise failures.pop(0)

    def delete(self, path: str) -> None:
        """Delete a node: whoever waits for its lock is told."""
        with self.changed:
            self.deleted.add(path)
            for number in [n for n, handle in self.open_handles.items() if handle.lock is self.locks[path]]:
                handle = self.open_handles.pop(number)
                handle.let_go()
                handle.turn.notify_all()
            self.announce()

    def expire(self) -> None:
        """Lose the session: every call fails, those that wait too."""
        with self.changed:
            self.expired = True
            for handle in self.open_handles.values():
                handle.turn.notify_all()
            self.announce()

    def announce(self) -> None:
        """Something is different: whoever looks on is woken, and who has come to hold a lock."""
        self.changed.notify_all()
        for lock in self.locks.values():
            for number in lock.holders:
                if number in self.open_handles:
                    self.open_handles[number].turn.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the service knows."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), "it never came to that"

    def waiting(self, number: int) -> None:
        """Wait until so many stand in line."""
        self.until(lambda: len(self.lock.waiters) == number)

    def idle(self) -> None:
        """Wait until nothing is left of anybody."""
        self.until(lambda: not self.open_handles and not self.lock.holders and not self.lock.waiters)


class FakeHandle:
    """An open node."""

    def __init__(self, service: Service, number: int, lock: FakeLock) -> None:
        self.lock = lock
        self.turn = threading.Condition(service.mutex)
        self._service = service
        self._number = number

    def acquire(self, mode: LockMode = LockMode.EXCLUSIVE, *, lock_delay: float = 0.0) -> LockGranted:
        """Wait in line."""
        with self._service.changed:
            self._begin("acquire")
            self._service.delays.append(lock_delay)
            self.lock.acquire(self._number, mode)
            self._service.announce()
            patience = Patience()
            while self._number not in self.lock.holders:
                self._check()
                if not self.turn.wait(patience.slice):
                    self._look_up(patience)
            return LockGranted(self.lock.token, self.lock.token)

    def try_acquire(self, mode: LockMode = LockMode.EXCLUSIVE, *, lock_delay: float = 0.0) -> LockGranted:
        """Now or never."""
        with self._service.changed:
            self._begin("try_acquire")
            self._service.delays.append(lock_delay)
            if not self.lock.try_acquire(self._number, mode):
                raise LockConflict("held")
            self._service.announce()
            return LockGranted(self.lock.token, self.lock.token)

    def release(self) -> None:
        """Give it back."""
        with self._service.changed:
            self._begin("release")
            if self._number not in self.lock.holders:
                raise LockNotHeld("not held")
            self.lock.release(self._number)
            self._service.announce()

    def get_sequencer(self) -> SequencerBytes:
        """Prove it."""
        with self._service.changed:
            self._begin("get_sequencer")
            if self._number not in self.lock.holders:
                raise LockNotHeld("not held")
            mode, token = self.lock.holders[self._number], self.lock.token
            return SequencerBytes.of(SequencerResult(b"sequencer", "/f", mode, token, token))

    def get_lock_info(self) -> LockInfo:
        """Say how it stands."""
        with self._service.changed:
            self._begin("get_lock_info")
            return self.lock.info()

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        with self._service.changed:
            self._service.begin("close")
            self._service.open_handles.pop(self._number, None)
            self.let_go()
            self.turn.notify_all()
            self._service.announce()

    def let_go(self) -> None:
        """Be neither holder nor waiter."""
        self.lock.leave(self._number)

    def _begin(self, name: str) -> None:
        self._service.begin(name)
        self._check()

    def _check(self) -> None:
        if self._service.expired:
            raise SessionExpired("the session is lost")
        if self._number not in self._service.open_handles:
            raise HandleInvalid("the node was deleted, or the handle closed")

    def _look_up(self, patience: Patience) -> None:
        try:
            patience.look_up()
        except BaseException:
            if self._service.races:
                self.lock.holders.update({self._number: self.lock.waiters.pop(self._number)})
            else:
                self.lock.leave(self._number)
            self._service.announce()
            raise


def fits(handle: FakeHandle) -> LockHandle:
    """That the fake is what is asked for, to the type checker."""
    return handle


class Call(Future[T]):
    """Something that a thread of its own does; `interrupt` has its check raise from now on."""

    def __init__(self, action: Callable[[], T]) -> None:
        super().__init__()
        self._action = action
        self._interruption: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def interrupt(self, how: BaseException | None = None) -> None:
        """As a signal would."""
        self._interruption = how or InterruptedError(4, "Interrupted system call")

    def end(self) -> T:
        """What it came to."""
        return self.result(DEADLINE)

    def _check(self) -> None:
        if self._interruption is not None:
            raise self._interruption

    def _run(self) -> None:
        heed(self._check)
        try:
            self.set_result(self._action())
        except BaseException as error:
            self.set_exception(error)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells."""
    pause = threading.Event()
    for _ in range(int(DEADLINE / 0.002)):
        if condition():
            return
        pause.wait(0.002)
    raise AssertionError("it never came to that")


def waiting_inside(locks: Locks, number: int) -> None:
    """Wait until so many threads wait for another thread of the same mount."""
    wait_for(lambda: sum(pending.grip.driver != ticket for ticket, pending in _pending(locks)) == number)


def _pending(locks: Locks) -> list[tuple[int, Pending]]:
    return list(locks._claims._pending.items())


def failing(service: Service, name: str, error: ChubbyError) -> None:
    """Have the next call of that name fail."""
    service.failures.setdefault(name, []).append(error)


# ---------------------------------------------------------------------------------------------- two mounts of one cell


@pytest.fixture
def service() -> Service:
    """A cell where nobody holds anything."""
    return Service()


@pytest.fixture
def here(service: Service) -> Locks:
    """A mount."""
    return Locks(service.open)


@pytest.fixture
def there(service: Service) -> Locks:
    """A mount on another machine."""
    return Locks(service.open)


def flock(locks: Locks, file: int, mode: LockMode = EXCLUSIVE, *, process: int = 0, wait: bool = True) -> None:
    """flock(2) on the node."""
    locks.flock(NODE, file, process, mode, wait)


def posix(locks: Locks, owner: int, file: int, mode: LockMode = EXCLUSIVE, *, process: int = 0) -> None:
    """fcntl(2) F_SETLKW on the node."""
    locks.lock(NODE, file, owner, process, mode, WHOLE, wait=True)
