"""What the operations of a transaction do to a draft (DESIGN §4; the paper's MultiOp).

Each either does all it says or raises: RequestError and ConditionError of `chubby.errors`. All rules are checked here
once more, whatever the master has checked: the state may have changed since, and every replica must come to the same
answer for any command that can be decoded.
"""

from __future__ import annotations

from typing import Final

from chubby import paths
from chubby.errors import BadArgument, BadPath, HandleInvalid, NodeExists, NoNode, NotEmpty, TooLarge
from chubby.namespace.commands import Limits, MachineOperation, OpenCreated, OpenExisting
from chubby.namespace.draft import Draft
from chubby.namespace.nodes import (
    Node,
    merge_attributes,
    new_node,
    share_acl,
    with_acl,
    with_attributes,
    with_contents,
    with_sequence,
)
from chubby.namespace.wording import quoted
from chubby.types.events import EventKind
from chubby.types.identity import HandleNumber, SessionId
from chubby.types.nodes import AclNames, LockOwner
from chubby.types.transaction import Create, OperationResult, Read, Remove, Write, WriteAcl, WriteAttributes

__all__ = ["Branch"]

_PERMANENT: Final = frozenset({paths.ROOT, paths.ACL_DIRECTORY})
"""Nodes that a cell is born with and never without."""
_SEQUENCE_TRIES: Final = 64
_SEQUENCE_STEP: Final = 1 << 20
"""So small that no counter comes near 64 bits, however it is led on."""


class Branch:
    """The branch of a transaction, operation by operation."""

    __slots__ = ("_draft", "_last", "_limits", "_session")

    def __init__(self, draft: Draft, limits: Limits, session: SessionId) -> None:
        """A branch that changes `draft`, on behalf of `session`."""
        self._draft = draft
        self._limits = limits
        self._session = session
        self._last: str | None = None  # the path of the last Create

    def perform(self, operation: MachineOperation) -> OperationResult:
        """Do one operation. Raises a ChubbyError, after which the draft is of no more use."""
        match operation:
            case Write():
                return self._write(operation)
            case Create():
                return self._create(operation)
            case Remove():
                return self._remove(operation)
            case OpenCreated():
                if self._last is None:
                    raise BadArgument("no Create went before")
                return self._open(self._last, operation.handle, None)
            case OpenExisting():
                return self._open(operation.path, operation.handle, operation.instance)
            case Read():
                node = self._draft.require(operation.path)
                return OperationResult(operation.path, node.stat, node.contents)
            case WriteAcl():
                return self._write_acl(operation)
            case WriteAttributes():
                return self._write_attributes(operation)

    def finish(self) -> None:
        """All operations succeeded: new ephemerals that no handle has opened belong to the session itself."""
        self._draft.claim(LockOwner(self._session, 0))

    def _create(self, create: Create) -> OperationResult:
        draft, path = self._draft, create.path
        above = _directory_of(f"{path}{0:010d}" if create.sequential else path)
        parent = draft.get(above)
        if parent is None:
            raise NoNode(f"{quoted(above)} is not there, and nothing can be made below it")
        if create.sequential:
            path = self._next_in_sequence(path, above, parent)
        self._last = path
        found = draft.get(path)
        if found is not None:
            if create.may_exist:
                return OperationResult(path, found.stat)
            raise NodeExists(f"{quoted(path)} is there already")
        self._check_contents(create.contents)
        acl = parent.acl if create.acl is None else _checked_acl(create.acl)
        node = new_node(create, acl, instance=draft.instance + 1, revision=draft.revision, time_ms=draft.time_ms)
        draft.add(path, node)
        return OperationResult(path, node.stat, created=True)

    def _next_in_sequence(self, path: str, above: str, parent: Node) -> str:
        """The name for a sequential node, and the counter of its directory moved on.

        Numbers whose names are taken are passed over: otherwise a node that somebody named so by hand, or a mirror
        from another cell, would be in the way of all that follow. The steps double, so that a long row of such names
        is crossed in a few. Only one who takes just the names tried here can make it fail, and only below himself.
        """
        number, step = parent.sequence, 1
        for _ in range(_SEQUENCE_TRIES):
            name = _legal(f"{path}{number:010d}")
            if self._draft.get(name) is None:
                self._draft.replace_quietly(above, with_sequence(parent, number + 1))
                return name
            number += step
            step = min(2 * step, _SEQUENCE_STEP)
        raise NodeExists(f"{quoted(name)} is there already, and so are {_SEQUENCE_TRIES - 1} before it")

    def _write(self, write: Write) -> OperationResult:
        draft, before = self._draft, self._draft.require(write.path)
        self._check_contents(write.contents)
        node = with_contents(before, write.contents, draft.revision, draft.time_ms)
        draft.replace(write.path, before, node, EventKind.CONTENTS_MODIFIED, node.stat.content_generation)
        return OperationResult(write.path, node.stat)

    def _write_acl(self, write: WriteAcl) -> OperationResult:
        draft, before = self._draft, self._draft.require(write.path)
        node = with_acl(before, _checked_acl(write.acl), draft.revision, draft.time_ms)
        draft.replace(write.path, before, node, EventKind.ACL_MODIFIED, node.stat.acl_generation)
        return OperationResult(write.path, node.stat)

    def _write_attributes(self, write: WriteAttributes) -> OperationResult:
        draft, before = self._draft, self._draft.require(write.path)
        attributes = merge_attributes(before.stat.attributes, write.attributes)
        if attributes == before.stat.attributes:
            return OperationResult(write.path, before.stat)
        node = with_attributes(before, attributes, draft.revision, draft.time_ms)
        draft.replace(write.path, before, node, EventKind.ATTRIBUTES_MODIFIED, node.stat.content_generation)
        return OperationResult(write.path, node.stat)

    def _remove(self, remove: Remove) -> OperationResult:
        path = remove.path
        node = self._draft.require(path)
        if path in _PERMANENT:
            raise BadArgument(f"{quoted(path)} is part of every cell and cannot be deleted")
        if self._draft.child_count(path) > 0:
            raise NotEmpty(f"{quoted(path)} has children")
        self._draft.remove(path, node)
        return OperationResult(path)

    def _open(self, path: str, handle: HandleNumber, instance: int | None) -> OperationResult:
        """Enter a handle into the open-set of the node, if it has one."""
        if handle <= 0:
            raise BadArgument("handles are numbered from 1")
        node = self._draft.require(path)
        if instance is not None and node.instance != instance:
            raise HandleInvalid(f"{quoted(path)} is another node now")
        if node.ephemeral:
            self._draft.enter(path, node, LockOwner(self._session, handle))
        return OperationResult(path, node.stat)

    def _check_contents(self, contents: bytes) -> None:
        limit = self._limits.content
        if limit and len(contents) > limit:
            raise TooLarge(f"the content takes {len(contents)} bytes, the limit is {limit}")


def _legal(path: str) -> str:
    """The path, if it is one. The error names no rule: the wording of `paths` may differ between interpreters."""
    try:
        return paths.validate(path)
    except BadPath:
        raise BadPath(f"{quoted(path)} is not a legal path") from None


def _directory_of(path: str) -> str:
    """The directory of a node to be made. Of the root, which is always found there already, it is the root itself."""
    return paths.ROOT if path == paths.ROOT else paths.parent(_legal(path))


def _checked_acl(acl: AclNames) -> AclNames:
    for name in (acl.read, acl.write, acl.change):
        try:
            paths.validate_acl_name(name)
        except BadPath:
            raise BadArgument(f"{quoted(name)} cannot be the name of an access-control list") from None
    return share_acl(acl)
