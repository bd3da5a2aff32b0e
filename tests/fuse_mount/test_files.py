"""Open files over a session: fetched at open, gathered in memory, committed at flush."""

from __future__ import annotations

import errno
import os

import pytest

from chubby import Handle
from chubby.errors import NodeExists, NoNode
from chubby.types.calls import Open
from chubby.types.stream import CallFrame
from chubby.types.transaction import Create, Remove
from fuse_mount.contents import Content, Version
from fuse_mount.tenure import Tenure
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import (
    APPEND,
    BOTH,
    READ,
    WRITE,
    Another,
    Mount,
    another,
    behind,
    cell,
    contents,
    mount,
    put,
    refused,
)

__all__ = ["another", "cell", "mount"]


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


def test_calls_of_a_small_write(mount: Mount) -> None:
    """`echo x >> file` on what is cached: open, write, close. One that overwrites needs no more."""
    mount.close(mount.open("/a"))
    before = len([frame for frame in mount.cell.received if isinstance(frame, CallFrame)])
    mount.wrote("/a", b"x", APPEND)
    calls = [frame.call for frame in mount.cell.received if isinstance(frame, CallFrame)][before:]
    assert isinstance(calls[0], Open) and len(calls) <= 3
