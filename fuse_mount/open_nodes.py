"""The nodes that are open in this mount, by instance and by name, and the files through which they are.

A node is open as long as a file is. What becomes of it meanwhile, and of what its files do then:

| fate           | because                                | read    | write, and commit what was written      |
|----------------|----------------------------------------|---------|-----------------------------------------|
| `THERE`        |                                        | goes on | goes on                                 |
| `REMOVED_HERE` | it was removed through this mount      | goes on | is lost without a word, as POSIX has it |
| `GONE`         | the cell told that it was removed      | goes on | ESTALE when it is to be committed       |
| `REPLACED`     | another node is known to bear its name | ESTALE  | ESTALE                                  |

The cell may tell of a removal or a renaming before the mount itself, which did it, has the answer. So nodes are found
by their instance then, whatever their name and fate are by that time.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable
from threading import Lock

import msgspec

from chubby import Handle
from fuse_mount.contents import Content, Version
from fuse_mount.tenure import Tenure


class Fate(enum.Enum):
    """What has become of the node of an open file; see the module."""

    THERE = "there"
    REMOVED_HERE = "removed here"
    GONE = "gone"
    REPLACED = "replaced"


class Moved(msgspec.Struct, frozen=True):
    """What was the node of instance `before` is one of another instance now, in `version`, with these `contents`."""

    before: int
    version: Version
    contents: bytes


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
        self.seen = node.content.changes
        """The changes of the content when it was opened or last read; for poll."""


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

    def files(self) -> list[OpenFile]:
        """All of them."""
        return list(self._files.values())

    def node(self, tenure: Tenure, path: str) -> OpenNode | None:
        """The node open under that name, if one is."""
        return self._nodes.get((tenure.number, path))

    def enter(self, tenure: Tenure, path: str, content: Content) -> OpenNode:
        """The open node of that name whose instance is that of `content`; a new one shows `content`.

        If a newer one is open under that name already, `content` is of one that was REPLACED.
        """
        known = self._nodes.get((tenure.number, path))
        if known is not None and known.content.instance == content.instance:
            return known
        made = OpenNode(path, content)
        if known is not None and known.content.instance > content.instance:
            made.fate = Fate.REPLACED
            return made
        if known is not None:
            known.fate = Fate.REPLACED
        self._nodes[tenure.number, path] = made
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

    def removed(self, tenure: Tenure, path: str, instance: int) -> None:
        """That instance of the node was removed here."""
        known = self._nodes.get((tenure.number, path))
        if known is not None and known.content.instance == instance:
            known.fate = Fate.REMOVED_HERE
            del self._nodes[tenure.number, path]

    def gone(self, tenure: Tenure, path: str, instance: int) -> None:
        """The cell has told that this instance of the node, or a later one, was removed by somebody."""
        known = self._nodes.get((tenure.number, path))
        if known is not None and known.content.instance <= instance:
            known.fate = Fate.GONE

    def moved(self, tenure: Tenure, moved: Moved, new: str) -> tuple[OpenNode | None, list[OpenFile]]:
        """What was open as one instance is the node `new` now; its files go along with it, and are given back.

        If `new` is open too, both show one content from now on.
        """
        node = next((file.node for file in self._files.values() if _is(file, tenure, moved.before)), None)
        if node is None:
            return None, []
        files = list(node.files.values())
        if self._nodes.get((tenure.number, node.path)) is node:
            del self._nodes[tenure.number, node.path]
        target = self._nodes.get((tenure.number, new))
        if target is not None and target.content.instance > moved.version.instance:
            node.fate = Fate.REPLACED
            return node, files
        node.path, node.fate = new, Fate.THERE
        node.content.move(moved.version, moved.contents)
        self._nodes[tenure.number, new] = node
        if target is not None and target.content.instance == moved.version.instance:
            _merge(node, target)
        elif target is not None:
            target.fate = Fate.REPLACED
        return node, files

    def close(self, file: OpenFile) -> None:
        """The file is released, and with the last one its node."""
        del self._files[file.number]
        node = file.node
        node.files.pop(file.number, None)
        node.wakers.pop(file.number, None)
        key = (file.tenure.number, node.path)
        if not node.files and self._nodes.get(key) is node:
            del self._nodes[key]


def _is(file: OpenFile, tenure: Tenure, instance: int) -> bool:
    node = file.node
    return file.tenure is tenure and node.content.instance == instance and node.fate is not Fate.REMOVED_HERE


def _merge(node: OpenNode, other: OpenNode) -> None:
    """Two are one from now on; what was written to the `other` was written to what is not there any more."""
    node.content.adopt(*other.content.committed)
    for file in other.files.values():
        file.node, file.seen = node, -1
    node.files.update(other.files)
    node.wakers.update(other.wakers)
