"""What is shown of the nodes that are open, and who is told when something else is (DESIGN §2).

What is served of a node is one content, the newest that is known, whoever reads. The mutex guards the tables and
contents, and is never held across a call to the cell or to the kernel; a node's `committing` is.

**Which pages the kernel may use.** Files that may be written are opened with direct I/O, so their bytes are ours alone.
For the others see `pages`. When something else is shown, the kernel drops the pages of those who have the node open to
read, and who polls is woken.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from chubby.types.nodes import Stat
from fuse_mount.open_nodes import Moved, OpenFile, OpenNode, OpenNodes
from fuse_mount.pages import Pages
from fuse_mount.tenure import Tenure


class Showing:
    """See the module. `dropped(name)` has the kernel forget the pages of what the mount shows as `name`; may wait."""

    def __init__(self, dropped: Callable[[str], object]) -> None:
        self._dropped = dropped
        self._mutex = Lock()
        self._open = OpenNodes()
        self._pages = Pages()

    def file(self, number: int) -> OpenFile:
        """The open file of that number. Raises OSError EBADF."""
        return self._open.file(number)

    def _shows_another(self, node: OpenNode) -> None:
        """Something else is served of a node from now on."""
        for file in node.files.values():
            self._pages.changed(file.name)

    # ------------------------------------------------------------------------------------------ news from the cell

    def adopt(self, tenure: Tenure, path: str, contents: bytes, stat: Stat) -> None:
        """The cell has this now: whoever has the node open is to see it."""
        with self._mutex:
            node = self._open.replaced(tenure, path, stat.instance)
            if node is None:
                node = self._open.node(tenure, path)
                if node is None or node.content.instance != stat.instance:
                    return
                if not node.content.adopt(contents, stat.content_generation):
                    return
            self._shows_another(node)
        self._tell(node)

    def gone(self, tenure: Tenure, path: str, instance: int) -> None:
        """The cell has told that this instance of the node was removed, by whomever."""
        with self._mutex:
            self._open.gone(tenure, path, instance)

    def _tell(self, node: OpenNode) -> None:
        """Something else is shown: the kernel drops the pages of those who read, and who polls is woken."""
        with self._mutex:
            wakers = node.changed()
            names = sorted({file.name for file in node.files.values() if not file.writable})
        for name in names:
            self._dropped(name)
        for wake in wakers:
            wake()

    def lost(self, tenure: Tenure) -> None:
        """The tenure is over: the kernel drops pages so that reads say so, and who polls is woken."""
        with self._mutex:
            files = [file for file in self._open.files() if file.tenure is tenure]
            wakers = [wake for file in files for wake in file.node.changed()]
        for name in dict.fromkeys(file.name for file in files):
            self._dropped(name)
        for wake in wakers:
            wake()

    def size(self, tenure: Tenure, path: str, stat: Stat) -> int | None:
        """How long the node is for those who have it open here; None if nobody has. What the cell has newer is fetched.

        Size and bytes have to agree: the kernel cuts what it reads to the size it was told last. Raises NoNode.
        """
        with self._mutex:
            node = self._open.node(tenure, path)
            if node is None:
                return None
            content = node.content
            same = content.instance == stat.instance
            if same and (content.overwritten or content.generation >= stat.content_generation):
                return content.size
        contents, newer = tenure.reader.contents(path)
        self.adopt(tenure, path, contents, newer)
        with self._mutex:
            node = self._open.node(tenure, path)
            return None if node is None else node.content.size

    # ------------------------------------------------------------------------------------------------------- names

    def paths(self, tenure: Tenure) -> list[str]:
        """The nodes that are open in this tenure."""
        with self._mutex:
            return list(dict.fromkeys(file.node.path for file in self._open.files() if file.tenure is tenure))

    def is_open(self, tenure: Tenure, path: str) -> bool:
        """Whether the node of that name is open here."""
        return self.instance(tenure, path) is not None

    def instance(self, tenure: Tenure, path: str) -> int | None:
        """The instance of the node of that name that is open here; None if none is."""
        with self._mutex:
            node = self._open.node(tenure, path)
            return None if node is None else node.content.instance

    def removed(self, tenure: Tenure, name: str, path: str, instance: int) -> None:
        """The node, of that instance, was removed through this mount."""
        with self._mutex:
            self._pages.changed(name)
            self._open.removed(tenure, path, instance)

    def renamed(self, tenure: Tenure, old: str, new: str, path: str, moved: Moved) -> None:
        """What the mount showed as `old` it shows as `new` now, which is the node at `path`."""
        with self._mutex:
            self._pages.changed(old)
            self._pages.changed(new)
            node, files = self._open.moved(tenure, moved, path)
            for file in files:
                file.name = new
            if node is not None:
                self._shows_another(node)

    def remade(self, tenure: Tenure, path: str, moved: Moved) -> None:
        """The node was removed and made again, with the same content, through this mount."""
        with self._mutex:
            node, _ = self._open.moved(tenure, moved, path)
            if node is not None:
                self._shows_another(node)

    def names(self) -> list[str]:
        """What the mount shows that is open: only of that need the kernel drop pages, a new open sees to itself."""
        with self._mutex:
            return list(dict.fromkeys(file.name for file in self._open.files()))

    def poll(self, number: int, wake: Callable[[], None] | None) -> bool:
        """Whether something else is shown than when it was opened or last read, or the tenure is over.

        `wake` is called once when that changes.
        """
        file = self.file(number)
        with self._mutex:
            if wake is not None:
                file.node.wakers[number] = wake
            return file.tenure.over or file.seen != file.node.content.changes
