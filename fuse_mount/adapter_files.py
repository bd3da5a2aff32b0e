"""Requests on open files: contents, locks, poll.

`open` and `create` leave the file's number where libfuse keeps it for all requests that follow.
"""

from __future__ import annotations

import ctypes
import fcntl
from typing import TYPE_CHECKING

from fuse_mount import exchange
from fuse_mount.adapter_names import decoded
from fuse_mount.filesystem import FileSystem, Opened
from fuse_mount.library import Library, Pointer
from fuse_mount.life import Life
from fuse_mount.requests import Callback, Requests

if TYPE_CHECKING:
    from mfusepy import c_flock_t, fuse_file_info

    from fuse_mount.exchange import Bytes

    Info = ctypes._Pointer[fuse_file_info]


class FileRequests:
    """One mount's."""

    def __init__(self, files: FileSystem, requests: Requests, library: Library, life: Life) -> None:
        self._files = files
        self._requests = requests
        self._library = library
        self._life = life

    def table(self) -> dict[str, Callback]:
        """Callbacks by libfuse's names for them."""
        return {
            "open": self._open,
            "create": self._create,
            "read": self._read,
            "write": self._write,
            "truncate": self._truncate,
            "flush": self._flush,
            "fsync": self._fsync,
            "release": self._release,
            "flock": self._flock,
            "lock": self._lock,
            "poll": self._poll,
        }

    def _open(self, path: bytes, info: Info) -> int:
        self._requests.begin()
        there = info.contents
        put_opened(there, self._files.open(decoded(path), there.flags, self._requests.caller()))
        return 0

    def _create(self, path: bytes, mode: int, info: Info) -> int:
        self._requests.begin()
        there = info.contents
        put_opened(there, self._files.create(decoded(path), there.flags, mode, self._requests.caller()))
        return 0

    def _read(self, _path: None, there: Bytes, size: int, offset: int, info: Info) -> int:
        data = self._files.read(info.contents.fh, size, offset)
        assert len(data) <= size, "no more than the kernel has room for"
        ctypes.memmove(there, data, len(data))
        return len(data)

    def _write(self, _path: None, data: Bytes, size: int, offset: int, info: Info) -> int:
        return self._files.write(info.contents.fh, ctypes.string_at(data, size), offset)

    def _truncate(self, path: bytes | None, length: int, info: Info) -> int:
        if info:
            self._files.ftruncate(info.contents.fh, length)
        else:
            assert path is not None, "a file is known by its number or its name"
            self._requests.begin()
            self._files.truncate(decoded(path), length)
        return 0

    def _flush(self, _path: None, info: Info) -> int:
        self._requests.begin_patiently()
        self._files.flush(info.contents.fh)
        return 0

    def _fsync(self, _path: None, _data_only: int, info: Info) -> int:
        self._requests.begin_patiently()
        self._files.fsync(info.contents.fh)
        return 0

    def _release(self, _path: None, info: Info) -> int:
        self._requests.begin_patiently()
        self._files.release(info.contents.fh)
        return 0

    def _flock(self, _path: None, info: Info, operation: int) -> int:
        self._requests.begin()
        self._files.flock(info.contents.fh, operation, self._requests.caller())
        return 0

    def _lock(self, _path: None, info: Info, command: int, there: ctypes._Pointer[c_flock_t]) -> int:
        self._requests.begin()
        file, owner, lock = info.contents.fh, info.contents.lock_owner, exchange.get_lock(there)
        caller = self._requests.caller()
        if command == fcntl.F_GETLK:
            exchange.put_lock(there, self._files.test_lock(file, owner, lock, caller))
        else:
            self._files.lock(file, owner, lock, command == fcntl.F_SETLKW, caller)
        return 0

    def _poll(self, _path: None, info: Info, handle: Pointer, there: ctypes._Pointer[ctypes.c_uint]) -> int:
        wake = None if handle is None else Waker(self._library, self._life, handle)
        there[0] = self._files.poll(info.contents.fh, wake)
        return 0


def put_opened(there: fuse_file_info, opened: Opened) -> None:
    """Tell libfuse of an open file."""
    there.fh = opened.file
    there.direct_io, there.keep_cache, there.nonseekable = opened.direct_io, opened.keep_cache, opened.nonseekable


class Waker:
    """Wakes who polls an open file, at most once. Libfuse's handle is freed with it."""

    __slots__ = ("_handle", "_library", "_life")

    def __init__(self, library: Library, life: Life, handle: int) -> None:
        self._library, self._life = library, life
        self._handle: Pointer = handle

    def __call__(self) -> None:
        """From any thread, even when the mount has ended."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        if self._life.enter():
            try:
                self._library.wake_poll(handle)
            finally:
                self._life.leave()
        self._library.free_poll(handle)

    def __del__(self) -> None:
        if self._handle is not None:
            self._library.free_poll(self._handle)
