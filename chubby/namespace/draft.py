"""A draft: what the tree would look like, on top of the tree as it is (DESIGN §4, Transaction).

All or nothing without undoing anything: operations read and write a draft, later ones see earlier ones, and the tree is
touched only when the whole branch has succeeded (`State.commit`). A draft that is thrown away leaves no trace, not even
in the order of rows. Besides the tree it keeps the rules that hang on it: quotas, numbers of instances, open-sets, that
a node that gets a child is a directory, and that an ephemeral with an empty open-set and no children goes, and its
parent after it, if that is such a one.

`steps` says what to do to the tree, `changes` what to tell the world; both in the order in which it happened.
"""

from __future__ import annotations

import msgspec

from chubby import paths
from chubby.errors import NoNode, QuotaExceeded
from chubby.namespace.commands import Limits
from chubby.namespace.nodes import Node, as_directory
from chubby.namespace.outcomes import Change
from chubby.namespace.register import Register
from chubby.namespace.tree import Tree
from chubby.namespace.wording import quoted
from chubby.types.events import EventKind
from chubby.types.nodes import LockOwner, NodeKind

__all__ = ["Add", "Draft", "Drop", "Enter", "Leave", "Replace", "Step"]


class Add(msgspec.Struct, frozen=True):
    """A node comes."""

    path: str
    node: Node


class Replace(msgspec.Struct, frozen=True):
    """A node gets its next value."""

    path: str
    node: Node


class Drop(msgspec.Struct, frozen=True):
    """A node goes."""

    path: str


class Enter(msgspec.Struct, frozen=True):
    """An owner joins an open-set."""

    path: str
    owner: LockOwner


class Leave(msgspec.Struct, frozen=True):
    """An owner leaves an open-set."""

    path: str
    owner: LockOwner


Step = Add | Replace | Drop | Enter | Leave


class Draft:
    """Changes to the tree that have not been made yet."""

    __slots__ = (
        "_bytes",
        "_children",
        "_entered",
        "_left",
        "_limits",
        "_nodes",
        "_overlay",
        "_tree",
        "_unclaimed",
        "changes",
        "instance",
        "revision",
        "steps",
        "time_ms",
    )

    def __init__(self, tree: Tree, register: Register, time_ms: int) -> None:
        """Nothing changed yet; what will change does so in the next revision."""
        self.revision = register.revision + 1
        self.time_ms = time_ms
        self.instance = register.instance
        self.changes: list[Change] = []
        self.steps: list[Step] = []
        self._tree = tree
        self._limits: Limits = register.limits
        self._overlay: dict[str, Node | None] = {}
        self._children: dict[str, int] = {}  # how many more than in the tree
        self._entered: dict[int, dict[LockOwner, None]] = {}  # new members of open-sets, by instance
        self._left: dict[int, int] = {}  # how many members of the tree's open-sets have left, by instance
        self._unclaimed: dict[str, None] = {}  # new ephemerals whose open-set is still empty
        self._nodes = 0  # how many more than in the tree
        self._bytes = 0  # the same

    def get(self, path: str) -> Node | None:
        """The node of that name as the draft has it."""
        return self._overlay[path] if path in self._overlay else self._tree.get(path)

    def require(self, path: str) -> Node:
        """The node of that name as the draft has it. Raises NoNode."""
        node = self.get(path)
        if node is None:
            raise NoNode(f"{quoted(path)} is not there")
        return node

    def child_count(self, path: str) -> int:
        """How many children the node has in the draft."""
        return self._tree.child_count(path) + self._children.get(path, 0)

    def add(self, path: str, node: Node) -> None:
        """A new node, below a parent that is there and a directory from now on. Raises QuotaExceeded."""
        above = paths.parent(path)
        parent = self.get(above)
        assert self.get(path) is None, "a name has one node"
        assert parent is not None, "a node has a parent"
        limits = self._limits
        _check("nodes in the cell", limits.nodes, len(self._tree.nodes) + self._nodes, 1)
        _check(f"children of {quoted(above)}", limits.children, self.child_count(above), 1)
        self._grow(node.size)
        assert node.instance > self.instance, "instances only grow"
        self.instance = node.instance
        self._nodes += 1
        self._children[above] = self._children.get(above, 0) + 1
        self._overlay[path] = node
        if node.ephemeral:
            self._unclaimed[path] = None
        self.steps.append(Add(path, node))
        self._note(EventKind.CREATED, path, node, node.stat.content_generation)
        if parent.stat.kind is not NodeKind.DIRECTORY:
            self.replace_quietly(above, as_directory(parent))

    def replace(self, path: str, before: Node, node: Node, kind: EventKind, generation: int) -> None:
        """The next value of a node, told as a change of this kind. Raises QuotaExceeded."""
        self._grow(node.size - before.size)
        self.replace_quietly(path, node)
        self._note(kind, path, node, generation)

    def replace_quietly(self, path: str, node: Node) -> None:
        """The next value of a node, of which nobody is told: it is no change of what the node holds."""
        assert self.require(path).instance == node.instance, "a value follows a value of the same instance"
        self._overlay[path] = node
        self.steps.append(Replace(path, node))

    def remove(self, path: str, node: Node) -> None:
        """A node that has no children goes, and then whatever it alone kept alive above it."""
        gone: Node | None = node
        while gone is not None:
            assert self.child_count(path) == 0, "a node with children stays"
            self._overlay[path] = None
            self._unclaimed.pop(path, None)
            self._nodes -= 1
            self._bytes -= gone.size
            self.steps.append(Drop(path))
            self._note(EventKind.DELETED, path, gone, gone.stat.content_generation)
            path = paths.parent(path)
            self._children[path] = self._children.get(path, 0) - 1
            gone = self._abandoned(path)

    def enter(self, path: str, node: Node, owner: LockOwner) -> None:
        """The owner opens an ephemeral that is there in the draft; a second time changes nothing."""
        assert node.ephemeral, "only ephemerals have open-sets"
        entered = self._entered.setdefault(node.instance, {})
        if owner in entered or (self._is_old(path, node) and self._tree.has_open(path, owner)):
            return
        entered[owner] = None
        self._unclaimed.pop(path, None)
        self.steps.append(Enter(path, owner))

    def leave(self, path: str, node: Node, owner: LockOwner) -> None:
        """A member leaves an open-set of the tree. The caller asks `reap` when all who leave have left."""
        assert self._tree.has_open(path, owner) and self._is_old(path, node), "only members leave"
        self._left[node.instance] = self._left.get(node.instance, 0) + 1
        self.steps.append(Leave(path, owner))

    def reap(self, path: str) -> None:
        """Remove the node if it is an ephemeral without members and children."""
        node = self._abandoned(path)
        if node is not None:
            self.remove(path, node)

    def claim(self, owner: LockOwner) -> None:
        """Enter the owner into the open-sets of all new ephemerals that nobody has opened."""
        for path in tuple(self._unclaimed):
            self.enter(path, self.require(path), owner)

    def _abandoned(self, path: str) -> Node | None:
        """The node, if nothing keeps it: an ephemeral without members and children."""
        node = self.get(path)
        if node is None or not node.ephemeral or path in self._unclaimed or self.child_count(path) > 0:
            return None
        members = len(self._entered.get(node.instance, ())) - self._left.get(node.instance, 0)
        if self._is_old(path, node):
            members += self._tree.open_count(path)
        assert members >= 0, "nobody leaves twice"
        return node if members == 0 else None

    def _is_old(self, path: str, node: Node) -> bool:
        """Whether the tree has the node too, in this instance, so that its open-set there counts."""
        before = self._tree.get(path)
        return before is not None and before.instance == node.instance

    def _grow(self, size: int) -> None:
        _check("bytes of the cell", self._limits.total_bytes, self._tree.total_bytes + self._bytes, size)
        self._bytes += size

    def _note(self, kind: EventKind, path: str, node: Node, generation: int) -> None:
        self.changes.append(Change(self.revision, kind, path, node.instance, generation))


def _check(what: str, limit: int, now: int, more: int) -> None:
    """Refuse to grow beyond a limit; 0 is no limit. Shrinking is always allowed, also from above a lowered limit."""
    if limit and more > 0 and now + more > limit:
        raise QuotaExceeded(f"the quota of {what} is {limit}, this would make {now + more}: deleting makes room")
