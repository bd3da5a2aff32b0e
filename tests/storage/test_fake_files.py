"""The simulated disk loses exactly what it may lose: a test is worth what its disk is."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.fake_files import SECTOR, FakeFile, FakeFiles, everything, nothing
from tests.storage.interference import CrashAt, Crashed, FailAt, Operation


def durable(files: FakeFiles, name: str, data: bytes) -> FakeFile:
    """A file whose content and name are on disk."""
    file = files.create(name)
    file.write(0, data)
    file.sync()
    files.sync_directory("")
    return file


def test_what_was_synced_survives_and_what_was_not_may_not() -> None:
    """The write-back cache."""
    files = FakeFiles()
    file = durable(files, "a", b"old!")
    file.write(0, b"new")
    assert files.contents("a") == b"new!"
    files.power_loss(nothing)
    assert files.contents("a") == b"old!"


def test_what_was_not_synced_may_survive() -> None:
    """The disk may have written it already."""
    files = FakeFiles()
    file = durable(files, "a", b"old!")
    file.write(4, b"more")
    files.power_loss(everything)
    assert files.contents("a") == b"old!more"


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_each_unsynced_sector_survives_for_itself(flips: list[bool]) -> None:
    """A torn write: any subset of its sectors, in any order."""
    files = FakeFiles()
    file = durable(files, "a", bytes(4 * SECTOR))
    file.write(0, b"x" * 4 * SECTOR)
    left = iter(flips)
    files.power_loss(lambda: next(left))
    found = files.contents("a")
    sectors = [found[begin : begin + SECTOR] for begin in range(0, 4 * SECTOR, SECTOR)]
    assert sectors == [b"x" * SECTOR if flip else bytes(SECTOR) for flip in flips]


def test_a_write_within_a_sector_leaves_the_rest_of_it_alone() -> None:
    """A sector is whole: what was there beside the write stays."""
    files = FakeFiles()
    file = durable(files, "a", b"." * SECTOR)
    file.write(SECTOR - 2, b"1234")
    left = iter([True, True, False])
    files.power_loss(lambda: next(left))
    assert files.contents("a") == b"." * (SECTOR - 2) + b"12" + bytes(2)


def test_a_name_is_lost_unless_its_directory_was_synced() -> None:
    """Even if the file itself was."""
    files = FakeFiles()
    file = files.create("a")
    file.write(0, b"x")
    file.sync()
    files.power_loss(nothing)
    assert files.tree() == []


def test_a_rename_survives_wholly_or_not_at_all() -> None:
    """Never both names, never none."""
    for coin, left in ((nothing, ["a"]), (everything, ["b"])):
        files = FakeFiles()
        durable(files, "a", b"x")
        files.rename("a", "b")
        files.power_loss(coin)
        assert files.tree() == left


def test_a_later_change_of_a_directory_may_survive_an_earlier_one() -> None:
    """No order is promised between unsynced changes."""
    files = FakeFiles()
    durable(files, "a", b"x")
    files.remove("a")
    files.create("b")
    left = iter([False, True])
    files.power_loss(lambda: next(left, False))
    assert files.tree() == ["a", "b"]


def test_a_removal_may_be_undone_by_a_crash() -> None:
    """Unless the directory was synced."""
    files = FakeFiles()
    durable(files, "a", b"x")
    files.remove("a")
    files.power_loss(nothing)
    assert files.tree() == ["a"] and files.contents("a") == b"x"
    files.remove("a")
    files.sync_directory("")
    files.power_loss(nothing)
    assert files.tree() == []


def test_a_failed_sync_loses_what_it_should_have_written_for_good() -> None:
    """A later sync succeeds and proves nothing; reads show the data until the machine goes down."""
    files = FakeFiles()
    file = durable(files, "a", b"old")
    files.interference = FailAt(0, errno.EIO, frozenset({"sync"}))
    file.write(0, b"new")
    with pytest.raises(OSError, match="Input/output error"):
        file.sync()
    file.sync()
    assert file.read(0, 3) == b"new"
    files.power_loss(everything)
    assert files.contents("a") == b"old"


def test_a_failed_write_leaves_a_part_behind() -> None:
    """ENOSPC in the middle: some sectors are there, and none of them in part."""
    files = FakeFiles(FailAt(0, errno.ENOSPC, frozenset({"write"})))
    file = files.create("a")
    with pytest.raises(OSError, match="No space left"):
        file.write(300, b"x" * 2000)
    assert files.contents("a") == bytes(300) + b"x" * (1024 - 300)
    with pytest.raises(OSError, match="No space left"):
        FakeFiles(FailAt(0, errno.ENOSPC, frozenset({"write"}))).create("b").write(0, b"less than one")


def test_a_crash_of_the_process_keeps_the_cache_but_not_its_files_and_lock() -> None:
    """What was written is seen by the next process, synced or not; a power loss may take it still."""
    files = FakeFiles()
    files.lock("LOCK")
    file = durable(files, "a", b"old")
    file.write(0, b"new")
    files.process_crash()
    assert files.contents("a") == b"new"
    files.lock("LOCK").release()
    with pytest.raises(AssertionError, match="a process that is no more"):
        file.read(0, 1)
    files.power_loss(nothing)
    assert files.contents("a") == b"old"


def test_crash_at_counts_changes_and_lets_nothing_happen_afterwards() -> None:
    """Reading is free; the operation named does not happen, nor any later one."""
    files = FakeFiles(crash := CrashAt(2))
    file = files.create("a")
    file.read(0, 1)
    file.write(0, b"x")
    assert not crash.happened
    with pytest.raises(Crashed):
        file.sync()
    assert crash.happened
    with pytest.raises(Crashed):
        file.read(0, 1)


def test_fail_at_fails_once_or_from_then_on() -> None:
    """Of the kinds it was told."""
    once, ever = (FailAt(1, errno.ENOSPC, frozenset({"write"}), lasting) for lasting in (False, True))
    for fail, outcomes in ((once, [0, 1, 0]), (ever, [0, 1, 1])):
        files = FakeFiles(fail)
        file = files.create("a")
        for failing in outcomes:
            if failing:
                with pytest.raises(OSError, match="No space left"):
                    file.write(0, b"x")
            else:
                file.write(0, b"x")
        assert fail.happened


def test_rot_is_there_after_a_crash_too() -> None:
    """It changes the disk, not only what is seen of it."""
    files = FakeFiles()
    durable(files, "a", b"12345")
    files.rot("a", 1, b"xx")
    assert files.contents("a") == b"1xx45"
    files.power_loss(nothing)
    assert files.contents("a") == b"1xx45"


def test_operations_are_recorded_on_request() -> None:
    """So that a test can say which system calls something costs."""
    files = FakeFiles()
    file = files.create("a")
    files.record = True
    file.write(0, b"x")
    file.sync()
    assert files.operations == [Operation("write", "a"), Operation("sync", "a")]
