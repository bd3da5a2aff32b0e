"""Open files: content is fetched at open, gathered in memory, and committed when a descriptor is flushed (DESIGN §2).

Nothing here waits for the network but `open`, `create`, `flush`, `fsync`, `release` and `refresh`. The mutex guards the
tables and contents and is never held across a call; a node's `committing` is, and keeps its commits in order.

**Which pages the kernel may use.** Files that may be written are opened with direct I/O, so their bytes are ours alone.
For the others see `pages`: what is served of a node is one content, the newest that we know, whoever reads.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from threading import Lock

from chubby import CreateMode, Handle, Mode
from chubby.client.waiting import Patience
from chubby.errors import ChubbyError, GenerationMismatch, HandleInvalid, NoNode
from chubby.types.identity import Revision
from chubby.types.limits import CONTENT_LIMIT
from chubby.types.nodes import NodeKind, Stat
from fuse_mount.contents import Commit, Content, Version
from fuse_mount.errnos import errno_of
from fuse_mount.filesystem import Opened
from fuse_mount.open_nodes import Fate, OpenFile, OpenNode, OpenNodes
from fuse_mount.pages import Pages
from fuse_mount.tenure import Tenure

logger = logging.getLogger(__name__)

_READ_WRITE = Mode.READ | Mode.WRITE
_ATTEMPTS = 8
"""A node may be deleted and made again between two of our calls, but hardly that often."""


class Files:
    """See the module. `dropped(name)` has the kernel forget the pages of what the mount shows as `name`; may wait.

    `made` is told the revision of each change. `limit` is how long a content may become, in bytes.
    """

    def __init__(
        self, dropped: Callable[[str], object], made: Callable[[Revision], object], limit: int = CONTENT_LIMIT
    ) -> None:
        self.limit = limit
        self._dropped = dropped
        self._made = made
        self._mutex = Lock()
        self._open = OpenNodes()
        self._pages = Pages()

    # ----------------------------------------------------------------------------------------------- open, release

    def open(self, tenure: Tenure, name: str, path: str, flags: int) -> Opened:
        """Open the node at `path`, which the mount shows as `name`. Raises NoNode, PermissionDenied, ..."""
        for _ in range(_ATTEMPTS):
            handle = self._writing(tenure, path) if flags & os.O_ACCMODE != os.O_RDONLY else None
            content = self._fetch(tenure, path, handle, flags)
            if content is not None:
                return self._opened(tenure, name, path, handle, content, flags)
            if handle is not None:
                tenure.reader.dismiss(handle)
        raise NoNode(f"{path} is deleted and made again and again")

    def create(self, tenure: Tenure, name: str, path: str, flags: int, attributes: dict[str, bytes]) -> Opened:
        """Make the node and open it; one that is there is opened, or with O_EXCL refused. Raises NodeExists, NoNode."""
        made = tenure.session.open(
            tenure.reader.name(path),
            mode=_READ_WRITE,
            create=CreateMode.MUST if flags & os.O_EXCL else CreateMode.MAY,
            kind=NodeKind.FILE,
            attributes=attributes,
        )
        if not made.created:
            tenure.reader.dismiss(made)
            return self.open(tenure, name, path, flags)
        known = tenure.session.cached(tenure.reader.name(path))
        if known is not None and known.stat is not None:
            self._made(known.stat.created)
        content = Content(Version(made.instance, 1), b"", self.limit)
        return self._opened(tenure, name, path, made, content, flags, fresh=True)

    def _writing(self, tenure: Tenure, path: str) -> Handle:
        return tenure.session.open(tenure.reader.name(path), mode=_READ_WRITE)

    def _fetch(self, tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content | None:
        """The content of the node; None if it is another instance than the handle's by now."""
        if handle is not None and flags & os.O_TRUNC:
            return Content(Version(handle.instance, 0), b"", self.limit)
        contents, stat = tenure.reader.contents(path)
        if handle is not None and handle.instance != stat.instance:
            return None
        return Content(Version(stat.instance, stat.content_generation), contents, self.limit)

    def _opened(
        self,
        tenure: Tenure,
        name: str,
        path: str,
        handle: Handle | None,
        content: Content,
        flags: int,
        fresh: bool = False,
    ) -> Opened:
        with self._mutex:
            node = self._open.enter(tenure, path, content)
            if node.content is not content and node.content.adopt(content.snapshot(), content.generation):
                self._shows_another(node)
            file = self._open.open(name, node, tenure, handle)
            file.fresh = fresh
            access = flags & os.O_ACCMODE
            file.readable = access != os.O_WRONLY
            file.writable = access != os.O_RDONLY
            file.append = bool(flags & os.O_APPEND)
            if file.writable and flags & os.O_TRUNC and not fresh:
                node.content.truncate(file.number, 0)
                self._shows_another(node)
            version = node.content.version
            if file.writable or version is None:
                return Opened(file.number, direct_io=True)
            return Opened(file.number, keep_cache=self._pages.opened(name, file.number, version))

    def release(self, number: int) -> None:
        """No descriptor is left: what was cut, and what could not be flushed, goes to the cell now."""
        file = self.file(number)
        try:
            if file.node.content.owes(number) and not file.tenure.over:
                self._commit(file)
        except (ChubbyError, OSError) as error:
            logger.warning("what was written to %s is lost: %s", file.node.path, error)
        finally:
            with self._mutex:
                if self._open.close(file):
                    file.node.content.discard()
                file.node.content.forget(number)
            if file.handle is not None:
                file.tenure.reader.dismiss(file.handle)

    # ------------------------------------------------------------------------------------------------ read, write

    def file(self, number: int) -> OpenFile:
        """The open file of that number. Raises OSError EBADF."""
        return self._open.file(number)

    def read(self, number: int, size: int, offset: int) -> bytes:
        """What is shown now. Raises OSError ESTALE, SessionExpired."""
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            file.node.check()
            self._pages.used(file.name, number)
            file.seen = file.node.content.version
            return file.node.content.read(size, offset)

    def write(self, number: int, data: bytes, offset: int) -> int:
        """Gather it; O_APPEND goes to the end, whatever offset the kernel believes in. Raises OSError EFBIG."""
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            file.node.check()
            if file.append:
                file.node.content.append(number, data)
            else:
                file.node.content.write(number, data, offset)
            self._shows_another(file.node)
        return len(data)

    def truncate(self, number: int, length: int) -> None:
        """Set the length of what is gathered. Raises OSError EFBIG."""
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            file.node.check()
            file.node.content.truncate(number, length)
            self._shows_another(file.node)

    def _shows_another(self, node: OpenNode) -> None:
        """Something else is served of a node from now on."""
        for file in node.files.values():
            self._pages.changed(file.name)

    # -------------------------------------------------------------------------------------------------------- flush

    def flush(self, number: int, everything: bool = False) -> None:
        """What bytes were written through `number` go to the cell; `everything`: a new length too.

        A new length alone waits for the release: a shell empties a file, flushes it, and only then writes to it.
        Raises what the cell says, OSError ESTALE; and once whatever made an earlier commit of these bytes fail.
        """
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            self._pages.used(file.name, number)
            file.fresh = False
            failure = file.node.content.failure(number)
            due = file.node.content.owes(number) if everything else file.node.content.wrote(number)
        if failure is not None:
            raise failure
        if due:
            self._commit(file)

    def settle(self, tenure: Tenure, path: str) -> None:
        """Commit all that waits to be committed to the node of that name."""
        node = self._open.node(tenure, path)
        if node is not None:
            for number, file in tuple(node.files.items()):
                if node.content.owes(number):
                    self._commit(file)

    def _commit(self, file: OpenFile) -> None:
        node = file.node
        _acquire(node.committing)
        try:
            with self._mutex:
                commit = None if node.fate is Fate.REMOVED_HERE else node.content.plan()
            if commit is not None and node.content.owes(file.number):
                self._carry_out(file, commit)
        except (HandleInvalid, NoNode) as error:
            self._lost(file, OSError(errno.ESTALE, f"{node.path} was deleted"), error)
        except InterruptedError:
            raise
        except (ChubbyError, OSError) as error:
            self._lost(file, OSError(errno_of(error), str(error)), error)
        finally:
            node.committing.release()
            self._tell(node)

    def _tell(self, node: OpenNode) -> None:
        """Something else is shown: the kernel drops the pages of those who read, and who polls is woken."""
        with self._mutex:
            wakers = node.changed()
            names = {file.name for file in node.files.values() if not file.writable}
        for name in names:
            self._dropped(name)
        for wake in wakers:
            wake()

    def _lost(self, file: OpenFile, reason: OSError, error: Exception) -> None:
        """Everyone who wrote is told, `file` at once."""
        with self._mutex:
            file.node.content.failed(reason)
            file.node.content.failure(file.number)
            self._shows_another(file.node)
        raise reason from error

    def _carry_out(self, file: OpenFile, commit: Commit) -> None:
        """Write to the cell what was gathered, appended to what is there now if that is all that was done."""
        content = file.node.content
        plan: Commit | None = commit
        while plan is not None:
            handle = self._handle(file)
            try:
                stat = handle.set_contents(plan.contents, generation=plan.generation)
            except GenerationMismatch:
                contents, stat = handle.get_contents_and_stat()
                with self._mutex:
                    content.adopt(contents, stat.content_generation)
                    plan = content.plan() if content.owes(file.number) else None
            except InterruptedError:
                with self._mutex:
                    content.interrupted(plan)
                raise
            else:
                self._made(stat.modified)
                with self._mutex:
                    content.committed(plan, stat.content_generation)
                    self._shows_another(file.node)
                return

    def _handle(self, file: OpenFile) -> Handle:
        """The handle to write through. Raises HandleInvalid if the node is another by now."""
        if file.handle is None:
            file.handle = self._writing(file.tenure, file.node.path)
        if file.handle.instance != file.node.content.instance:
            raise HandleInvalid(f"{file.node.path} was deleted and made again")
        return file.handle

    # ------------------------------------------------------------------------------------------ news from the cell

    def refresh(self, number: int) -> None:
        """Show what the cell has now: called when a lock was taken. Raises NoNode, OSError ESTALE."""
        file = self.file(number)
        contents, stat = file.tenure.reader.contents(file.node.path)
        self.adopt(file.tenure, file.node.path, contents, stat)
        with self._mutex:
            file.node.check()
        self._dropped(file.name)

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

    def size(self, tenure: Tenure, path: str, stat: Stat) -> int | None:
        """How long the node is for those who have it open here; None if nobody has. What the cell has newer is fetched.

        Size and bytes have to agree: the kernel cuts what it reads to the size it was told last.
        """
        node = self._open.node(tenure, path)
        if node is None:
            return None
        if node.content.instance != stat.instance or node.content.generation < stat.content_generation:
            contents, newer = tenure.reader.contents(path)
            self.adopt(tenure, path, contents, newer)
        with self._mutex:
            known = self._open.node(tenure, path)
            return None if known is None else known.content.size

    def paths(self, tenure: Tenure) -> list[str]:
        """The nodes that are open in this tenure."""
        with self._mutex:
            return list({file.node.path for file in self._open.files() if file.tenure is tenure})

    def is_open(self, tenure: Tenure, path: str) -> bool:
        """Whether the node of that name is open here."""
        return self._open.node(tenure, path) is not None

    def is_fresh(self, tenure: Tenure, path: str) -> bool:
        """Whether the node was made through a file of which no descriptor was closed yet."""
        node = self._open.node(tenure, path)
        return node is not None and any(file.fresh for file in tuple(node.files.values()))

    def removed(self, tenure: Tenure, name: str, path: str) -> None:
        """The node was removed through this mount."""
        with self._mutex:
            self._pages.changed(name)
            self._open.removed(tenure, path)

    def renamed(self, tenure: Tenure, old: tuple[str, str], new: tuple[str, str], stat: Stat) -> None:
        """What was open under the name and path `old` is so under `new`, as the node of which `stat` speaks."""
        with self._mutex:
            self._pages.changed(old[0])
            self._pages.changed(new[0])
            before = self._open.node(tenure, old[1])
            moved = [] if before is None else list(before.files.values())
            node = self._open.renamed(tenure, old[1], new[1], Version(stat.instance, stat.content_generation))
            for file in moved:
                file.name, file.handle = new[0], None
            if node is not None:
                self._shows_another(node)

    def remade(self, tenure: Tenure, path: str, stat: Stat) -> None:
        """The node was removed and made again, with the same content, through this mount."""
        with self._mutex:
            node = self._open.node(tenure, path)
            if node is not None:
                node.content.move(Version(stat.instance, stat.content_generation))
                for file in node.files.values():
                    file.handle = None

    def names(self) -> list[str]:
        """What the mount shows that is open: only of that need the kernel drop pages, a new open sees to itself."""
        with self._mutex:
            return list({file.name for file in self._open.files()})

    def poll(self, number: int, wake: Callable[[], None] | None) -> bool:
        """Whether something else is shown than when it was last read; `wake` is called once when that changes."""
        file = self.file(number)
        with self._mutex:
            if wake is not None:
                file.node.wakers[number] = wake
            return file.seen is not None and file.seen != file.node.content.version


def _acquire(lock: Lock) -> None:
    """Take a lock that is held across calls; ended by what ends the thread's calls."""
    patience = Patience()
    while not lock.acquire(timeout=patience.slice):
        patience.look_up()
