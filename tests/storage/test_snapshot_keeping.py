"""Two snapshots and the log since the older: pinned, pruned, and survived when they rot (DESIGN §3 Disk)."""

from __future__ import annotations

import pytest

from chubby.errors import CorruptData
from chubby.paxos.ready import ChosenRecord
from chubby.storage.manifest import Manifest
from chubby.storage.places import Within
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.samples import GENESIS, IDENTITY, accepted, entry, expected, header, reopened, same_log, snapshot
from tests.storage.test_snapshots import file_of, opened_store, receive, whole


def rot(files: FakeFiles, slot: int) -> None:
    """One bit of a snapshot turns over."""
    name = file_of(slot)
    middle = len(files.contents(name)) // 2
    files.rot(name, middle, bytes((files.contents(name)[middle] ^ 8,)))


def test_two_snapshots_and_the_log_since_the_older_are_kept() -> None:
    """DESIGN §3 Disk."""
    files, opened = opened_store()
    for slot in range(1, 40):
        opened.wal.append([accepted(slot)])
        if slot % 10 == 0:
            snapshot(opened, slot)
    opened.prune()
    assert opened.snapshots.slots == (20, 30)
    assert not any(name.endswith(("00.snap", "10.snap")) for name in files.tree())
    rot(files, 30)
    files.power_loss(nothing)
    recovered = reopened(files).recovered
    assert recovered.snapshot == 20
    assert [found.slot for found in recovered.entries] == list(range(21, 40))


def test_a_pinned_snapshot_is_kept_with_its_log_until_it_is_unpinned() -> None:
    """DESIGN §3 Disk: a transfer pins its source."""
    _, opened = opened_store()
    for slot in range(1, 40):
        opened.wal.append([accepted(slot)])
    assert opened.snapshots.pin(0) and opened.snapshots.pin(0)
    assert not opened.snapshots.pin(77)
    for slot in (10, 20, 30):
        snapshot(opened, slot)
    segments = opened.wal.statistics().segments
    opened.prune()
    opened.snapshots.unpin(0)
    opened.prune()
    assert list(opened.snapshots.slots) == [0, 20, 30] and opened.wal.statistics().segments == segments
    opened.snapshots.unpin(0)
    opened.prune()
    assert list(opened.snapshots.slots) == [20, 30] and opened.wal.statistics().segments < segments


def test_a_rotten_newest_snapshot_is_set_aside_and_the_older_one_used() -> None:
    """DESIGN §3 Disk: fall back, and say so; the file is kept for inspection."""
    files, opened = opened_store()
    written = [(accepted(slot),) for slot in range(1, 8)]
    for batch in written:
        opened.wal.append(batch)
    snapshot(opened, 5)
    opened.close()
    rot(files, 5)
    again = reopened(files)
    assert same_log(again.recovered, expected(written))
    assert again.warnings[0].startswith("the snapshot at slot 5 is rotten: /fake/current/snapshots/0")
    assert again.warnings[1] == "falling back to the snapshot at slot 0 and the log since"
    assert file_of(5) + ".rotten" in files.tree() and again.snapshots.slots == (0,)
    again.close()
    assert reopened(files).warnings == ()
    assert file_of(5) + ".rotten" in files.tree()


def test_a_missing_newest_snapshot_is_survived_the_same_way() -> None:
    """The manifest knows that there was one."""
    files, opened = opened_store()
    opened.wal.append([accepted(1)])
    snapshot(opened, 1)
    opened.close()
    files.remove(file_of(1))
    again = reopened(files)
    assert again.recovered.snapshot == 0 and "missing; expected the snapshot at slot 1" in again.warnings[0]


def test_a_rotten_older_snapshot_is_told_and_dropped() -> None:
    """The newest one is as good as ever."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 0)
    again = reopened(files)
    assert again.recovered.snapshot == 5 and again.snapshots.slots == (5,)
    assert len(again.warnings) == 1 and "the snapshot at slot 0 is rotten" in again.warnings[0]


def test_when_no_snapshot_verifies_the_vote_state_is_lost() -> None:
    """Both rotten: the replica rejoins as a new incarnation; nothing was touched."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 0)
    rot(files, 5)
    before = files.tree()
    with pytest.raises(CorruptData, match=r"no snapshot verifies.*slot 0 is rotten.*slot 5 is rotten"):
        reopened(files)
    assert files.tree() == before


def test_a_snapshot_the_log_does_not_reach_back_to_is_of_no_use() -> None:
    """It would forget votes: what was pruned was accepted above it."""
    files, opened = opened_store()
    for slot in range(1, 30):
        opened.wal.append([accepted(slot)])
    for slot in (10, 20):
        snapshot(opened, slot)
    old = files.contents(file_of(0))
    opened.prune()
    opened.close()
    file = files.create(file_of(0))
    file.write(0, old)
    file.close()
    manifest = Manifest.load(Within(files, "current"), IDENTITY)
    manifest.update(snapshots=(0, 10, 20))
    rot(files, 10)
    rot(files, 20)
    with pytest.raises(CorruptData, match=r"that the log reaches back to \(slot 10\)"):
        reopened(files)


def test_behind_a_lost_snapshot_nothing_counts_as_chosen_for_good() -> None:
    """What is recorded as chosen was chosen for what the log held then.

    Slot 3 was accepted and never chosen with that value; a fetched snapshot then covered it. When that snapshot rots,
    "all up to 9 is chosen" must not make the stale value of slot 3 a chosen one: not now, and not after another start.
    """
    files, opened = opened_store()
    opened.wal.append([accepted(1), accepted(2), ChosenRecord(2)])
    opened.wal.append([accepted(3, "stale")])
    receive(opened, 8, whole(8))
    opened.wal.append([accepted(9), ChosenRecord(9)])
    opened.close()
    rot(files, 8)
    for _ in range(3):
        again = reopened(files)
        assert (again.recovered.snapshot, again.recovered.chosen) == (0, 0)
        assert [found.slot for found in again.recovered.entries] == [1, 2, 3, 9]
        again.close()
    again = reopened(files)
    again.wal.append([accepted(3, "right"), ChosenRecord(3)])
    again.close()
    recovered = reopened(files).recovered
    assert recovered.chosen == 3 and recovered.entries[2] == entry(3, "right")


def test_a_stale_hint_is_not_carried_into_the_next_segment() -> None:
    """The summary that opens a segment leaves it out, too."""
    files, opened = opened_store()
    opened.wal.append([ChosenRecord(9)])
    snapshot(opened, 5)
    opened.close()
    rot(files, 5)
    again = reopened(files)
    for slot in range(1, 20):
        again.wal.append([accepted(slot)])
    again.close()
    assert reopened(files).recovered.chosen == 0


def test_a_reader_goes_on_when_its_snapshot_is_pruned() -> None:
    """Loading the machine and pruning do not wait for each other."""
    _, opened = opened_store()
    with opened.snapshots.reader(0) as reader:
        for slot in (1, 2):
            snapshot(opened, slot)
        opened.prune()
        assert opened.snapshots.slots == (1, 2)
        assert tuple(reader.slices()) == GENESIS


def test_verify_looks_at_the_file_again() -> None:
    """For a slow scrub."""
    files, opened = opened_store()
    snapshot(opened, 5)
    assert opened.snapshots.verify(5) == header(5)
    rot(files, 5)
    with pytest.raises(CorruptData):
        opened.snapshots.verify(5)
