"""What is committed, under way, and written since: the rules of one content."""

from __future__ import annotations

import errno

import pytest

from fuse_mount.contents import Commit, Content, Version

LIMIT = 100
A, B = 1, 2


def content(contents: bytes = b"old", generation: int = 5) -> Content:
    """Of instance 7."""
    return Content(Version(7, generation), contents)


def shown(made: Content) -> bytes:
    """All of it."""
    return made.read(made.size + 10, 0)


def planned(made: Content) -> Commit:
    """What is to be committed."""
    commit = made.plan()
    assert commit is not None
    return commit


class TestReading:
    """What the cell has."""

    def test_what_was_fetched_is_shown(self) -> None:
        """In any part, with its version."""
        made = content(b"0123456789")
        assert made.read(4, 3) == b"3456" and made.read(10, 8) == b"89" and made.read(5, 20) == b""
        assert made.size == 10 and made.version == Version(7, 5) and made.committed == (b"0123456789", 5)

    def test_only_what_is_newer_is_adopted(self) -> None:
        """News come late, and twice."""
        made = content()
        assert made.adopt(b"new", 6) and shown(made) == b"new"
        assert not made.adopt(b"older", 6) and not made.adopt(b"oldest", 2) and shown(made) == b"new"

    def test_changes_count_what_is_shown(self) -> None:
        """The same bytes under a new generation are nothing that a poller waits for."""
        made = content()
        made.adopt(b"old", 6)
        assert made.changes == 0
        made.adopt(b"new", 7)
        made.write(A, b"N", 0, LIMIT)
        assert made.changes == 2


class TestWriting:
    """As a POSIX file has it."""

    def test_a_gap_reads_as_zeros(self) -> None:
        """Written beyond the end, or extended."""
        made = content(b"ab")
        made.write(A, b"x", 4, LIMIT)
        assert shown(made) == b"ab\0\0x"
        made.truncate(A, 7, LIMIT)
        assert shown(made) == b"ab\0\0x\0\0"
        made.truncate(A, 1, LIMIT)
        assert shown(made) == b"a" and made.version is None

    def test_writing_nothing_is_nothing(self) -> None:
        """write(2) of no bytes extends no file."""
        made = content()
        made.write(A, b"", 50, LIMIT)
        made.append(A, b"", LIMIT)
        assert made.version == Version(7, 5) and not made.owes(A)

    @pytest.mark.parametrize("act", ["write", "append", "truncate"])
    def test_beyond_the_limit_nothing_is_done(self, act: str) -> None:
        """EFBIG; and exactly at the limit it is."""
        made = content(b"")
        too_long = b"x" * (LIMIT + 1)
        with pytest.raises(OSError, match="at most") as raised:
            if act == "write":
                made.write(A, b"xx", LIMIT - 1, LIMIT)
            elif act == "append":
                made.append(A, too_long, LIMIT)
            else:
                made.truncate(A, LIMIT + 1, LIMIT)
        assert raised.value.errno == errno.EFBIG and shown(made) == b"" and not made.owes(A)
        made.append(A, too_long[:LIMIT], LIMIT)
        assert made.size == LIMIT

    def test_a_length_alone_is_owed_but_not_written(self) -> None:
        """A shell empties a file, flushes it, and only then writes to it."""
        made = content()
        made.truncate(A, 0, LIMIT)
        assert made.owes(A) and not made.wrote(A)
        made.write(A, b"x", 0, LIMIT)
        assert made.wrote(A) and not made.owes(B)

    def test_a_length_that_it_seems_to_have_is_set_all_the_same(self) -> None:
        """Somebody may have written what we were not told of yet, and O_TRUNC means that, too."""
        made = content(b"")
        made.truncate(A, 0, LIMIT)
        assert planned(made) == Commit(b"", None)

    def test_emptied_at_the_open_nothing_was_asked(self) -> None:
        """Generation 0: what the cell has is hidden from the first moment on."""
        made = content(b"", 0)
        made.truncate(A, 0, LIMIT)
        assert made.overwritten and not made.adopt(b"anything", 3) and shown(made) == b""
        made.append(A, b"line", LIMIT)
        assert planned(made) == Commit(b"line", None)


class TestCommitting:
    """The module's table."""

    def test_what_was_appended_insists_on_the_generation(self) -> None:
        """And on nothing else."""
        made = content()
        made.append(A, b"+1", LIMIT)
        assert planned(made) == Commit(b"old+1", 5)

    def test_anything_else_is_written_in_any_case(self) -> None:
        """Last close wins."""
        made = content()
        made.append(A, b"+1", LIMIT)
        made.write(B, b"O", 0, LIMIT)
        assert planned(made) == Commit(b"Old+1", None)

    def test_nothing_written_nothing_planned(self) -> None:
        """A flush of who only reads costs nothing."""
        assert content().plan() is None

    def test_taken_it_is_the_version(self) -> None:
        """For all who wrote."""
        made = content()
        made.append(A, b"+1", LIMIT)
        made.append(B, b"+2", LIMIT)
        planned(made)
        made.done(6)
        assert made.version == Version(7, 6) and shown(made) == b"old+1+2" and not made.owes(A) and not made.owes(B)

    def test_appended_while_another_commit_is_under_way_it_insists_on_the_generation_again(self) -> None:
        """What is appended after a commit that overwrites must not overwrite what others append meanwhile."""
        made = content()
        made.truncate(A, 0, LIMIT)
        planned(made)
        made.append(B, b"line\n", LIMIT)
        made.done(6)
        assert shown(made) == b"line\n" and planned(made) == Commit(b"line\n", 6)

    def test_written_while_a_commit_is_under_way_stays_to_be_committed(self) -> None:
        """With who wrote it; and who wrote before owes no more."""
        made = content()
        made.append(A, b"+1", LIMIT)
        planned(made)
        made.write(B, b"O", 0, LIMIT)
        made.done(6)
        assert shown(made) == b"Old+1" and made.version is None and made.owes(B) and not made.owes(A)

    def test_refused_it_goes_to_the_new_end(self) -> None:
        """GenerationMismatch: read again, append to that."""
        made = content()
        made.append(A, b"+1", LIMIT)
        planned(made)
        made.append(B, b"+2", LIMIT)
        made.returned()
        made.adopt(b"other", 6)
        assert shown(made) == b"other+1+2" and planned(made) == Commit(b"other+1+2", 6)

    def test_returned_what_overwrites_overwrites_with_all_that_was_written_since(self) -> None:
        """Its node was moved while it was under way."""
        made = content()
        made.write(A, b"new", 0, LIMIT)
        planned(made)
        made.append(B, b"+2", LIMIT)
        made.move(Version(9, 1), b"moved")
        made.returned()
        assert planned(made) == Commit(b"new+2", None) and made.owes(A) and made.owes(B)

    def test_news_of_our_own_commit_show_it_once(self) -> None:
        """The watch may tell before the cell has answered: a line must not be seen twice, not even for a moment."""
        made = content()
        made.append(A, b"+1", LIMIT)
        planned(made)
        made.append(B, b"+2", LIMIT)
        made.adopt(b"old+1", 6)
        assert shown(made) == b"old+1+2"
        made.done(6)
        assert shown(made) == b"old+1+2" and planned(made) == Commit(b"old+1+2", 6)

    def test_the_same_line_of_somebody_else_is_theirs(self) -> None:
        """What seemed to be ours was not: both lines are to be there."""
        made = content()
        made.append(A, b"tick\n", LIMIT)
        planned(made)
        made.adopt(b"oldtick\n", 6)
        assert shown(made) == b"oldtick\n"
        made.returned()
        assert planned(made) == Commit(b"oldtick\ntick\n", 6)

    def test_an_answer_later_than_what_followed_it(self) -> None:
        """Ours was taken, and somebody has appended to it since."""
        made = content()
        made.append(A, b"+1", LIMIT)
        planned(made)
        made.adopt(b"old+1+theirs", 7)
        made.done(6)
        assert shown(made) == b"old+1+theirs" and made.version == Version(7, 7)

    def test_one_commit_at_a_time(self) -> None:
        """An invariant."""
        made = content()
        made.append(A, b"+1", LIMIT)
        planned(made)
        with pytest.raises(AssertionError):
            made.plan()


class TestFailures:
    """Told once to everyone who wrote."""

    def test_everyone_is_told_once(self) -> None:
        """Also who wrote while it was under way; what is shown is what the cell has."""
        made, reason = content(), OSError(errno.ENOSPC, "full")
        made.append(A, b"+1", LIMIT)
        planned(made)
        made.truncate(B, 0, LIMIT)
        made.failed(reason)
        assert made.failure(A) is reason and made.failure(B) is reason and made.failure(3) is None
        assert made.failure(A) is None and made.failure(B) is None
        assert shown(made) == b"old" and made.version == Version(7, 5)

    def test_who_is_closed_is_forgotten(self) -> None:
        """Nothing is kept for a file that will never ask; what it wrote goes out with what the others wrote."""
        made = content()
        made.append(A, b"+1", LIMIT)
        made.append(B, b"+2", LIMIT)
        made.forget(A)
        assert not made.owes(A) and planned(made).contents == b"old+1+2"
        made.failed(OSError(errno.EIO, "lost"))
        assert made.failure(A) is None
        made.forget(B)
        assert made.failure(B) is None

    def test_moved_it_shows_what_the_other_node_has(self) -> None:
        """A rename brings the bytes with it: what is known here may be older."""
        made = content()
        made.move(Version(9, 2), b"renamed")
        assert shown(made) == b"renamed" and made.version == Version(9, 2)
        made.append(A, b"+1", LIMIT)
        made.move(Version(11, 1), b"again")
        assert planned(made) == Commit(b"again+1", 1)
