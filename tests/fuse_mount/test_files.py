"""Open files over a session: fetched at open, gathered in memory, committed at flush, whatever happens to the node."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from chubby import Handle
from chubby.errors import NodeExists, NoNode, SessionExpired
from chubby.types.calls import Open
from chubby.types.stream import CallFrame
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.contents import Content, Version
from fuse_mount.open_nodes import Fate, Moved
from fuse_mount.tenure import Tenure
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import (
    APPEND,
    BOTH,
    READ,
    WRITE,
    Mount,
    another,
    behind,
    cell,
    contents,
    expire,
    mount,
    put,
)

__all__ = ["another", "cell", "mount"]

Another = Callable[[], Mount]


def refused(number: int) -> pytest.RaisesExc[OSError]:
    """An OSError with that errno."""
    return pytest.RaisesExc(OSError, check=lambda error: error.errno == number)


class TestOpening:
    """What an open shows, and what it leaves behind."""

    def test_it_shows_what_the_cell_has(self, mount: Mount) -> None:
        """In one call; and nobody waits for the network to read."""
        number = mount.open("/a")
        asked = len(mount.cell.received)
        assert mount.read(number) == b"first\n" and mount.files.read(number, 3, 1) == b"irs"
        assert len(mount.cell.received) == asked

    def test_the_second_open_of_what_did_not_change_keeps_the_pages(self, mount: Mount) -> None:
        """And makes no call."""
        first = mount.files.open(mount.tenure, "/a", "/a", READ)
        assert not first.keep_cache and not first.direct_io
        mount.read(first.file)
        mount.close(first.file)
        asked = len(mount.cell.received)
        assert mount.files.open(mount.tenure, "/a", "/a", READ).keep_cache
        assert len(mount.cell.received) == asked

    def test_an_open_sees_what_was_written_before_it_began(self, mount: Mount, another: Another) -> None:
        """On another machine; the watch has not told yet. Who had it open sees it with him, and is woken."""
        early, woken = mount.open("/a"), []
        assert not mount.files.poll(early, lambda: woken.append(True))
        another().wrote("/a", b"second\n")
        late = mount.files.open(mount.tenure, "/a", "/a", READ)
        assert not late.keep_cache and mount.read(late.file) == b"second\n"
        assert woken == [True] and mount.files.poll(early, None)
        assert mount.read(early) == b"second\n" and not mount.files.poll(early, None)

    def test_writers_use_direct_io(self, mount: Mount) -> None:
        """So their offsets and bytes are ours alone; and who reads what is being written."""
        opened = mount.files.open(mount.tenure, "/a", "/a", BOTH)
        assert opened.direct_io and not opened.keep_cache
        mount.files.write(opened.file, b"F", 0)
        assert mount.files.open(mount.tenure, "/a", "/a", READ).direct_io
        assert mount.read(mount.open("/a")) == b"First\n"

    def test_what_is_not_there(self, mount: Mount) -> None:
        """NoNode, and no handle left behind."""
        for flags in (READ, WRITE, BOTH | os.O_TRUNC):
            with pytest.raises(NoNode):
                mount.open("/missing", flags)
        assert mount.session.statistics().handles == 0

    def test_a_writer_that_cannot_read_leaves_no_handle(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """Interrupted between its two calls."""

        def interrupted(tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content:
            raise InterruptedError(errno.EINTR, "interrupted")

        monkeypatch.setattr(mount.files, "_fetch", interrupted)
        with pytest.raises(InterruptedError):
            mount.open("/a", WRITE)
        until(lambda: mount.session.statistics().handles == 0)

    def test_files_that_are_closed_leave_nothing(self, mount: Mount) -> None:
        """Neither handles, but those kept for reading, nor contents."""
        for _ in range(5):
            mount.wrote("/a", b"x", WRITE)
            mount.close(mount.open("/a"))
        until(lambda: mount.session.statistics().handles <= 1)
        assert not mount.files._open._nodes and not mount.files._open._files

    def test_made_again_between_the_two_calls_it_is_opened_again(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One of the old node would be no good."""
        fetch, once = mount.files._fetch, [True]

        def remake(tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content:
            if once.pop() if once else False:
                behind(mount.cell, Remove("/a"), Create("/a", b"again"))
            return fetch(tenure, path, handle, flags)

        monkeypatch.setattr(mount.files, "_fetch", remake)
        assert mount.read(mount.open("/a", BOTH)) == b"again"

    def test_an_older_node_never_shows_in_a_newer_one(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fetch that took its time, of the node before with the greater generation."""
        current = mount.open("/a")
        instance = mount.files.file(current).node.content.instance
        stale = [Content(Version(instance - 1, 99), b"of the node before")]
        fetch = mount.files._fetch

        def late(tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content:
            return stale.pop() if stale else fetch(tenure, path, handle, flags)

        monkeypatch.setattr(mount.files, "_fetch", late)
        assert mount.read(mount.open("/a")) == b"first\n" and mount.read(current) == b"first\n"

    def test_no_file_has_that_number(self, mount: Mount) -> None:
        """EBADF."""
        with refused(errno.EBADF):
            mount.files.read(77, 1, 0)


class TestCreating:
    """O_CREAT, O_EXCL, O_TRUNC."""

    def test_made_with_its_attributes(self, mount: Mount) -> None:
        """Empty, fresh, and known as ours."""
        opened = mount.files.create(mount.tenure, "/b", "/b", BOTH | os.O_CREAT, {"mode": b"1"})
        node = mount.cell.tree.nodes["/b"]
        assert opened.direct_io and node.attributes == {"mode": b"1"} and node.contents == b""
        assert mount.made == [node.created] and mount.files.is_fresh(mount.tenure, "/b")
        mount.files.flush(opened.file)
        assert not mount.files.is_fresh(mount.tenure, "/b") and not mount.files.is_fresh(mount.tenure, "/a")

    def test_exclusive(self, mount: Mount, another: Another) -> None:
        """One of two mounts gets it."""
        mount.create("/b", WRITE | os.O_EXCL)
        with pytest.raises(NodeExists):
            another().create("/b", WRITE | os.O_EXCL)

    def test_what_is_there_is_opened(self, mount: Mount) -> None:
        """With its content; emptied if so asked."""
        assert mount.read(mount.create("/a", BOTH)) == b"first\n"
        number = mount.create("/a", BOTH | os.O_TRUNC)
        assert mount.read(number) == b""
        assert not mount.files.is_fresh(mount.tenure, "/a")

    def test_deleted_before_it_could_be_opened_it_is_made(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """O_CREAT never says that it is not there."""
        fetch, once = mount.files._fetch, [True]

        def delete(tenure: Tenure, path: str, handle: Handle | None, flags: int) -> Content:
            if once.pop() if once else False:
                behind(mount.cell, Remove("/a"))
                raise NoNode("deleted")
            return fetch(tenure, path, handle, flags)

        monkeypatch.setattr(mount.files, "_fetch", delete)
        number = mount.create("/a", BOTH)
        assert mount.read(number) == b"" and mount.files.is_fresh(mount.tenure, "/a")

    def test_its_directory_is_not_there(self, mount: Mount) -> None:
        """NoNode."""
        with pytest.raises(NoNode):
            mount.create("/missing/b")


class TestWriting:
    """Gathered, and gone to the cell at flush."""

    def test_flush_commits_what_was_written(self, mount: Mount, cell: FakeCell) -> None:
        """And tells of the revision that it made."""
        number = mount.open("/a", WRITE)
        assert mount.files.write(number, b"F", 0) == 1 and contents(cell) == b"first\n"
        mount.files.flush(number)
        assert contents(cell) == b"First\n" and mount.made == [cell.tree.nodes["/a"].modified]
        mount.files.flush(number)
        assert mount.made == [cell.tree.nodes["/a"].modified], "nothing is left to be written"

    def test_a_length_alone_waits_for_the_release(self, mount: Mount, cell: FakeCell) -> None:
        """`echo > file` flushes between emptying and writing: nobody is to see the empty file."""
        number = mount.open("/a", WRITE | os.O_TRUNC)
        mount.files.flush(number)
        assert contents(cell) == b"first\n" and mount.read(mount.open("/a")) == b""
        mount.files.release(number)
        assert contents(cell) == b""

    def test_fsync_commits_a_length(self, mount: Mount, cell: FakeCell) -> None:
        """`everything`."""
        number = mount.open("/a", WRITE)
        mount.files.truncate(number, 2)
        mount.files.flush(number, everything=True)
        assert contents(cell) == b"fi"

    def test_what_seems_empty_is_emptied(self, mount: Mount, another: Another, cell: FakeCell) -> None:
        """O_TRUNC of what was written elsewhere, of which nobody has told us who have it open."""
        put(cell, "/b", b"")
        mount.open("/b")
        another().wrote("/b", b"theirs")
        mount.close(mount.open("/b", WRITE | os.O_TRUNC))
        assert contents(cell, "/b") == b""

    def test_two_mounts_append(self, mount: Mount, another: Another, cell: FakeCell) -> None:
        """Both had it open before either wrote: both lines are there (compare-and-set on the generation)."""
        other = another()
        ours, theirs = mount.open("/a", APPEND), other.open("/a", APPEND)
        mount.files.write(ours, b"ours\n", 999)
        other.files.write(theirs, b"theirs\n", 0)
        mount.close(ours)
        other.close(theirs)
        assert contents(cell) == b"first\nours\ntheirs\n"

    def test_the_last_close_wins(self, mount: Mount, another: Another, cell: FakeCell) -> None:
        """What is not appended replaces everything (session semantics)."""
        other = another()
        ours, theirs = mount.open("/a", WRITE), other.open("/a", WRITE)
        mount.files.write(ours, b"OURS", 0)
        other.files.write(theirs, b"T", 0)
        mount.close(ours)
        other.close(theirs)
        assert contents(cell) == b"Tirst\n"

    def test_two_files_of_one_mount_share_what_was_written(self, mount: Mount, cell: FakeCell) -> None:
        """Whoever is flushed first commits for both."""
        one, two = mount.open("/a", APPEND), mount.open("/a", APPEND)
        mount.files.write(one, b"1", 0)
        mount.files.write(two, b"2", 0)
        mount.close(one)
        assert contents(cell) == b"first\n12"
        mount.close(two)
        assert contents(cell) == b"first\n12"

    def test_beyond_the_limit_of_the_cell(self, mount: Mount) -> None:
        """EFBIG at write; the limit is that of the cell, for files that are open already, too. 0: it does not know."""
        number = mount.open("/a", APPEND)
        mount.files.learn_limit(10)
        mount.files.learn_limit(0)
        mount.files.write(number, b"1234", 0)
        with refused(errno.EFBIG):
            mount.files.write(number, b"5", 0)
        with refused(errno.EFBIG):
            mount.files.truncate(number, 11)
        mount.files.learn_limit(11)
        mount.files.write(number, b"5", 0)

    def test_readers_of_the_mount_see_what_is_written_at_once(self, mount: Mount) -> None:
        """Their pages are dropped when it is committed, and who polls is woken."""
        woken: list[bool] = []
        reader, writer = mount.open("/a"), mount.open("/a", WRITE)
        mount.files.poll(reader, lambda: woken.append(True))
        mount.files.write(writer, b"F", 0)
        assert mount.read(reader) == b"First\n" and mount.dropped == []
        mount.files.flush(writer)
        assert mount.dropped == ["/a"] and woken == [True]
        assert not mount.files.poll(reader, None), "it has read that"

    def test_the_writer_alone_drops_no_pages(self, mount: Mount) -> None:
        """Nobody has any."""
        mount.wrote("/a", b"x")
        assert mount.dropped == []


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


def test_calls_of_a_small_write(mount: Mount) -> None:
    """`echo x >> file` on what is cached: open, write, close. One that overwrites needs no more."""
    mount.close(mount.open("/a"))
    before = len([frame for frame in mount.cell.received if isinstance(frame, CallFrame)])
    mount.wrote("/a", b"x", APPEND)
    calls = [frame.call for frame in mount.cell.received if isinstance(frame, CallFrame)][before:]
    assert isinstance(calls[0], Open) and len(calls) <= 3
