"""Two snapshots and the log since the older: pinned, pruned, and survived when they rot (DESIGN §3 Disk)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chubby.errors import CorruptData
from chubby.paxos.ready import ChosenRecord
from chubby.storage.faults import ForeignData
from chubby.storage.manifest import Manifest
from chubby.storage.places import Within
from chubby.storage.segment import STEP
from chubby.storage.snapshot_reader import Load
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import CHANGES
from tests.storage.samples import (
    GENESIS,
    IDENTITY,
    accepted,
    entry,
    expected,
    header,
    reopened,
    same_log,
    slices,
    snapshot,
)
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
    """The newest one is as good as ever, so a start does not wait for it: it is looked at when the replica is up."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 0)
    again = reopened(files)
    assert again.recovered.snapshot == 5 and again.warnings == ()
    said = [warning for warning in again.snapshots.recheck() if warning]
    assert len(said) == 1 and "the snapshot at slot 0 is rotten: /fake/current/snapshots/0" in said[0]
    assert again.snapshots.slots == (5,) and file_of(0) + ".rotten" in files.tree()
    again.close()
    recovered = reopened(files).recovered
    assert recovered.snapshot == 5 and recovered.chosen == 5


def test_a_missing_older_snapshot_is_told_and_dropped() -> None:
    """A spare that is gone is no spare."""
    files, opened = opened_store()
    snapshot(opened, 5)
    files.remove(file_of(0))
    assert ["missing" in warning for warning in opened.snapshots.recheck()] == [True]
    assert opened.snapshots.slots == (5,)


def test_good_older_snapshots_are_verified_in_small_steps_and_kept() -> None:
    """Each step reads 1 MiB at most, and nothing is written: the log goes on in between."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(3))
    for _ in range(5):
        writer.write(b"x" * STEP)
    writer.finish()
    snapshot(opened, 5)
    opened.prune()
    before = files.tree()
    files.operations.clear()
    steps = 0
    for warning in opened.snapshots.recheck():
        assert warning == "" and sum(operation.kind == "read" for operation in files.operations) <= 2
        assert not {operation.kind for operation in files.operations} & CHANGES
        files.operations.clear()
        steps += 1
    assert steps >= 5 and files.tree() == before


def test_snapshots_come_and_go_while_the_older_ones_are_verified() -> None:
    """One that is pruned meanwhile is nobody's concern any more, rotten or not."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(3))
    for _ in range(3):
        writer.write(b"x" * STEP)
    writer.finish()
    snapshot(opened, 5)
    rot(files, 3)
    checking = opened.snapshots.recheck()
    next(checking)
    for slot in (7, 9):
        snapshot(opened, slot)
    opened.prune()
    assert set(checking) <= {""} and opened.snapshots.slots == (7, 9)


def test_a_start_reads_the_newest_snapshot_once_and_the_older_one_not_at_all() -> None:
    """Verified in the pass that loads it: 100,000 nodes are to be had in the time of one reading."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    for _ in range(3):
        writer.write(b"x" * STEP)
    writer.finish()
    opened.close()
    files.operations.clear()
    loaded: list[bytes] = []
    reopened(files, load=loaded.extend)
    reads = [operation.name for operation in files.operations if operation.kind == "read" and ".snap" in operation.name]
    assert set(reads) == {file_of(5)} and len(reads) == 3 + 1 + 1, "three MiB and a bit, and then the end"
    assert loaded == [b"x" * STEP] * 3


def test_what_the_loader_leaves_is_verified_all_the_same() -> None:
    """It may stop early; the verdict is over the whole file."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 5)
    loaded: list[bytes] = []
    again = reopened(files, load=lambda pieces: loaded.append(next(pieces)))
    assert again.recovered.snapshot == 0 and loaded[-1] == GENESIS[0]


def test_of_a_rotten_newest_snapshot_nothing_stays_loaded() -> None:
    """DESIGN §3 Disk: the one before it is loaded in its place, from the beginning."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 5)
    calls: list[list[bytes]] = []

    def load(pieces: Iterator[bytes]) -> None:
        calls.append([])
        calls[-1].extend(pieces)

    again = reopened(files, load=load)
    assert again.recovered.snapshot == 0 and tuple(calls[-1]) == GENESIS


def reject(slots: set[bytes]) -> Load:
    """A loader to whom a snapshot makes no sense that has one of these slices."""

    def load(pieces: Iterator[bytes]) -> None:
        if slots.intersection(pieces):
            raise CorruptData("a row contradicts itself")

    return load


def test_a_snapshot_that_verifies_and_cannot_be_loaded_is_no_better_than_a_rotten_one() -> None:
    """Memory rotted while it was written: the one before it and the log since are as good."""
    files, opened = opened_store()
    opened.wal.append([accepted(1)])
    snapshot(opened, 1)
    opened.close()
    again = reopened(files, load=reject(set(slices(1))))
    assert again.recovered.snapshot == 0 and [found.slot for found in again.recovered.entries] == [1]
    assert "the snapshot at slot 1 is rotten: a row contradicts itself" in again.warnings[0]


def test_when_snapshots_verify_and_none_can_be_loaded_the_vote_state_is_kept() -> None:
    """That is no rot of the disk but a bug, perhaps on every replica: nothing is put aside, an operator has to look."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    before = files.tree()
    with pytest.raises(ForeignData, match=r"no snapshot verifies.*slot 5.*contradicts itself.*slot 0.*contradicts"):
        reopened(files, load=reject({*slices(5), *GENESIS}))
    assert files.tree() == before and files.open_files == 0
    rot(files, 5)
    with pytest.raises(ForeignData, match="contradicts itself"):
        reopened(files, load=reject(set(GENESIS)))


def test_a_loader_that_gives_up_changes_nothing() -> None:
    """A start may be broken off while it loads."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    before = {name: files.contents(name) for name in files.tree()}

    def load(pieces: Iterator[bytes]) -> None:
        next(pieces)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reopened(files, load=load)
    assert {name: files.contents(name) for name in files.tree()} == before and files.open_files == 0


def test_when_no_snapshot_verifies_the_vote_state_is_lost() -> None:
    """Both rotten: the replica rejoins as a new incarnation; nothing was touched."""
    files, opened = opened_store()
    snapshot(opened, 5)
    opened.close()
    rot(files, 0)
    rot(files, 5)
    before = files.tree()
    with pytest.raises(CorruptData, match=r"no snapshot verifies.*slot 5 is rotten.*slot 0 is rotten"):
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
