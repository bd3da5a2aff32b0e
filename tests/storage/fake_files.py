"""A simulated disk behind the `Files` Protocol: a write-back cache that loses, in a crash, whatever was not synced.

It is as unhelpful as the contract in `chubby.storage.files` permits:

* a write reaches the disk sector by sector (512 bytes), each for itself and in any order, until the file is synced:
  after a power loss each unsynced sector is old or new, whatever its neighbours are;
* a change of a directory (a name that came, went or was renamed) is lost or kept for itself until the directory is
  synced, whatever later changes are;
* a failed sync drops what it should have written: later syncs succeed and do not bring it back, while reads go on
  showing it until the machine goes down;
* a failed write leaves a part of itself behind, in whole sectors: systems write page by page, and fail between them.

What happens is decided from outside, so that every run can be repeated: `Interference` is asked before each operation
and may raise `Crashed` or an `OSError`; `power_loss` takes the coin that decides what survives.

There is no time and no chance in here; a simulator adds its own, for instance by making operations slow or by flipping
bits with `rot`.
"""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable

from chubby.errors import StorageFailed
from chubby.storage.files import ROOT
from tests.storage.interference import Interference, Operation

SECTOR = 512

Coin = Callable[[], bool]
"""Decides what survives a power loss: asked once for each unsynced sector and each unsynced change of a directory."""


def nothing() -> bool:
    """The coin of the worst case: nothing that was not synced survives."""
    return False


def everything() -> bool:
    """The coin of the best case: the disk happened to have written all of it."""
    return True


class _Data:
    """A file's bytes: `disk` is durable, `cache` is what reads see, `unsynced` leads from one to the other."""

    def __init__(self) -> None:
        self.disk = bytearray()
        self.cache = bytearray()
        self.unsynced: list[tuple[int, bytes]] = []

    def write(self, offset: int, data: bytes) -> None:
        self._put(self.cache, offset, data)
        self.unsynced.append((offset, bytes(data)))

    def grow(self, size: int) -> None:
        self.cache.extend(bytes(max(0, size - len(self.cache))))

    def sync(self) -> None:
        self.disk.extend(bytes(len(self.cache) - len(self.disk)))
        for offset, data in self.unsynced:
            self._put(self.disk, offset, data)
        self.unsynced.clear()

    def forget_unsynced(self) -> None:
        """A sync failed: the system takes the pages for clean now, and never writes them."""
        self.unsynced.clear()

    def power_loss(self, coin: Coin) -> None:
        if len(self.cache) > len(self.disk) and coin():
            self.disk.extend(bytes(len(self.cache) - len(self.disk)))
        for offset, data in self.unsynced:
            for begin, end in _sectors(offset, offset + len(data)):
                if coin():
                    self._put(self.disk, begin, data[begin - offset : end - offset])
        self.unsynced.clear()
        self.cache = bytearray(self.disk)

    @staticmethod
    def _put(target: bytearray, offset: int, data: bytes) -> None:
        if offset > len(target):
            target.extend(bytes(offset - len(target)))
        target[offset : offset + len(data)] = data


class _Directory:
    """A directory: `disk` is durable, `cache` is what is seen, `unsynced` are the changes in between, in order."""

    def __init__(self) -> None:
        self.disk: dict[str, _Node] = {}
        self.cache: dict[str, _Node] = {}
        self.unsynced: list[dict[str, _Node | None]] = []

    def change(self, names: dict[str, _Node | None]) -> None:
        self._apply(self.cache, names)
        self.unsynced.append(names)

    def sync(self) -> None:
        self.disk = dict(self.cache)
        self.unsynced.clear()

    def power_loss(self, coin: Coin) -> None:
        for names in self.unsynced:
            if coin():
                self._apply(self.disk, names)
        self.unsynced.clear()
        self.cache = dict(self.disk)
        for name in sorted(self.cache):
            self.cache[name].power_loss(coin)

    @staticmethod
    def _apply(target: dict[str, _Node], names: dict[str, _Node | None]) -> None:
        for name, node in names.items():
            if node is None:
                target.pop(name, None)
            else:
                target[name] = node


_Node = _Data | _Directory


class FakeFile:
    """A `File` of the simulated disk; of no use once the process that opened it has crashed."""

    def __init__(self, files: FakeFiles, name: str, data: _Data) -> None:
        """Made by `FakeFiles`."""
        self._files = files
        self._name = name
        self._data = data
        self._process = files.process
        self._closed = False

    def read(self, offset: int, length: int) -> bytes:
        """See `File.read`."""
        self._ask("read")
        return bytes(self._data.cache[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """See `File.write`."""
        try:
            self._ask("write")
        except OSError:
            half = (offset + len(data) // 2) // SECTOR * SECTOR
            self._data.write(offset, data[: max(0, half - offset)])
            raise
        self._data.write(offset, data)

    def allocate(self, size: int) -> None:
        """See `File.allocate`."""
        self._ask("allocate")
        self._data.grow(size)

    def sync(self) -> None:
        """See `File.sync`."""
        try:
            self._ask("sync")
        except OSError:
            self._data.forget_unsynced()
            raise
        self._data.sync()

    def size(self) -> int:
        """See `File.size`."""
        self._ask("size")
        return len(self._data.cache)

    def close(self) -> None:
        """See `File.close`."""
        if not self._closed:
            self._closed = True
            self._files.closed()

    def _ask(self, kind: str) -> None:
        assert not self._closed, f"{self._name} is closed"
        assert self._process == self._files.process, f"{self._name} was opened by a process that is no more"
        self._files.ask(kind, self._name)


class FakeLock:
    """The lock on a simulated data directory."""

    def __init__(self, files: FakeFiles) -> None:
        """Made by `FakeFiles`."""
        self._files = files
        self._process = files.process

    def release(self) -> None:
        """See `Lock.release`."""
        if self._process == self._files.process:
            self._files.locked = False


class FakeFiles:
    """A simulated data directory, and what can befall it.

    `process` counts the lives of the process that uses it; `open_files` how many files this one has open;
    `operations` what it did, if `record` was set.
    """

    def __init__(self, interference: Interference | None = None) -> None:
        """An empty disk."""
        self.interference = interference
        self.process = 1
        self.locked = False
        self.open_files = 0
        self.record = False
        self.operations: list[Operation] = []
        self._root = _Directory()

    # --- what may befall it

    def process_crash(self) -> None:
        """The process ends and the machine goes on: everything written is still seen, synced or not."""
        self.process += 1
        self.locked = False
        self.open_files = 0
        self.interference = None

    def power_loss(self, coin: Coin = nothing) -> None:
        """The machine goes down: of what was not synced there is left what `coin` says."""
        self.process_crash()
        self._root.power_loss(coin)

    def rot(self, name: str, offset: int, data: bytes) -> None:
        """Bytes change on the disk, behind everybody's back."""
        node = self._file(name)
        assert offset + len(data) <= len(node.disk), "rot changes what is there"
        node.disk[offset : offset + len(data)] = data
        node.cache[offset : offset + len(data)] = data

    def truncate(self, name: str, length: int) -> None:
        """A file is shorter than it was, behind everybody's back."""
        node = self._file(name)
        assert length < len(node.cache), "what is cut off was there"
        del node.disk[length:], node.cache[length:]
        node.unsynced = [(offset, data) for offset, data in node.unsynced if offset + len(data) <= length]

    def lose(self, name: str) -> None:
        """A file or a folder is gone for good, behind everybody's back; who has it open goes on with it."""
        parent, base = self._parent(name)
        self._node(name)
        parent.change({base: None})
        parent.sync()

    def contents(self, name: str) -> bytes:
        """What a read of the whole file sees, without disturbing anything."""
        return bytes(self._file(name).cache)

    def tree(self, directory: str = ROOT) -> list[str]:
        """All files, with their folders, as one sees them."""
        found: list[str] = []
        for name, node in sorted(self._directory(directory).cache.items()):
            path = f"{directory}/{name}" if directory else name
            found += self.tree(path) if isinstance(node, _Directory) else [path]
        return found

    # --- Files

    def create(self, name: str) -> FakeFile:
        """See `Files.create`."""
        self.ask("create", name)
        parent, base = self._parent(name)
        if base in parent.cache:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        data = _Data()
        parent.change({base: data})
        self.open_files += 1
        return FakeFile(self, name, data)

    def open(self, name: str) -> FakeFile:
        """See `Files.open`."""
        self.ask("open", name)
        data = self._file(name)
        self.open_files += 1
        return FakeFile(self, name, data)

    def names(self, directory: str) -> list[str]:
        """See `Files.names`."""
        self.ask("names", directory)
        return sorted(self._directory(directory).cache)

    def is_directory(self, name: str) -> bool:
        """See `Files.is_directory`."""
        self.ask("is_directory", name)
        try:
            return isinstance(self._node(name), _Directory)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def make_directory(self, name: str) -> None:
        """See `Files.make_directory`."""
        self.ask("make_directory", name)
        parent, base = self._parent(name)
        if base in parent.cache:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        parent.change({base: _Directory()})

    def rename(self, old: str, new: str) -> None:
        """See `Files.rename`."""
        self.ask("rename", old)
        parent, before = self._parent(old)
        other, after = self._parent(new)
        assert parent is other, "a rename stays within its directory"
        node = self._node(old)
        assert after not in parent.cache or isinstance(parent.cache[after], _Data), "only a file is replaced"
        parent.change({before: None, after: node})

    def remove(self, name: str) -> None:
        """See `Files.remove`."""
        self.ask("remove", name)
        parent, base = self._parent(name)
        node = self._node(name)
        if isinstance(node, _Directory) and node.cache:
            raise OSError(errno.ENOTEMPTY, "Directory not empty", name)
        parent.change({base: None})

    def sync_directory(self, directory: str) -> None:
        """See `Files.sync_directory`."""
        self.ask("sync_directory", directory)
        self._directory(directory).sync()

    def lock(self, name: str) -> FakeLock:
        """See `Files.lock`; the file itself is left out."""
        self.ask("lock", name)
        if self.locked:
            raise StorageFailed("data directory /fake is in use by another process (pid unknown)")
        self.locked = True
        return FakeLock(self)

    def describe(self, name: str) -> str:
        """See `Files.describe`."""
        return f"/fake/{name}" if name else "/fake"

    # --- behind the scenes

    def ask(self, kind: str, name: str) -> None:
        """Give interference its chance before an operation."""
        operation = Operation(kind, name)
        if self.record:
            self.operations.append(operation)
        if self.interference is not None:
            self.interference(operation)

    def closed(self) -> None:
        """A file was closed."""
        self.open_files -= 1

    def _node(self, name: str) -> _Node:
        node: _Node = self._root
        for part in name.split("/") if name else ():
            if not isinstance(node, _Directory):
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", name)
            if part not in node.cache:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
            node = node.cache[part]
        return node

    def _directory(self, name: str) -> _Directory:
        node = self._node(name)
        if not isinstance(node, _Directory):
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", name)
        return node

    def _file(self, name: str) -> _Data:
        node = self._node(name)
        if not isinstance(node, _Data):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", name)
        return node

    def _parent(self, name: str) -> tuple[_Directory, str]:
        folder, _, base = name.rpartition("/")
        return self._directory(folder), base


def _sectors(begin: int, end: int) -> list[tuple[int, int]]:
    """The range cut at sector boundaries."""
    cuts = [begin, *range(begin - begin % SECTOR + SECTOR, end, SECTOR), end]
    return list(itertools.pairwise(cuts)) if end > begin else []
