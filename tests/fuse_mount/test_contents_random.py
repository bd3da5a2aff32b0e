"""One content at random: a POSIX file, over a cell that others write to, with commits that come late, or fail."""

from __future__ import annotations

import errno
import re

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fuse_mount.contents import Commit, Content, Version

A, B = 1, 2


def shown(made: Content) -> bytes:
    """All of it."""
    return made.read(made.size + 10, 0)


LINES = st.binary(min_size=1, max_size=3).map(lambda data: data + b"\n")


class OneMount(RuleBasedStateMachine):
    """A content, the cell under it, and what a POSIX file would show.

    `cell` is what the cell has; `in_flight` is the commit that is under way, not carried out yet, or `answer` what the
    cell has to say of it. `news` are generations of which this mount has not been told. `lines` are those appended here
    and not told to be lost; `acknowledged` those whose commit was answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.generation = b"start\n", 1
        self.content = Content(Version(7, 1), self.cell)
        self.news: list[tuple[bytes, int]] = []
        self.in_flight: Commit | None = None
        self.answer: int | bool | None = None
        self.count = 0
        self.appended: dict[bytes, int] = {}
        self.sent: dict[bytes, int] = {}
        self.acknowledged: set[bytes] = set()
        self.owing: set[int] = set()
        self.told: set[int] = set()

    def put(self, contents: bytes) -> None:
        """The cell changes."""
        self.cell, self.generation = contents, self.generation + 1
        self.news.append((contents, self.generation))

    def line(self, by: str) -> bytes:
        """Never the same twice, and of one length: one that was torn apart is never taken for another."""
        self.count += 1
        return f"{by}{self.count:06};\n".encode()

    @rule(file=st.sampled_from([A, B]))
    def append(self, file: int) -> None:
        """Through O_APPEND."""
        data, before = self.line("ours"), shown(self.content)
        self.content.append(file, data, 10_000)
        assert shown(self.content) == before + data
        self.appended[data] = file
        self.owing.add(file)

    @rule(file=st.sampled_from([A, B]), data=LINES, offset=st.integers(0, 30))
    def write(self, file: int, data: bytes, offset: int) -> None:
        """At an offset."""
        before = bytearray(shown(self.content))
        self.content.write(file, data, offset, 10_000)
        before.extend(bytes(max(offset - len(before), 0)))
        before[offset : offset + len(data)] = data
        assert shown(self.content) == before
        self.owing.add(file)

    @rule(file=st.sampled_from([A, B]), length=st.integers(0, 30))
    def truncate(self, file: int, length: int) -> None:
        """To any length."""
        before = shown(self.content)
        self.content.truncate(file, length, 10_000)
        assert shown(self.content) == before[:length].ljust(length, b"\0")
        self.owing.add(file)

    @rule(rewrite=st.booleans())
    def another_mount(self, rewrite: bool) -> None:
        """Somebody else appends, or writes everything anew: then lines are gone that were there."""
        if rewrite:
            self.acknowledged.clear()
        self.put(self.line("new") if rewrite else self.cell + self.line("theirs"))

    @precondition(lambda self: self.news)
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """News arrive, in any order: what is fetched is the newest at some time."""
        contents, generation = data.draw(st.sampled_from(self.news))
        hidden, before = self.content.overwritten, shown(self.content)
        if self.content.adopt(contents, generation):
            assert shown(self.content).startswith(contents)
        elif hidden:
            assert shown(self.content) == before

    @precondition(lambda self: self.in_flight is None and self.answer is None)
    @rule()
    def flush(self) -> None:
        """A commit begins."""
        self.in_flight = self.content.plan()
        assert (self.in_flight is None) == (not self.owing)
        if self.in_flight is not None:
            self.sent, self.appended = self.appended, {}

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def carry_out(self) -> None:
        """The cell decides; its answer is on its way."""
        assert self.in_flight is not None
        commit, self.in_flight = self.in_flight, None
        if commit.generation is not None and commit.generation != self.generation:
            self.answer = False
            return
        if commit.generation is None:
            self.acknowledged.clear()
        else:
            assert commit.contents.startswith(self.cell), "what is there stays"
        self.put(commit.contents)
        self.answer = self.generation

    @precondition(lambda self: self.answer is not None)
    @rule()
    def hear(self) -> None:
        """The answer is here."""
        answer, self.answer = self.answer, None
        if answer is False:
            self.content.returned()
            self.content.adopt(self.cell, self.generation)
            self.appended = self.sent | self.appended
        else:
            assert answer is not None
            self.content.done(int(answer))
            kept = [line for line in self.sent if line in self.cell]
            self.acknowledged.update(kept)
            self.owing = {file for file in (A, B) if self.content.owes(file)}
        self.sent = {}

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def fail(self) -> None:
        """It fails, and everyone who wrote is told, once."""
        self.in_flight = None
        self.content.failed(OSError(errno.EIO, "lost"))
        for file in (A, B):
            assert (self.content.failure(file) is not None) == (file in self.owing)
            assert self.content.failure(file) is None
        self.owing.clear()
        self.appended, self.sent = {}, {}

    @invariant()
    def owed(self) -> None:
        """Whoever wrote and was told nothing owes."""
        assert {file for file in (A, B) if self.content.owes(file)} == self.owing
        assert (self.content.version is None) == bool(self.owing)

    @invariant()
    def lines_come_once(self) -> None:
        """An appended line is never doubled, neither in the cell nor for who reads here; no acknowledged one is lost.

        Writes at offsets may tear lines, and copy nothing: they never double one either.
        """
        for text in (self.cell, shown(self.content)):
            lines = re.findall(rb"ours\d{6};", text)
            assert len(lines) == len(set(lines))
        assert all(line in self.cell for line in self.acknowledged)

    @invariant()
    def settled_it_is_a_version_of_the_cell(self) -> None:
        """Without anything written, what is shown is what the cell had in that generation."""
        version = self.content.version
        if version is not None and version.generation == self.generation:
            assert shown(self.content) == self.cell


TestOneMount = OneMount.TestCase
TestOneMount.settings = settings(deadline=None, max_examples=200, stateful_step_count=40)
