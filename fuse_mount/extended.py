"""Extended attributes of places in one cell: `xattrs` says what each means, here it is looked up and changed."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Final

from chubby import Mode
from chubby.errors import HandleInvalid, LockConflict
from chubby.types.nodes import AclNames, Stat
from chubby.types.transaction import AclGenerationIs, Create, Exists, GenerationIs, Guard, Remove, WriteAcl
from fuse_mount.ancestry import lineage
from fuse_mount.attributes import carried
from fuse_mount.contents import Version
from fuse_mount.files import Files
from fuse_mount.grips import Node as LockNode
from fuse_mount.names import Made
from fuse_mount.open_nodes import Moved
from fuse_mount.tenure import Tenure
from fuse_mount.tree import Tree
from fuse_mount.xattrs import (
    AclNamed,
    Change,
    Kept,
    MadeEphemeral,
    Need,
    names_of,
    need_of,
    removal,
    setting,
    value_of,
)

_ATTEMPTS: Final = 32
"""A change is tried again when the node changed meanwhile."""


class Extended:
    """See the module. For many threads."""

    def __init__(self, tree: Tree, files: Files) -> None:
        self._tree = tree
        self._files = files

    def get(self, tenure: Tenure, place: Made, name: str, process: int) -> bytes:
        """The value, for a caller of this process. Raises OSError ENODATA, EOPNOTSUPP, NoNode."""
        need = need_of(name)
        stat, _ = self._tree.stat(tenure, place)
        if need is Need.LOCK:
            with tenure.session.open(tenure.reader.name(place.path), mode=Mode.READ) as handle:
                return value_of(name, handle.get_stat(), handle.get_lock_info())
        if need is Need.SEQUENCER:
            return value_of(name, stat, sequencer=_sequencer(tenure, LockNode(place.path, stat.instance), process))
        return value_of(name, stat)

    def names(self, tenure: Tenure, place: Made) -> list[str]:
        """The names. Raises NoNode."""
        return names_of(self._tree.stat(tenure, place)[0])

    def set(self, tenure: Tenure, place: Made, name: str, value: bytes, flags: int) -> None:
        """Set one. Raises OSError, NoNode, PermissionDenied."""
        for _ in range(_ATTEMPTS):
            stat, _ = self._tree.stat(tenure, place)
            ours = self._files.instance(tenure, place.path) == stat.instance
            fresh = ours and self._files.is_fresh(tenure, place.path)
            if self._carry_out(tenure, place.path, stat, setting(name, value, flags, stat, fresh)):
                return
        raise OSError(errno.EBUSY, f"{place.path} is changed again and again")

    def remove(self, tenure: Tenure, place: Made, name: str) -> None:
        """Remove one. Raises OSError ENODATA, EOPNOTSUPP, NoNode."""
        stat, _ = self._tree.stat(tenure, place)
        self._tree.keep(tenure, place.path, stat, removal(name, stat).attributes)

    def _carry_out(self, tenure: Tenure, path: str, stat: Stat, change: Change) -> bool:
        """Whether it is so now; else the node changed meanwhile."""
        name = tenure.reader.name(path)
        match change:
            case Kept(attributes):
                self._tree.keep(tenure, path, stat, attributes)
            case AclNamed(read, write, acl, generation):
                guards: list[Guard] = [Exists(name, stat.instance), AclGenerationIs(name, generation)]
                return self._tree.change(tenure, guards, [WriteAcl(name, AclNames(read, write, acl))]).succeeded
            case MadeEphemeral(ephemeral):
                with self._files.still(tenure, path), suppress(HandleInvalid):
                    return self._make_again(tenure, path, stat, ephemeral)
                return False
        return True

    def _make_again(self, tenure: Tenure, path: str, stat: Stat, ephemeral: bool) -> bool:
        """A node is ephemeral from its birth or never: the new one takes the place of the one just made.

        Nobody is its opener by name, so it belongs to the session itself, and goes with that (DESIGN §4 Ephemerals).
        The lock would go with the old one. So we hold it ourselves meanwhile: EBUSY if somebody else does. Raises
        HandleInvalid if it was another node.
        """
        name = tenure.reader.name(path)
        with tenure.session.open(name) as handle:
            try:
                handle.try_acquire()
            except LockConflict as error:
                raise OSError(errno.EBUSY, f"{path} is locked: make it ephemeral first") from error
            contents, now = handle.get_contents_and_stat()
            if now.instance != stat.instance:
                return False
            guards: list[Guard] = [Exists(name, now.instance), GenerationIs(name, now.content_generation)]
            birth = Create(name, contents, now.kind, ephemeral, acl=now.acl, attributes=carried(now, None))
            result = self._tree.change(tenure, guards, [Remove(name), birth])
        if not result.succeeded:
            return False
        made = result.results[1].stat
        assert made is not None, "it was made"
        self._files.remade(tenure, path, Moved(now.instance, Version(made.instance, made.content_generation), contents))
        return True


def _sequencer(tenure: Tenure, node: LockNode, process: int) -> bytes:
    """That of the lock which the process, or one from which it descends, holds; nothing if none does."""
    return next((found for each in lineage(process) if (found := tenure.locks.held(node, each)) is not None), b"")
