"""The locks of a mount among threads: who waits, who is told what, and that nobody stands in another one's way.

The cell is a fake in memory (`lock_service`); two mounts are two `Locks` on it.
"""

from __future__ import annotations

import errno
import random
from functools import partial

import pytest

import chubby
from chubby.errors import NoQuorum, Overloaded
from chubby.types.nodes import LockMode
from fuse_mount.grips import Claimant, Kind, Node
from fuse_mount.locks import LockHandle, Locks
from fuse_mount.obstacles import Obstacle
from fuse_mount.ranges import WHOLE, Span
from tests.fuse_mount.fake_lock import FakeLock
from tests.fuse_mount.lock_service import (
    EXCLUSIVE,
    NODE,
    SHARED,
    Call,
    Service,
    failing,
    flock,
    here,
    service,
    there,
    wait_for,
)

__all__ = ["here", "service", "there"]

MANY = 500


def in_thread(locks: Locks, file: int, mode: LockMode = EXCLUSIVE, *, process: int = 0) -> Call[None]:
    """The same in a thread of its own."""
    return Call(lambda: flock(locks, file, mode, process=process))


def real(handle: chubby.Handle) -> LockHandle:
    """That a handle of the client is what is asked for, to the type checker."""
    return handle


# --------------------------------------------------------------------------------------------------------- two mounts


def test_two_mounts_exclude_each_other(service: Service, here: Locks, there: Locks) -> None:
    """What no mount by itself can do."""
    flock(here, 1)
    with pytest.raises(BlockingIOError) as refused:
        flock(there, 1, wait=False)
    assert refused.value.errno == errno.EAGAIN
    waiter = in_thread(there, 1)
    service.waiting(1)
    here.unflock(NODE, 1)
    waiter.end()
    assert service.lock.mode is EXCLUSIVE
    there.unflock(NODE, 1)
    service.idle()


def test_readers_share(service: Service, here: Locks, there: Locks) -> None:
    """On one mount and on several."""
    for locks, file in [(here, 1), (here, 2), (there, 3)]:
        flock(locks, file, SHARED)
    assert list(service.lock.holders.values()) == [SHARED] * 3


def test_flock_and_fcntl_exclude_each_other_between_mounts(here: Locks, there: Locks) -> None:
    """There is one lock for a node; byte ranges count as the whole file."""
    here.lock(NODE, 1, 100, 10, EXCLUSIVE, Span(0, 1), wait=True)
    with pytest.raises(BlockingIOError):
        flock(there, 1, wait=False)
    with pytest.raises(BlockingIOError):
        there.lock(NODE, 1, 200, 20, EXCLUSIVE, Span(5, 6), wait=False)
    here.unlock(NODE, 100)
    there.lock(NODE, 1, 200, 20, EXCLUSIVE, Span(5, 6), wait=False)


def test_two_open_files_of_one_process_exclude_each_other(service: Service, here: Locks) -> None:
    """flock(2): locks belong to open files, and the cell arbitrates between two threads of one process too."""
    flock(here, 1, process=5)
    waiter = in_thread(here, 2, process=5)
    service.waiting(1)
    here.unflock(NODE, 1)
    waiter.end()


def test_unlocking_what_is_not_locked_is_nothing(service: Service, here: Locks) -> None:
    """As in flock(2) and fcntl(2)."""
    here.unflock(NODE, 1)
    here.unlock(NODE, 100)
    here.drop_file(1)
    assert not service.calls


def test_another_instance_is_another_lock(service: Service, here: Locks) -> None:
    """The path alone says nothing."""
    flock(here, 1)
    here.unflock(Node(NODE.path, 2), 1)
    assert service.lock.holders


def test_the_lock_delay_is_passed_on(service: Service) -> None:
    """To acquire and to try."""
    locks = Locks(service.open, lock_delay=7.5)
    flock(locks, 1)
    locks.unflock(NODE, 1)
    flock(locks, 1, wait=False)
    assert service.delays == [7.5, 7.5]


def test_a_downgrade_lets_waiting_readers_in(service: Service, here: Locks, there: Locks) -> None:
    """Exclusive, then shared."""
    flock(here, 1)
    reader = in_thread(there, 2, SHARED)
    service.waiting(1)
    flock(here, 1, SHARED)
    reader.end()


def test_an_upgrade_waits_for_the_other_readers(service: Service, here: Locks, there: Locks) -> None:
    """Shared, then exclusive."""
    flock(here, 1, SHARED)
    flock(there, 2, SHARED)
    writer = in_thread(here, 1)
    service.waiting(1)
    there.drop_file(2)
    writer.end()
    assert list(service.lock.holders.values()) == [EXCLUSIVE]


def test_an_upgrade_is_refused_and_nothing_is_lost(service: Service, here: Locks, there: Locks) -> None:
    """While another one reads."""
    flock(here, 1, SHARED)
    flock(there, 2, SHARED)
    with pytest.raises(BlockingIOError):
        flock(here, 1, wait=False)
    assert len(service.lock.holders) == 2


# -------------------------------------------------------------------------------------------------------------- many


def test_many_waiters_are_in_nobodys_way(service: Service, here: Locks) -> None:
    """500 wait for one node: other nodes are locked meanwhile, and each unlock lets the next one in, in order."""
    flock(here, 1)
    order: list[int] = []

    def work(file: int) -> None:
        flock(here, file, process=file)
        order.append(file)
        here.drop_file(file)

    waiters = []
    for file in range(2, MANY + 2):
        waiters.append(Call(partial(work, file)))
        service.waiting(len(waiters))
    other = Node("/other", 2)
    here.flock(other, 9999, 3, EXCLUSIVE, False)
    here.drop_file(9999)
    here.drop_file(1)
    for waiter in waiters:
        waiter.end()
    assert order == list(range(2, MANY + 2))
    service.idle()


def test_one_number_counted_by_many(service: Service, here: Locks, there: Locks) -> None:
    """Read, add one, write: under flock and fcntl, on two mounts, with threads that are interrupted: none is lost."""
    total, rounds = 0, 100

    def count(locks: Locks, file: int) -> int:
        nonlocal total
        done, luck = 0, random.Random(file)
        for _ in range(rounds):
            try:
                if luck.random() < 0.5:
                    flock(locks, file, process=file, wait=luck.random() < 0.8)
                else:
                    locks.lock(NODE, file, 100 + file, file, EXCLUSIVE, WHOLE, wait=luck.random() < 0.8)
            except BlockingIOError:
                continue
            seen = total
            assert locks.held(NODE, file) is not None
            total = seen + 1
            done += 1
            if luck.random() < 0.5:
                locks.drop_file(file)
            else:
                locks.unflock(NODE, file)
                locks.unlock(NODE, 100 + file)
        return done

    counters = [Call(partial(count, here if file % 2 else there, file)) for file in range(1, 9)]
    bystanders = [in_thread(here if file % 2 else there, file, process=file) for file in range(20, 30)]
    for number, bystander in enumerate(bystanders):
        if number % 2:
            bystander.interrupt()
    ended: set[int] = set()

    def release_the_bystanders() -> bool:
        for number, bystander in enumerate(bystanders):
            if bystander.done() and number not in ended:
                ended.add(number)
                (here if number % 2 == 0 else there).drop_file(20 + number)
                (there if number % 2 == 0 else here).drop_file(20 + number)
        return len(ended) == len(bystanders) and all(counter.done() for counter in counters)

    wait_for(release_the_bystanders)
    assert sum(counter.end() for counter in counters) == total
    service.idle()


# --------------------------------------------------------------------------------------------------------- open files


def test_a_killed_holders_lock_goes_with_its_file(service: Service, here: Locks, there: Locks) -> None:
    """RELEASE brings no unlock with it."""
    flock(here, 1, process=5)
    here.lock(NODE, 1, 100, 5, EXCLUSIVE, WHOLE, wait=True)
    waiter = in_thread(there, 1)
    service.waiting(1)
    here.drop_file(1)
    waiter.end()


def test_a_file_released_under_a_waiter(service: Service, here: Locks) -> None:
    """The waiter is told, and its place is given up."""
    flock(here, 1)
    waiter = in_thread(here, 2)
    service.waiting(1)
    here.drop_file(2)
    with pytest.raises(OSError, match="Bad file descriptor"):
        waiter.end()
    service.waiting(0)
    service.until(lambda: len(service.open_handles) == 1)


# ---------------------------------------------------------------------------------------------------- what is asked


def test_what_is_held(service: Service, here: Locks) -> None:
    """The sequencer, its number and its mode, for the process that holds the lock and for no other."""
    flock(here, 1, SHARED, process=5)
    held = here.held(NODE, 5)
    assert held is not None
    assert (bytes(held), held.token, held.mode) == (b"sequencer", service.lock.token, SHARED)
    assert here.held(NODE, 6) is None
    here.unflock(NODE, 1)
    assert here.held(NODE, 5) is None


def test_how_many_there_are(service: Service, here: Locks, there: Locks) -> None:
    """Held and waited for, of this mount; and who has one."""
    flock(here, 1)
    waiter = in_thread(there, 2)
    service.waiting(1)
    assert (here.count, there.count) == (1, 1)
    assert here.has(NODE, Claimant(Kind.FLOCK, 1))
    assert not there.has(NODE, Claimant(Kind.FLOCK, 2))
    here.drop_file(1)
    waiter.end()
    assert (here.count, there.count) == (0, 1)
    assert there.has(NODE, Claimant(Kind.FLOCK, 2))


def test_what_was_lost_meanwhile_is_not_held(service: Service, here: Locks) -> None:
    """The cell has the last word; a cell that does not answer is another matter."""
    flock(here, 1, process=5)
    failing(service, "get_sequencer", NoQuorum("nobody answers"))
    with pytest.raises(NoQuorum):
        here.held(NODE, 5)
    service.lock.holders.clear()
    assert here.held(NODE, 5) is None
    service.expire()
    assert here.held(NODE, 5) is None


def test_what_is_in_the_way(service: Service, here: Locks, there: Locks) -> None:
    """F_GETLK: of this mount with process and bytes, of others as far as the cell knows, and not of oneself."""
    assert here.test(NODE, 100, 10, EXCLUSIVE) is None
    there.lock(NODE, 1, 300, 30, SHARED, Span(0, 10), wait=True)
    assert here.test(NODE, 100, 10, SHARED) is None
    assert here.test(NODE, 100, 10, EXCLUSIVE) == Obstacle(SHARED)
    assert there.test(NODE, 200, 20, EXCLUSIVE, Span(5, 6)) == Obstacle(SHARED, 30, Span(0, 10))
    assert there.test(NODE, 300, 30, EXCLUSIVE) is None
    there.unlock(NODE, 300)
    service.idle()


def test_what_one_holds_oneself_needs_no_asking(service: Service, here: Locks) -> None:
    """The answer is known."""
    flock(here, 1, process=10)
    before = service.calls.total()
    assert here.test(NODE, 100, 10, SHARED) is None
    assert service.calls.total() == before


def test_lock_delay_is_in_the_way(service: Service, here: Locks) -> None:
    """The lock of one who died: held by nobody, and yet not to be had."""
    service.locks[NODE.path] = FakeLock()
    service.lock.delayed = True
    assert here.test(NODE, 100, 10, SHARED) == Obstacle(EXCLUSIVE)


# ---------------------------------------------------------------------------------------------------- calls that fail


def test_what_fails_is_told_as_it_is(service: Service, here: Locks) -> None:
    """The call of this thread: its error; nothing is left of it."""
    for name, wait in [("open", True), ("acquire", True), ("try_acquire", False)]:
        failing(service, name, Overloaded(f"{name}: too many"))
        with pytest.raises(Overloaded, match=name):
            flock(here, 1, wait=wait)
        service.idle()


def test_what_a_failed_call_left_is_let_go(service: Service, here: Locks, there: Locks) -> None:
    """A look fails: the lock is still held. A release fails: nobody knows, so it is got anew."""
    flock(here, 1, SHARED)
    failing(service, "get_lock_info", NoQuorum("nobody answers"))
    with pytest.raises(NoQuorum):
        flock(here, 1, wait=False)
    assert service.lock.mode is SHARED
    failing(service, "release", NoQuorum("nobody answers"))
    with pytest.raises(NoQuorum):
        flock(here, 1)
    assert list(service.lock.holders.values()) == [SHARED]
    assert len(service.open_handles) == 1
    flock(there, 1, SHARED, wait=False)
