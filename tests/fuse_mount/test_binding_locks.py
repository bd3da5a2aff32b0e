"""Locks through the binding: who asks, for what, who waits, and how waiting ends."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.fuse_mount.served import DEADLINE, Served, served, within_deadline

pytestmark = pytest.mark.fuse

LOCKING = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
getattr(fcntl, sys.argv[2])(file, int(sys.argv[3]))
print("locked", flush=True)
sys.stdin.read()
"""
"""Takes a lock by flock or lockf and keeps it until its standard input ends."""

CROWD = """
import fcntl, sys, threading
def wait():
    with open(sys.argv[1], "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
threads = [threading.Thread(target=wait) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
"""Many wait for a shared lock at once."""

SOON = 5.0
"""Seconds within which what takes milliseconds is done, on a busy machine too."""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Served]:
    """A MemoryFiles with one file, mounted."""
    with served(tmp_path / "mount") as found:
        (found / "f").touch()
        found.ask("forget")
        yield found


@contextmanager
def program(text: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """A Python of its own, which ends with the block at the latest."""
    command = [sys.executable, "-I", "-S", "-c", text, *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def locking(mount: Served, mode: int, by: str = "flock") -> AbstractContextManager[subprocess.Popen[str]]:
    """A program that takes a lock of the file and keeps it."""
    return program(LOCKING, mount / "f", by, mode)


def has_lock(process: subprocess.Popen[str]) -> bool:
    """Whether it says so; waits for it."""
    assert process.stdout is not None
    return process.stdout.readline() == "locked\n"


# ------------------------------------------------------------------------------------------------------------- who asks


@pytest.mark.parametrize("thread", [False, True])
def test_flock_is_asked_for_by_the_process(mount: Served, thread: bool) -> None:
    """Not by its thread: libfuse tells the thread alone."""
    with open(mount / "f", "r+b") as file:
        if thread:
            asking = threading.Thread(target=fcntl.flock, args=(file, fcntl.LOCK_EX))
            asking.start()
            asking.join()
        else:
            fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(file, fcntl.LOCK_UN)
    operations = [fcntl.LOCK_EX, fcntl.LOCK_SH | fcntl.LOCK_NB, fcntl.LOCK_UN]
    assert mount.calls("flock") == [("/f", operation, os.getpid()) for operation in operations]


@pytest.mark.parametrize("thread", [False, True])
def test_lockf_is_asked_for_by_the_process_with_its_range(mount: Served, thread: bool) -> None:
    """Start and end; an end of -1 in the notes is none. Waiting or not; reading or writing."""
    with open(mount / "f", "r+b") as file:

        def ask() -> None:
            fcntl.lockf(file, fcntl.LOCK_EX, 10, 5)
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN, 1, 6)

        if thread:
            asking = threading.Thread(target=ask)
            asking.start()
            asking.join()
        else:
            ask()
        assert mount.calls("lock") == [
            ("/f", fcntl.F_WRLCK, 5, 15, 1, os.getpid()),
            ("/f", fcntl.F_RDLCK, 0, -1, 0, os.getpid()),
            ("/f", fcntl.F_UNLCK, 6, 7, 1, os.getpid()),
        ]


def test_a_close_lets_a_fcntl_lock_go(mount: Served) -> None:
    """Of any descriptor of the process, as POSIX says: libfuse asks for it at each flush."""
    with open(mount / "f", "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        with open(mount / "f", "rb"):
            pass
        assert mount.calls("lock")[-1] == ("/f", fcntl.F_UNLCK, 0, -1, 0, os.getpid())
        with locking(mount, fcntl.LOCK_EX | fcntl.LOCK_NB, "lockf") as other:
            assert has_lock(other)


def test_who_is_in_the_way_of_a_fcntl_lock_is_told(mount: Served) -> None:
    """F_GETLK: the holder's process, and a range; without one F_UNLCK."""
    script = """
import fcntl, struct, sys
with open(sys.argv[1], "r+b") as file:
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 3, 4, 0)
    print(*struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked)))
"""
    with program(script, mount / "f") as free:
        assert free.communicate()[0].split()[0] == str(fcntl.F_UNLCK)
    with open(mount / "f", "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        with program(script, mount / "f") as asking:
            assert asking.communicate()[0].split() == [str(fcntl.F_WRLCK), "0", "0", "0", str(os.getpid())]


# -------------------------------------------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("by", ["flock", "lockf"])
def test_a_lock_that_is_held_is_waited_for(mount: Served, by: str) -> None:
    """And had as soon as it is let go."""
    with locking(mount, fcntl.LOCK_EX, by) as holder:
        assert has_lock(holder)
        with locking(mount, fcntl.LOCK_EX, by) as waiter:
            mount.wait_for_blocked(1)
            holder.kill()
            assert has_lock(waiter)


def test_who_does_not_want_to_wait_is_told_at_once(mount: Served) -> None:
    """EAGAIN, which flock(1) and lockf(3) understand."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with open(mount / "f", "rb") as file, pytest.raises(BlockingIOError) as caught:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert caught.value.errno == errno.EAGAIN


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("by", ["flock", "lockf"])
def test_a_signal_ends_waiting(mount: Served, number: signal.Signals, by: str) -> None:
    """And leaves nobody in the queue. Ignored, SIGKILL would leave a process that nobody can end."""
    with locking(mount, fcntl.LOCK_EX, by) as holder:
        assert has_lock(holder)
        with locking(mount, fcntl.LOCK_EX, by) as waiter:
            mount.wait_for_blocked(1)
            waiter.send_signal(number)
            waiter.wait(DEADLINE)
            mount.wait_for_blocked(0)
            assert holder.poll() is None


def test_a_program_that_handles_a_signal_waits_on(mount: Served) -> None:
    """EINTR is given only to who was interrupted, and asks again if it likes."""
    script = "import signal\nsignal.signal(signal.SIGUSR1, lambda *_: print('signal', flush=True))\n" + LOCKING
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with program(script, mount / "f", "flock", fcntl.LOCK_EX) as waiter:
            mount.wait_for_blocked(1)
            waiter.send_signal(signal.SIGUSR1)
            assert waiter.stdout is not None and waiter.stdout.readline() == "signal\n"
            within_deadline(lambda: len(mount.calls("flock")) == 3)
            holder.kill()
            assert has_lock(waiter)


def test_flock_with_a_limit(mount: Served) -> None:
    """`flock -w`: util-linux interrupts itself."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        done = subprocess.run(["flock", "-w", "0.2", mount / "f", "true"], timeout=DEADLINE, check=False)
        assert done.returncode == 1
        mount.wait_for_blocked(0)


def test_while_one_waits_the_file_can_be_removed_and_its_directory_listed(mount: Served) -> None:
    """Whoever waits holds no path: libfuse gives none with `nullpath_ok`."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with locking(mount, fcntl.LOCK_EX) as waiter:
            mount.wait_for_blocked(1)
            (mount / "f").unlink()
            assert os.listdir(mount.directory) == []
            (mount / "f").touch()
            holder.kill()
            assert has_lock(waiter)


def test_any_other_call_that_waits_can_be_interrupted(mount: Served) -> None:
    """As all do while the cell is out of reach."""
    mount.ask("fail", "open", errno.ETIMEDOUT)
    with locking(mount, fcntl.LOCK_EX) as process:
        mount.wait_for_blocked(1)
        process.kill()
        process.wait(DEADLINE)
        mount.wait_for_blocked(0)


# --------------------------------------------------------------------------------------------------------------- crowds


def test_five_hundred_wait_and_nothing_freezes(mount: Served) -> None:
    """Each occupies a thread of libfuse's; there are enough for the others, and for the holder's release."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with program(CROWD, mount / "f", 500) as crowd:
            mount.wait_for_blocked(500)
            (mount / "g").write_bytes(b"hello")
            assert (mount / "g").read_bytes() == b"hello"
            assert sorted(os.listdir(mount.directory)) == ["f", "g"]
            assert mount.ask("invalidate", "/g") is True
            holder.kill()
            assert crowd.wait(DEADLINE) == 0
            mount.wait_for_blocked(0)
    for _ in range(100):
        (mount / "g").read_bytes()
    within_deadline(lambda: mount.ask("threads") < 100)


def test_five_hundred_who_wait_can_be_killed(mount: Served) -> None:
    """At once."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with program(CROWD, mount / "f", 500) as crowd:
            mount.wait_for_blocked(500)
            crowd.kill()
            crowd.wait(DEADLINE)
            mount.wait_for_blocked(0)


@pytest.mark.parametrize("count", [1, 500])
def test_unmount_while_many_wait(mount: Served, count: int) -> None:
    """`serve` returns within a second; whoever waits is told that the mount is no more."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with program(CROWD, mount / "f", count) as crowd:
            mount.wait_for_blocked(count)
            before = time.monotonic()
            mount.ask("unmount")
            assert mount.end() == 0
            assert time.monotonic() - before < SOON
            _, told = crowd.communicate(timeout=DEADLINE)
            assert os.strerror(errno.ENOTCONN) in told or os.strerror(errno.ECONNABORTED) in told


def test_unmount_by_force_from_elsewhere_while_one_waits(mount: Served) -> None:
    """The kernel cuts the connection: nobody is asked, and `serve` returns all the same."""
    with locking(mount, fcntl.LOCK_EX) as holder:
        assert has_lock(holder)
        with locking(mount, fcntl.LOCK_EX):
            mount.wait_for_blocked(1)
            subprocess.run(["umount", "--force", "--lazy", mount.directory], check=True)
            assert mount.end() == 0


def test_unmount_while_a_close_waits(mount: Served) -> None:
    """It has a last half second for what was written."""
    descriptor = os.open(mount / "f", os.O_RDWR)
    mount.ask("fail", "flush", errno.ETIMEDOUT)
    errors: list[int | None] = []

    def close() -> None:
        try:
            os.close(descriptor)
        except OSError as error:
            errors.append(error.errno)

    closing = threading.Thread(target=close)
    closing.start()
    mount.wait_for_blocked(1)
    mount.ask("unmount")
    assert mount.end() == 0
    closing.join(DEADLINE)
    assert errors in ([errno.ENOTCONN], [errno.ECONNABORTED])
