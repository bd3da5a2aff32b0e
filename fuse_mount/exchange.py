"""What libfuse hands over in C, and how it is answered: structures and buffers on one side, our values on the other."""

from __future__ import annotations

import ctypes
import errno
import fcntl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fuse_mount.filesystem import Attributes, FileLock

if TYPE_CHECKING:
    from mfusepy import c_flock_t, c_stat, c_statvfs, c_timespec, c_utimbuf

    Bytes = ctypes._Pointer[ctypes.c_byte]

UTIME_NOW: Final = (1 << 30) - 1
UTIME_OMIT: Final = (1 << 30) - 2
"""Instead of nanoseconds, as in utimensat(2)."""

_SECOND: Final = 10**9
_UNCHANGED: Final = 2**32 - 1
_TIMES: Final = {"st_atime": "st_atimespec", "st_mtime": "st_mtimespec", "st_ctime": "st_ctimespec"}


def put_attributes(there: ctypes._Pointer[c_stat], attributes: Attributes) -> None:
    """Fill a `struct stat`; what is not named is 0."""
    ctypes.memset(there, 0, ctypes.sizeof(there.contents))
    stat = there.contents
    for name, value in attributes.items():
        field = _TIMES.get(name)
        if field is None:
            setattr(stat, name, value)
        else:
            time: c_timespec = getattr(stat, field)
            time.tv_sec, time.tv_nsec = divmod(value, _SECOND)


class Filled:
    """`put_attributes` of what is mostly the same object as the last time: then what was filled then is copied.

    By inode number; for many threads.
    """

    def __init__(self, entry: type[c_stat], limit: int = 10_000) -> None:
        self._entry = entry
        self._limit = limit
        self._known: dict[int, tuple[Attributes, c_stat]] = {}

    def put(self, there: ctypes._Pointer[c_stat], attributes: Attributes) -> None:
        """Fill a `struct stat`. The attributes must not be changed afterwards."""
        number = attributes.get("st_ino", 0)
        known = self._known.get(number)
        if known is None or known[0] is not attributes:
            known = (attributes, self._entry())
            put_attributes(ctypes.pointer(known[1]), attributes)
            if len(self._known) >= self._limit:
                self._known.clear()
            self._known[number] = known
        there[0] = known[1]


def put_usage(there: ctypes._Pointer[c_statvfs], usage: Mapping[str, int]) -> None:
    """Fill a `struct statvfs`; libfuse has put zeros there."""
    for name, value in usage.items():
        setattr(there.contents, name, value)


def put_value(there: Bytes, size: int, value: bytes) -> int:
    """Answer getxattr(2) or listxattr(2): with a size of 0 they only ask for the length."""
    if size == 0:
        return len(value)
    if len(value) > size:
        return -errno.ERANGE
    ctypes.memmove(there, value, len(value))
    return len(value)


def owner(number: int) -> int:
    """A user or group for chown(2), -1 if it shall stay."""
    return -1 if number == _UNCHANGED else number


def times(
    given: ctypes._Pointer[c_utimbuf], now: Callable[[], int], kept: Callable[[], Attributes]
) -> tuple[int, int] | None:
    """Times of access and change in nanoseconds, None if both shall be now. `kept` tells those that shall stay."""
    access, change = given.contents.actime, given.contents.modtime
    if access.tv_nsec == change.tv_nsec == UTIME_NOW:
        return None
    stay = kept() if UTIME_OMIT in (access.tv_nsec, change.tv_nsec) else {}

    def one(time: c_timespec, name: str) -> int:
        if time.tv_nsec == UTIME_NOW:
            return now()
        return stay[name] if time.tv_nsec == UTIME_OMIT else time.tv_sec * _SECOND + time.tv_nsec

    return one(access, "st_atime"), one(change, "st_mtime")


def get_lock(there: ctypes._Pointer[c_flock_t]) -> FileLock:
    """The lock of a fcntl(2). The kernel has already made its offsets count from the start."""
    lock = there.contents
    end = lock.l_start + lock.l_len if lock.l_len else None
    return FileLock(lock.l_type, lock.l_start, end, lock.l_pid)


def put_lock(there: ctypes._Pointer[c_flock_t], lock: FileLock) -> None:
    """Answer F_GETLK."""
    answer = there.contents
    answer.l_type = lock.kind
    if lock.kind != fcntl.F_UNLCK:
        answer.l_whence = 0
        answer.l_start, answer.l_pid = lock.start, lock.process
        answer.l_len = 0 if lock.end is None else lock.end - lock.start
