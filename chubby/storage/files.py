"""The few file operations storage needs, as a Protocol; `OsFiles` carries them out for real.

Everything in this room goes through `Files`, so a simulated disk can stand in for the real one, lose what was not
synced, tear what was being written, and run full. What may be relied on, and nothing more:

* `File.write` is not durable until `File.sync` returned; until then any subset of its 512-byte sectors may be on disk.
* A write that fails has written some of its sectors, whole ones: systems write page by page, and fail between pages.
* A new name, a rename or a removal is not durable until `sync_directory` of its directory returned.
* `rename` is atomic: after a crash there is the old state or the new one.
* After a failed `sync` nobody knows what is on disk, and a later one that succeeds proves nothing.

Names are relative to the data directory, parts divided by "/"; "" is the directory itself. Every method raises
`OSError` as the system does; the callers turn it into `StorageFailed`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import Final, Protocol

from chubby.errors import StorageFailed

ROOT: Final = ""
"""The name of the data directory itself."""


class File(Protocol):
    """An open file. Reads and writes name their position; there is no cursor."""

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""

    def write(self, offset: int, data: bytes) -> None:
        """Put all of `data` at `offset`, growing the file where needed. Not durable before `sync`."""

    def allocate(self, size: int) -> None:
        """Reserve room so that the file is at least `size` bytes long (the new ones zero); ENOSPC shows up here."""

    def sync(self) -> None:
        """Make everything written durable, and the file's size with it (fdatasync)."""

    def size(self) -> int:
        """The length of the file in bytes."""

    def close(self) -> None:
        """Give the file back. Says nothing about durability."""


class Lock(Protocol):
    """An exclusive lock on the data directory, held until released or until the process ends."""

    def release(self) -> None:
        """Let another process have the directory. Harmless when repeated."""


class Files(Protocol):
    """A data directory."""

    def create(self, name: str) -> File:
        """A new empty file; FileExistsError if the name is taken."""

    def open(self, name: str) -> File:
        """An existing file, to read and write; FileNotFoundError if there is none."""

    def names(self, directory: str) -> list[str]:
        """The names in `directory`, sorted; FileNotFoundError if there is none."""

    def is_directory(self, name: str) -> bool:
        """Whether `name` is there and is a directory."""

    def make_directory(self, name: str) -> None:
        """A new empty directory; FileExistsError if the name is taken."""

    def rename(self, old: str, new: str) -> None:
        """Atomically give a file or directory another name in the same directory; an old *file* there is replaced."""

    def remove(self, name: str) -> None:
        """Remove a file or an empty directory."""

    def sync_directory(self, directory: str) -> None:
        """Make the names in `directory` durable: those that came, went or changed."""

    def lock(self, name: str) -> Lock:
        """Take the exclusive lock that file `name` stands for; `StorageFailed` if somebody has it."""

    def describe(self, name: str) -> str:
        """The full path of `name`, for people."""


class OsFile:
    """A `File` of the operating system."""

    def __init__(self, descriptor: int) -> None:
        """Takes over the open `descriptor`."""
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        """See `File.read`."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length or not data:
            return data
        parts = [data]
        while length > (have := sum(map(len, parts))):
            data = os.pread(self._descriptor, length - have, offset + have)
            if not data:
                break
            parts.append(data)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """See `File.write`."""
        written = os.pwrite(self._descriptor, data, offset)
        while written < len(data):
            # A signal or a nearly full disk cuts a write short; the next one says which.
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)

    def allocate(self, size: int) -> None:
        """See `File.allocate`."""
        try:
            os.posix_fallocate(self._descriptor, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            # Some file systems cannot reserve. The zeros that are written next then find out whether there is room.
            os.ftruncate(self._descriptor, max(size, self.size()))

    def sync(self) -> None:
        """See `File.sync`."""
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        """See `File.size`."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """See `File.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class OsLock:
    """An flock. The system drops it when the process dies, so a crash never leaves a directory locked."""

    def __init__(self, descriptor: int) -> None:
        """Takes over the open, locked `descriptor`."""
        self._descriptor = descriptor

    def release(self) -> None:
        """See `Lock.release`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class OsFiles:
    """The data directory at `root` of the operating system; made durably, with its parents, if it is not there."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises OSError if `root` can neither be found nor made."""
        self._root = os.path.abspath(root)
        made = _missing(self._root)
        os.makedirs(self._root, mode=0o700, exist_ok=True)
        # Else a power loss could take the directory away with everything in it, however well that was synced: a cell
        # would find itself empty, and be formatted again.
        for path in made:
            _sync_directory(os.path.dirname(path))

    def describe(self, name: str) -> str:
        """See `Files.describe`."""
        return os.path.join(self._root, name) if name else self._root

    def create(self, name: str) -> OsFile:
        """See `Files.create`."""
        return OsFile(os.open(self.describe(name), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def open(self, name: str) -> OsFile:
        """See `Files.open`."""
        return OsFile(os.open(self.describe(name), os.O_RDWR))

    def names(self, directory: str) -> list[str]:
        """See `Files.names`."""
        return sorted(os.listdir(self.describe(directory)))

    def is_directory(self, name: str) -> bool:
        """See `Files.is_directory`. Not `os.path.isdir`: to it what the disk refuses to tell is not there."""
        try:
            return stat.S_ISDIR(os.stat(self.describe(name)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def make_directory(self, name: str) -> None:
        """See `Files.make_directory`."""
        os.mkdir(self.describe(name), 0o700)

    def rename(self, old: str, new: str) -> None:
        """See `Files.rename`."""
        os.rename(self.describe(old), self.describe(new))

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        path = self.describe(name)
        if self.is_directory(name):
            os.rmdir(path)
        else:
            os.unlink(path)

    def sync_directory(self, directory: str) -> None:
        """See `Files.sync_directory`."""
        _sync_directory(self.describe(directory))

    def lock(self, name: str) -> OsLock:
        """See `Files.lock`. The holder's process id stands in the file, for the message alone."""
        descriptor = os.open(self.describe(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StorageFailed(
                f"data directory {self._root} is in use by another process (pid {holder or 'unknown'}); two replicas "
                "never share one: stop that process or name another directory"
            ) from error
        except BaseException:
            os.close(descriptor)
            raise
        return OsLock(descriptor)


def _missing(path: str) -> list[str]:
    """The directories on the way to `path` that are not there, `path` itself included, the outermost first."""
    found: list[str] = []
    while not os.path.lexists(path):
        found.insert(0, path)
        path = os.path.dirname(path)
    return found


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
