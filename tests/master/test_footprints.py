"""What a change touches, exactly (DESIGN §5 Invalidate first, §4 Ephemerals)."""

from __future__ import annotations

import pytest

from chubby.master.footprints import (
    Departures,
    children_key,
    keys_above,
    keys_of_leaving,
    keys_of_operations,
    keys_of_removal,
    looks_sequential,
    node_key,
)
from chubby.namespace.commands import MachineOperation, OpenCreated, OpenExisting
from chubby.namespace.nodes import Node
from chubby.types.nodes import AclNames, LockOwner, NodeKind, Stat
from chubby.types.stream import CacheKey
from chubby.types.transaction import Create, Read, Remove, Write, WriteAcl, WriteAttributes

ACL = AclNames("anyone", "anyone", "anyone")


class Tree:
    """Ephemerals with the sizes of their open-sets, and permanent nodes."""

    def __init__(self, files: tuple[str, ...] = (), absent: tuple[str, ...] = (), **ephemerals: int) -> None:
        self.counts = {"/" + path.replace("_", "/"): count for path, count in ephemerals.items()}
        self.files = files
        self.absent = absent

    def node(self, path: str) -> Node | None:
        """Everything is there and a directory, unless told otherwise."""
        if path in self.absent:
            return None
        kind = NodeKind.FILE if path in self.files else NodeKind.DIRECTORY
        stat = Stat(kind, path in self.counts, 1, 1, 1, 0, 0, 1, 1, 0, 0, ACL)
        return Node(stat, b"")

    def open_count(self, path: str) -> int:
        """As told."""
        return self.counts.get(path, 0)


def keys(tree: Tree, *operations: MachineOperation) -> tuple[CacheKey, ...]:
    """What a branch touches."""
    return keys_of_operations(tree, Departures(), operations)


def test_create_touches_absence_and_the_parents_names() -> None:
    """Absence is cacheable data."""
    assert keys(Tree(), Create("/a/b")) == (node_key("/a/b"), children_key("/a"))
    assert keys(Tree(), Create("/a")) == (node_key("/a"), children_key("/"))


@pytest.mark.parametrize("tree", [Tree(files=("/a",)), Tree(absent=("/a",))], ids=["file", "absent"])
def test_create_touches_a_parent_that_is_no_directory(tree: Tree) -> None:
    """It becomes one, and `Stat.kind` is cacheable. One that is not there may be made by what is in flight."""
    assert keys(tree, Create("/a/b")) == (node_key("/a/b"), children_key("/a"), node_key("/a"))
    assert keys(tree, Create("/a/n", sequential=True)) == (children_key("/a"), node_key("/a"))
    assert keys_above(tree, "/a/b") == (children_key("/a"), node_key("/a"))
    assert keys(tree, Create("/a/b/c")) == (node_key("/a/b/c"), children_key("/a/b"))
    assert keys(tree, Create("/")) == (node_key("/"),)


def test_sequential_create_touches_the_parents_names() -> None:
    """Its name is not known before; such absences are never cacheable instead."""
    assert keys(Tree(), Create("/a/n", sequential=True)) == (children_key("/a"),)
    assert keys(Tree(), Create("/a/", sequential=True)) == (children_key("/a"),)
    assert looks_sequential("/a/n0000000007") and looks_sequential("/a/12345678901")
    assert not looks_sequential("/a/n000000007") and not looks_sequential("/a/0000000007/x")


def test_writes_touch_the_node_alone() -> None:
    """Content, ACL names and attributes are the node's; the names of its parent's children stay."""
    for operation in (Write("/a", b""), WriteAcl("/a", ACL), WriteAttributes("/a", {})):
        assert keys(Tree(), operation) == (node_key("/a"),)


def test_remove_touches_node_names_and_parents_names() -> None:
    """A listing of the deleted node is stale, too."""
    assert keys(Tree(), Remove("/a/b")) == (node_key("/a/b"), children_key("/a/b"), children_key("/a"))


def test_reads_and_open_sets_touch_nothing() -> None:
    """Who has a node open is not cacheable."""
    assert keys(Tree(), Read("/a"), OpenCreated(1), OpenExisting("/a", 1, 1)) == ()


def test_each_key_once() -> None:
    """In the order of first mention."""
    assert keys(Tree(), Write("/a", b""), Create("/b"), Write("/a", b"x"), Create("/c")) == (
        node_key("/a"),
        node_key("/b"),
        children_key("/"),
        node_key("/c"),
    )


def test_removal_reaches_an_abandoned_ephemeral_above() -> None:
    """DESIGN §4: an empty set and no children deletes the node, and then perhaps its parent."""
    tree = Tree(e=0, e_f=0)
    assert list(keys_of_removal(tree, Departures(), "/e/f/g")) == [
        node_key("/e/f/g"),
        children_key("/e/f/g"),
        children_key("/e/f"),
        node_key("/e/f"),
        children_key("/e/f"),
        children_key("/e"),
        node_key("/e"),
        children_key("/e"),
        children_key("/"),
    ]
    assert node_key("/e") not in list(keys_of_removal(Tree(e=1, e_f=0), Departures(), "/e/f/g"))
    assert node_key("/e/f") not in list(keys_of_removal(Tree(e=0, e_f=1), Departures(), "/e/f/g"))


def test_leaving_touches_only_if_nobody_is_left() -> None:
    """One reader of ten thousand closes the leader's file: nobody's cache is disturbed."""
    assert list(keys_of_leaving(Tree(e=2), Departures(), {"/e": 1})) == []
    assert node_key("/e") in list(keys_of_leaving(Tree(e=2), Departures(), {"/e": 2}))
    assert list(keys_of_leaving(Tree(), Departures(), {"/permanent": 1})) == []


def test_departures_on_their_way_count() -> None:
    """The last one out is told by what is proposed already, applied or not."""
    departures = Departures()
    others = [("/e", LockOwner(1, 5))]
    assert list(keys_of_leaving(Tree(e=2), departures, {"/e": 1})) == []
    departures.begin(others)
    assert node_key("/e") in list(keys_of_leaving(Tree(e=2), departures, {"/e": 1}))
    departures.begin(others)
    assert departures.count("/e") == 1, "one member leaves once, whatever the number of commands"
    departures.end(others)
    departures.end(others)
    assert departures.count("/e") == 0 and not departures.includes("/e", LockOwner(1, 5))
