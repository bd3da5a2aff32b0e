"""Reading by name: from the cache without a call, else through handles of which a bounded number is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from chubby.client.sync import Session
from chubby.client.sync_handle import Handle
from chubby.errors import HandleInvalid, NoNode
from chubby.types.calls import Open
from chubby.types.nodes import Stat
from chubby.types.stream import CallFrame
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.reader import Reader
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import DEADLINE, Doing, Interrupt, behind, cell, connected, expire, heeding, put

__all__ = ["cell"]


@pytest.fixture
def session(cell: FakeCell) -> Iterator[Session]:
    """A session."""
    with connected(cell) as made:
        yield made


@pytest.fixture
def reader(session: Session) -> Iterator[Reader]:
    """Which keeps three handles."""
    made = Reader(session, handles=3)
    yield made
    made.close()


def handles(session: Session) -> int:
    """Open ones."""
    return session.statistics().handles


def calls(cell: FakeCell) -> int:
    """What the cell was asked."""
    return sum(isinstance(frame, CallFrame) for frame in cell.received)


class TestReading:
    """What is read, and what it costs."""

    def test_what_the_cache_knows_costs_nothing(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """A thousand reads of what did not change: one open, one read."""
        contents, stat = reader.contents("/a")
        asked = calls(cell)
        for _ in range(1000):
            assert reader.contents("/a") == (contents, stat) and reader.stat("/a") == stat
        assert calls(cell) == asked and handles(session) == 1

    def test_a_listing_makes_all_its_names_known(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """`ls -l` is one call, not a thousand, and one handle."""
        for number in range(20):
            put(cell, f"/{number}", b"")
        names = [entry.name for entry in reader.listing("/")]
        asked = calls(cell)
        for name in names:
            reader.stat(f"/{name}")
        assert len(names) == 21 and calls(cell) == asked and handles(session) == 1

    def test_what_is_not_there(self, reader: Reader, cell: FakeCell) -> None:
        """NoNode, asked once: absence is cached."""
        for read in (reader.stat, reader.contents, reader.listing):
            with pytest.raises(NoNode):
                read("/missing")
        asked = calls(cell)
        for known in (reader.stat, reader.contents):
            with pytest.raises(NoNode):
                known("/missing")
        assert calls(cell) == asked

    def test_the_newest(self, reader: Reader, cell: FakeCell) -> None:
        """Also through a handle that is kept."""
        reader.contents("/a")
        behind(cell, Write("/a", b"new"))
        assert reader.contents("/a")[0] == b"new"

    def test_names_are_those_of_the_cell(self, reader: Reader) -> None:
        """Full ones."""
        assert reader.name("/a/b") == "/ls/here/a/b"


class TestMadeAgain:
    """The node of a kept handle goes."""

    def test_between_two_reads(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """The new one is read, and the old handle is closed."""
        reader.contents("/a")
        behind(cell, Remove("/a"), Create("/a", b"again"))
        assert reader.contents("/a")[0] == b"again"
        until(lambda: handles(session) == 1)

    def test_removed_between_two_reads(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """NoNode."""
        reader.listing("/a")
        behind(cell, Remove("/a"))
        with pytest.raises(NoNode):
            reader.listing("/a")
        until(lambda: handles(session) == 0)

    def test_between_opening_and_reading(
        self, reader: Reader, session: Session, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Tried again, a few times."""
        get, times = Handle.get_contents_and_stat, [3]

        def remake(handle: Handle, *, timeout: float | None = None) -> tuple[bytes, Stat]:
            times[0] -= 1
            if times[0] >= 0:
                behind(cell, Remove("/a"), Create("/a", b"%d" % times[0]))
            return get(handle)

        monkeypatch.setattr(Handle, "get_contents_and_stat", remake)
        assert reader.contents("/a")[0] == b"0"
        times[0] = 1000
        behind(cell, Write("/a", b"x"))
        with pytest.raises(NoNode, match="again and again"):
            reader.contents("/a")
        until(lambda: handles(session) <= 1)


class TestHandles:
    """How many are kept, which, and until when."""

    def test_the_longest_unused_is_closed(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """Not the one that is used again and again."""
        for name in "bcde":
            put(cell, f"/{name}", b"")
        for name in "bcd":
            reader.listing(f"/{name}")
        reader.listing("/b")
        reader.listing("/e")
        until(lambda: handles(session) == 3)
        opens = sum(isinstance(frame, CallFrame) and isinstance(frame.call, Open) for frame in cell.received)
        reader.listing("/b")
        assert opens == sum(isinstance(f, CallFrame) and isinstance(f.call, Open) for f in cell.received)

    def test_an_ephemeral_node_is_never_kept_open(self, reader: Reader, session: Session, cell: FakeCell) -> None:
        """It goes with its owner, whoever has read it."""
        with connected(cell) as owner:
            owner.open("/e", create=True, ephemeral=True, contents=b"mine")
            assert reader.contents("/e")[0] == b"mine" and reader.stat("/e").ephemeral
            until(lambda: handles(session) == 0)
        until(lambda: "/e" not in cell.tree.nodes)
        with pytest.raises(NoNode):
            reader.stat("/e")

    def test_one_that_is_read_through_is_not_closed(
        self, reader: Reader, session: Session, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even if too many others come meanwhile: closed when the last reader has gone."""
        for name in "bcde":
            put(cell, f"/{name}", b"")
        reader.listing("/b")
        inside, free = threading.Event(), threading.Event()
        failed: list[BaseException] = []

        def slow(handle: Handle) -> str:
            inside.set()
            assert free.wait(DEADLINE)
            try:
                handle.get_lock_info()
            except HandleInvalid as error:
                failed.append(error)
            return handle.path

        reading = Doing(lambda: reader._through("/b", slow))
        assert inside.wait(DEADLINE)
        for name in "cde":
            reader.listing(f"/{name}")
        free.set()
        assert reading.ended() is None and reading.result == "/b" and not failed
        until(lambda: handles(session) == 3)

    def test_two_that_come_at_once_keep_one(self, reader: Reader, session: Session) -> None:
        """The other is closed."""
        reading = [Doing(lambda: reader.listing("/a")) for _ in range(8)]
        assert [each.ended() for each in reading] == [None] * 8
        until(lambda: handles(session) == 1)

    def test_an_interrupted_read_leaves_the_handle_in_order(
        self, reader: Reader, session: Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that is not kept yet is closed; one that is stays."""

        def interrupted(handle: Handle, *, timeout: float | None = None) -> Stat:
            raise InterruptedError(4, "interrupted")

        with monkeypatch.context() as patch:
            patch.setattr(Handle, "get_stat", interrupted)
            with pytest.raises(InterruptedError):
                reader.listing("/a")
        until(lambda: handles(session) == 0)
        reader.listing("/a")
        interrupt = Interrupt()
        interrupt.now.set()
        with heeding(interrupt):
            assert reader.listing("/a") == []
        assert handles(session) == 1

    def test_closed_it_closes_nothing_more(self, reader: Reader, session: Session) -> None:
        """The session takes its handles along."""
        handle = session.open("/a")
        reader.close()
        reader.close()
        reader.dismiss(handle)
        assert handles(session) == 1

    def test_after_the_session_handles_are_dismissed_in_silence(self, reader: Reader, session: Session) -> None:
        """They went with it."""
        handle = session.open("/a")
        expire(session)
        reader.dismiss(handle)
        reader._closer.shutdown(wait=True)
