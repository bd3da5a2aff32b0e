"""News: dropped before a change, shown after it, whatever one node or listener makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from chubby.errors import PermissionDenied
from chubby.types.events import Event, EventKind
from chubby.types.nodes import Stat
from chubby.types.status import CellStatus
from chubby.types.stream import CacheKey, CacheKind
from chubby.types.transaction import Create, Remove, Write
from fuse_mount import notices
from fuse_mount.kernel import Kernel
from fuse_mount.notices import Follower, before, names_of
from fuse_mount.open_nodes import Fate
from tests.client.fake_cell import FakeCell
from tests.client.test_sync import until
from tests.fuse_mount.cell_mounts import BOTH, DEADLINE, Another, Mount, another, behind, cell, expire, mount, put

__all__ = ["another", "cell", "mount"]


class FakeMounted:
    """A mount that takes notes; it knows every name but `/unknown`."""

    directory = "/mnt"

    def __init__(self) -> None:
        self.invalidated: list[str] = []

    def invalidate(self, path: str) -> bool:
        """See `Mounted`."""
        self.invalidated.append(path)
        return path != "/unknown"

    def requester(self) -> int:
        """See `Mounted`."""
        return 42

    def unmount(self) -> None:
        """See `Mounted`."""


class TestKernel:
    """The way to it."""

    def test_nobody_is_there_before_it_is_mounted(self) -> None:
        """Then it knows of nothing."""
        kernel = Kernel()
        assert not kernel.drop("/a") and kernel.requester() == 0

    @pytest.mark.parametrize(
        ("prefix", "name", "told"),
        [("", "/a", "/a"), ("", "/", "/"), ("/cell", "/a", "/cell/a"), ("/cell", "/", "/cell")],
    )
    def test_names_are_those_of_the_whole_mount(self, prefix: str, name: str, told: str) -> None:
        """In a mount of every cell each has a directory of its own."""
        kernel, mounted = Kernel(prefix), FakeMounted()
        kernel.attach(mounted)
        assert kernel.drop(name) and mounted.invalidated == [told]
        assert kernel.requester() == 42

    def test_what_it_knows(self) -> None:
        """False: nothing of that name."""
        kernel = Kernel()
        kernel.attach(FakeMounted())
        assert kernel.drop("/a") and not kernel.drop("/unknown")


class TestBefore:
    """A change is about to be made."""

    def kernel(self) -> tuple[Kernel, list[str]]:
        """One, and what it is told."""
        kernel, mounted = Kernel(), FakeMounted()
        kernel.attach(mounted)
        return kernel, mounted.invalidated

    def test_only_what_is_open_is_dropped(self, mount: Mount, cell: FakeCell) -> None:
        """Of the nodes that change, by each name; children are no pages."""
        for name in "bc":
            put(cell, f"/{name}", b"")
            mount.open(f"/{name}")
        mount.open("/a")
        mount.files.open(mount.tenure, "/a/.contents", "/a", 0)
        kernel, told = self.kernel()
        keys = (CacheKey("/a", CacheKind.NODE), CacheKey("/b", CacheKind.CHILDREN), CacheKey("/d", CacheKind.NODE))
        before(keys, mount.files, kernel)
        assert told == ["/a", "/a/.contents"]

    def test_anything_may_change(self, mount: Mount) -> None:
        """Then everything that is open goes, and what is closed does not."""
        mount.close(mount.open("/a"))
        kernel, told = self.kernel()
        before(None, mount.files, kernel)
        mount.open("/a")
        before(None, mount.files, kernel)
        assert told == ["/a"]

    def test_the_writer_is_answered_after_it(self, another: Another, cell: FakeCell) -> None:
        """Until the pages are gone the change is not made (DESIGN §5 Invalidate first)."""
        reader, writer = another(), another()
        reader.open("/a")
        reader.free.clear()
        number = writer.open("/a", BOTH)
        writer.files.write(number, b"F", 0)
        flushed = threading.Thread(target=lambda: writer.files.flush(number), daemon=True)
        flushed.start()
        until(lambda: bool(cell.pending))
        assert cell.tree.nodes["/a"].contents == b"first\n"
        reader.free.set()
        flushed.join(DEADLINE)
        assert cell.tree.nodes["/a"].contents == b"First\n"

    def test_a_directory_has_its_content_in_it(self) -> None:
        """Both names."""
        assert names_of("/a") == ("/a", "/a/.contents") and names_of("/") == ("/", "/.contents")


class Following:
    """A follower of a mount, and what it told."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.told: list[Event] = []
        self.now = 0.0
        self.fail = False
        self.follower = Follower(mount.tenure, mount.files, self._tell, lambda: self.now)

    def _tell(self, event: Event) -> None:
        self.told.append(event)
        if self.fail:
            raise ValueError("no")

    def begin(self) -> Following:
        """Follow, from now on."""
        self.follower.start()
        until(lambda: any(session.watches for session in self.mount.cell.sessions.values()))
        return self

    def heard(self, kind: EventKind) -> bool:
        """Whether it told of such an event."""
        return any(event.kind is kind for event in self.told)


@pytest.fixture
def following(mount: Mount) -> Iterator[Following]:
    """It has begun."""
    made = Following(mount).begin()
    yield made
    mount.end()
    made.follower.join(DEADLINE)
    assert not made.follower._thread.is_alive(), "it ends with the session"


class TestFollower:
    """A change was made."""

    def test_what_changed_is_shown_before_it_is_told(self, following: Following, mount: Mount) -> None:
        """And the kernel drops what was read of the old in between."""
        number = mount.open("/a")
        behind(mount.cell, Write("/a", b"new"))
        until(lambda: following.heard(EventKind.CONTENTS_MODIFIED))
        assert mount.read(number) == b"new" and "/a" in mount.dropped

    def test_what_is_not_open_is_only_told(self, following: Following, mount: Mount) -> None:
        """Nothing is fetched."""
        behind(mount.cell, Create("/b", b"1"), Write("/a", b"2"))
        until(lambda: following.heard(EventKind.CONTENTS_MODIFIED) and following.heard(EventKind.CREATED))
        assert mount.session.statistics().handles == 0 and mount.dropped == []

    def test_removed(self, following: Following, mount: Mount) -> None:
        """It is known, and can still be read; a stat of the descriptor need not ask for the name."""
        number = mount.open("/a")
        behind(mount.cell, Remove("/a"))
        until(lambda: following.heard(EventKind.DELETED))
        assert mount.files.file(number).node.fate is Fate.GONE and mount.read(number) == b"first\n"

    def test_removed_and_made_again(self, following: Following, mount: Mount) -> None:
        """Its files are stale."""
        number = mount.open("/a")
        behind(mount.cell, Remove("/a"), Create("/a", b"again"))
        until(lambda: following.heard(EventKind.CREATED))
        assert mount.files.file(number).node.fate is Fate.REPLACED

    def test_what_was_opened_before_it_began(self, mount: Mount) -> None:
        """A change that fell between the opening and the first news is shown."""
        number = mount.open("/a")
        behind(mount.cell, Write("/a", b"missed"))
        assert mount.read(number) == b"first\n"
        Following(mount).begin()
        until(lambda: mount.read(number) == b"missed")

    def test_news_were_missed(self, following: Following, mount: Mount, cell: FakeCell) -> None:
        """RESYNC: all that is open is looked at, what is gone included."""
        put(cell, "/b", b"")
        stays, goes = mount.open("/a"), mount.open("/b")
        node = mount.files.file(goes).node
        behind(cell, Write("/a", b"new"), Remove("/b"))
        until(lambda: following.heard(EventKind.DELETED))
        node.fate = Fate.THERE
        mount.files.file(stays).node.content.generation -= 1
        following.follower._take(Event(EventKind.RESYNC, "/"))
        assert mount.read(stays) == b"new" and node.fate is Fate.GONE
        assert following.heard(EventKind.RESYNC)

    def test_a_node_that_cannot_be_read_ends_nothing(
        self, following: Following, mount: Mount, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The others are followed all the same, and it is told of."""
        put(cell, "/b", b"")
        number, _ = mount.open("/a"), mount.open("/b")
        contents = mount.tenure.reader.contents

        def denied(path: str) -> tuple[bytes, Stat]:
            if path == "/b":
                raise PermissionDenied("not for you")
            return contents(path)

        monkeypatch.setattr(mount.tenure.reader, "contents", denied)
        behind(cell, Write("/b", b"secret"))
        behind(cell, Write("/a", b"new"))
        until(lambda: [event.path for event in following.told][-2:] == ["/b", "/a"])
        assert mount.read(number) == b"new"

    def test_a_listener_that_fails_ends_nothing(self, following: Following, mount: Mount) -> None:
        """A mistake in what the news are told to."""
        following.fail = True
        number = mount.open("/a")
        behind(mount.cell, Write("/a", b"1"))
        behind(mount.cell, Write("/a", b"2"))
        until(lambda: len(following.told) == 2)
        assert mount.read(number) == b"2"

    def test_it_ends_with_the_session(self, following: Following, mount: Mount) -> None:
        """Expired."""
        expire(mount.session)
        following.follower.join(DEADLINE)
        assert not following.follower._thread.is_alive()


class TestLimit:
    """How long a content may become is what the cell says."""

    def status(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """What the cell says next; the last is said again and again."""
        limits, asked = [100], mount.session.status

        def status(address: str | None = None) -> CellStatus:
            if not limits[-1]:
                raise PermissionDenied("no")
            return msgspec.structs.replace(asked(address), content_limit=limits[-1])

        monkeypatch.setattr(mount.session, "status", status)
        return limits

    def test_asked_at_the_beginning_and_now_and_then(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the first event after a minute; nobody waits for the answer."""
        limits = self.status(mount, monkeypatch)
        following = Following(mount).begin()
        until(lambda: mount.files.limit == 100)
        limits.append(200)
        behind(mount.cell, Write("/a", b"1"))
        until(lambda: len(following.told) == 1)
        assert mount.files.limit == 100
        following.now += notices.LIMIT_FRESH
        behind(mount.cell, Write("/a", b"2"))
        until(lambda: mount.files.limit == 200)

    def test_a_cell_that_does_not_answer(self, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
        """The limit stays what it was, and the news go on."""
        limits = self.status(mount, monkeypatch)
        limits.append(0)
        limit = mount.files.limit
        following = Following(mount).begin()
        behind(mount.cell, Write("/a", b"1"))
        until(lambda: len(following.told) == 1)
        assert mount.files.limit == limit
