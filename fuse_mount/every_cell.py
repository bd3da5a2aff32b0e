"""Every configured cell, a directory each: the same names on every machine, as `/ls` has them (paper §2.3).

A cell is connected to when somebody first goes into its directory, and stays so. Its root is shown without asking it,
so listing the cells needs none of them; what is kept of a root's mode and times is not shown here. The cells themselves
are configured, not made: nothing can be made, removed or renamed at the top, and a rename from one cell to another is
EXDEV, on which mv copies and removes.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Final

from chubby.client.waiting import Patience
from chubby.errors import ChubbyError
from fuse_mount.attributes import View
from fuse_mount.cell_files import CellFiles
from fuse_mount.filesystem import Attributes, Caller, FileLock, Opened
from fuse_mount.kernel import Mounted
from fuse_mount.names import split_cell
from fuse_mount.virtual import attributes_of_cell, attributes_of_directory

logger = logging.getLogger(__name__)

_CELL_BITS: Final = 44
"""Where, in a file number, the number of the cell begins."""
_FILE: Final = (1 << _CELL_BITS) - 1

Make = Callable[[str, int], CellFiles]
"""Makes the files of the cell of that name, the so-many-th from 1."""


class _Cell:
    """One cell: its number, and its files once it was connected to; why the last attempt to do so failed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.files: CellFiles | None = None
        self.connecting = Lock()
        self.failures = 0
        self.failure: ChubbyError | None = None


class EveryCell:
    """See the module; `FileSystem` says what the methods mean. For many threads."""

    def __init__(self, names: Callable[[], Sequence[str]], make: Make, view: View) -> None:
        """`names` are the cells that are configured now; one that was used stays, whatever becomes of that."""
        self._names = names
        self._make = make
        self._view = view
        self._began = time.time_ns()
        self._guard = Lock()
        self._cells: dict[str, _Cell] = {}
        self._numbered: dict[int, CellFiles] = {}
        self._mount: Mounted | None = None
        self._closed = False

    # -------------------------------------------------------------------------------------------------------- life

    def start(self) -> None:
        """Nothing is to be reached yet."""

    def attach(self, mount: Mounted) -> None:
        """It is mounted."""
        self._mount = mount

    def close(self) -> None:
        """End all sessions, all at a time: a cell that does not answer keeps no other from taking note."""
        with self._guard:
            self._closed = True
            connected = list(self._numbered.values())
        threads = [Thread(target=_close, args=(files,), name="chubby-mount-close") for files in connected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _cell(self, name: str) -> _Cell:
        """The cell of that name. Raises OSError ENOENT if none is configured."""
        known = self._cells.get(name)
        if known is not None:
            return known
        if name not in self._names():
            raise OSError(errno.ENOENT, f"no cell {name!r} is configured")
        with self._guard:
            return self._cells.setdefault(name, _Cell(len(self._cells) + 1))

    def _files(self, name: str) -> tuple[CellFiles, int]:
        """The files of the cell, connected to by now, and its number. Raises NoQuorum, ConfigError, OSError."""
        cell = self._cell(name)
        return cell.files or self._connected(name, cell), cell.number

    def _connected(self, name: str, cell: _Cell) -> CellFiles:
        """Connect to the cell. Those who come meanwhile wait for it, and fail with it: one attempt is enough."""
        patience, failures = Patience(), cell.failures
        while not cell.connecting.acquire(timeout=patience.slice):
            patience.look_up()
        try:
            if cell.files is not None:
                return cell.files
            if cell.failures != failures and cell.failure is not None:
                raise type(cell.failure)(str(cell.failure))
            return self._connect(name, cell)
        except ChubbyError as error:
            cell.failure, cell.failures = error, cell.failures + 1
            raise
        finally:
            cell.connecting.release()

    def _connect(self, name: str, cell: _Cell) -> CellFiles:
        self._check_open()
        files = self._make(name, cell.number)
        files.start()
        try:
            with self._guard:
                self._check_open()
                self._numbered[cell.number] = files
        except OSError:
            files.close()
            raise
        if self._mount is not None:
            files.attach(self._mount)
        cell.files = files
        return files

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.ENOTCONN, "the mount ends")

    def _at(self, path: str) -> tuple[CellFiles, str, int]:
        """The cell's files, the path in them, and the number of the cell. Raises OSError EPERM at the top."""
        if path == "/":
            raise OSError(errno.EPERM, "this is the directory of all cells")
        name, inside = split_cell(path)
        files, number = self._files(name)
        return files, inside, number

    def _below(self, path: str) -> tuple[CellFiles, str, int]:
        """The same for what is to be made or removed: not a cell itself."""
        _inside(path)
        return self._at(path)

    def _of(self, file: int) -> tuple[CellFiles, int]:
        files = self._numbered.get(file >> _CELL_BITS)
        if files is None:
            raise OSError(errno.EBADF, f"{file} is no open file")
        return files, file & _FILE

    # ------------------------------------------------------------------------------------------------------- names

    def getattr(self, path: str) -> Attributes:
        """See `FileSystem`. The root of a cell is answered without the cell."""
        if path == "/":
            return attributes_of_directory(self._view, self._began)
        name, inside = split_cell(path)
        if inside == "/":
            view = View(self._view.uid, self._view.gid, self._cell(name).number)
            return attributes_of_cell(view, self._began)
        return self._files(name)[0].getattr(inside)

    def readdir(self, path: str) -> Sequence[tuple[str, Attributes]]:
        """See `FileSystem`."""
        if path == "/":
            return [(name, self.getattr(f"/{name}")) for name in sorted(self._names())]
        files, inside, _ = self._at(path)
        return files.readdir(inside)

    def mkdir(self, path: str, mode: int, caller: Caller) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._below(path)
        files.mkdir(inside, mode, caller)

    def rmdir(self, path: str) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._below(path)
        files.rmdir(inside)

    def unlink(self, path: str) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._below(path)
        files.unlink(inside)

    def rename(self, old: str, new: str, flags: int) -> None:
        """See `FileSystem`."""
        (one, before), (other, after) = _inside(old), _inside(new)
        if one != other:
            raise OSError(errno.EXDEV, "they are in different cells")
        self._files(one)[0].rename(before, after, flags)

    def chmod(self, path: str, mode: int) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.chmod(inside, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.chown(inside, uid, gid)

    def utimens(self, path: str, times: tuple[int, int] | None) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.utimens(inside, times)

    def truncate(self, path: str, length: int) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.truncate(inside, length)

    def statfs(self, path: str) -> dict[str, int]:
        """See `FileSystem`. All cells together have no size."""
        if path == "/":
            return {"f_bsize": 4096, "f_frsize": 4096, "f_namemax": 255}
        files, inside, _ = self._at(path)
        return files.statfs(inside)

    # -------------------------------------------------------------------------------------------------------- xattr

    def getxattr(self, path: str, name: str, caller: Caller) -> bytes:
        """See `FileSystem`."""
        if path == "/" or not name.startswith("user."):  # `ls -l` asks for others, and shall not wait for the cell
            raise OSError(errno.ENODATA, f"there is no {name!a}")
        files, inside, _ = self._at(path)
        return files.getxattr(inside, name, caller)

    def listxattr(self, path: str) -> Sequence[str]:
        """See `FileSystem`."""
        if path == "/" or split_cell(path)[1] == "/":
            return []
        files, inside, _ = self._at(path)
        return files.listxattr(inside)

    def setxattr(self, path: str, name: str, value: bytes, flags: int) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.setxattr(inside, name, value, flags)

    def removexattr(self, path: str, name: str) -> None:
        """See `FileSystem`."""
        files, inside, _ = self._at(path)
        files.removexattr(inside, name)

    # ------------------------------------------------------------------------------------------------------- files

    def open(self, path: str, flags: int, caller: Caller) -> Opened:
        """See `FileSystem`."""
        files, inside, number = self._at(path)
        return _numbered(files.open(inside, flags, caller), number)

    def create(self, path: str, flags: int, mode: int, caller: Caller) -> Opened:
        """See `FileSystem`."""
        files, inside, number = self._below(path)
        return _numbered(files.create(inside, flags, mode, caller), number)

    def fgetattr(self, file: int) -> Attributes:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return files.fgetattr(inner)

    def file_path(self, file: int) -> str:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return f"{files.prefix}{files.file_path(inner)}"

    def read(self, file: int, size: int, offset: int) -> bytes:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return files.read(inner, size, offset)

    def write(self, file: int, data: bytes, offset: int) -> int:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return files.write(inner, data, offset)

    def ftruncate(self, file: int, length: int) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.ftruncate(inner, length)

    def flush(self, file: int) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.flush(inner)

    def fsync(self, file: int) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.fsync(inner)

    def release(self, file: int) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.release(inner)

    def poll(self, file: int, wake: Callable[[], None] | None) -> int:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return files.poll(inner, wake)

    # ------------------------------------------------------------------------------------------------------- locks

    def flock(self, file: int, operation: int, caller: Caller) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.flock(inner, operation, caller)

    def lock(self, file: int, owner: int, lock: FileLock, wait: bool, caller: Caller) -> None:
        """See `FileSystem`."""
        files, inner = self._of(file)
        files.lock(inner, owner, lock, wait, caller)

    def test_lock(self, file: int, owner: int, lock: FileLock, caller: Caller) -> FileLock:
        """See `FileSystem`."""
        files, inner = self._of(file)
        return files.test_lock(inner, owner, lock, caller)


def _inside(path: str) -> tuple[str, str]:
    """The cell, and the path in it, of what is to be made, removed or renamed. Raises OSError EPERM: not a cell."""
    name, inside = split_cell(path) if path != "/" else ("", "/")
    if inside == "/":
        raise OSError(errno.EPERM, "cells are configured, not made, renamed or removed here")
    return name, inside


def _close(files: CellFiles) -> None:
    try:
        files.close()
    except ChubbyError as error:
        logger.warning("%s was not closed in good order: %s", files.prefix, error)


def _numbered(opened: Opened, cell: int) -> Opened:
    return Opened(cell << _CELL_BITS | opened.file, opened.keep_cache, opened.direct_io, opened.nonseekable)
