"""The tables of what is open: by number, by name, by instance; what becomes of nodes."""

from __future__ import annotations

import errno

import pytest

from fuse_mount.contents import Content, Version
from fuse_mount.open_nodes import Fate, Moved, OpenFile, OpenNode, OpenNodes
from fuse_mount.tenure import Tenure
from tests.fuse_mount.cell_mounts import Mount, another, cell, mount, refused

__all__ = ["another", "cell", "mount"]


class Tables:
    """Open nodes of one tenure."""

    def __init__(self, tenure: Tenure) -> None:
        self.tenure = tenure
        self.nodes = OpenNodes()

    def open(self, path: str, instance: int, contents: bytes = b"x", generation: int = 1) -> OpenFile:
        """A file of that instance."""
        node = self.nodes.enter(self.tenure, path, Content(Version(instance, generation), contents))
        return self.nodes.open(path, node, self.tenure, None)

    def at(self, path: str) -> OpenNode | None:
        """The node of that name."""
        return self.nodes.node(self.tenure, path)

    def move(self, before: int, to: int, path: str, generation: int = 1) -> tuple[OpenNode | None, list[OpenFile]]:
        """One becomes another."""
        return self.nodes.moved(self.tenure, Moved(before, Version(to, generation), b"moved"), path)


@pytest.fixture
def tables(mount: Mount) -> Tables:
    """Empty ones."""
    return Tables(mount.tenure)


class TestEntering:
    """Instances grow: an older one never takes the place of a newer one."""

    def test_files_of_one_node_share_it(self, tables: Tables) -> None:
        """It goes with the last."""
        one, two = tables.open("/a", 5), tables.open("/a", 5)
        assert one.node is two.node is tables.at("/a") and one.number != two.number
        tables.nodes.close(one)
        assert tables.at("/a") is two.node
        tables.nodes.close(two)
        assert tables.at("/a") is None and tables.nodes.files() == []
        with refused(errno.EBADF):
            tables.nodes.file(two.number)

    def test_a_newer_one_replaces(self, tables: Tables) -> None:
        """The old one is stale; closing it leaves the new one."""
        old, new = tables.open("/a", 5), tables.open("/a", 6)
        assert old.node.fate is Fate.REPLACED and tables.at("/a") is new.node
        new.node.check()
        with refused(errno.ESTALE):
            old.node.check()
        tables.nodes.close(old)
        assert tables.at("/a") is new.node

    def test_an_older_one_is_replaced_from_the_start(self, tables: Tables) -> None:
        """And never known by its name."""
        new, old = tables.open("/a", 6), tables.open("/a", 5)
        assert old.node.fate is Fate.REPLACED and tables.at("/a") is new.node

    def test_news_of_another_instance(self, tables: Tables) -> None:
        """A newer one; not the same, nor an older."""
        file = tables.open("/a", 5)
        for instance in (4, 5):
            assert tables.nodes.replaced(tables.tenure, "/a", instance) is None
        assert tables.nodes.replaced(tables.tenure, "/a", 6) is file.node and tables.at("/a") is None
        assert tables.nodes.replaced(tables.tenure, "/a", 7) is None


class TestRemoving:
    """Here, or told by the cell."""

    def test_removed_here_it_has_no_name(self, tables: Tables) -> None:
        """Its name may be given anew, even to the same instance (its content was removed, `.contents`)."""
        file = tables.open("/a", 5)
        tables.nodes.removed(tables.tenure, "/a", 4)
        assert tables.at("/a") is file.node
        tables.nodes.removed(tables.tenure, "/a", 5)
        again = tables.open("/a", 5)
        assert file.node.fate is Fate.REMOVED_HERE and again.node is not file.node

    def test_gone_it_keeps_its_name(self, tables: Tables) -> None:
        """Whoever removed it here may say so yet."""
        file = tables.open("/a", 5)
        tables.nodes.gone(tables.tenure, "/a", 4)
        fates = [file.node.fate]
        tables.nodes.gone(tables.tenure, "/a", 5)
        fates.append(file.node.fate)
        tables.nodes.removed(tables.tenure, "/a", 5)
        assert [*fates, file.node.fate] == [Fate.THERE, Fate.GONE, Fate.REMOVED_HERE]


class TestMoving:
    """Found by instance, whatever its name and fate are by now."""

    def test_its_files_go_along(self, tables: Tables) -> None:
        """Under the new name and instance."""
        file = tables.open("/a", 5)
        node, files = tables.move(5, 9, "/b")
        assert node is file.node is tables.at("/b") and files == [file] and tables.at("/a") is None
        assert node is not None and node.path == "/b" and node.content.read(9, 0) == b"moved"
        assert tables.move(5, 9, "/b") == (None, []), "there is none of that instance any more"

    @pytest.mark.parametrize("fate", [Fate.GONE, Fate.REPLACED])
    def test_told_of_before(self, tables: Tables, fate: Fate) -> None:
        """It is there after all."""
        file = tables.open("/a", 5)
        if fate is Fate.GONE:
            tables.nodes.gone(tables.tenure, "/a", 5)
        else:
            tables.nodes.replaced(tables.tenure, "/a", 9)
        tables.move(5, 9, "/a")
        assert file.node.fate is Fate.THERE and tables.at("/a") is file.node

    def test_onto_one_that_is_open(self, tables: Tables) -> None:
        """Both are one; what the target knew that is newer still is shown; and its pollers wait on."""
        source, target = tables.open("/a", 5), tables.open("/b", 4, b"newest", generation=8)
        target.node.wakers[target.number] = lambda: None
        node, files = tables.move(5, 4, "/b", generation=7)
        assert node is source.node is target.node and files == [source]
        assert node is not None and node.content.read(9, 0) == b"newest" and list(node.wakers) == [target.number]
        assert target.seen != node.content.changes, "it is shown something else"
        tables.nodes.close(source)
        assert tables.at("/b") is node
        tables.nodes.close(target)
        assert tables.at("/b") is None

    def test_onto_one_that_was_stale(self, tables: Tables) -> None:
        """An older instance under the new name is replaced; before a newer one, the moved one is."""
        source, old = tables.open("/a", 5), tables.open("/b", 3)
        tables.move(5, 9, "/b")
        assert old.node.fate is Fate.REPLACED and tables.at("/b") is source.node
        late, new = tables.open("/c", 10), tables.open("/b", 20)
        tables.move(10, 15, "/b")
        assert late.node.fate is Fate.REPLACED and tables.at("/b") is new.node

    def test_one_that_was_removed_here_stays_so(self, tables: Tables) -> None:
        """Its instance may be open anew."""
        removed = tables.open("/a", 5)
        tables.nodes.removed(tables.tenure, "/a", 5)
        again = tables.open("/a", 5)
        node, _ = tables.move(5, 9, "/b")
        assert node is again.node and removed.node.fate is Fate.REMOVED_HERE
