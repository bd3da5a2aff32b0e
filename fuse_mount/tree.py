"""Names, metadata and directories of one cell, as a file system has them.

| call                                   | becomes                                                                     |
|----------------------------------------|-----------------------------------------------------------------------------|
| stat                                   | the node's metadata; with its content, if it is open here                   |
| readdir                                | the node's children, `.contents` first if it has content of its own         |
| mkdir                                  | a transaction of one operation                                              |
| unlink, rmdir                          | the same, if it is a file still, or a directory without content             |
| unlink of `.contents`                  | the node's content is emptied                                               |
| rename of a file                       | one transaction: its content becomes the target's, and it goes              |
| rename of a directory, of `.contents`  | EXDEV, on which mv copies and removes                                       |
| chmod, chown, utimens                  | attributes of the node (see `attributes`)                                   |

The kernel looks a name up before it asks for a change, and in between anything may happen. So every change is guarded
by what was seen of the node, and begun anew if that was overtaken: an unlink never removes a directory.

A rename onto a file leaves that file's lock, instance and access-control lists alone: who watches or locks `config`
goes on to do so when an editor puts a new version in its place.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from chubby.errors import NoNode, NotEmpty, TooLarge
from chubby.paths import ROOT
from chubby.types.identity import Revision
from chubby.types.nodes import ANYONE, AclNames, NodeKind, Stat
from chubby.types.transaction import (
    Absent,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    Remove,
    TransactionResult,
    Write,
    WriteAttributes,
)
from fuse_mount.attributes import (
    Shape,
    View,
    attributes_of,
    carried,
    chmod,
    chown,
    first_attributes,
    shape_of,
    utimens,
)
from fuse_mount.contents import Version
from fuse_mount.errnos import attributes_errno_of
from fuse_mount.files import Files
from fuse_mount.filesystem import Attributes, Caller
from fuse_mount.names import CONTENTS_NAME, ContentsOf, Made, Node, parse, path_of
from fuse_mount.open_nodes import Fate, Moved, OpenFile, OpenNode
from fuse_mount.tenure import Tenure

RENAME_NOREPLACE: Final = 1
"""A flag of renameat2(2): there must be nothing under the new name."""
_ATTEMPTS: Final = 32
"""What is to be removed or renamed may be changed by others while it is looked at, but hardly that often."""

_KNOWN: Final = 10_000
"""Nodes whose attributes are remembered as they were shown last."""


class Tree:
    """See the module. For many threads.

    `now` gives nanoseconds since 1970; `made` is told the revision of each change.
    """

    def __init__(self, files: Files, view: View, now: Callable[[], int], made: Callable[[Revision], object]) -> None:
        self._files = files
        self._view = view
        self._known: dict[str, tuple[Stat, Shape, int, Attributes]] = {}
        self._now = now
        self._made = made

    # ----------------------------------------------------------------------------------------------------- looking

    def stat(self, tenure: Tenure, place: Made) -> tuple[Stat, Shape]:
        """The metadata of a place, and as what it is shown. Raises NoNode; OSError ENOTDIR."""
        stat = tenure.reader.stat(place.path)
        shape = shape_of(stat, has_children=False)
        if isinstance(place, Node):
            return stat, shape
        if shape is Shape.FILE:
            raise OSError(errno.ENOTDIR, f"{place.path} is a file")
        return stat, Shape.CONTENTS

    def getattr(self, tenure: Tenure, place: Made) -> Attributes:
        """The attributes of a place. Raises NoNode; OSError ENOTDIR."""
        stat, shape = self.stat(tenure, place)
        size = None if shape is Shape.DIRECTORY else self._files.size(tenure, place.path, stat)
        if shape is Shape.CONTENTS and size is None and not stat.length:
            raise NoNode(f"{place.path} has no content of its own")
        return self._shown(place.path, stat, shape, size)

    def fgetattr(self, file: OpenFile) -> Attributes:
        """The attributes of an open file, whatever became of its name. Raises SessionExpired.

        It stays a file for who has it open, even if its node has become a directory meanwhile. One whose name is
        another node's by now is what it was, without a name: who has read all of it, as `tail -F` has, asks for its
        size before reading on, and has to learn that there is no more.
        """
        file.tenure.check()
        node = file.node
        place = parse(file.name)
        shape = Shape.CONTENTS if isinstance(place, ContentsOf) else Shape.FILE
        stat = _stat_or_none(file.tenure, node.path) if node.fate is not Fate.REMOVED_HERE else None
        if stat is None or stat.instance != node.content.instance:
            return {**attributes_of(_nameless(node), shape, self._view), "st_nlink": 0}
        return self._shown(node.path, stat, shape, self._files.size(file.tenure, node.path, stat))

    def _shown(self, path: str, stat: Stat, shape: Shape, size: int | None) -> Attributes:
        """`attributes_of`, worked out once: the kernel asks again and again. Nobody changes what this returns."""
        size = stat.length if size is None else size
        known = self._known.get(path)
        if known is not None and known[0] is stat and known[1] is shape and known[2] == size:
            return known[3]
        shown = attributes_of(stat, shape, self._view, size)
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[path] = stat, shape, size, shown
        return shown

    def readdir(self, tenure: Tenure, path: str) -> list[tuple[str, Attributes]]:
        """What is in a directory. Raises NoNode, OSError ENOTDIR."""
        stat, shape = self.stat(tenure, Node(path))
        if shape is not Shape.DIRECTORY:
            raise _no_directory(path)
        size = self._files.size(tenure, path, stat)
        shown = bool(stat.length) or size is not None
        own = [(CONTENTS_NAME, attributes_of(stat, Shape.CONTENTS, self._view, size))] if shown else []
        return own + [
            (entry.name, attributes_of(entry.stat, shape_of(entry.stat, has_children=False), self._view))
            for entry in tenure.reader.listing(path)
        ]

    # ---------------------------------------------------------------------------------------------------- changing

    def first_attributes(self, mode: int, caller: Caller) -> dict[str, bytes]:
        """What a new file keeps."""
        return first_attributes(NodeKind.FILE, mode, caller.uid, caller.gid, self._view)

    def mkdir(self, tenure: Tenure, path: str, mode: int, caller: Caller) -> None:
        """Make a directory. Raises NodeExists, NoNode."""
        kept = first_attributes(NodeKind.DIRECTORY, mode, caller.uid, caller.gid, self._view)
        name = tenure.reader.name(path)
        self.change(tenure, [], [Create(name, kind=NodeKind.DIRECTORY, attributes=kept)])

    def rmdir(self, tenure: Tenure, path: str) -> None:
        """Remove a directory without children and content. Raises NoNode, NotEmpty, OSError."""
        if path == ROOT:
            raise OSError(errno.EBUSY, "this is the root of the cell")
        name = tenure.reader.name(path)
        for _ in range(_ATTEMPTS):
            stat, shape = self.stat(tenure, Node(path))
            if shape is not Shape.DIRECTORY:
                raise _no_directory(path)
            if stat.length or self._files.size(tenure, path, stat):
                raise OSError(errno.ENOTEMPTY, f"{path} has content of its own: remove {CONTENTS_NAME} in it")
            guards: list[Guard] = [Exists(name, stat.instance), ContentIs(name, b"")]
            if self._removed(tenure, ContentsOf(path), stat, guards, Remove(name)):
                return
        raise _restless(path)

    def unlink(self, tenure: Tenure, place: Made) -> None:
        """Remove a file; the content, if that is what was named. Raises NoNode, OSError EISDIR, ENOTDIR."""
        name = tenure.reader.name(place.path)
        for _ in range(_ATTEMPTS):
            stat, shape = self.stat(tenure, place)
            if shape is Shape.DIRECTORY:
                raise OSError(errno.EISDIR, f"{place.path} is a directory")
            if shape is Shape.CONTENTS and not stat.length and self._files.instance(tenure, place.path) is None:
                raise NoNode(f"{place.path} has no content of its own")
            goes = Write(name, b"") if shape is Shape.CONTENTS else Remove(name)
            with suppress(NotEmpty):  # it has become a directory
                if self._removed(tenure, place, stat, [Exists(name, stat.instance)], goes):
                    return
        raise _restless(place.path)

    def _removed(self, tenure: Tenure, place: Made, stat: Stat, guards: Sequence[Guard], goes: Remove | Write) -> bool:
        """Have it go; False if it was another one. Who has it open reads on, and writes to nowhere."""
        with self._files.holding(tenure, place.path):
            if not self.change(tenure, guards, [goes]).succeeded:
                return False
            self._files.removed(tenure, path_of(place), place.path, stat.instance)
            return True

    def rename(self, tenure: Tenure, old: Made, new: Made, flags: int) -> None:
        """Give a file another name. Raises NoNode, OSError EXDEV, EISDIR, EEXIST, EINVAL."""
        if flags & ~RENAME_NOREPLACE:
            raise OSError(errno.EINVAL, "names cannot be exchanged")
        if isinstance(old, ContentsOf) or isinstance(new, ContentsOf):
            raise OSError(errno.EXDEV, f"{CONTENTS_NAME} can be copied, not moved")
        fresh = bool(flags & RENAME_NOREPLACE)
        if old == new:
            tenure.reader.stat(old.path)
            if fresh:
                raise OSError(errno.EEXIST, f"{new.path} is there")
            return
        for _ in range(_ATTEMPTS):
            with self._files.still(tenure, old.path):
                moved = self._move(tenure, old.path, new.path, fresh)
                if moved is not None:
                    self._files.renamed(tenure, path_of(old), path_of(new), new.path, moved)
                    return
        raise _restless(f"{old.path} or {new.path}")

    def _move(self, tenure: Tenure, old: str, new: str, fresh: bool) -> Moved | None:
        """One attempt; None if something changed meanwhile."""
        contents, source = tenure.reader.contents(old)
        if source.kind is NodeKind.DIRECTORY:
            raise OSError(errno.EXDEV, f"{old} is a directory")
        target = _stat_or_none(tenure, new)
        if target is not None and fresh:
            raise OSError(errno.EEXIST, f"{new} is there")
        if target is not None and target.kind is NodeKind.DIRECTORY:
            raise OSError(errno.EISDIR, f"{new} is a directory")
        name, goal = tenure.reader.name(old), tenure.reader.name(new)
        guards: list[Guard] = [Exists(name, source.instance), GenerationIs(name, source.content_generation)]
        kept = carried(source, target)
        then: list[Operation]
        if target is None:
            guards.append(Absent(goal))
            then = [
                Create(goal, contents, ephemeral=source.ephemeral, acl=source.acl, attributes=kept),
                Remove(name),
            ]
        else:
            guards += [Exists(goal, target.instance), GenerationIs(goal, target.content_generation)]
            then = [Write(goal, contents), WriteAttributes(goal, kept), Remove(name)]
        try:
            result = self.change(tenure, guards, then)
        except NotEmpty:  # it has become a directory
            return None
        if not result.succeeded:
            return None
        made = result.results[-2].stat
        assert made is not None, "it tells of the target, which is there"
        return Moved(source.instance, Version(made.instance, made.content_generation), contents)

    # -------------------------------------------------------------------------------------------------- attributes

    def chmod(self, tenure: Tenure, place: Made, mode: int) -> None:
        """Keep another mode."""
        stat, shape = self.stat(tenure, place)
        self.keep(tenure, place.path, stat, chmod(stat, shape, mode))

    def chown(self, tenure: Tenure, place: Made, uid: int, gid: int) -> None:
        """Keep another owner."""
        stat, _ = self.stat(tenure, place)
        self.keep(tenure, place.path, stat, chown(stat, self._view, uid, gid))

    def utimens(self, tenure: Tenure, place: Made, times: tuple[int, int] | None) -> None:
        """Keep other times; None: now. What was written here goes to the cell first: it would move the time again."""
        self._files.settle(tenure, place.path)
        stat, _ = self.stat(tenure, place)
        now = self._now()
        self.keep(tenure, place.path, stat, utimens(stat, times or (now, now)))

    def change(self, tenure: Tenure, guards: Sequence[Guard], then: Sequence[Operation]) -> TransactionResult:
        """One transaction. Raises what made an operation fail."""
        result = tenure.session.transaction(guards, then)
        if result.succeeded:
            self._made(result.revision)
        return result

    def keep(self, tenure: Tenure, path: str, stat: Stat, changes: dict[str, bytes]) -> None:
        """Change attributes of the node, if anything changes. Raises NoNode, OSError ESTALE, ENOSPC."""
        if not changes:
            return
        name = tenure.reader.name(path)
        try:
            result = self.change(tenure, [Exists(name, stat.instance)], [WriteAttributes(name, changes)])
        except TooLarge as error:  # somebody else has filled the map meanwhile
            raise OSError(attributes_errno_of(error), str(error)) from error
        if not result.succeeded:
            tenure.reader.stat(path)
            raise OSError(errno.ESTALE, f"{path} was deleted and made again")


def _no_directory(path: str) -> OSError:
    return OSError(errno.ENOTDIR, f"{path} is a file")


def _restless(what: str) -> OSError:
    return OSError(errno.EBUSY, f"{what} is changed again and again")


def _nameless(node: OpenNode) -> Stat:
    """What is left to say of a node that is not there any more."""
    content = node.content
    return Stat(
        kind=NodeKind.FILE,
        ephemeral=False,
        instance=content.instance,
        content_generation=content.generation,
        acl_generation=0,
        checksum=0,
        length=content.size,
        created=0,
        modified=0,
        created_ms=0,
        modified_ms=0,
        acl=AclNames(ANYONE, ANYONE, ANYONE),
    )


def _stat_or_none(tenure: Tenure, path: str) -> Stat | None:
    try:
        return tenure.reader.stat(path)
    except NoNode:
        return None
