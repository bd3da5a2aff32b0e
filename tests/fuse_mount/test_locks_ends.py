"""How waiting for a lock ends otherwise than with the lock: interrupted, the node deleted, the session lost. Whatever
the moment, the thread is told at once, nothing is left in the cell, and who shares the lock goes on.
"""

from __future__ import annotations

import errno
import logging
import threading

import pytest

from chubby.client.waiting import heed
from chubby.errors import NoQuorum
from fuse_mount.janitor import Janitor
from fuse_mount.locks import Locks
from tests.fuse_mount.lock_service import (
    EXCLUSIVE,
    NODE,
    SHARED,
    Call,
    Service,
    failing,
    flock,
    here,
    posix,
    service,
    there,
    wait_for,
    waiting_inside,
)

__all__ = ["here", "service", "there"]


def interrupt() -> None:
    """The check of a thread that is being killed."""
    raise InterruptedError(errno.EINTR, "Interrupted system call")


def in_line(service: Service, here: Locks, others: int = 1) -> list[Call[None]]:
    """Threads of one process who want what is held: the first stands in the cell's line, the others wait for it."""
    first = Call(lambda: flock(here, 2, process=5))
    service.waiting(1)
    rest = [Call(lambda: posix(here, 100, 2, process=5)) for _ in range(others)]
    waiting_inside(here, others)
    return [first, *rest]


def errno_of(call: Call[None]) -> int | None:
    """What the caller is told."""
    with pytest.raises(OSError) as told:
        call.end()
    return told.value.errno


# -------------------------------------------------------------------------------------------------------- interrupted


def test_an_interrupted_waiter_leaves_the_line(service: Service, here: Locks) -> None:
    """SIGINT, SIGKILL, `flock -w`: EINTR, no ghost in the queue, no handle left."""
    flock(here, 1)
    waiter = Call(lambda: flock(here, 2))
    service.waiting(1)
    waiter.interrupt()
    assert errno_of(waiter) == errno.EINTR
    service.until(lambda: not service.lock.waiters and len(service.open_handles) == 1)


def test_a_grant_that_races_the_interruption_is_given_back(service: Service, here: Locks, there: Locks) -> None:
    """Nobody is told of it, so nobody may keep it."""
    service.races = True
    service.lock.delayed = True
    waiter = Call(lambda: flock(here, 1))
    service.waiting(1)
    waiter.interrupt()
    assert errno_of(waiter) == errno.EINTR
    service.idle()
    service.lock.delayed = False
    flock(there, 1)


def test_an_interrupted_thread_is_not_kept_by_a_slow_cell(service: Service, here: Locks) -> None:
    """It was interrupted while it opened: the rest is the janitor's."""
    failing_open = InterruptedError(errno.EINTR, "Interrupted system call")
    service.failures["open"] = [failing_open]
    with pytest.raises(InterruptedError) as told:
        flock(here, 1)
    assert told.value is failing_open
    service.idle()
    wait_for(lambda: not here._claims._grips)


def test_ctrl_c_is_raised_as_it_is(service: Service, here: Locks) -> None:
    """Whatever the check raises."""
    flock(here, 1)
    waiter = Call(lambda: flock(here, 2))
    service.waiting(1)
    waiter.interrupt(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        waiter.end()
    service.until(lambda: len(service.open_handles) == 1)


def test_one_who_waits_for_another_thread_is_interrupted(service: Service, here: Locks) -> None:
    """Its like stays in line, undisturbed."""
    flock(here, 1)
    first, second = in_line(service, here)
    second.interrupt()
    assert errno_of(second) == errno.EINTR
    here.drop_file(1)
    first.end()
    here.drop_file(2)
    service.idle()
    assert not here._claims._pending


def test_who_waited_with_the_interrupted_one_takes_over(service: Service, here: Locks) -> None:
    """It has its own place now."""
    flock(here, 1)
    first, second = in_line(service, here)
    first.interrupt()
    assert errno_of(first) == errno.EINTR
    service.until(lambda: len(service.open_handles) == 2 and len(service.lock.waiters) == 1)
    here.drop_file(1)
    second.end()
    here.drop_file(2)
    service.idle()


def test_who_was_woken_in_vain_sleeps_again(service: Service, here: Locks) -> None:
    """Of two that waited with the interrupted one, one takes over; the other does not spin meanwhile."""
    flock(here, 1)
    first, *others = in_line(service, here, others=2)
    first.interrupt()
    assert errno_of(first) == errno.EINTR
    service.until(lambda: len(service.open_handles) == 2 and len(service.lock.waiters) == 1)
    wait_for(lambda: not any(alarm.is_set() for alarm in list(here._alarms.values())))
    here.drop_file(1)
    for other in others:
        other.end()


def test_an_unlock_that_is_interrupted_unlocks(service: Service, here: Locks) -> None:
    """The dying process' FLUSH must not leave its lock behind."""
    flock(here, 1)

    def unlock() -> None:
        heed(interrupt)
        here.unflock(NODE, 1)

    Call(unlock).end()
    service.idle()


def test_an_interrupted_upgrade_keeps_what_was_had(service: Service, here: Locks, there: Locks) -> None:
    """If nobody took it in between."""
    posix(here, 100, 1, SHARED, process=5)
    flock(there, 1, SHARED)
    upgrade = Call(lambda: posix(here, 100, 1, process=5))
    service.waiting(1)
    upgrade.interrupt()
    assert errno_of(upgrade) == errno.EINTR
    service.until(lambda: list(service.lock.holders.values()) == [SHARED, SHARED])
    wait_for(lambda: here.held(NODE, 5) is not None)
    here.unlock(NODE, 100)
    there.unflock(NODE, 1)
    service.idle()


def test_what_cannot_be_kept_is_said(
    service: Service, here: Locks, there: Locks, caplog: pytest.LogCaptureFixture
) -> None:
    """A writer took the lock: the reader's, which did not ask for anything, is lost, and that is in the log."""
    flock(here, 1, SHARED, process=5)
    flock(there, 1, SHARED)
    upgrade = Call(lambda: posix(here, 100, 1, process=5))
    service.waiting(1)
    writer = Call(lambda: flock(there, 2))
    service.waiting(2)
    with caplog.at_level(logging.WARNING, "fuse_mount"):
        upgrade.interrupt()
        assert errno_of(upgrade) == errno.EINTR
        wait_for(lambda: "the lock of /f is lost to the processes [5]" in caplog.text)
    assert here.held(NODE, 5) is None
    there.unflock(NODE, 1)
    writer.end()


# ------------------------------------------------------------------------------------------------- the node is deleted


def test_a_deleted_node_is_stale(service: Service, here: Locks) -> None:
    """For those in line, for those who wait for them, and for whoever comes later."""
    flock(here, 1)
    first, second = in_line(service, here)
    service.delete(NODE.path)
    assert [errno_of(first), errno_of(second)] == [errno.ESTALE] * 2
    assert errno_of(Call(lambda: flock(here, 3))) == errno.ESTALE
    here.unflock(NODE, 1)
    with pytest.raises(OSError, match="Stale"):
        here.test(NODE, 300, 30, EXCLUSIVE)
    service.idle()
    wait_for(lambda: not here._claims._grips)


def test_an_upgrade_of_a_deleted_node(service: Service, here: Locks) -> None:
    """The lock died with its node."""
    flock(here, 1, SHARED, process=5)
    service.delete(NODE.path)
    assert errno_of(Call(lambda: flock(here, 1, process=5))) == errno.ESTALE
    assert here.held(NODE, 5) is None


# ------------------------------------------------------------------------------------------------- the session is lost


def test_a_lost_session_ends_every_waiter(service: Service, here: Locks) -> None:
    """Those in line by their own calls, those who wait for them at once; later ones without a call."""
    flock(here, 1, process=1)
    first, second = in_line(service, here)
    here.abandon()
    assert errno_of(second) == errno.EIO
    service.expire()
    assert errno_of(first) == errno.EIO
    before = service.calls.total()
    assert errno_of(Call(lambda: flock(here, 3))) == errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        here.unflock(NODE, 1)
    with pytest.raises(OSError, match="Input/output"):
        here.unlock(NODE, 100)
    with pytest.raises(OSError, match="Input/output"):
        here.test(NODE, 100, 5, SHARED)
    assert here.held(NODE, 1) is None
    here.drop_file(1)
    here.abandon()
    assert service.calls.total() == before


def test_a_call_that_finds_the_session_lost(service: Service, here: Locks) -> None:
    """Nobody needs to say so first."""
    flock(here, 1)
    waiter = Call(lambda: flock(here, 2))
    service.waiting(1)
    service.expire()
    assert errno_of(waiter) == errno.EIO
    with pytest.raises(OSError, match="Input/output"):
        here.unflock(NODE, 1)


def test_asking_what_is_in_the_way_finds_it_lost_too(service: Service, here: Locks) -> None:
    """F_GETLK goes to the cell."""
    service.expire()
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            here.test(NODE, 100, 10, SHARED)
    assert not service.calls["get_lock_info"]


# ---------------------------------------------------------------------------------------------------------- upkeep


def test_a_close_that_fails_is_done_again(service: Service, here: Locks) -> None:
    """A lock is never kept because its unlock met a bad moment."""
    flock(here, 1)
    failing(service, "close", NoQuorum("nobody answers"))
    here.unflock(NODE, 1)
    service.idle()


def test_a_lock_lost_in_a_failed_upgrade(service: Service, here: Locks) -> None:
    """Nor the new one, nor the old one: an fcntl owner is told EIO, for any other error would say that it has it."""
    posix(here, 100, 1, SHARED, process=5)
    failing(service, "release", NoQuorum("nobody answers"))
    failing(service, "try_acquire", NoQuorum("nobody answers"))
    assert errno_of(Call(lambda: posix(here, 100, 1, process=5))) == errno.EIO
    assert here.held(NODE, 5) is None
    service.idle()


def test_the_janitor_does_everything_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """Also what is entrusted to it while it works, and after a chore that fails."""
    janitor, done, begin = Janitor(), list[int](), threading.Event()

    def fail() -> None:
        raise RuntimeError("a broken broom")

    def more() -> None:
        done.append(1)
        janitor.entrust(lambda: done.append(3))

    for chore in (begin.wait, fail, more, lambda: done.append(2)):
        janitor.entrust(chore)
    begin.set()
    wait_for(lambda: done == [1, 2, 3])
    assert "a broken broom" in caplog.text
    wait_for(lambda: not janitor._awake)
    janitor.entrust(lambda: done.append(4))
    wait_for(lambda: done == [1, 2, 3, 4])
