"""One cell as a file system: what the kernel asks goes to the tree, the open files, the locks or the controls.

::

                     ┌─ Tree, Extended ─┐
    FileSystem ──────┼─ Files ──────────┼── Tenure: Session, Reader, Locks
    (this module)    ├─ Locks ──────────┘
                     └─ Controls ─── EventFeed ◀── Follower ◀── a watch of the whole cell

Paths are those of a mount of this cell alone; in a mount of every cell `EveryCell` stands before this. Taking a lock
shows the newest content to its descriptor, and giving one back first commits what was written through it, as NFS has
it: so `flock` alone makes a read-modify-write safe.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from chubby.errors import NodeExists, NoNode
from chubby.types.events import Event
from chubby.types.status import CellStatus
from chubby.types.stream import CacheKey
from fuse_mount.attributes import Shape, View
from fuse_mount.controls import FIRST, Controls
from fuse_mount.extended import Extended
from fuse_mount.files import Files
from fuse_mount.filesystem import Attributes, Caller, FileLock, Opened
from fuse_mount.kernel import Kernel, Mounted
from fuse_mount.locking import Locking
from fuse_mount.names import Control, ControlDirectory, ControlFile, Made, Place, parse, parse_new
from fuse_mount.names import Node as NamedNode
from fuse_mount.notices import Follower, before, names_of
from fuse_mount.open_nodes import OpenFile
from fuse_mount.tenure import Connect, Tenure, Tenures
from fuse_mount.touches import TOUCHED, OwnRevisions, Touch, Toucher
from fuse_mount.tree import Tree
from fuse_mount.usage import Usage
from fuse_mount.virtual import EventFeed, attributes_of_directory
from fuse_mount.xattrs import need_of

_ATTEMPTS: Final = 8
"""A file may be made or deleted by others between two of our calls, but hardly that often."""
START_TIMEOUT: Final = 15.0
"""Seconds in which the cell has to be reached when the mount begins."""


class CellFiles:
    """See the module; `FileSystem` says what its methods mean. For many threads."""

    def __init__(
        self, cell: str, connect: Connect, view: View, *, prefix: str = "", timeout: float = START_TIMEOUT
    ) -> None:
        """`cell` is the name that events show; `prefix`, where this begins in the mount."""
        self.prefix = prefix
        self._timeout = timeout
        self._view = view
        self._began = time.time_ns()
        self._kernel = Kernel(prefix)
        own = OwnRevisions()
        self._toucher = Toucher(self._kernel.requester, self._kernel.drop, self._attributes, own, self._in_use)
        self._files = Files(self._kernel.drop, own.add)
        self._tenures = Tenures(connect, self._drop, self._begun, self._ended)
        self._tree = Tree(self._files, view, time.time_ns, own.add)
        self._extended = Extended(self._tree, self._files)
        self._locking = Locking(self._files)
        self._feed = EventFeed(cell, self._began)
        self._controls = Controls(self._tenures, self._feed, view, self._began)
        self._usage = Usage(self._status)

    # -------------------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Reach the cell. Raises NoQuorum, ConfigError."""
        self._tenures.start(self._timeout)

    def attach(self, mount: Mounted) -> None:
        """It is mounted."""
        self._kernel.attach(mount)
        self._toucher.start(f"{mount.directory}{self.prefix}")

    def close(self) -> None:
        """End the session: locks are released, ephemeral files deleted."""
        self._toucher.end()
        self._tenures.close()

    def _drop(self, keys: tuple[CacheKey, ...] | None) -> None:
        before(keys, self._files, self._kernel)

    def _begun(self, tenure: Tenure) -> None:
        Follower(tenure, self._files, self._tell).start()

    def _ended(self, tenure: Tenure) -> None:
        """Waiters end, and what the kernel kept of open files goes: their reads shall say that all is over."""
        tenure.locks.abandon()
        self._files.lost(tenure)

    def _tell(self, event: Event) -> None:
        self._feed.put(event, time.time_ns())
        for name in names_of(event.path):
            self._toucher.put(name, event)

    def _in_use(self, name: str) -> bool:
        """Whether that which bears the name now is open here."""
        tenure, place = self._tenures.present(), _made(parse(name))
        instance = self._files.instance(tenure, place.path)
        with suppress(NoNode):
            return instance is not None and tenure.reader.stat(place.path).instance == instance
        return False

    def _status(self) -> CellStatus:
        status = self._tenures.present().session.status()
        self._files.learn_limit(status.content_limit)
        return status

    # ------------------------------------------------------------------------------------------------------- names

    def getattr(self, path: str) -> Attributes:
        """See `FileSystem`."""
        return self._toucher.getattr(path) or self._attributes(path)

    def _attributes(self, path: str) -> Attributes:
        place = parse(path)
        if isinstance(place, ControlDirectory):
            return attributes_of_directory(self._view, self._began)
        if isinstance(place, ControlFile):
            return self._controls.getattr(place.control)
        return self._tree.getattr(self._tenures.present(), _made(place))

    def readdir(self, path: str) -> Sequence[tuple[str, Attributes]]:
        """See `FileSystem`. `.chubby` is there for who names it, and not listed: copies of the tree leave it out."""
        place = parse(path)
        if isinstance(place, ControlDirectory):
            return [(control.value, self._controls.getattr(control)) for control in Control]
        if not isinstance(place, NamedNode):
            raise OSError(errno.ENOTDIR, f"{path} is a file")
        return self._tree.readdir(self._tenures.present(), place.path)

    def mkdir(self, path: str, mode: int, caller: Caller) -> None:
        """See `FileSystem`."""
        if self._toucher.done(path):
            return
        place = parse_new(path)
        if not isinstance(place, NamedNode):
            raise OSError(errno.EPERM, "it is the content of a node, and a file")
        self._tree.mkdir(self._tenures.present(), place.path, mode, caller)

    def rmdir(self, path: str) -> None:
        """See `FileSystem`."""
        place = self._writable(path)
        if not isinstance(place, NamedNode):
            raise OSError(errno.ENOTDIR, f"{path} is a file")
        self._tree.rmdir(self._tenures.present(), place.path)

    def unlink(self, path: str) -> None:
        """See `FileSystem`."""
        if self._toucher.done(path):
            return
        self._tree.unlink(self._tenures.present(), self._writable(path))

    def rename(self, old: str, new: str, flags: int) -> None:
        """See `FileSystem`."""
        self._tree.rename(self._tenures.present(), self._writable(old), parse_new(new), flags)

    def chmod(self, path: str, mode: int) -> None:
        """See `FileSystem`."""
        self._tree.chmod(self._tenures.present(), self._writable(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """See `FileSystem`."""
        self._tree.chown(self._tenures.present(), self._writable(path), uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None) -> None:
        """See `FileSystem`."""
        if self._toucher.done(path):
            return
        self._tree.utimens(self._tenures.present(), self._writable(path), times)

    def truncate(self, path: str, length: int) -> None:
        """See `FileSystem`."""
        place = self._writable(path)
        tenure = self._tenures.present()
        self._check_file(tenure, place)
        opened = self._files.open(tenure, path, place.path, os.O_RDWR)
        try:
            self._files.truncate(opened.file, length)
            self._files.flush(opened.file, everything=True)
        finally:
            self._files.release(opened.file)

    def statfs(self, path: str) -> dict[str, int]:
        """See `FileSystem`."""
        return self._usage.statfs()

    # -------------------------------------------------------------------------------------------------------- xattr

    def getxattr(self, path: str, name: str, caller: Caller) -> bytes:
        """See `FileSystem`."""
        place = self._extensible(path, errno.ENODATA)
        # Before anybody waits for a session: every write on an open file begins with such a question.
        need_of(name)
        return self._extended.get(self._tenures.present(), place, name, caller.process)

    def listxattr(self, path: str) -> Sequence[str]:
        """See `FileSystem`."""
        place = parse(path)
        if isinstance(place, ControlDirectory | ControlFile):
            return []
        return self._extended.names(self._tenures.present(), _made(place))

    def setxattr(self, path: str, name: str, value: bytes, flags: int) -> None:
        """See `FileSystem`."""
        self._extended.set(self._tenures.present(), self._writable(path), name, value, flags)

    def removexattr(self, path: str, name: str) -> None:
        """See `FileSystem`."""
        self._extended.remove(self._tenures.present(), self._writable(path), name)

    # ------------------------------------------------------------------------------------------------------- files

    def open(self, path: str, flags: int, caller: Caller) -> Opened:
        """See `FileSystem`."""
        if self._toucher.touches(path) is Touch.MODIFY:
            return Opened(TOUCHED, direct_io=True)
        place = parse(path)
        if isinstance(place, ControlFile):
            if flags & os.O_ACCMODE != os.O_RDONLY:
                raise OSError(errno.EACCES, f"{path} can only be read")
            return self._controls.open(place.control)
        if isinstance(place, ControlDirectory):
            raise OSError(errno.EISDIR, f"{path} is a directory")
        return self._open(self._tenures.present(), path, _made(place), flags)

    def _open(self, tenure: Tenure, path: str, place: Made, flags: int) -> Opened:
        self._check_file(tenure, place)
        return self._files.open(tenure, path, place.path, flags)

    def create(self, path: str, flags: int, mode: int, caller: Caller) -> Opened:
        """See `FileSystem`."""
        if self._toucher.done(path):
            return Opened(TOUCHED, direct_io=True)
        place, tenure = parse_new(path), self._tenures.present()
        attributes = self._tree.first_attributes(mode, caller)
        for _ in range(_ATTEMPTS):
            try:
                return self._create(tenure, path, place, flags, attributes)
            except NodeExists:
                if flags & os.O_EXCL:
                    raise
            with suppress(NoNode):  # deleted again meanwhile
                return self._open(tenure, path, place, flags)
        raise OSError(errno.EBUSY, f"{path} is made and deleted again and again")

    def _create(self, tenure: Tenure, path: str, place: Made, flags: int, attributes: dict[str, bytes]) -> Opened:
        """Make a file, and open it. Raises NodeExists."""
        if isinstance(place, NamedNode):
            return self._files.create(tenure, path, place.path, flags | os.O_EXCL, attributes)
        self._tree.stat(tenure, place)
        with suppress(NoNode):  # the node is there, and has no content
            self._tree.getattr(tenure, place)
            raise NodeExists(f"{path} is there")
        return self._files.open(tenure, path, place.path, flags)

    def fgetattr(self, file: int) -> Attributes:
        """See `FileSystem`."""
        if file >= FIRST:
            return self._controls.attributes(file)
        if file == TOUCHED:
            return self._attributes(self._toucher.name)
        return self._tree.fgetattr(self._files.file(file))

    def file_path(self, file: int) -> str:
        """See `FileSystem`."""
        if file == TOUCHED:
            return self._toucher.name
        return self._controls.name(file) if file >= FIRST else self._files.file(file).name

    def read(self, file: int, size: int, offset: int) -> bytes:
        """See `FileSystem`."""
        return (self._controls if file >= FIRST else self._files).read(file, size, offset)

    def write(self, file: int, data: bytes, offset: int) -> int:
        """See `FileSystem`."""
        return self._files.write(file, data, offset)

    def ftruncate(self, file: int, length: int) -> None:
        """See `FileSystem`."""
        if file != TOUCHED:
            self._files.truncate(file, length)

    def flush(self, file: int) -> None:
        """See `FileSystem`."""
        if file < TOUCHED:
            self._files.flush(file)

    def fsync(self, file: int) -> None:
        """See `FileSystem`."""
        if file < TOUCHED:
            self._files.flush(file, everything=True)

    def release(self, file: int) -> None:
        """See `FileSystem`."""
        if file >= FIRST:
            self._controls.release(file)
        if file >= TOUCHED:
            return
        tenure = self._files.file(file).tenure
        try:
            self._files.release(file)
        finally:
            tenure.locks.drop_file(file)

    def poll(self, file: int, wake: Callable[[], None] | None) -> int:
        """See `FileSystem`. A file can always be read and written; POLLPRI says that it shows something new."""
        if file >= FIRST:
            return select.POLLIN if self._controls.poll(file, wake) else 0
        always = select.POLLIN | select.POLLOUT
        return always | select.POLLPRI if self._files.poll(file, wake) else always

    # ------------------------------------------------------------------------------------------------------- locks

    def flock(self, file: int, operation: int, caller: Caller) -> None:
        """See `FileSystem`."""
        self._locking.flock(self._lockable(file), operation, caller)

    def lock(self, file: int, owner: int, lock: FileLock, wait: bool, caller: Caller) -> None:
        """See `FileSystem`."""
        if file != TOUCHED:
            self._locking.lock(self._lockable(file), owner, lock, wait, caller)

    def test_lock(self, file: int, owner: int, lock: FileLock, caller: Caller) -> FileLock:
        """See `FileSystem`."""
        return self._locking.test(self._lockable(file), owner, lock, caller)

    def _lockable(self, file: int) -> OpenFile:
        if file >= TOUCHED:
            raise OSError(errno.EOPNOTSUPP, "this is no file of the cell")
        return self._files.file(file)

    # ------------------------------------------------------------------------------------------------------ places

    def _writable(self, path: str) -> Made:
        """The place of that name, which is to be changed."""
        place = parse(path)
        if isinstance(place, ControlDirectory | ControlFile):
            raise OSError(errno.EPERM, f"{path} is the mount's own")
        return _made(place)

    def _extensible(self, path: str, refusal: int) -> Made:
        place = parse(path)
        if isinstance(place, ControlDirectory | ControlFile):
            raise OSError(refusal, f"{path} has no extended attributes")
        return _made(place)

    def _check_file(self, tenure: Tenure, place: Made) -> None:
        """Raises OSError EISDIR if the place is shown as a directory, NoNode if it is not there."""
        _, shape = self._tree.stat(tenure, place)
        if shape is Shape.DIRECTORY:
            raise OSError(errno.EISDIR, f"{place.path} is a directory")
        if shape is Shape.CONTENTS:
            self._tree.getattr(tenure, place)


def _made(place: Place) -> Made:
    if isinstance(place, Made):
        return place
    _impossible(place)


def _impossible(place: Place) -> NoReturn:
    raise OSError(errno.ENOENT, f"a mount of one cell has no {place}")
