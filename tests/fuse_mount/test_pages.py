"""When the kernel may keep its pages: never other bytes than the open is to see, and always from the second one on."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fuse_mount.contents import Version
from fuse_mount.pages import Pages

V1, V2 = Version(7, 1), Version(7, 2)


class TestKeeping:
    """The three conditions of the module."""

    def test_the_second_open_keeps(self) -> None:
        """Of an unchanged file that was read."""
        pages = Pages()
        assert not pages.opened("/a", 1, V1)
        pages.used("/a", 1)
        assert pages.opened("/a", 2, V1) and pages.opened("/a", 3, V1)

    def test_not_before_the_first_open_has_returned(self) -> None:
        """Until a request comes through it, the kernel may not have dropped anything yet."""
        pages = Pages()
        pages.opened("/a", 1, V1)
        assert not pages.opened("/a", 2, V1)
        pages.used("/a", 1)
        assert not pages.opened("/a", 3, V1), "the second open is the one to wait for now"
        pages.used("/a", 3)
        assert pages.opened("/a", 4, V1)

    def test_another_version_begins_anew(self) -> None:
        """Whatever was known of the old one."""
        pages = Pages()
        pages.opened("/a", 1, V1)
        pages.used("/a", 1)
        assert not pages.opened("/a", 2, V2) and not pages.opened("/a", 3, V1)

    def test_a_change_begins_anew(self) -> None:
        """What was served in between may be in the pages, even if the version is the old one again."""
        pages = Pages()
        pages.opened("/a", 1, V1)
        pages.changed("/a")
        pages.used("/a", 1)
        assert not pages.opened("/a", 2, V1)
        pages.used("/a", 2)
        pages.changed("/a")
        assert not pages.opened("/a", 3, V1)

    def test_a_buffer_is_no_version(self) -> None:
        """It lasts until the next write."""
        pages = Pages()
        assert not pages.opened("/a", 1, None)
        pages.used("/a", 1)
        assert not pages.opened("/a", 2, V1)

    def test_each_name_has_its_own(self) -> None:
        """`/a` and `/a/.contents` are two files for the kernel."""
        pages = Pages()
        pages.opened("/a", 1, V1)
        pages.used("/b", 1)
        assert not pages.opened("/a", 2, V1)

    def test_what_is_remembered_is_bounded(self) -> None:
        """The oldest are forgotten, which costs them one read."""
        pages = Pages(limit=10)
        for number in range(1000):
            pages.opened(f"/{number}", number, V1)
            if number % 2:
                pages.used(f"/{number}", number)
        assert len(pages._good) <= 11 and len(pages._hoped) <= 11
        assert pages.opened("/999", 2000, V1) and not pages.opened("/1", 2001, V1)

    def test_everything_is_forgotten_at_once(self) -> None:
        """`clear`."""
        pages = Pages()
        pages.opened("/a", 1, V1)
        pages.used("/a", 1)
        pages.opened("/b", 2, V1)
        pages.clear()
        pages.used("/b", 2)
        assert not pages.opened("/a", 3, V1) and not pages.opened("/b", 4, V1)


class Kernel(RuleBasedStateMachine):
    """The kernel's pages of one file, and descriptors that come and go while what is served changes.

    `page` is what the page holds (None: it is not there). An open is answered, and later takes effect: without *keep*
    the page goes, and with it every read that was answered before. A read is answered, and later fills the page.
    """

    NAME = "/a"

    def __init__(self) -> None:
        super().__init__()
        self.pages = Pages()
        self.served = 1
        self.page: int | None = None
        self.last = 0
        self.answered: list[tuple[int, bool]] = []
        self.open: list[int] = []
        self.reads: list[int] = []
        self.unchanged_opens = 0

    @property
    def version(self) -> Version:
        """Of what is served."""
        return Version(7, self.served)

    @rule()
    def open_file(self) -> None:
        """The open is answered."""
        self.last += 1
        keep = self.pages.opened(self.NAME, self.last, self.version)
        if keep:
            assert self.page in (None, self.served), "the kernel must not keep other bytes"
            assert set(self.reads) <= {self.served}, "nor get them from a read on its way"
        self.answered.append((self.last, keep))

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def open_returns(self, data: st.DataObject) -> None:
        """The answer takes effect; which may be later than that of a later one."""
        opened = data.draw(st.sampled_from(self.answered))
        self.answered.remove(opened)
        file, keep = opened
        if not keep:
            self.page = None
            self.reads.clear()  # it waits for them, and drops what they brought
        self.open.append(file)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """A page that is not there is asked for."""
        file = data.draw(st.sampled_from(self.open))
        if self.page is None:
            self.pages.used(self.NAME, file)
            self.reads.append(self.served)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def flush(self, data: st.DataObject) -> None:
        """A request that brings no page."""
        self.pages.used(self.NAME, data.draw(st.sampled_from(self.open)))

    @precondition(lambda self: self.reads)
    @rule(data=st.data())
    def read_returns(self, data: st.DataObject) -> None:
        """The page is there."""
        self.page = data.draw(st.sampled_from(self.reads))
        self.reads.remove(self.page)

    @rule(version=st.integers(1, 3))
    def change(self, version: int) -> None:
        """Something else is served from now on: perhaps what was once before, when an older tenure's files go."""
        if version != self.served:
            self.served = version
            self.pages.changed(self.NAME)

    @rule()
    def evict(self) -> None:
        """The kernel needs memory."""
        self.page = None

    @rule()
    def twice_in_peace(self) -> None:
        """Opened and read with nothing going on besides, the second open keeps."""
        while self.answered:
            _, keep = self.answered.pop()
            if not keep:
                self.page = None
                self.reads.clear()
        self.last += 1
        if not self.pages.opened(self.NAME, self.last, self.version):
            self.page = None
            self.reads.clear()
        self.pages.used(self.NAME, self.last)
        assert self.pages.opened(self.NAME, self.last + 1, self.version)
        self.last += 1

    @invariant()
    def bounded(self) -> None:
        """One name, one entry."""
        assert len(self.pages._good) + len(self.pages._hoped) <= 2


TestKernel = Kernel.TestCase
TestKernel.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
