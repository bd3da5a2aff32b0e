"""The nodes that are open in this mount, by instance and by name, and the files through which they are.

A node is open as long as a file is. Its name may be given to another instance meanwhile (deleted and made again): then
the older one is *replaced*, and every call on its files is ESTALE. One that was only removed can still be read; what is
written to it is lost without a word if it was removed here, as POSIX has it, and ESTALE if elsewhere.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable, Iterator
from threading import Lock

from chubby import Handle
from fuse_mount.contents import Content, Version
from fuse_mount.tenure import Tenure


class Fate(enum.Enum):
    """What has become of the node of an open file."""

    THERE = "there"
    REMOVED_HERE = "removed here"
    REPLACED = "replaced"


class OpenNode:
    """One node that is open. `committing` is held while its content is on the way to the cell."""

    __slots__ = ("committing", "content", "fate", "files", "path", "wakers")

    def __init__(self, path: str, content: Content) -> None:
        self.path = path
        self.content = content
        self.fate = Fate.THERE
        self.files: dict[int, OpenFile] = {}
        self.committing = Lock()
        self.wakers: dict[int, Callable[[], None]] = {}

    def check(self) -> None:
        """Raises OSError ESTALE if the name is another node's by now."""
        if self.fate is Fate.REPLACED:
            raise OSError(errno.ESTALE, f"{self.path} was deleted and made again")

    def changed(self) -> list[Callable[[], None]]:
        """Something else is shown: whom to wake."""
        wakers, self.wakers = self.wakers, {}
        return list(wakers.values())


class OpenFile:
    """One open file. `name` is its path in the mount; `handle` is there once something was to be written."""

    __slots__ = ("append", "fresh", "handle", "name", "node", "number", "readable", "seen", "tenure", "writable")

    def __init__(self, number: int, name: str, node: OpenNode, tenure: Tenure, handle: Handle | None) -> None:
        self.number = number
        self.name = name
        self.node = node
        self.tenure = tenure
        self.handle = handle
        self.readable = self.writable = self.append = False
        self.fresh = False
        """Made by this open, and no descriptor of it was closed yet."""
        self.seen: Version | None = None
        """What was shown when it was last read; for poll."""


class OpenNodes:
    """The tables. Not for several threads at once."""

    def __init__(self) -> None:
        self._files: dict[int, OpenFile] = {}
        self._nodes: dict[tuple[int, str], OpenNode] = {}
        self._last = 0

    def file(self, number: int) -> OpenFile:
        """The open file of that number. Raises OSError EBADF."""
        file = self._files.get(number)
        if file is None:
            raise OSError(errno.EBADF, f"{number} is no open file")
        return file

    def files(self) -> Iterator[OpenFile]:
        """All of them."""
        return iter(list(self._files.values()))

    def node(self, tenure: Tenure, path: str) -> OpenNode | None:
        """The node open under that name, if one is."""
        return self._nodes.get((tenure.number, path))

    def enter(self, tenure: Tenure, path: str, content: Content) -> OpenNode:
        """The open node of that name whose instance is that of `content`; a new one shows `content`."""
        known = self._nodes.get((tenure.number, path))
        if known is not None and known.content.instance >= content.instance:
            return known
        if known is not None:
            known.fate = Fate.REPLACED
        made = self._nodes[tenure.number, path] = OpenNode(path, content)
        return made

    def open(self, name: str, node: OpenNode, tenure: Tenure, handle: Handle | None) -> OpenFile:
        """A new file of an open node."""
        self._last += 1
        file = self._files[self._last] = OpenFile(self._last, name, node, tenure, handle)
        node.files[file.number] = file
        return file

    def replaced(self, tenure: Tenure, path: str, instance: int) -> OpenNode | None:
        """The name is that of `instance`: the node open under it, if that is an older one, is open no longer."""
        known = self._nodes.get((tenure.number, path))
        if known is None or known.content.instance >= instance:
            return None
        known.fate = Fate.REPLACED
        del self._nodes[tenure.number, path]
        return known

    def removed(self, tenure: Tenure, path: str) -> OpenNode | None:
        """The node of that name was removed here."""
        known = self._nodes.pop((tenure.number, path), None)
        if known is not None:
            known.fate = Fate.REMOVED_HERE
        return known

    def renamed(self, tenure: Tenure, old: str, new: str, version: Version) -> OpenNode | None:
        """What was open as `old` is the node `new` now, in this version; the files go along with it.

        If `new` is open too, both show one content from now on.
        """
        moved = self._nodes.pop((tenure.number, old), None)
        if moved is None:
            return None
        target = self._nodes.get((tenure.number, new))
        moved.path = new
        moved.content.move(version)
        self._nodes[tenure.number, new] = moved
        if target is not None and target.content.instance == version.instance:
            for file in target.files.values():
                file.node = moved
            moved.files.update(target.files)
            moved.wakers.update(target.wakers)
        elif target is not None:
            target.fate = Fate.REPLACED
        return moved

    def close(self, file: OpenFile) -> bool:
        """The file is released. Whether its node is open no longer."""
        del self._files[file.number]
        node = file.node
        node.files.pop(file.number, None)
        node.wakers.pop(file.number, None)
        if node.files:
            return False
        key = (file.tenure.number, node.path)
        if self._nodes.get(key) is node:
            del self._nodes[key]
        return True
