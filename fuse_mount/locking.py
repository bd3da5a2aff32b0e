"""flock(2) and fcntl(2) on open files: locks of the cell, and content that goes with them.

Taking a lock shows the newest content to its descriptor, and giving one back first commits what was written through
it, as NFS has it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable

from chubby.types.nodes import LockMode
from fuse_mount.files import Files
from fuse_mount.filesystem import Caller, FileLock
from fuse_mount.grips import Claimant, Kind, Node
from fuse_mount.open_nodes import OpenFile
from fuse_mount.ranges import Span


class Locking:
    """See the module; `FileSystem` says what the methods mean, and `locks` what they raise. For many threads."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def flock(self, file: OpenFile, operation: int, caller: Caller) -> None:
        """Take or give back the lock of an open file."""
        locks, claimant = file.tenure.locks, Claimant(Kind.FLOCK, file.number)
        if operation & fcntl.LOCK_UN:
            self._give_back(file, claimant, lambda node: locks.unflock(node, file.number))
            return
        node = _node(file)
        mode = LockMode.SHARED if operation & fcntl.LOCK_SH else LockMode.EXCLUSIVE
        had = locks.has(node, claimant)
        self._files.flush(file.number, everything=True)
        locks.flock(node, file.number, caller.process, mode, not operation & fcntl.LOCK_NB)
        self._refresh(file, None if had else lambda: locks.unflock(node, file.number))

    def lock(self, file: OpenFile, owner: int, lock: FileLock, wait: bool, caller: Caller) -> None:
        """Take or give back bytes for a table of files. The kernel gives back all bytes at every close."""
        span, locks, claimant = Span(lock.start, lock.end), file.tenure.locks, Claimant(Kind.POSIX, owner)
        if lock.kind == fcntl.F_UNLCK:
            self._give_back(file, claimant, lambda node: locks.unlock(node, owner, span))
            return
        node = _node(file)
        had = locks.has(node, claimant)
        self._files.flush(file.number, everything=True)
        locks.lock(node, file.number, owner, caller.process, _mode(lock), span, wait)
        self._refresh(file, None if had else lambda: locks.unlock(node, owner, span))

    def test(self, file: OpenFile, owner: int, lock: FileLock, caller: Caller) -> FileLock:
        """What is in the way."""
        span = Span(lock.start, lock.end)
        found = file.tenure.locks.test(_node(file), owner, caller.process, _mode(lock), span)
        if found is None:
            return FileLock(fcntl.F_UNLCK, lock.start, lock.end, lock.process)
        kind = fcntl.F_RDLCK if found.mode is LockMode.SHARED else fcntl.F_WRLCK
        return FileLock(kind, found.span.start, found.span.end, found.process)

    def _refresh(self, file: OpenFile, give_back: Callable[[], None] | None) -> None:
        """Show what the cell has. If that fails the caller is told that it has no lock, so it shall have none.

        None: it had one before.
        """
        try:
            self._files.refresh(file.number)
        except BaseException:
            if give_back is not None:
                give_back()
            raise

    def _give_back(self, file: OpenFile, claimant: Claimant, give_back: Callable[[Node], None]) -> None:
        """What was written under the lock is in the cell before anybody else has the lock, which is free in any case.

        At every close the kernel gives back what may never have been taken. Then a new length alone still waits.
        """
        node = _lock_node(file)
        try:
            self._files.flush(file.number, everything=file.tenure.locks.has(node, claimant))
            file.node.check()
        finally:
            give_back(node)


def _lock_node(file: OpenFile) -> Node:
    return Node(file.node.path, file.node.content.instance)


def _node(file: OpenFile) -> Node:
    """Raises SessionExpired, OSError ESTALE: then there is nothing to lock."""
    file.tenure.check()
    file.node.check()
    return _lock_node(file)


def _mode(lock: FileLock) -> LockMode:
    return LockMode.SHARED if lock.kind == fcntl.F_RDLCK else LockMode.EXCLUSIVE
