"""A disk that refuses: at any operation, in any way, it is told in words and nothing promised is lost (DESIGN §3)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from chubby.errors import CorruptData, StorageFailed
from chubby.storage.faults import disk_errors, explain
from tests.storage.fake_files import nothing
from tests.storage.interference import CHANGES, FailAt
from tests.storage.samples import reopened, same_log
from tests.storage.story import SEGMENT, Story


def refused(code: int, lasting: bool, kinds: frozenset[str]) -> Iterator[Story]:
    """The day, in which each operation in turn is refused; it ends there."""
    for number in range(10_000):
        story = Story()
        story.files.interference = fail = FailAt(number, code, kinds, lasting)
        try:
            story.run()
        except StorageFailed as error:
            assert os.strerror(code) in str(error) and "/fake" in str(error), "what was refused, and where"
            yield story
        if not fail.happened:
            return
    raise AssertionError("the story has no end")


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_refusal_of_any_change_is_told_and_loses_nothing(code: int, lasting: bool) -> None:
    """DESIGN §3 Disk: ENOSPC or EIO stops the replica with a clear message; the next start finds all that was promised.

    A failed write leaves half of itself, a failed sync loses what it should have written.
    """
    count = 0
    for story in refused(code, lasting, CHANGES):
        story.files.process_crash()
        found = story.check()
        story.files.power_loss(nothing)
        again = story.check()
        assert found is None or (again is not None and same_log(found, again))
        count += 1
    assert count > 250, "the story has many changes"


def test_a_refusal_to_read_is_told_and_loses_nothing() -> None:
    """EIO on a read of the log stops the replica; on the newest of two snapshots the other one serves."""
    stopped = fell_back = 0
    for number in range(200):
        story = Story()
        story.run()
        story.files.interference = fail = FailAt(number, errno.EIO, frozenset({"read", "open", "names", "size"}))
        try:
            opened = reopened(story.files, SEGMENT)
        except StorageFailed:
            stopped += 1
            story.files.process_crash()
            assert story.check() is not None
            continue
        if not fail.happened:
            break
        if opened.recovered.snapshot == story.base:
            # After everything was read: it costs nothing.
            assert opened.warnings == ()
        else:
            fell_back += 1
            assert opened.recovered.snapshot == 30 and "Input/output error" in opened.warnings[0]
    assert stopped > 10 and fell_back > 0


def test_remedies_are_named() -> None:
    """An operator reads what to do."""
    for code, words in (
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EIO, "replace the disk"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "must belong to the user"),
        (errno.EMFILE, "raise its limit"),
    ):
        text = explain("writing x", OSError(code, os.strerror(code)))
        assert text.startswith(f"writing x: {os.strerror(code)} (") and words in text
    assert explain("writing x", OSError(errno.ENOTDIR, "Not a directory")) == "writing x: Not a directory"
    assert explain("writing x", OSError("strange")) == "writing x: strange"


def test_only_errors_of_the_disk_are_turned() -> None:
    """A bug stays a bug; what is already told in words stays as it is."""
    with pytest.raises(StorageFailed, match="doing it: No such file"), disk_errors("doing it"):
        raise FileNotFoundError(errno.ENOENT, "No such file")
    with pytest.raises(CorruptData, match="rot"), disk_errors("doing it"):
        raise CorruptData("rot")
    with pytest.raises(KeyError), disk_errors("doing it"):
        raise KeyError(1)
