"""Requests that name a file or directory: attributes, directories, extended attributes.

Of an open file libfuse gives no path (`nullpath_ok`), and the file system says what it was opened as.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fuse_mount import exchange
from fuse_mount.filesystem import FileSystem
from fuse_mount.requests import Callback, Requests

if TYPE_CHECKING:
    from mfusepy import c_stat, c_statvfs, c_utimbuf, fuse_file_info

    from fuse_mount.exchange import Bytes

    Fill = Callable[[int, bytes, c_stat, int, int], int]
    """Takes an entry: the buffer, its name, its attributes, 0, 0. Not 0: the buffer is full."""
    Info = ctypes._Pointer[fuse_file_info]

_EXECUTABLE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_DIRECTORY: Final = {"st_mode": stat.S_IFDIR}
_UNKNOWN: Final = 2**32 - 1
"""Libfuse's inode number for want of one. An entry with 0 counts as deleted: readdir(3) leaves it out."""


def decoded(name: bytes) -> str:
    """A name as the kernel has it: whatever is no UTF-8 survives the way back."""
    return name.decode("utf-8", "surrogateescape")


def encoded(name: str) -> bytes:
    """The way back."""
    return name.encode("utf-8", "surrogateescape")


class NameRequests:
    """One mount's."""

    def __init__(self, files: FileSystem, requests: Requests, entry: type[c_stat]) -> None:
        self._files = files
        self._requests = requests
        self._entry = entry
        self._filled = exchange.Filled(entry)
        self._numbers = itertools.count(1)
        self._directories: dict[int, str] = {}

    def table(self) -> dict[str, Callback]:
        """Callbacks by libfuse's names for them."""
        return {
            "getattr": self._getattr,
            "access": self._access,
            "opendir": self._opendir,
            "readdir": self._readdir,
            "releasedir": self._releasedir,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
            "unlink": self._unlink,
            "rename": self._rename,
            "chmod": self._chmod,
            "chown": self._chown,
            "utimens": self._utimens,
            "statfs": self._statfs,
            "getxattr": self._getxattr,
            "listxattr": self._listxattr,
            "setxattr": self._setxattr,
            "removexattr": self._removexattr,
        }

    def _begin(self, path: bytes | None, info: Info) -> str:
        """The path of a request that may come on an open file."""
        self._requests.begin()
        return self._files.file_path(info.contents.fh) if path is None else decoded(path)

    def _getattr(self, path: bytes | None, there: ctypes._Pointer[c_stat], info: Info) -> int:
        self._requests.begin()
        attributes = self._files.fgetattr(info.contents.fh) if path is None else self._files.getattr(decoded(path))
        self._filled.put(there, attributes)
        return 0

    def _access(self, path: bytes, mask: int) -> int:
        """Nothing is refused but what the kernel refuses to execute: an ordinary file of which nobody may say so."""
        self._requests.begin()
        mode = self._files.getattr(decoded(path))["st_mode"]
        return -errno.EACCES if mask & os.X_OK and stat.S_ISREG(mode) and not mode & _EXECUTABLE else 0

    def _opendir(self, path: bytes, info: Info) -> int:
        number = next(self._numbers)
        self._directories[number] = decoded(path)
        info.contents.fh = number
        return 0

    def _readdir(self, _path: bytes | None, buffer: int, fill: Fill, _offset: int, info: Info, _flags: int) -> int:
        self._requests.begin()
        entries = self._files.readdir(self._directories[info.contents.fh])
        entry = self._entry()
        for name, attributes in ((".", _DIRECTORY), ("..", _DIRECTORY), *entries):
            entry.st_mode = attributes["st_mode"]
            entry.st_ino = attributes.get("st_ino", _UNKNOWN)
            if fill(buffer, encoded(name), entry, 0, 0):
                break
        return 0

    def _releasedir(self, _path: bytes | None, info: Info) -> int:
        del self._directories[info.contents.fh]
        return 0

    def _mkdir(self, path: bytes, mode: int) -> int:
        self._requests.begin()
        self._files.mkdir(decoded(path), mode, self._requests.caller())
        return 0

    def _rmdir(self, path: bytes) -> int:
        self._requests.begin()
        self._files.rmdir(decoded(path))
        return 0

    def _unlink(self, path: bytes) -> int:
        self._requests.begin()
        self._files.unlink(decoded(path))
        return 0

    def _rename(self, old: bytes, new: bytes, flags: int) -> int:
        self._requests.begin()
        self._files.rename(decoded(old), decoded(new), flags)
        return 0

    def _chmod(self, path: bytes | None, mode: int, info: Info) -> int:
        self._files.chmod(self._begin(path, info), mode)
        return 0

    def _chown(self, path: bytes | None, uid: int, gid: int, info: Info) -> int:
        self._files.chown(self._begin(path, info), exchange.owner(uid), exchange.owner(gid))
        return 0

    def _utimens(self, path: bytes | None, given: ctypes._Pointer[c_utimbuf], info: Info) -> int:
        name = self._begin(path, info)
        self._files.utimens(name, exchange.times(given, time.time_ns, lambda: self._files.getattr(name)))
        return 0

    def _statfs(self, path: bytes, there: ctypes._Pointer[c_statvfs]) -> int:
        self._requests.begin()
        exchange.put_usage(there, self._files.statfs(decoded(path)))
        return 0

    def _getxattr(self, path: bytes, name: bytes, there: Bytes, size: int) -> int:
        self._requests.begin()
        value = self._files.getxattr(decoded(path), decoded(name), self._requests.caller())
        return exchange.put_value(there, size, value)

    def _listxattr(self, path: bytes, there: Bytes, size: int) -> int:
        self._requests.begin()
        names = self._files.listxattr(decoded(path))
        return exchange.put_value(there, size, b"".join(encoded(name) + b"\0" for name in names))

    def _setxattr(self, path: bytes, name: bytes, value: Bytes, size: int, flags: int) -> int:
        self._requests.begin()
        self._files.setxattr(decoded(path), decoded(name), ctypes.string_at(value, size), flags)
        return 0

    def _removexattr(self, path: bytes, name: bytes) -> int:
        self._requests.begin()
        self._files.removexattr(decoded(path), decoded(name))
        return 0
