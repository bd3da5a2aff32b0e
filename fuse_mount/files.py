"""Open files: content is fetched at open, gathered in memory, and committed when a descriptor is flushed (DESIGN §2).

Nothing here waits for the network but `open`, `create`, `flush`, `release`, `settle`, `still`, `holding`, `refresh`
and, if the cell has something newer than is shown, `size`. What is shown of an open node, and who is told when that
changes, is in `showing`; how it gets to the cell, in `commits`.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chubby import CreateMode, Handle
from chubby.errors import ChubbyError, HandleInvalid, NoNode
from chubby.types.identity import Revision
from chubby.types.limits import CONTENT_LIMIT
from chubby.types.nodes import NodeKind
from fuse_mount.commits import READ_WRITE, Commits
from fuse_mount.contents import Content, Version
from fuse_mount.filesystem import Opened
from fuse_mount.open_nodes import Fate, OpenFile, OpenNode
from fuse_mount.showing import Showing
from fuse_mount.tenure import Tenure

logger = logging.getLogger(__name__)

_ATTEMPTS = 8
"""A node may be deleted and made again between two of our calls, but hardly that often."""


class Files(Showing):
    """See the module. `dropped(name)` has the kernel forget the pages of what the mount shows as `name`; may wait.

    `made` is told the revision of each change. `limit` is how long a content may become, in bytes.
    """

    def __init__(
        self, dropped: Callable[[str], object], made: Callable[[Revision], object], limit: int = CONTENT_LIMIT
    ) -> None:
        super().__init__(dropped)
        self.limit = limit
        self._made = made
        self._commits = Commits(self._mutex, self._shows_another, self._tell, made)

    def learn_limit(self, limit: int) -> None:
        """The cell says how long a content may become, in bytes; 0: it does not know."""
        if limit:
            self.limit = limit

    # ----------------------------------------------------------------------------------------------- open, release

    def open(self, tenure: Tenure, name: str, path: str, flags: int) -> Opened:
        """Open the node at `path`, which the mount shows as `name`. Raises NoNode, PermissionDenied, ..."""
        for _ in range(_ATTEMPTS):
            opened = self._open_once(tenure, name, path, flags)
            if opened is not None:
                return opened
        raise NoNode(f"{path} is deleted and made again and again")

    def _open_once(self, tenure: Tenure, name: str, path: str, flags: int) -> Opened | None:
        """The same; None if the node was deleted and made again meanwhile."""
        writable = flags & os.O_ACCMODE != os.O_RDONLY
        handle = tenure.session.open(tenure.reader.name(path), mode=READ_WRITE) if writable else None
        opened: Opened | None = None
        try:
            content = self._fetch(tenure, path, handle, flags)
            opened = self._opened(tenure, name, path, handle, content, flags)
        except HandleInvalid:
            return None
        finally:
            if opened is None and handle is not None:
                tenure.reader.dismiss(handle)
        return opened

    def create(self, tenure: Tenure, name: str, path: str, flags: int, attributes: dict[str, bytes]) -> Opened:
        """Make the node and open it; one that is there is opened, or with O_EXCL refused. Raises NodeExists, NoNode."""
        for _ in range(_ATTEMPTS):
            made = tenure.session.open(
                tenure.reader.name(path),
                mode=READ_WRITE,
                create=CreateMode.MUST if flags & os.O_EXCL else CreateMode.MAY,
                kind=NodeKind.FILE,
                attributes=attributes,
            )
            opened = self._made_anew(tenure, name, path, made, flags) if made.created else None
            if opened is not None:
                return opened
            tenure.reader.dismiss(made)
            if made.created:
                raise OSError(errno.ESTALE, f"{path} was deleted and made again")
            try:
                return self.open(tenure, name, path, flags)
            except NoNode:  # deleted meanwhile: made anew
                continue
        raise NoNode(f"{path} is deleted and made again and again")

    def _made_anew(self, tenure: Tenure, name: str, path: str, made: Handle, flags: int) -> Opened | None:
        known = tenure.session.cached(tenure.reader.name(path))
        if known is not None and known.stat is not None and known.stat.instance == made.instance:
            self._made(known.stat.created)
        content = Content(Version(made.instance, 1), b"")
        return self._opened(tenure, name, path, made, content, flags, fresh=True)

    def _fetch(self, tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content:
        """The content of the node. Raises HandleInvalid if that of the handle is no more."""
        if handle is None:
            contents, stat = tenure.reader.contents(path)
        elif flags & os.O_TRUNC:
            return Content(Version(handle.instance, 0), b"")
        else:
            contents, stat = handle.get_contents_and_stat()
        return Content(Version(stat.instance, stat.content_generation), contents)

    def _opened(
        self,
        tenure: Tenure,
        name: str,
        path: str,
        handle: Handle | None,
        content: Content,
        flags: int,
        fresh: bool = False,
    ) -> Opened | None:
        """Enter the file; None if `content` is of an older node than is known of by now."""
        wakers: list[Callable[[], None]] = []
        with self._mutex:
            node = self._open.enter(tenure, path, content)
            if node.fate is Fate.REPLACED:
                return None
            if node.content.adopt(*content.committed):
                self._shows_another(node)
                wakers = node.changed()
            file = self._open.open(name, node, tenure, handle)
            file.fresh = fresh
            opened = self._answer(file, flags)
        for wake in wakers:
            wake()
        return opened

    def _answer(self, file: OpenFile, flags: int) -> Opened:
        """How the kernel is to treat an open file; with O_TRUNC it is emptied."""
        access = flags & os.O_ACCMODE
        file.readable = access != os.O_WRONLY
        file.writable = access != os.O_RDONLY
        file.append = bool(flags & os.O_APPEND)
        content = file.node.content
        if file.writable and flags & os.O_TRUNC and not file.fresh:
            content.truncate(file.number, 0, self.limit)
            self._shows_another(file.node)
        if file.writable or content.version is None:
            return Opened(file.number, direct_io=True)
        return Opened(file.number, keep_cache=self._pages.opened(file.name, file.number, content.version))

    def release(self, number: int) -> None:
        """No descriptor is left: what was cut, and what could not be flushed, goes to the cell now."""
        file = self.file(number)
        if not file.writable:  # so it owes nothing
            with self._mutex:
                self._open.close(file)
            return
        failure: BaseException | None = None
        try:
            with self._mutex:
                due = file.node.content.owes(number)
            if due:
                file.tenure.check()
                failure = self._commits.commit(file)
        except (ChubbyError, OSError) as error:
            failure = error
        finally:
            with self._mutex:
                failure = file.node.content.failure(number) or failure
                file.node.content.forget(number)
                self._open.close(file)
            if failure is not None:
                logger.warning("what was written to %s is lost: %s", file.node.path, failure)
            if file.handle is not None:
                file.tenure.reader.dismiss(file.handle)

    # ------------------------------------------------------------------------------------------------ read, write

    def read(self, number: int, size: int, offset: int) -> bytes:
        """What is shown now. Raises OSError ESTALE, SessionExpired.

        Of a node that was deleted and made again there is no more to read, but no error at its end.
        """
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            if file.node.fate is Fate.REPLACED and offset >= file.node.content.size:
                return b""
            file.node.check()
            self._pages.used(file.name, number)
            file.seen = file.node.content.changes
            return file.node.content.read(size, offset)

    def write(self, number: int, data: bytes, offset: int) -> int:
        """Gather it; O_APPEND goes to the end, whatever offset the kernel believes in. Raises OSError EFBIG."""
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            file.node.check()
            if file.append:
                file.node.content.append(number, data, self.limit)
            else:
                file.node.content.write(number, data, offset, self.limit)
            self._shows_another(file.node)
        return len(data)

    def truncate(self, number: int, length: int) -> None:
        """Set the length of what is gathered. Raises OSError EFBIG."""
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            file.node.check()
            file.node.content.truncate(number, length, self.limit)
            self._shows_another(file.node)

    # -------------------------------------------------------------------------------------------------------- flush

    def flush(self, number: int, everything: bool = False) -> None:
        """What bytes were written through `number` go to the cell; `everything`: a new length too.

        A new length alone waits for the release: a shell empties a file, flushes it, and only then writes to it.
        Raises SessionExpired; and, once, OSError with whatever made a commit of these bytes fail: ESTALE if the node is
        gone.
        """
        file = self.file(number)
        file.tenure.check()
        with self._mutex:
            self._pages.used(file.name, number)
            file.fresh = False
            content = file.node.content
            failure = content.failure(number)
            due = content.owes(number) if everything else content.wrote(number)
        if failure is None and due:
            self._commits.commit(file)
            with self._mutex:
                failure = file.node.content.failure(number)
        if failure is not None:
            raise _copy(failure)

    def settle(self, tenure: Tenure, path: str) -> None:
        """Commit all that waits to be committed to the node of that name. Raises OSError if that fails."""
        with self._mutex:
            node = self._open.node(tenure, path)
            owing = [] if node is None else [file for file in node.files.values() if node.content.owes(file.number)]
        for file in owing:
            failure = self._commits.commit(file)
            if failure is not None:
                raise _copy(failure)

    @contextmanager
    def holding(self, tenure: Tenure, path: str) -> Iterator[None]:
        """Within it nothing of what was written to the node of that name goes to the cell.

        So that whoever removes or renames it can say so (`removed`, `renamed`, `remade`) before a commit finds it gone.
        """
        node: OpenNode | None = None
        with self._mutex:
            known = self._open.node(tenure, path)
            file = None if known is None else next(iter(known.files.values()), None)
        if file is not None:
            node = self._commits.hold(file)
        try:
            yield
        finally:
            if node is not None:
                node.committing.release()

    @contextmanager
    def still(self, tenure: Tenure, path: str) -> Iterator[None]:
        """The same, after what was written until now was committed. Raises OSError if that fails."""
        self.settle(tenure, path)
        with self.holding(tenure, path):
            yield

    def refresh(self, number: int) -> None:
        """Show what the cell has now: called when a lock was taken. Raises OSError ESTALE, SessionExpired."""
        file = self.file(number)
        try:
            contents, stat = file.tenure.reader.contents(file.node.path)
        except NoNode as error:
            raise OSError(errno.ESTALE, f"{file.node.path} was deleted") from error
        self.adopt(file.tenure, file.node.path, contents, stat)
        with self._mutex:
            file.node.check()
        self._dropped(file.name)

    def is_fresh(self, tenure: Tenure, path: str) -> bool:
        """Whether the node was made through a file of which no descriptor was closed yet."""
        with self._mutex:
            node = self._open.node(tenure, path)
            return node is not None and any(file.fresh for file in node.files.values())


def _copy(failure: OSError) -> OSError:
    """The same for another thread: what was raised is marked by its way."""
    return OSError(failure.errno, failure.strerror)
