"""Open files whose node changes: news, polls, removal here and elsewhere, renames, the loss of the session."""

from __future__ import annotations

import errno
import os

import pytest

from chubby.errors import SessionExpired
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.contents import Version
from fuse_mount.open_nodes import Fate, Moved
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import (
    BOTH,
    READ,
    WRITE,
    Another,
    Mount,
    another,
    behind,
    cell,
    contents,
    expire,
    mount,
    put,
    refused,
)

__all__ = ["another", "cell", "mount"]


class TestNews:
    """What the cell tells is shown."""

    def test_shown_to_all_who_have_it_open(self, mount: Mount, another: Another) -> None:
        """And the kernel drops what they have read."""
        number = mount.open("/a")
        another().wrote("/a", b"second\n")
        mount.news("/a")
        assert mount.read(number) == b"second\n" and mount.dropped == ["/a"]
        mount.news("/a")
        assert mount.dropped == ["/a"], "told twice it is no news"

    def test_size_and_bytes_agree(self, mount: Mount, another: Another) -> None:
        """A stat that knows of something newer has it shown first: the kernel cuts what it reads to that size."""
        number = mount.open("/a")
        stat = mount.tenure.reader.stat("/a")
        assert mount.files.size(mount.tenure, "/a", stat) == 6
        another().wrote("/a", b"longer than before\n")
        newer = mount.tenure.reader.stat("/a")
        assert mount.files.size(mount.tenure, "/a", newer) == 19 == len(mount.read(number))
        assert mount.files.size(mount.tenure, "/a", stat) == 19, "an older stat changes nothing"
        mount.close(number)
        assert mount.files.size(mount.tenure, "/a", newer) is None

    def test_the_size_of_what_was_overwritten_asks_nobody(self, mount: Mount) -> None:
        """`echo > file` stats what it has emptied."""
        stat = mount.tenure.reader.stat("/a")
        number = mount.open("/a", WRITE | os.O_TRUNC)
        asked = len(mount.cell.received)
        assert mount.files.size(mount.tenure, "/a", stat) == 0
        mount.files.write(number, b"123", 0)
        assert mount.files.size(mount.tenure, "/a", stat) == 3 and len(mount.cell.received) == asked

    def test_the_size_of_another_node(self, mount: Mount) -> None:
        """Made again: the old file is stale, and nobody has the new one open."""
        number = mount.open("/a")
        behind(mount.cell, Remove("/a"), Create("/a", b"again"))
        assert mount.files.size(mount.tenure, "/a", mount.tenure.reader.stat("/a")) is None
        with refused(errno.ESTALE):
            mount.read(number)

    def test_after_a_lock_it_is_refreshed(self, mount: Mount, another: Another) -> None:
        """The same descriptor sees the newest content."""
        number = mount.open("/a")
        another().wrote("/a", b"second\n")
        mount.files.refresh(number)
        assert mount.read(number) == b"second\n" and "/a" in mount.dropped

    @pytest.mark.parametrize("again", [False, True])
    def test_refreshed_without_its_node(self, mount: Mount, again: bool) -> None:
        """ESTALE, whether another has its name or none."""
        number = mount.open("/a")
        behind(mount.cell, Remove("/a"), *([Create("/a", b"again")] if again else []))
        with refused(errno.ESTALE):
            mount.files.refresh(number)

    def test_polling(self, mount: Mount) -> None:
        """What was shown at the open counts as read; woken once; a closed file wakes nobody."""
        woken: list[int] = []
        one, two = mount.open("/a"), mount.open("/a")
        mount.files.poll(one, lambda: woken.append(1))
        mount.files.poll(two, lambda: woken.append(2))
        mount.close(two)
        behind(mount.cell, Write("/a", b"new"))
        mount.news("/a")
        behind(mount.cell, Write("/a", b"newer"))
        mount.news("/a")
        assert woken == [1] and mount.files.poll(one, None)

    def test_what_is_open(self, mount: Mount) -> None:
        """By node and by name, each once."""
        mount.open("/a")
        mount.files.open(mount.tenure, "/a/.contents", "/a", READ)
        assert mount.files.paths(mount.tenure) == ["/a"] and mount.files.names() == ["/a", "/a/.contents"]
        assert mount.files.is_open(mount.tenure, "/a") and not mount.files.is_open(mount.tenure, "/b")


class TestRemoved:
    """The node goes while it is open."""

    def removed(self, mount: Mount, number: int) -> None:
        """Through this mount."""
        instance = mount.files.file(number).node.content.instance
        with mount.files.holding(mount.tenure, "/a"):
            mount.session.transaction((), [Remove("/a")])
            mount.files.removed(mount.tenure, "/a", "/a", instance)

    def test_here(self, mount: Mount) -> None:
        """It reads on, and what is written is lost without a word (POSIX)."""
        number = mount.open("/a", BOTH)
        self.removed(mount, number)
        mount.files.write(number, b"F", 0)
        assert mount.read(number) == b"First\n" and mount.files.file(number).node.fate is Fate.REMOVED_HERE
        mount.close(number)
        assert "/a" not in mount.cell.tree.nodes

    def test_here_and_told_of_before_it_is_known(self, mount: Mount) -> None:
        """The watch may be faster than the answer: it was removed here all the same."""
        number = mount.open("/a", BOTH)
        node = mount.files.file(number).node
        mount.files.gone(mount.tenure, "/a", node.content.instance)
        assert node.fate is Fate.GONE
        self.removed(mount, number)
        mount.files.write(number, b"F", 0)
        mount.close(number)

    def test_elsewhere(self, mount: Mount) -> None:
        """It reads on; what was written is ESTALE when it is flushed, once; and the release says nothing."""
        number = mount.open("/a", BOTH)
        mount.files.write(number, b"F", 0)
        behind(mount.cell, Remove("/a"))
        mount.files.gone(mount.tenure, "/a", mount.files.file(number).node.content.instance)
        assert mount.read(number) == b"First\n"
        with refused(errno.ESTALE):
            mount.files.flush(number)
        mount.close(number)

    def test_an_instance_that_is_not_the_one_open_is_left_alone(self, mount: Mount) -> None:
        """News and answers of the node before."""
        number = mount.open("/a", BOTH)
        node = mount.files.file(number).node
        mount.files.gone(mount.tenure, "/a", node.content.instance - 1)
        mount.files.removed(mount.tenure, "/a", "/a", node.content.instance - 1)
        assert node.fate is Fate.THERE and mount.files.is_open(mount.tenure, "/a")

    def test_and_made_again(self, mount: Mount, cell: FakeCell) -> None:
        """ESTALE, for reading and writing, and nothing of the old gets into the new."""
        old = mount.open("/a", BOTH)
        mount.files.write(old, b"F", 0)
        behind(cell, Remove("/a"), Create("/a", b"again"))
        new = mount.open("/a", BOTH)
        assert mount.read(new) == b"again"
        for act in (
            lambda: mount.read(old),
            lambda: mount.files.write(old, b"x", 0),
            lambda: mount.files.truncate(old, 0),
            lambda: mount.files.flush(old),
        ):
            with refused(errno.ESTALE):
                act()
        mount.close(old)
        assert contents(cell) == b"again" and mount.read(new) == b"again"
        mount.wrote("/a", b"new")
        assert contents(cell) == b"new"


class TestMoved:
    """A rename, and a node made again with the same content: open files go along."""

    def rename(self, mount: Mount, old: str, new: str) -> None:
        """As the tree does it."""
        with mount.files.still(mount.tenure, old):
            data, source = mount.tenure.reader.contents(old)
            there = new in mount.cell.tree.nodes
            put_there = Write(new, data) if there else Create(new, data)
            result = mount.session.transaction((), [put_there, Remove(old)])
            stat = result.results[0].stat
            assert stat is not None
            moved = Moved(source.instance, Version(stat.instance, stat.content_generation), data)
            mount.files.renamed(mount.tenure, old, new, new, moved)

    def test_written_before_and_after(self, mount: Mount, cell: FakeCell) -> None:
        """What was written goes along; what is written later goes to the new name."""
        number = mount.open("/a", BOTH)
        mount.files.write(number, b"F", 0)
        self.rename(mount, "/a", "/b")
        assert contents(cell, "/b") == b"First\n" and mount.files.file(number).name == "/b"
        mount.files.write(number, b"W", 0)
        mount.close(number)
        assert contents(cell, "/b") == b"Wirst\n" and "/a" not in cell.tree.nodes

    def test_it_shows_what_was_moved(self, mount: Mount, cell: FakeCell) -> None:
        """Not what was known here: somebody else had written, and nobody had told."""
        number = mount.open("/a")
        behind(cell, Write("/a", b"newer\n"))
        self.rename(mount, "/a", "/b")
        assert mount.read(number) == b"newer\n"

    def test_onto_a_file_that_is_open(self, mount: Mount, cell: FakeCell) -> None:
        """Both show the one content, both write to it, and who polls the target is told."""
        put(cell, "/b", b"target")
        source, target = mount.open("/a", BOTH), mount.open("/b", BOTH)
        self.rename(mount, "/a", "/b")
        assert mount.read(source) == mount.read(target) == b"first\n"
        mount.files.write(target, b"T", 0)
        assert mount.read(source) == b"Tirst\n"
        mount.close(source)
        mount.close(target)
        assert contents(cell, "/b") == b"Tirst\n" and not mount.files._open._nodes

    def test_the_name_is_free_for_another(self, mount: Mount, cell: FakeCell) -> None:
        """Made again as soon as it was moved, even before the mount has said so: the files are those of the moved."""
        number = mount.open("/a", BOTH)
        instance = mount.files.file(number).node.content.instance
        data, _ = mount.tenure.reader.contents("/a")
        stat = mount.session.transaction((), [Create("/b", data), Remove("/a")]).results[0].stat
        assert stat is not None
        behind(cell, Create("/a", b"another"))
        other = mount.open("/a", BOTH)
        mount.files.renamed(mount.tenure, "/a", "/b", "/b", Moved(instance, Version(stat.instance, 1), data))
        assert mount.read(number) == b"first\n" and mount.read(other) == b"another"
        mount.files.write(number, b"F", 0)
        mount.close(number)
        assert contents(cell, "/b") == b"First\n" and contents(cell) == b"another"

    def test_made_again(self, mount: Mount, cell: FakeCell) -> None:
        """Told of as removed and made before the answer is there: the file goes on all the same."""
        number = mount.open("/a", BOTH)
        instance = mount.files.file(number).node.content.instance
        stat = mount.session.transaction((), [Remove("/a"), Create("/a", b"first\n")]).results[1].stat
        assert stat is not None
        mount.news("/a")
        mount.files.remade(mount.tenure, "/a", Moved(instance, Version(stat.instance, 1), b"first\n"))
        mount.files.write(number, b"F", 0)
        mount.close(number)
        assert contents(cell) == b"First\n"

    def test_handles_of_what_was_moved_are_closed(self, mount: Mount) -> None:
        """With the file at the latest."""
        number = mount.open("/a", BOTH)
        self.rename(mount, "/a", "/b")
        mount.files.write(number, b"F", 0)
        mount.close(number)
        until(lambda: mount.session.statistics().handles <= 1)


class TestLost:
    """The session expires: all is over."""

    def test_every_call_is_refused(self, mount: Mount, caplog: pytest.LogCaptureFixture) -> None:
        """EIO, by way of SessionExpired; what was written is lost, and the log says so."""
        number, woken = mount.open("/a", BOTH), []
        mount.files.write(number, b"F", 0)
        assert not mount.files.poll(mount.open("/a"), lambda: woken.append(True))
        expire(mount.session)
        mount.files.lost(mount.tenure)
        assert woken == [True] and mount.files.poll(number, None) and mount.dropped == ["/a"]
        for act in (
            lambda: mount.read(number),
            lambda: mount.files.write(number, b"x", 0),
            lambda: mount.files.truncate(number, 0),
            lambda: mount.files.flush(number),
        ):
            with pytest.raises(SessionExpired):
                act()
        mount.files.release(number)
        assert "what was written to /a is lost" in caplog.text
        assert contents(mount.cell) == b"first\n"
