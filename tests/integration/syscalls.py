"""System calls as the kernel has them, where Python offers none or adds something of its own."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
SECOND = 10**9

_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = _libc.readdir.restype = ctypes.c_void_p
_libc.telldir.restype = ctypes.c_long


class _Entry(ctypes.Structure):
    """`struct dirent`."""

    _fields_ = (
        ("d_ino", ctypes.c_ulonglong),
        ("d_off", ctypes.c_longlong),
        ("d_reclen", ctypes.c_ushort),
        ("d_type", ctypes.c_ubyte),
        ("d_name", ctypes.c_char * 256),
    )


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def refusal(call: Callable[..., object], *arguments: object) -> str:
    """The name of the errno with which a call fails; empty: it succeeds."""
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno is not None
        return {errno.EOPNOTSUPP: "EOPNOTSUPP"}.get(error.errno, errno.errorcode[error.errno])
    return ""


def renameat2(old: Path, new: Path, flags: int = 0) -> None:
    """renameat2(2)."""
    _checked(_libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), ctypes.c_uint(flags)))


def utimensat(path: Path, access: int, change: int) -> None:
    """utimensat(2): nanoseconds since 1970, or UTIME_NOW or UTIME_OMIT, as anything below two seconds of 1970 is."""
    pairs = [(0, each) if each in (UTIME_NOW, UTIME_OMIT) else divmod(each, SECOND) for each in (access, change)]
    times = (ctypes.c_long * 4)(*pairs[0], *pairs[1])
    _checked(_libc.utimensat(AT_FDCWD, os.fsencode(path), times, 0))


def fallocate(file: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2), which the C library does not imitate as it does posix_fallocate(3)."""
    _checked(_libc.fallocate(file, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def linkat(file: int, new: Path) -> None:
    """linkat(2) of an open file, as a program gives a name to one made with O_TMPFILE."""
    _checked(_libc.linkat(AT_FDCWD, f"/proc/self/fd/{file}".encode(), AT_FDCWD, os.fsencode(new), 0x400))


class Directory:
    """An open directory, read name by name."""

    def __init__(self, path: Path) -> None:
        """opendir(3)."""
        self._stream = ctypes.c_void_p(_libc.opendir(os.fsencode(path)))
        assert self._stream, "it can be opened"

    def read(self) -> str | None:
        """readdir(3): a name, `.` and `..` among them; None: the end."""
        entry = _libc.readdir(self._stream)
        return None if entry is None else ctypes.cast(entry, ctypes.POINTER(_Entry)).contents.d_name.decode()

    def rest(self) -> Iterator[str]:
        """What is left to be read."""
        while (name := self.read()) is not None:
            yield name

    def tell(self) -> int:
        """telldir(3)."""
        return int(_libc.telldir(self._stream))

    def seek(self, place: int) -> None:
        """seekdir(3)."""
        _libc.seekdir(self._stream, ctypes.c_long(place))

    def rewind(self) -> None:
        """rewinddir(3)."""
        _libc.rewinddir(self._stream)

    def close(self) -> None:
        """closedir(3)."""
        _checked(_libc.closedir(self._stream))


@contextmanager
def reading(path: Path) -> Iterator[Directory]:
    """An open directory, closed in the end."""
    directory = Directory(path)
    try:
        yield directory
    finally:
        directory.close()


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY, mode: int = 0o644) -> Iterator[int]:
    """An open file, closed in the end."""
    file = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield file
    finally:
        os.close(file)
