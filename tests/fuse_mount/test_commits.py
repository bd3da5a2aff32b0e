"""Commits: interrupted, answered late, refused, failing; no line lost or doubled, every contributor told once."""

from __future__ import annotations

import errno
import logging
import threading
from functools import partial

import pytest

from chubby.client.sync_handle import Handle
from chubby.errors import QuotaExceeded, TooLarge
from chubby.types.calls import SetContents
from chubby.types.nodes import Stat
from chubby.types.stream import CallFrame
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.contents import Version
from fuse_mount.open_nodes import Moved
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import (
    APPEND,
    BOTH,
    DEADLINE,
    READ,
    WRITE,
    Another,
    Doing,
    Gate,
    Interrupt,
    Mount,
    another,
    behind,
    cell,
    contents,
    expire,
    heeding,
    mount,
    network_of,
)

__all__ = ["another", "cell", "mount"]


def writes(cell: FakeCell) -> int:
    """SetContents that the cell has received."""
    return sum(isinstance(frame, CallFrame) and isinstance(frame.call, SetContents) for frame in cell.received)


def interrupted_flush(mount: Mount) -> int:
    """An open file to which a line was appended; whoever flushed it has lost patience."""
    interrupt = Interrupt()
    number = mount.open("/a", APPEND)
    mount.files.write(number, b"line\n", 0)
    interrupt.now.set()
    with heeding(interrupt), pytest.raises(InterruptedError):
        mount.files.flush(number)
    return number


class TestInterrupted:
    """Who closes a file loses patience; the commit goes on."""

    @pytest.mark.parametrize("before", [True, False])
    def test_what_was_appended_comes_once(
        self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch, before: bool
    ) -> None:
        """Interrupted before it was sent or after it was carried out: flushed and released, it is there, once."""
        gate = Gate(monkeypatch, before)
        number = interrupted_flush(mount)
        released = Doing(lambda: mount.files.release(number))
        gate.open.set()
        assert released.ended() is None and contents(cell) == b"first\nline\n" and writes(cell) == 1

    def test_waiting_for_another_commit(self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
        """EINTR, and what it wrote goes out at the release."""
        gate, interrupt = Gate(monkeypatch), Interrupt()
        one, two = mount.open("/a", APPEND), mount.open("/a", APPEND)
        mount.files.write(one, b"1\n", 0)
        first = Doing(lambda: mount.files.flush(one))
        assert gate.reached.wait(DEADLINE)
        mount.files.write(two, b"2\n", 0)
        interrupt.now.set()
        with heeding(interrupt), pytest.raises(InterruptedError):
            mount.files.flush(two)
        gate.open.set()
        assert first.ended() is None
        mount.files.release(two)
        assert contents(cell) == b"first\n1\n2\n"

    def test_what_went_wrong_after_that_is_told_at_the_next_flush(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once."""
        gate = Gate(monkeypatch)
        gate.failures = [QuotaExceeded("full")]
        number = interrupted_flush(mount)
        gate.open.set()
        mount.files.settle(mount.tenure, "/a")
        until(lambda: not mount.files.file(number).node.committing.locked())
        with pytest.raises(OSError, match="full") as raised:
            mount.files.flush(number)
        assert raised.value.errno == errno.ENOSPC
        mount.close(number)

    def test_what_went_wrong_after_that_is_logged_at_the_release(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """There is nobody left to be told."""
        gate = Gate(monkeypatch)
        gate.failures = [QuotaExceeded("full")]
        number = interrupted_flush(mount)
        gate.open.set()
        mount.files.release(number)
        assert "what was written to /a is lost" in caplog.text and "full" in caplog.text


class TestConcurrent:
    """Others write while a commit is under way."""

    def test_what_is_written_meanwhile_waits_for_the_next_one(
        self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And nobody who writes or reads waits."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1\n", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        mount.files.write(number, b"2\n", 0)
        assert mount.read(mount.open("/a")) == b"first\n1\n2\n"
        gate.open.set()
        assert flushing.ended() is None and contents(cell) == b"first\n1\n"
        mount.close(number)
        assert contents(cell) == b"first\n1\n2\n"

    def test_news_of_our_own_commit_before_its_answer(
        self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who reads here never sees the line twice."""
        gate = Gate(monkeypatch, before=False)
        reader, number = mount.open("/a"), mount.open("/a", APPEND)
        mount.files.write(number, b"line\n", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        mount.news("/a")
        assert mount.read(reader) == b"first\nline\n"
        gate.open.set()
        assert flushing.ended() is None and mount.read(reader) == b"first\nline\n"

    def test_the_same_line_twice(
        self, mount: Mount, another: Another, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two mounts that log the same words at the same moment: both are there."""
        other = another()
        ours, theirs = mount.open("/a", APPEND), other.open("/a", APPEND)
        mount.files.write(ours, b"tick\n", 0)
        other.files.write(theirs, b"tick\n", 0)
        gate = Gate(monkeypatch)
        flushing = [Doing(lambda: mount.files.flush(ours)), Doing(lambda: other.files.flush(theirs))]
        until(lambda: gate.calls == 2)
        gate.open.set()
        assert [each.ended() for each in flushing] == [None, None]
        assert contents(cell) == b"first\ntick\ntick\n"

    def test_ten_writers_of_two_mounts_lose_nothing(self, mount: Mount, another: Another, cell: FakeCell) -> None:
        """Each opens, appends, closes; every acknowledged line is there, once."""
        sides = [mount, another()]

        def work(number: int) -> None:
            for count in range(5):
                sides[number % 2].wrote("/a", b"%d.%d\n" % (number, count), APPEND)

        doing = [Doing(partial(work, number)) for number in range(10)]
        assert [each.ended() for each in doing] == [None] * 10
        lines = contents(cell).splitlines()[1:]
        assert sorted(lines) == sorted(b"%d.%d" % (number, count) for number in range(10) for count in range(5))

    def test_the_answer_is_lost(self, mount: Mount, cell: FakeCell) -> None:
        """The cell has carried it out, its answer never came: asked again, it is carried out once."""
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"line\n", 0)
        cell.mute = True
        flushing = Doing(lambda: mount.files.flush(number))
        until(lambda: contents(cell) == b"first\nline\n")
        cell.mute = False
        network = network_of(mount.session)
        network.loop.call_soon_threadsafe(network.cut)
        assert flushing.ended() is None and contents(cell) == b"first\nline\n"


class TestFailing:
    """Told to all who wrote, once; never to nobody."""

    def test_everyone_who_wrote_is_told_once(
        self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The errno is that of the cell's error, and what is shown is what the cell has."""
        gate = Gate(monkeypatch)
        gate.open.set()
        gate.failures = [TooLarge("too large")]
        one, two, reader = mount.open("/a", APPEND), mount.open("/a", BOTH), mount.open("/a")
        mount.files.write(one, b"1", 0)
        mount.files.write(two, b"2", 0)
        for number in (two, one):
            with pytest.raises(OSError, match="too large") as raised:
                mount.files.flush(number)
            assert raised.value.errno == errno.EFBIG
            mount.files.flush(number)
        assert mount.read(reader) == b"first\n" and mount.dropped == ["/a"]
        mount.wrote("/a", b"again", APPEND)
        assert contents(cell) == b"first\nagain"

    def test_who_waited_for_a_commit_that_failed_is_told_at_once(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its bytes were in it, or were written on top: a close must not say that all is well."""
        gate = Gate(monkeypatch)
        gate.failures = [QuotaExceeded("full")]
        one, two = mount.open("/a", APPEND), mount.open("/a", APPEND)
        mount.files.write(one, b"1", 0)
        mount.files.write(two, b"2", 0)
        flushing = [Doing(lambda: mount.files.flush(one))]
        assert gate.reached.wait(DEADLINE)
        flushing.append(Doing(lambda: mount.files.flush(two)))
        gate.open.set()
        errors = [each.ended() for each in flushing]
        assert [isinstance(error, OSError) and error.errno for error in errors] == [errno.ENOSPC] * 2
        assert errors[0] is not errors[1], "each is raised in its own thread"

    def test_who_settles_for_others_is_told_and_they_are_told_too(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A rename commits first what somebody else wrote."""
        gate = Gate(monkeypatch)
        gate.open.set()
        gate.failures = [QuotaExceeded("full")]
        number = mount.open("/a", WRITE)
        mount.files.write(number, b"1", 0)
        with pytest.raises(OSError, match="full"):
            mount.files.settle(mount.tenure, "/a")
        with pytest.raises(OSError, match="full"):
            mount.files.flush(number)
        mount.files.settle(mount.tenure, "/a")

    def test_a_mistake_of_ours_is_eio(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And in the log; the node can be committed to again."""
        gate = Gate(monkeypatch)
        gate.open.set()
        gate.failures = [ZeroDivisionError("a mistake")]
        with pytest.raises(OSError, match="a mistake") as raised:
            mount.wrote("/a", b"x")
        assert raised.value.errno == errno.EIO and "unexpected in a commit" in caplog.text
        mount.wrote("/a", b"x")

    def test_the_session_is_lost_on_the_way(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """EIO, for nobody knows; and nothing hangs."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        expire(mount.session)
        gate.open.set()
        error = flushing.ended()
        assert isinstance(error, OSError) and error.errno == errno.EIO
        mount.files.release(number)

    def test_no_thread_is_to_be_had(self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is raised, and what was written stays to be committed."""
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1", 0)
        with monkeypatch.context() as patch:

            def refuse(thread: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError):
                mount.files.flush(number)
        mount.files.flush(number)
        assert contents(cell) == b"first\n1"

    def test_who_cannot_be_told_keeps_nobody_waiting(
        self, mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A waker that fails."""

        def fail() -> None:
            raise ValueError("no")

        mount.files.poll(mount.open("/a"), fail)
        with caplog.at_level(logging.ERROR):
            mount.wrote("/a", b"x")
        assert "not everybody was told" in caplog.text


class TestNodesOnTheMove:
    """The node is removed or renamed while a commit is under way."""

    def test_renamed_before_it_arrives(self, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
        """It goes to the node that the file is of by then."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        instance = mount.files.file(number).node.content.instance
        mount.files.write(number, b"1", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        stat = mount.session.transaction((), [Create("/b", b"first\n"), Remove("/a")]).results[0].stat
        assert stat is not None
        mount.files.renamed(mount.tenure, "/a", "/b", "/b", Moved(instance, Version(stat.instance, 1), b"first\n"))
        gate.open.set()
        assert flushing.ended() is None and contents(cell, "/b") == b"first\n1"
        mount.close(number)
        until(lambda: mount.session.statistics().handles <= 1)

    def test_while_it_is_held_nothing_is_committed(self, mount: Mount, cell: FakeCell) -> None:
        """Whoever renames gets to say so first."""
        number = mount.open("/a", APPEND)
        with mount.files.holding(mount.tenure, "/a"):
            mount.files.write(number, b"1", 0)
            flushing = Doing(lambda: mount.files.flush(number))
            assert contents(cell) == b"first\n" and not flushing.done
        assert flushing.ended() is None and contents(cell) == b"first\n1"

    def test_removed_here_before_it_arrives(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lost without a word, as POSIX has it."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        mount.session.transaction((), [Remove("/a")])
        mount.files.removed(mount.tenure, "/a", "/a", mount.files.file(number).node.content.instance)
        gate.open.set()
        assert flushing.ended() is None and mount.read(number) == b"first\n1"
        mount.close(number)

    def test_removed_elsewhere_before_it_arrives(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """ESTALE."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1", 0)
        flushing = Doing(lambda: mount.files.flush(number))
        assert gate.reached.wait(DEADLINE)
        behind(mount.cell, Remove("/a"))
        gate.open.set()
        error = flushing.ended()
        assert isinstance(error, OSError) and error.errno == errno.ESTALE

    def test_refused_and_then_removed(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between the refusal and the reading anew."""
        gate = Gate(monkeypatch)
        number = mount.open("/a", APPEND)
        mount.files.write(number, b"1", 0)
        behind(mount.cell, Write("/a", b"theirs"))
        read = Handle.get_contents_and_stat

        def remove(handle: Handle, *, timeout: float | None = None) -> tuple[bytes, Stat]:
            monkeypatch.setattr(Handle, "get_contents_and_stat", read)
            behind(mount.cell, Remove("/a"))
            return read(handle)

        monkeypatch.setattr(Handle, "get_contents_and_stat", remove)
        gate.open.set()
        with pytest.raises(OSError, match="deleted") as raised:
            mount.files.flush(number)
        assert raised.value.errno == errno.ESTALE

    def test_a_file_that_only_reads_can_be_made_to_write(self, mount: Mount) -> None:
        """`fsync` of one that owes nothing does nothing."""
        number = mount.open("/a", READ)
        mount.files.flush(number, everything=True)
        assert writes(mount.cell) == 0
