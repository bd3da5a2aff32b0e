"""A file system in memory, trivial on purpose: what the binding is tested with, and a yardstick for the real one.

It keeps flock(2) and fcntl(2) locks of whole files, and writes down every
request, so that a test sees what arrived. It waits as a client of the cell does: by `chubby.client.waiting`.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chubby.client.waiting import Patience
from fuse_mount.filesystem import Attributes, Caller, FileLock, Opened

Call = tuple[str | int | None, ...]
"""A request's name, and what it is about."""
RENAME_NOREPLACE = 1
BLOCK = 512


@dataclass
class Node:
    """A file or directory."""

    number: int
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    times: tuple[int, int] = (0, 0)
    revision: int = 0
    attributes: dict[str, bytes] = field(default_factory=dict)
    flocks: dict[int, int] = field(default_factory=dict)
    """LOCK_SH or LOCK_EX by file number."""
    locks: dict[int, FileLock] = field(default_factory=dict)
    """By owner."""

    def stat(self) -> Attributes:
        """Its attributes."""
        return {
            "st_ino": self.number,
            "st_mode": self.mode,
            "st_nlink": 1,
            "st_uid": self.uid,
            "st_gid": self.gid,
            "st_size": len(self.data),
            "st_blocks": -(-len(self.data) // BLOCK),
            "st_atime": self.times[0],
            "st_mtime": self.times[1],
            "st_ctime": self.times[1],
        }


@dataclass
class OpenFile:
    """What a file number stands for."""

    path: str
    node: Node
    flags: int
    seen: int
    wakes: list[Callable[[], None]] = field(default_factory=list)


class MemoryFiles:
    """A FileSystem. `calls` holds every request, `errors` what the next one of a name raises.

    With a TimeoutError it waits instead, until its caller loses interest.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.nodes = {"/": Node(next(self._numbers), stat.S_IFDIR | 0o755)}
        self.files: dict[int, OpenFile] = {}
        self.calls: list[Call] = []
        self.errors: dict[str, BaseException] = {}
        self.witness: Callable[[Call], object] = lambda _call: None
        """Called in the thread of each request."""
        self.opening = Opened(0)
        """How files are opened."""
        self.blocked = 0
        """Requests that wait."""
        self._changed = threading.Condition()

    # ------------------------------------------------------------------------------------------------------- names

    def getattr(self, path: str) -> Attributes:
        """See FileSystem."""
        self._note("getattr", path)
        return self._node(path).stat()

    def readdir(self, path: str) -> Sequence[tuple[str, Attributes]]:
        """See FileSystem."""
        self._note("readdir", path)
        return [(os.path.basename(name), node.stat()) for name, node in self._below(path)]

    def mkdir(self, path: str, mode: int, caller: Caller) -> None:
        """See FileSystem."""
        self._note("mkdir", path, mode, caller.process)
        self._make(path, stat.S_IFDIR | mode, caller)

    def rmdir(self, path: str) -> None:
        """See FileSystem."""
        self._note("rmdir", path)
        if self._below(path):
            raise OSError(errno.ENOTEMPTY, path)
        del self.nodes[path]

    def unlink(self, path: str) -> None:
        """See FileSystem."""
        self._note("unlink", path)
        self._node(path)
        del self.nodes[path]

    def rename(self, old: str, new: str, flags: int) -> None:
        """See FileSystem."""
        self._note("rename", old, new, flags)
        if flags & ~RENAME_NOREPLACE:
            raise OSError(errno.EINVAL, "flags")
        if flags & RENAME_NOREPLACE and new in self.nodes:
            raise OSError(errno.EEXIST, new)
        self.nodes[new] = self._node(old)
        del self.nodes[old]

    def chmod(self, path: str, mode: int) -> None:
        """See FileSystem."""
        self._note("chmod", path, mode)
        node = self._node(path)
        node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """See FileSystem."""
        self._note("chown", path, uid, gid)
        node = self._node(path)
        node.uid = node.uid if uid == -1 else uid
        node.gid = node.gid if gid == -1 else gid

    def utimens(self, path: str, times: tuple[int, int] | None) -> None:
        """See FileSystem."""
        self._note("utimens", path, *(times or (None,)))
        self._node(path).times = times or (time.time_ns(), time.time_ns())

    def truncate(self, path: str, length: int) -> None:
        """See FileSystem."""
        self._note("truncate", path, length)
        self._store(self._node(path), self._node(path).data[:length].ljust(length, b"\0"))

    def statfs(self, path: str) -> dict[str, int]:
        """See FileSystem."""
        self._note("statfs", path)
        return {"f_bsize": BLOCK, "f_frsize": BLOCK, "f_blocks": 1000, "f_bfree": 400, "f_bavail": 300, "f_namemax": 99}

    # -------------------------------------------------------------------------------------------------------- xattr

    def getxattr(self, path: str, name: str, caller: Caller) -> bytes:
        """See FileSystem."""
        self._note("getxattr", path, name, caller.process)
        try:
            return self._node(path).attributes[name]
        except KeyError:
            raise OSError(errno.ENODATA, name) from None

    def listxattr(self, path: str) -> Sequence[str]:
        """See FileSystem."""
        self._note("listxattr", path)
        return list(self._node(path).attributes)

    def setxattr(self, path: str, name: str, value: bytes, flags: int) -> None:
        """See FileSystem."""
        self._note("setxattr", path, name, flags)
        self._node(path).attributes[name] = value

    def removexattr(self, path: str, name: str) -> None:
        """See FileSystem."""
        self._note("removexattr", path, name)
        if self._node(path).attributes.pop(name, None) is None:
            raise OSError(errno.ENODATA, name)

    # ------------------------------------------------------------------------------------------------------- files

    def open(self, path: str, flags: int, caller: Caller) -> Opened:
        """See FileSystem."""
        self._note("open", path, flags, caller.process)
        node = self._node(path)
        if flags & os.O_TRUNC:
            self._store(node, b"")
        return self._open(path, node, flags)

    def create(self, path: str, flags: int, mode: int, caller: Caller) -> Opened:
        """See FileSystem."""
        self._note("create", path, flags, mode, caller.process)
        return self._open(path, self._make(path, stat.S_IFREG | mode, caller), flags)

    def fgetattr(self, file: int) -> Attributes:
        """See FileSystem."""
        self._note("fgetattr", self.files[file].path)
        return self.files[file].node.stat()

    def file_path(self, file: int) -> str:
        """See FileSystem."""
        return self.files[file].path

    def read(self, file: int, size: int, offset: int) -> bytes:
        """See FileSystem."""
        opened = self.files[file]
        self._note("read", opened.path, size, offset)
        opened.seen = opened.node.revision
        return opened.node.data[offset : offset + size]

    def write(self, file: int, data: bytes, offset: int) -> int:
        """See FileSystem."""
        opened = self.files[file]
        self._note("write", opened.path, len(data), offset)
        before = opened.node.data
        start = len(before) if opened.flags & os.O_APPEND else offset
        self._store(opened.node, before[:start].ljust(start, b"\0") + data + before[start + len(data) :])
        return len(data)

    def ftruncate(self, file: int, length: int) -> None:
        """See FileSystem."""
        opened = self.files[file]
        self._note("ftruncate", opened.path, length)
        self._store(opened.node, opened.node.data[:length].ljust(length, b"\0"))

    def flush(self, file: int) -> None:
        """See FileSystem."""
        self._note("flush", self.files[file].path)

    def fsync(self, file: int) -> None:
        """See FileSystem."""
        self._note("fsync", self.files[file].path)

    def release(self, file: int) -> None:
        """See FileSystem."""
        opened = self.files.pop(file)
        self._note("release", opened.path)
        with self._changed:
            opened.node.flocks.pop(file, None)
            self._changed.notify_all()

    def poll(self, file: int, wake: Callable[[], None] | None) -> int:
        """Readable is what was changed since it was read last."""
        opened = self.files[file]
        self._note("poll", opened.path)
        if wake is not None:
            opened.wakes.append(wake)
        return select.POLLOUT | (select.POLLIN if opened.seen != opened.node.revision else 0)

    # ------------------------------------------------------------------------------------------------------- locks

    def flock(self, file: int, operation: int, caller: Caller) -> None:
        """See FileSystem."""
        opened = self.files[file]
        self._note("flock", opened.path, operation, caller.process)
        held, mode = opened.node.flocks, operation & ~fcntl.LOCK_NB

        def free() -> bool:
            others = [other for number, other in held.items() if number != file]
            return fcntl.LOCK_EX not in others and not (others and mode == fcntl.LOCK_EX)

        with self._changed:
            if mode == fcntl.LOCK_UN:
                held.pop(file, None)
                self._changed.notify_all()
            else:
                self._wait(free, not operation & fcntl.LOCK_NB)
                held[file] = mode

    def lock(self, file: int, owner: int, lock: FileLock, wait: bool, caller: Caller) -> None:
        """See FileSystem."""
        opened = self.files[file]
        end = -1 if lock.end is None else lock.end
        self._note("lock", opened.path, lock.kind, lock.start, end, int(wait), caller.process)
        with self._changed:
            if lock.kind == fcntl.F_UNLCK:
                opened.node.locks.pop(owner, None)
                self._changed.notify_all()
            else:
                self._wait(lambda: self._in_the_way(opened.node, owner, lock) is None, wait)
                opened.node.locks[owner] = lock

    def test_lock(self, file: int, owner: int, lock: FileLock, caller: Caller) -> FileLock:
        """See FileSystem."""
        opened = self.files[file]
        self._note("test_lock", opened.path, lock.kind, caller.process)
        return self._in_the_way(opened.node, owner, lock) or FileLock(fcntl.F_UNLCK)

    # --------------------------------------------------------------------------------------- what is no FileSystem's

    def put(self, path: str, data: bytes) -> None:
        """Somebody else writes."""
        self._store(self._node(path), data)

    def _note(self, *call: str | int | None) -> None:
        self.calls.append(call)
        self.witness(call)
        name = str(call[0])
        if name in self.errors:
            error = self.errors.pop(name)
            if isinstance(error, TimeoutError):
                with self._changed:
                    self._wait(lambda: False, True)
            raise error

    def _node(self, path: str) -> Node:
        try:
            return self.nodes[path]
        except KeyError:
            raise OSError(errno.ENOENT, path) from None

    def _below(self, path: str) -> list[tuple[str, Node]]:
        return [(name, node) for name, node in self.nodes.items() if name != "/" and os.path.dirname(name) == path]

    def _make(self, path: str, mode: int, caller: Caller) -> Node:
        if path in self.nodes:
            raise OSError(errno.EEXIST, path)
        self.nodes[path] = Node(next(self._numbers), mode, uid=caller.uid, gid=caller.gid)
        return self.nodes[path]

    def _open(self, path: str, node: Node, flags: int) -> Opened:
        file = next(self._numbers)
        self.files[file] = OpenFile(path, node, flags, node.revision)
        how = self.opening
        return Opened(file, how.keep_cache, how.direct_io, how.nonseekable)

    def _store(self, node: Node, data: bytes) -> None:
        node.data, node.revision = data, node.revision + 1
        for opened in list(self.files.values()):
            if opened.node is node:
                wakes, opened.wakes = opened.wakes, []
                for wake in wakes:
                    wake()

    def _in_the_way(self, node: Node, owner: int, lock: FileLock) -> FileLock | None:
        others = (other for number, other in node.locks.items() if number != owner)
        return next((other for other in others if fcntl.F_WRLCK in (other.kind, lock.kind)), None)

    def _wait(self, free: Callable[[], bool], wait: bool) -> None:
        patience = Patience()
        self.blocked += 1
        try:
            while not free():
                if not wait:
                    raise BlockingIOError(errno.EAGAIN, "locked")
                if not self._changed.wait(patience.slice):
                    patience.look_up()
        finally:
            self.blocked -= 1
