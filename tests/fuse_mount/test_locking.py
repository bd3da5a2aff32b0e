"""flock and fcntl on open files: the newest content with a lock, what was written before it is given back."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable

import pytest

from chubby.client.sync_handle import Handle
from chubby.errors import QuotaExceeded, SessionExpired
from chubby.types.nodes import Stat
from chubby.types.transaction import Create, Remove, Write
from fuse_mount.errnos import errno_of
from fuse_mount.filesystem import Caller, FileLock
from fuse_mount.locking import Locking
from fuse_mount.open_nodes import OpenFile
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import BOTH, Another, Doing, Mount, another, behind, cell, contents, expire, mount

__all__ = ["another", "cell", "mount"]

US, THEM = Caller(0, 0, 100), Caller(0, 0, 200)
EX, SH, UN, NB = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN, fcntl.LOCK_NB


class Side:
    """One mount with an open file, and its locks."""

    def __init__(self, mount: Mount, caller: Caller = US) -> None:
        self.mount = mount
        self.caller = caller
        self.number = mount.open("/a", BOTH)
        self.locking = Locking(mount.files)

    @property
    def file(self) -> OpenFile:
        """The open file."""
        return self.mount.files.file(self.number)

    def flock(self, operation: int) -> None:
        """flock(2)."""
        self.locking.flock(self.file, operation, self.caller)

    def lock(self, kind: int, wait: bool = False, start: int = 0, end: int | None = None) -> None:
        """fcntl(2)."""
        self.locking.lock(self.file, self.caller.process, FileLock(kind, start, end), wait, self.caller)

    def test(self, kind: int) -> FileLock:
        """F_GETLK."""
        return self.locking.test(self.file, self.caller.process, FileLock(kind), self.caller)

    def write(self, data: bytes) -> None:
        """At the beginning."""
        self.mount.files.write(self.number, data, 0)

    def read(self) -> bytes:
        """All."""
        return self.mount.read(self.number)


@pytest.fixture
def ours(mount: Mount) -> Side:
    """One mount's."""
    return Side(mount)


@pytest.fixture
def theirs(another: Another) -> Side:
    """Another's."""
    return Side(another(), THEM)


def held(cell: FakeCell) -> int:
    """How many hold the lock."""
    return len(cell.tree.nodes["/a"].holders)


Act = Callable[[Side], None]


def by_flock(side: Side) -> None:
    """Take it."""
    side.flock(EX)


def by_fcntl(side: Side) -> None:
    """Take it."""
    side.lock(fcntl.F_WRLCK, wait=True)


BOTH_KINDS = pytest.mark.parametrize(
    ("take", "give_back"),
    [(by_flock, lambda side: side.flock(UN)), (by_fcntl, lambda side: side.lock(fcntl.F_UNLCK))],
    ids=["flock", "fcntl"],
)


@BOTH_KINDS
class TestBothKinds:
    """What they have in common."""

    def test_reading_writing_unlocking(self, ours: Side, theirs: Side, take: Act, give_back: Act) -> None:
        """No update is lost though both files were open all the time: what `flock` promises without a line of code."""
        for side in (ours, theirs, theirs, ours):
            take(side)
            number = int(side.read().strip(b"first\n") or b"0")
            side.write(b"%06d" % (number + 1))
            give_back(side)
        assert contents(ours.mount.cell) == b"000004"
        assert held(ours.mount.cell) == 0

    def test_the_next_one_sees_it_at_once(self, ours: Side, theirs: Side, take: Act, give_back: Act) -> None:
        """He waits until it is committed."""
        take(ours)
        waiting = Doing(lambda: take(theirs))
        until(lambda: bool(ours.mount.cell.tree.nodes["/a"].waiters))
        ours.write(b"F")
        give_back(ours)
        assert waiting.ended() is None and theirs.read() == b"First\n"

    def test_what_was_written_before_it_is_taken_is_committed(self, ours: Side, take: Act, give_back: Act) -> None:
        """Or it would hide what the lock shows."""
        ours.write(b"F")
        take(ours)
        assert contents(ours.mount.cell) == b"First\n"
        give_back(ours)

    def test_a_new_length_alone_is_committed_with_a_lock(self, ours: Side, take: Act, give_back: Act) -> None:
        """Not at a close that gives back what was never taken."""
        ours.mount.files.truncate(ours.number, 2)
        give_back(ours)
        assert contents(ours.mount.cell) == b"first\n"
        take(ours)
        ours.mount.files.truncate(ours.number, 1)
        give_back(ours)
        assert contents(ours.mount.cell) == b"f"

    def test_given_back_though_the_commit_fails(
        self, ours: Side, take: Act, give_back: Act, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Others must not wait for it; the caller is told."""
        take(ours)
        ours.write(b"F")

        def fail(handle: Handle, data: bytes, *, generation: int | None = None, timeout: float | None = None) -> Stat:
            raise QuotaExceeded("full")

        monkeypatch.setattr(Handle, "set_contents", fail)
        with pytest.raises(OSError, match="full"):
            give_back(ours)
        assert held(ours.mount.cell) == 0

    def test_who_cannot_be_shown_the_content_has_no_lock(
        self, ours: Side, take: Act, give_back: Act, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """He is told that he has none, so nobody else may be kept waiting. One that he had before stays."""
        reader, failing = ours.mount.tenure.reader, [True]
        read = reader.contents

        def interrupted(path: str) -> tuple[bytes, Stat]:
            if failing[0]:
                raise InterruptedError(errno.EINTR, "interrupted")
            return read(path)

        monkeypatch.setattr(reader, "contents", interrupted)
        with pytest.raises(InterruptedError):
            take(ours)
        assert held(ours.mount.cell) == 0
        failing[0] = False
        take(ours)
        failing[0] = True
        with pytest.raises(InterruptedError):
            take(ours)
        assert held(ours.mount.cell) == 1

    def test_of_a_node_that_was_made_again(self, ours: Side, take: Act, give_back: Act) -> None:
        """ESTALE to lock it; ESTALE to unlock it, and nothing is left of the lock."""
        take(ours)
        behind(ours.mount.cell, Remove("/a"), Create("/a", b"again"))
        ours.mount.news("/a")
        for act in (take, give_back):
            with pytest.raises(OSError) as raised:
                act(ours)
            assert raised.value.errno == errno.ESTALE
        until(lambda: ours.mount.tenure.locks.count == 0)

    def test_without_a_session(self, ours: Side, take: Act, give_back: Act) -> None:
        """EIO, whichever way: lost."""
        take(ours)
        expire(ours.mount.session)
        ours.mount.tenure.locks.abandon()
        for act in (take, give_back):
            with pytest.raises((SessionExpired, OSError)) as raised:
                act(ours)
            assert errno_of(raised.value) == errno.EIO


class TestFlock:
    """flock(2)."""

    def test_without_waiting(self, ours: Side, theirs: Side) -> None:
        """EAGAIN; two may share."""
        ours.flock(EX | NB)
        with pytest.raises(BlockingIOError):
            theirs.flock(SH | NB)
        ours.flock(UN)
        ours.flock(SH | NB)
        theirs.flock(SH | NB)
        assert held(ours.mount.cell) == 2
        with pytest.raises(BlockingIOError):
            theirs.flock(EX | NB)

    def test_given_back_without_having_it(self, ours: Side) -> None:
        """Nothing."""
        ours.flock(UN)
        assert held(ours.mount.cell) == 0


class TestFcntl:
    """fcntl(2)."""

    def test_bytes_count_as_the_whole_file(self, ours: Side, theirs: Side) -> None:
        """And it is given back with the last of them."""
        ours.lock(fcntl.F_WRLCK, start=0, end=10)
        ours.lock(fcntl.F_WRLCK, start=20, end=30)
        with pytest.raises(BlockingIOError):
            theirs.lock(fcntl.F_WRLCK, start=100)
        ours.lock(fcntl.F_UNLCK, start=0, end=10)
        assert held(ours.mount.cell) == 1
        ours.lock(fcntl.F_UNLCK, start=20, end=30)
        theirs.lock(fcntl.F_WRLCK, start=100)

    def test_what_is_in_the_way(self, ours: Side, theirs: Side) -> None:
        """F_GETLK: nothing; a writer; a reader is in the way of a writer alone."""
        assert ours.test(fcntl.F_WRLCK).kind == fcntl.F_UNLCK
        theirs.lock(fcntl.F_RDLCK)
        assert ours.test(fcntl.F_WRLCK).kind == fcntl.F_RDLCK
        assert ours.test(fcntl.F_RDLCK).kind == fcntl.F_UNLCK
        theirs.lock(fcntl.F_UNLCK)
        theirs.lock(fcntl.F_WRLCK)
        assert ours.test(fcntl.F_RDLCK).kind == fcntl.F_WRLCK

    def test_a_process_of_the_same_mount(self, ours: Side) -> None:
        """Is named."""
        other = Side(ours.mount, THEM)
        ours.lock(fcntl.F_WRLCK, start=5, end=9)
        found = other.test(fcntl.F_WRLCK)
        assert (found.kind, found.start, found.end, found.process) == (fcntl.F_WRLCK, 5, 9, US.process)


def test_a_descriptor_that_only_reads_sees_the_newest(mount: Mount, cell: FakeCell) -> None:
    """Its pages are dropped though nothing was told yet."""
    number = mount.open("/a")
    behind(cell, Write("/a", b"new"))
    Locking(mount.files).flock(mount.files.file(number), SH, US)
    assert mount.read(number) == b"new" and "/a" in mount.dropped
