"""The tree of a cell in the simplest form that is right: nodes, one lock each, history. One thread, no log, no ACLs.

The fake keeps the promises of the contract in `chubby.types`; it is what the client's tests call the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chubby import paths
from chubby.errors import ErrorCode, Failure
from chubby.types.events import EventKind
from chubby.types.identity import Revision
from chubby.types.nodes import ANYONE, AclNames, DirEntry, LockInfo, LockMode, LockOwner, NodeKind, Stat
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.transaction import (
    Absent,
    AclGenerationIs,
    ContentIs,
    Create,
    Exists,
    GenerationIs,
    Guard,
    Operation,
    OperationResult,
    Read,
    Remove,
    TokenIs,
    TransactionResult,
    Write,
    WriteAcl,
    WriteAttributes,
)


class FakeNode:
    """One node, mutable."""

    def __init__(self, create: Create, instance: int, revision: Revision) -> None:
        self.kind = create.kind
        self.ephemeral = create.ephemeral
        self.instance = instance
        self.contents = create.contents
        self.content_generation = 1
        self.acl_generation = 1
        self.created = self.modified = revision
        self.acl = create.acl or AclNames(ANYONE, ANYONE, ANYONE)
        self.attributes = dict(create.attributes)
        self.sequence = 0
        self.openers: set[LockOwner] = set()
        self.holders: dict[LockOwner, None] = {}
        self.mode: LockMode | None = None
        self.waiters: dict[LockOwner, LockMode] = {}
        self.lock_generation = 0
        self.token = 0

    def stat(self) -> Stat:
        """Its metadata now."""
        return Stat(
            self.kind,
            self.ephemeral,
            self.instance,
            self.content_generation,
            self.acl_generation,
            hash(self.contents) & 0xFFFF,
            len(self.contents),
            self.created,
            self.modified,
            0,
            0,
            self.acl,
            dict(self.attributes),
        )


class Change:
    """One line of the history."""

    def __init__(self, revision: Revision, kind: EventKind, path: str, instance: int) -> None:
        self.revision = revision
        self.kind = kind
        self.path = path
        self.instance = instance


class FakeTree:
    """Nodes by path. `granted` collects owners whose turn came just now, `orphaned` those whose node went.

    `observe` is called with the node after each change of it (None: it is gone).
    """

    def __init__(self) -> None:
        self.revision: Revision = 1
        self.nodes: dict[str, FakeNode] = {}
        self.history: list[Change] = []
        self.granted: list[LockOwner] = []
        self.orphaned: list[LockOwner] = []
        self.observe: Callable[[str, FakeNode | None], None] = lambda path, node: None
        self._counter = 1
        self.nodes["/"] = FakeNode(Create("/", kind=NodeKind.DIRECTORY), 1, 1)

    def number(self) -> int:
        """The next number of the cell: instances and tokens."""
        self._counter += 1
        return self._counter

    # ------------------------------------------------------------------------------------------------ transactions

    def holds(self, guard: Guard) -> bool:
        """Whether `guard` holds now."""
        node = self.nodes.get(guard.path)
        if isinstance(guard, Absent):
            return node is None
        if node is None:
            return False
        if isinstance(guard, Exists):
            return guard.instance is None or guard.instance == node.instance
        if isinstance(guard, GenerationIs):
            return guard.generation == node.content_generation
        if isinstance(guard, AclGenerationIs):
            return guard.generation == node.acl_generation
        if isinstance(guard, ContentIs):
            return guard.contents == node.contents
        assert isinstance(guard, TokenIs)
        return bool(node.holders) and node.token == guard.token

    def transact(
        self, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """Run one branch, all of it or nothing."""
        failed = next((index for index, guard in enumerate(guards) if not self.holds(guard)), None)
        branch = then if failed is None else otherwise
        problem = self._problem(branch)
        if problem is not None:
            index, failure = problem
            return TransactionResult(failed is None, self.revision, (), failed, index, failure)
        changes = [operation for operation in branch if not isinstance(operation, Read)]
        if changes:
            self.revision += 1
        results = tuple(self._run(operation) for operation in branch)
        return TransactionResult(failed is None, self.revision, results, failed)

    def _problem(self, branch: Sequence[Operation]) -> tuple[int, Failure] | None:
        """The first operation that cannot be done, judged against the tree as the ones before leave it (roughly)."""
        there = set(self.nodes)
        for index, operation in enumerate(branch):
            path = operation.path
            if isinstance(operation, Create):
                if path != "/" and paths.parent(path) not in there:
                    return index, Failure(ErrorCode.NO_NODE, f"{paths.parent(path)}: no such node")
                if path in there and not (operation.may_exist or operation.sequential):
                    return index, Failure(ErrorCode.NODE_EXISTS, path)
                there.add(path)
            elif path not in there:
                return index, Failure(ErrorCode.NO_NODE, f"{path}: no such node")
            elif isinstance(operation, Remove):
                if any(paths.is_below(other, path) for other in there):
                    return index, Failure(ErrorCode.NOT_EMPTY, path)
                there.discard(path)
        return None

    def _run(self, operation: Operation) -> OperationResult:
        path = operation.path
        if isinstance(operation, Create):
            return self._create(operation)
        node = self.nodes[path]
        if isinstance(operation, Read):
            return OperationResult(path, node.stat(), node.contents)
        if isinstance(operation, Remove):
            self.remove(path)
            return OperationResult(path)
        node.modified = self.revision
        if isinstance(operation, Write):
            node.contents = operation.contents
            node.content_generation += 1
            self._note(EventKind.CONTENTS_MODIFIED, path, node)
        elif isinstance(operation, WriteAcl):
            node.acl = operation.acl
            node.acl_generation += 1
            self._note(EventKind.ACL_MODIFIED, path, node)
        else:
            assert isinstance(operation, WriteAttributes)
            node.attributes = {k: v for k, v in (node.attributes | operation.attributes).items() if v}
            self._note(EventKind.ATTRIBUTES_MODIFIED, path, node)
        return OperationResult(path, node.stat())

    def _create(self, operation: Create) -> OperationResult:
        path = operation.path
        above = self.nodes[paths.parent(path)] if path != "/" else self.nodes["/"]
        if operation.sequential:
            above.sequence += 1
            path = f"{path}{above.sequence:010d}"
        known = self.nodes.get(path)
        if known is not None:
            return OperationResult(path, known.stat())
        node = self.nodes[path] = FakeNode(operation, self.number(), self.revision)
        self._note(EventKind.CREATED, path, node)
        if above.kind is not NodeKind.DIRECTORY:
            above.kind = NodeKind.DIRECTORY
            self.observe(paths.parent(path), above)
        return OperationResult(path, node.stat(), created=True)

    def remove(self, path: str) -> None:
        """Take a node away, in the present revision; whoever waits for its lock is orphaned."""
        node = self.nodes.pop(path)
        self.orphaned += [*node.waiters]
        self._note(EventKind.DELETED, path, node)

    def _note(self, kind: EventKind, path: str, node: FakeNode) -> None:
        self.history.append(Change(self.revision, kind, path, node.instance))
        self.observe(path, None if kind is EventKind.DELETED else node)

    def keys_of(self, operations: Sequence[Operation]) -> set[CacheKey]:
        """What of the cache these operations may change."""
        keys = set()
        for operation in operations:
            if isinstance(operation, Read):
                continue
            keys.add(CacheKey(operation.path, CacheKind.NODE))
            if isinstance(operation, Create | Remove) and operation.path != "/":
                keys.add(CacheKey(paths.parent(operation.path), CacheKind.CHILDREN))
                keys.add(CacheKey(operation.path, CacheKind.CHILDREN))
                if isinstance(operation, Create) and not self.is_directory(paths.parent(operation.path)):
                    keys.add(CacheKey(paths.parent(operation.path), CacheKind.NODE))
        return keys

    def is_directory(self, path: str) -> bool:
        """Whether that node is there and a directory."""
        node = self.nodes.get(path)
        return node is not None and node.kind is NodeKind.DIRECTORY

    def children(self, path: str, after: str = "") -> list[DirEntry]:
        """The children of `path` in name order, those after `after`."""
        below = path if path == "/" else path + "/"
        names = sorted(
            name[len(below) :] for name in self.nodes if name.startswith(below) and "/" not in name[len(below) :]
        )
        return [DirEntry(name, self.nodes[below + name].stat()) for name in names if name and name > after]

    # ------------------------------------------------------------------------------------------------------- locks

    def acquire(self, owner: LockOwner, node: FakeNode, mode: LockMode, wait: bool) -> bool:
        """Whether `owner` holds the lock now; if not, and it would wait, it stands in the queue."""
        if owner in node.holders:
            return True
        free = not node.holders or (node.mode is LockMode.SHARED and mode is LockMode.SHARED)
        first = not node.waiters or next(iter(node.waiters)) == owner
        if free and first:
            node.waiters.pop(owner, None)
            self._hold(node, owner, mode)
            return True
        if wait:
            node.waiters.setdefault(owner, mode)
        return False

    def _hold(self, node: FakeNode, owner: LockOwner, mode: LockMode) -> None:
        if not node.holders:
            node.lock_generation += 1
            node.token = self.number()
        node.holders[owner] = None
        node.mode = mode

    def release(self, owner: LockOwner, node: FakeNode) -> bool:
        """Give the lock back and grant it to whoever is next; whether `owner` held it."""
        held = owner in node.holders
        node.holders.pop(owner, None)
        self.leave(owner, node)
        return held

    def leave(self, owner: LockOwner, node: FakeNode) -> None:
        """Leave the queue, and grant to whoever is next."""
        node.waiters.pop(owner, None)
        if not node.holders:
            node.mode = None
        while node.waiters:
            following, mode = next(iter(node.waiters.items()))
            if node.holders and not (node.mode is LockMode.SHARED and mode is LockMode.SHARED):
                return
            del node.waiters[following]
            self._hold(node, following, mode)
            self.granted.append(following)

    def lock_info(self, path: str) -> LockInfo:
        """The state of one node's lock."""
        node = self.nodes[path]
        return LockInfo(
            path,
            node.mode,
            node.lock_generation,
            node.token,
            tuple(node.holders),
            tuple(node.waiters.items()),
            False,
            0,
        )
