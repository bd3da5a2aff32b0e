"""What the kernel asks of a file system, in our words: the seam between the binding and what is shown through it.

Paths are absolute within the mount (`/` is its root). A file number is what `open` or `create` gave; it stays valid
until `release`, whatever becomes of the name. Methods are called from many threads at once, and raise OSError or
ChubbyError; `errnos.errno_of` turns either into what the caller sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

Attributes = dict[str, int]
"""The fields of `struct stat` by their names; times are `st_atime`, `st_mtime`, `st_ctime` in nanoseconds."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks: `process` is the process (not the thread), 0 if it is out of sight."""

    uid: int
    gid: int
    process: int


class Opened(msgspec.Struct, frozen=True):
    """A file is open. `keep_cache`: the kernel's pages are good. `direct_io`: it shall keep none for this file."""

    file: int
    keep_cache: bool = False
    direct_io: bool = False
    nonseekable: bool = False


class FileLock(msgspec.Struct, frozen=True):
    """A lock as fcntl(2) speaks of it: `kind` is F_RDLCK, F_WRLCK or F_UNLCK, `end` None reaches to the end."""

    kind: int
    start: int = 0
    end: int | None = None
    process: int = 0


class FileSystem(Protocol):
    """Everything a mount answers. What is not here (links, devices) is EPERM or ENOSYS at the binding."""

    # ------------------------------------------------------------------------------------------------------- names

    def getattr(self, path: str) -> Attributes:
        """The attributes of what `path` names."""

    def readdir(self, path: str) -> Sequence[tuple[str, Attributes]]:
        """Names in a directory, without `.` and `..`."""

    def mkdir(self, path: str, mode: int, caller: Caller) -> None:
        """Make a directory."""

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""

    def unlink(self, path: str) -> None:
        """Remove a file."""

    def rename(self, old: str, new: str, flags: int) -> None:
        """Give a file another name; `flags` as in renameat2(2)."""

    def chmod(self, path: str, mode: int) -> None:
        """Keep another mode."""

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Keep another owner; -1 leaves one as it is."""

    def utimens(self, path: str, times: tuple[int, int] | None) -> None:
        """Keep other times of access and change, in nanoseconds; None: now."""

    def truncate(self, path: str, length: int) -> None:
        """Cut or extend a file that the caller has not opened."""

    def statfs(self, path: str) -> dict[str, int]:
        """The fields of `struct statvfs` by their names."""

    # -------------------------------------------------------------------------------------------------------- xattr

    def getxattr(self, path: str, name: str, caller: Caller) -> bytes:
        """The value of an extended attribute."""

    def listxattr(self, path: str) -> Sequence[str]:
        """The names of the extended attributes."""

    def setxattr(self, path: str, name: str, value: bytes, flags: int) -> None:
        """Set one."""

    def removexattr(self, path: str, name: str) -> None:
        """Remove one."""

    # ------------------------------------------------------------------------------------------------------- files

    def open(self, path: str, flags: int, caller: Caller) -> Opened:
        """Open a file that is there."""

    def create(self, path: str, flags: int, mode: int, caller: Caller) -> Opened:
        """Make a file and open it; one that is there is opened, or with O_EXCL refused."""

    def fgetattr(self, file: int) -> Attributes:
        """The attributes of an open file, whatever became of its name. The kernel asks before it reads at the end."""

    def file_path(self, file: int) -> str:
        """The path under which `file` was opened: for calls that bring the file number alone."""

    def read(self, file: int, size: int, offset: int) -> bytes:
        """At most `size` bytes from `offset` on. Never waits for the network."""

    def write(self, file: int, data: bytes, offset: int) -> int:
        """Take `data`; how much was taken. Never waits for the network."""

    def ftruncate(self, file: int, length: int) -> None:
        """Cut or extend an open file. Never waits for the network."""

    def flush(self, file: int) -> None:
        """A descriptor is closed: what was written goes to the cell."""

    def fsync(self, file: int) -> None:
        """What was written goes to the cell."""

    def release(self, file: int) -> None:
        """No descriptor of it is left."""

    def poll(self, file: int, wake: Callable[[], None] | None) -> int:
        """Which of POLLIN, POLLOUT, POLLPRI hold now; `wake` is called, once, when that changes."""

    # ------------------------------------------------------------------------------------------------------- locks

    def flock(self, file: int, operation: int, caller: Caller) -> None:
        """`operation` as in flock(2). Waits unless LOCK_NB."""

    def lock(self, file: int, owner: int, lock: FileLock, wait: bool, caller: Caller) -> None:
        """F_SETLK or F_SETLKW of `owner`, the kernel's mark of a process' table of files."""

    def test_lock(self, file: int, owner: int, lock: FileLock, caller: Caller) -> FileLock:
        """F_GETLK: the lock in the way, or `lock` with F_UNLCK."""
