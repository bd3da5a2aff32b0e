"""What a thread that Python did not make leaves from one call to the next, and that it leaves nothing when it ends.

Such a thread is made here without any C of our own: it runs `fclose(3)` on a stream whose functions are ours
(fopencookie(3)), which calls the one that writes, then the one that closes.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable

import pytest

from fuse_mount.staying import stay

libc = ctypes.CDLL(None)
Read = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
Close = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
libc.fopencookie.restype = ctypes.c_void_p


class Functions(ctypes.Structure):
    """`cookie_io_functions_t`; there is nothing to read or to seek."""

    _fields_ = (("read", ctypes.c_void_p), ("write", Read), ("seek", ctypes.c_void_p), ("close", Close))


def call_twice(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Call these from one thread of C's, and wait for its end."""

    def write(_cookie: int, _data: int, size: int) -> int:
        first()
        return size

    def close(_cookie: int) -> int:
        second()
        return 0

    functions = Functions(None, Read(write), None, Close(close))
    stream = ctypes.c_void_p(libc.fopencookie(None, b"w", functions))
    assert libc.fputs(b"something to write", stream) >= 0
    thread = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(thread), None, libc.fclose, stream) == 0
    assert libc.pthread_join(thread, None) == 0


class Thing:
    """Something that a thread owns."""


class Threads:
    """What the calls saw."""

    def __init__(self) -> None:
        self.own = threading.local()
        self.made: list[weakref.ref[Thing]] = []
        self.found: list[bool] = []

    def leave(self) -> None:
        """The first call leaves something."""
        self.own.thing = Thing()
        self.made.append(weakref.ref(self.own.thing))

    def look(self) -> None:
        """The second one looks for it."""
        self.found.append(hasattr(self.own, "thing"))


def test_python_forgets_such_threads_after_each_call() -> None:
    """What is to be mended: were it otherwise one day, `stay` would not be needed."""
    threads = Threads()
    call_twice(threads.leave, threads.look)
    assert threads.found == [False]
    assert threads.made[0]() is None


def test_a_thread_that_stays_is_known_until_it_ends() -> None:
    """And not longer, however many there are: a mount that had a thousand waiters does not keep their memory."""
    threads = Threads()

    def leave() -> None:
        stay()
        threads.leave()

    def look() -> None:
        stay()
        threads.look()

    for _ in range(50):
        call_twice(leave, look)
    assert threads.found == [True] * 50
    assert [ref() for ref in threads.made] == [None] * 50


@pytest.mark.parametrize("call", ["stay()", "thread = threading.Thread(target=stay); thread.start(); thread.join()"])
def test_threads_of_pythons_own_are_left_alone(call: str) -> None:
    """There is no interpreter left when the main thread's end comes: a callback then would be a crash."""
    program = f"import threading\nfrom fuse_mount.staying import stay\n{call}"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
