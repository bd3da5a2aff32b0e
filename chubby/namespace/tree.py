"""The tree: nodes by path, the children of each, and who has which ephemeral open (DESIGN §4 Node, Ephemerals).

| table   | key                     | row             |
|---------|-------------------------|-----------------|
| `nodes` | path                    | `Node`          |
| `opens` | path, session, handle   | instance        |

Invariants: the root is there; the parent of every node is there, and comes before it in `nodes`; only ephemerals have
rows in `opens`, and those name the instance that is there. The machine keeps one more between commands: an ephemeral
has a member in its open-set or a child.

Nothing here checks what a client may do; whoever calls has done so, against a `Draft`.
"""

from __future__ import annotations

import msgspec
from sortedcontainers import SortedList

from chubby import paths
from chubby.namespace.nodes import Node, digested, intact, shared
from chubby.namespace.table import Table, discard
from chubby.types.identity import HandleNumber, SessionId
from chubby.types.nodes import DirEntry, LockOwner

__all__ = ["OpenKey", "Tree"]

OpenKey = tuple[str, SessionId, HandleNumber]


class Tree:
    """All nodes of the cell."""

    __slots__ = ("_children", "_members", "_opened", "nodes", "opens", "total_bytes")

    def __init__(self) -> None:
        """No nodes at all, not even the root."""
        self.nodes: Table[str, Node] = Table(
            "node",
            msgspec.msgpack.Decoder(list[tuple[str, Node]]),
            digested=digested,
            intact=intact,
            shared=shared,
        )
        self.opens: Table[OpenKey, int] = Table("open", msgspec.msgpack.Decoder(list[tuple[OpenKey, int]]))
        self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.total_bytes = 0
        self._children: dict[str, SortedList[str]] = {}  # of directories that have any; children as whole paths
        self._members: dict[str, dict[LockOwner, None]] = {}  # the open-sets, where not empty
        self._opened: dict[SessionId, dict[tuple[str, HandleNumber], None]] = {}  # the same by session

    def get(self, path: str) -> Node | None:
        """The node of that name, if there is one. A name that is no legal path names no node."""
        return self.nodes.rows.get(path)

    def child_count(self, path: str) -> int:
        """How many children the node has."""
        children = self._children.get(path)
        return 0 if children is None else len(children)

    def children(self, path: str, after: str, limit: int) -> tuple[tuple[DirEntry, ...], bool]:
        """The `limit` children that follow the name `after`, in order of names, and whether there are more."""
        assert limit > 0, "an empty page would never end"
        children = self._children.get(path)
        if children is None:
            return (), False
        prefix = path if path == paths.ROOT else path + "/"
        start = children.bisect_right(prefix + after)
        rows = self.nodes.rows
        page = tuple(
            DirEntry(child[len(prefix) :], rows[child].stat) for child in children.islice(start, start + limit)
        )
        return page, start + limit < len(children)

    def add(self, path: str, node: Node) -> None:
        """Enter a node that was not there; its parent is."""
        assert path not in self.nodes.rows, "a node is added once"
        assert path == paths.ROOT or paths.parent(path) in self.nodes.rows, "a node has a parent"
        self.nodes.put(path, node)
        self._index_node(path, node)

    def replace(self, path: str, node: Node) -> None:
        """Put the next value of a node."""
        before = self.nodes.rows[path]
        assert before.instance == node.instance, "a value follows a value of the same instance"
        self.total_bytes += node.size - before.size
        self.nodes.put(path, node)

    def remove(self, path: str) -> None:
        """Take away a node that has no children, and its open-set with it."""
        assert path not in self._children, "a node with children stays"
        for owner in tuple(self._members.get(path, ())):
            self.leave(path, owner)
        self.total_bytes -= self.nodes.drop(path).size
        above = paths.parent(path)
        siblings = self._children[above]
        siblings.remove(path)
        if not siblings:
            del self._children[above]

    def enter(self, path: str, owner: LockOwner) -> None:
        """Make `owner` a member of the open-set of an ephemeral; a second time changes nothing."""
        node = self.nodes.rows[path]
        assert node.ephemeral, "only ephemerals have open-sets"
        if not self.has_open(path, owner):
            self.opens.put((path, owner.session, owner.handle), node.instance)
            self._index_open(path, owner)

    def leave(self, path: str, owner: LockOwner) -> None:
        """Take a member out of an open-set."""
        assert self.has_open(path, owner), "only members leave"
        self.opens.drop((path, owner.session, owner.handle))
        discard(self._members, path, owner)
        discard(self._opened, owner.session, (path, owner.handle))

    def has_open(self, path: str, owner: LockOwner) -> bool:
        """Whether `owner` is in the open-set of the node."""
        return owner in self._members.get(path, ())

    def open_count(self, path: str) -> int:
        """How many members the open-set of the node has."""
        return len(self._members.get(path, ()))

    def opened_by(self, session: SessionId) -> list[tuple[str, LockOwner]]:
        """Every membership of a session, in order of paths and handles."""
        return [(path, LockOwner(session, handle)) for path, handle in sorted(self._opened.get(session, ()))]

    def opened_count(self, session: SessionId) -> int:
        """How many memberships a session has."""
        return len(self._opened.get(session, ()))

    def reindex(self) -> None:
        """Derive the indexes from the rows. Raises ValueError if the rows break an invariant."""
        self._clear_indexes()
        rows = self.nodes.rows
        if paths.ROOT not in rows:
            raise ValueError("the tree has no root")
        children: dict[str, list[str]] = {}
        for path, node in rows.items():
            if path != paths.ROOT:
                children.setdefault(paths.parent(path), []).append(path)
            self.total_bytes += node.size
        for path in children:
            if path not in rows:
                raise ValueError(f"the parent {path} of a node is missing")
        self._children = {path: SortedList(names) for path, names in children.items()}
        for (path, session, handle), instance in self.opens.rows.items():
            opened = rows.get(path)
            if opened is None or opened.instance != instance or not opened.ephemeral:
                raise ValueError(f"an open-set belongs to no ephemeral at {path}")
            self._index_open(path, LockOwner(session, handle))

    def _index_node(self, path: str, node: Node) -> None:
        self.total_bytes += node.size
        if path != paths.ROOT:
            above = paths.parent(path)
            siblings = self._children.get(above)
            if siblings is None:
                siblings = self._children[above] = SortedList()
            siblings.add(path)

    def _index_open(self, path: str, owner: LockOwner) -> None:
        self._members.setdefault(path, {})[owner] = None
        self._opened.setdefault(owner.session, {})[path, owner.handle] = None
