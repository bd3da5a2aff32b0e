"""The log: what an append costs, how it rolls over, what a failure does to it, what pruning leaves."""

from __future__ import annotations

import contextlib
import errno

import pytest
from hypothesis import given, settings

from chubby.errors import StorageFailed
from chubby.paxos.messages import Ballot
from chubby.paxos.ready import ChosenRecord, LeaseRecord, PromisedRecord
from chubby.storage.life import OpenedDirectory
from chubby.storage.records import SECTOR
from chubby.storage.segment import STEP
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import CrashAt, Crashed, FailAt
from tests.storage.samples import (
    SMALL,
    Batch,
    accepted,
    ballot,
    batches,
    expected,
    formatted,
    reopened,
    same_log,
    snapshot,
)

PER_SEGMENT = SMALL // SECTOR - 1


def opened_log(segment_size: int = SMALL) -> tuple[FakeFiles, OpenedDirectory]:
    """A fresh disk with a log that is open."""
    files = FakeFiles()
    formatted(files, segment_size)
    opened = reopened(files, segment_size)
    files.record = True
    files.operations.clear()
    return files, opened


def kinds(files: FakeFiles) -> list[str]:
    """Which operations there were since last asked."""
    found = [operation.kind for operation in files.operations]
    files.operations.clear()
    return found


def test_an_append_is_one_write_and_one_sync() -> None:
    """DESIGN §3 Disk: one fdatasync per batch, the very first one included; nothing else is asked of the disk."""
    files, opened = opened_log()
    for slot in range(1, 5):
        opened.wal.append([accepted(slot), ChosenRecord(slot - 1)])
        assert kinds(files) == ["write", "sync"]


def test_an_append_writes_into_space_that_was_zeroed_before() -> None:
    """DESIGN §3 Disk: segments zeroed in advance; so fdatasync need not journal a new size."""
    files, opened = opened_log()
    name = next(name for name in files.tree() if name.endswith(".wal"))
    before = len(files.contents(name))
    opened.wal.append([accepted(1)])
    assert len(files.contents(name)) == before == SMALL


def test_rolling_over_to_a_prepared_segment_costs_nothing_more() -> None:
    """The header comes with the first record, by the same write."""
    files, opened = opened_log()
    while opened.wal.tend():
        pass
    kinds(files)
    for slot in range(PER_SEGMENT):
        opened.wal.append([accepted(slot + 1)])
    assert opened.wal.statistics().prepared
    kinds(files)
    opened.wal.append([accepted(100)])
    assert kinds(files) == ["write", "sync"]
    assert not opened.wal.statistics().prepared


def test_tending_is_done_in_small_synced_steps() -> None:
    """Paxos Made Live: an append never waits behind more than 1 MiB."""
    files, opened = opened_log(segment_size=3 * STEP)
    steps: list[list[str]] = []
    more = True
    while more:
        more = opened.wal.tend()
        steps.append(kinds(files))
    assert all(step.count("write") <= 2 for step in steps)
    assert [step[-2:] for step in steps[1:3]] == [["write", "sync"]] * 2
    assert opened.wal.tend() is False and kinds(files) == []
    assert opened.wal.statistics().prepared


def test_appends_go_on_between_the_steps_of_tending() -> None:
    """The preparation is under way for as long as it takes."""
    files, opened = opened_log(segment_size=2 * STEP)
    batches: list[Batch] = []
    for slot in range(1, 6):
        batches.append((accepted(slot),))
        opened.wal.append(batches[-1])
        opened.wal.tend()
    files.power_loss(nothing)
    assert same_log(reopened(files, 2 * STEP).recovered, expected(batches))


def test_without_tending_the_log_helps_itself() -> None:
    """Appends stay right, only slower, if the shell never finds the time."""
    files, opened = opened_log()
    written: list[Batch] = [(accepted(slot),) for slot in range(1, 5 * PER_SEGMENT)]
    for batch in written:
        opened.wal.append(batch)
    assert opened.wal.statistics().segments == 5
    files.power_loss(nothing)
    assert same_log(reopened(files).recovered, expected(written))


@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("size", [SMALL - 2 * SECTOR, SMALL, 10 * SMALL, 9 * 1024 * 1024])
def test_a_record_longer_than_what_is_left_gets_a_segment_that_holds_it(size: int, prepared: bool) -> None:
    """A batch may exceed a whole segment; the segment is made longer, and the next one is as usual."""
    files, opened = opened_log()
    written: list[Batch] = [(accepted(1),), (accepted(2, size=size),), (accepted(3),), (accepted(4, size=size),)]
    for batch in written:
        while prepared and opened.wal.tend():
            pass
        opened.wal.append(batch)
    files.power_loss(nothing)
    assert same_log(reopened(files).recovered, expected(written))


@settings(max_examples=60)
@given(batches(minimum=3, maximum=20))
def test_whatever_was_appended_comes_back(written: list[Batch]) -> None:
    """Any records, over any number of segments and two restarts."""
    files, opened = opened_log(segment_size=3 * SECTOR)
    for index, batch in enumerate(written):
        if index in (1, 2):
            opened.close()
            opened = reopened(files, 3 * SECTOR)
        opened.wal.append(batch)
    files.power_loss(nothing)
    assert same_log(reopened(files, 3 * SECTOR).recovered, expected(written))


def test_a_later_record_of_a_slot_replaces_an_earlier_one() -> None:
    """The contract of AcceptedRecord."""
    files, opened = opened_log()
    opened.wal.append([accepted(1, "first"), accepted(2, "other")])
    opened.wal.append([accepted(1, "second", round=2)])
    files.power_loss(nothing)
    entries = reopened(files).recovered.entries
    assert [entry.value.payloads for entry in entries] == [(b"second",), (b"other",)]


def test_accepting_implies_a_promise_of_the_ballot() -> None:
    """And the highest promise counts, whatever order they came in."""
    files, opened = opened_log()
    opened.wal.append([accepted(1, round=8)])
    opened.wal.append([PromisedRecord(ballot(5)), LeaseRecord(9), LeaseRecord(4)])
    files.power_loss(nothing)
    recovered = reopened(files).recovered
    assert recovered.promised == Ballot(8, 2, ballot(8).incarnation)
    assert recovered.lease_bound == 9


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("kind", ["write", "sync"])
def test_a_refusal_of_the_disk_stops_the_log_for_good(kind: str, code: int) -> None:
    """DESIGN §3 Disk: ENOSPC or EIO on the WAL stops the replica with a clear message; nothing is tried again."""
    files, opened = opened_log()
    opened.wal.append([accepted(1)])
    files.interference = FailAt(0, code, frozenset({kind}))
    with pytest.raises(StorageFailed) as caught:
        opened.wal.append([accepted(2)])
    text = str(caught.value)
    assert "appending to /fake/current/wal/" in text
    assert ("disk is full; free some space" if code == errno.ENOSPC else "replace the disk") in text
    kinds(files)
    for refused in (lambda: opened.wal.append([accepted(3)]), opened.wal.tend, lambda: opened.wal.prune(0)):
        with pytest.raises(StorageFailed, match="takes nothing any more, because appending"):
            refused()
    assert kinds(files) == [], "the disk is not even asked"


def test_a_failed_append_is_there_or_not_after_the_restart_and_then_for_good() -> None:
    """Nobody was told that it is durable; but once a start has seen it, it stays."""
    for kind in ("write", "sync"):
        files, opened = opened_log()
        opened.wal.append([accepted(1)])
        files.interference = FailAt(0, errno.EIO, frozenset({kind}))
        with pytest.raises(StorageFailed):
            opened.wal.append([accepted(2, size=3 * SECTOR)])
        files.process_crash()
        found = reopened(files).recovered
        assert [entry.slot for entry in found.entries] in ([1], [1, 2])
        files.power_loss(nothing)
        assert same_log(reopened(files).recovered, found)


def test_a_failure_while_preparing_stops_the_log_too() -> None:
    """A full disk is told before the last segment is."""
    files, opened = opened_log()
    files.interference = FailAt(0, errno.ENOSPC, frozenset({"allocate"}))
    with pytest.raises(StorageFailed, match=r"preparing /fake/current/wal/0+3.wal: No space left on device"):
        while opened.wal.tend():
            pass
    with pytest.raises(StorageFailed, match="takes nothing any more"):
        opened.wal.append([accepted(1)])


def test_a_closed_log_takes_nothing() -> None:
    """And says why."""
    _, opened = opened_log()
    opened.close()
    opened.close()
    with pytest.raises(StorageFailed, match="because the log is closed"):
        opened.wal.append([accepted(1)])


def test_pruning_removes_whole_old_segments_only() -> None:
    """DESIGN §3 Disk: the log since the older snapshot is kept; segments are removed, never recycled."""
    files, opened = opened_log()
    for slot in range(1, 3 * PER_SEGMENT + 2):
        opened.wal.append([accepted(slot)])
    snapshot(opened, PER_SEGMENT + 2)
    snapshot(opened, 3 * PER_SEGMENT)
    before = {name for name in files.tree() if name.endswith(".wal")}
    assert opened.snapshots.prune() == PER_SEGMENT + 2
    assert opened.wal.prune(PER_SEGMENT + 2) == 1
    gone = before - set(files.tree())
    assert gone == {min(before)}
    assert opened.wal.prune(PER_SEGMENT + 2) == 0


def test_pruning_keeps_promise_and_lease() -> None:
    """They may stand in the removed segments alone; every segment opens with all that was said before it."""
    files, opened = opened_log()
    opened.wal.append([PromisedRecord(ballot(7)), LeaseRecord(3), ChosenRecord(0)])
    last = 4 * PER_SEGMENT
    for slot in range(1, last + 1):
        opened.wal.append([accepted(slot)])
    opened.wal.append([ChosenRecord(last)])
    for slot in (last - 1, last):
        snapshot(opened, slot)
    opened.prune()
    assert opened.wal.statistics().segments <= 2
    files.power_loss(nothing)
    recovered = reopened(files).recovered
    assert (recovered.promised, recovered.lease_bound, recovered.chosen) == (ballot(7), 3, last)
    assert recovered.entries == ()


def test_the_active_segment_is_never_pruned() -> None:
    """Even if nothing in it is needed: there must be a place to write to, and the sequence must go on."""
    files, opened = opened_log()
    opened.wal.append([accepted(1)])
    for slot in (1, 2):
        snapshot(opened, slot)
    opened.prune()
    opened.wal.append([accepted(3)])
    files.power_loss(nothing)
    assert [entry.slot for entry in reopened(files).recovered.entries] == [3]


def test_log_above_a_slot_is_counted_for_the_snapshot_trigger() -> None:
    """DESIGN §3 Disk: a snapshot at 64 MiB of log; the shell asks how much has come together, restarts included."""
    files, opened = opened_log()
    assert opened.wal.bytes_above(0) == 0
    for slot in range(1, 2 * PER_SEGMENT + 2):
        opened.wal.append([accepted(slot)])
    assert opened.wal.bytes_above(0) == opened.wal.statistics().bytes
    assert opened.wal.bytes_above(PER_SEGMENT) == opened.wal.bytes_above(0) - SMALL
    assert opened.wal.bytes_above(10_000) == 0
    above = opened.wal.bytes_above(0)
    opened.close()
    assert reopened(files).wal.bytes_above(0) == above


def test_statistics_tell_how_the_log_stands() -> None:
    """For status and metrics."""
    _, opened = opened_log()
    opened.wal.append([accepted(1)])
    opened.wal.append([accepted(2, size=600)])
    found = opened.wal.statistics()
    assert (found.segments, found.sequence, found.appends) == (1, 2, 2)
    assert found.appended == 3 * SECTOR and found.bytes == 4 * SECTOR


@pytest.mark.parametrize("count", [5, 6, 7, 40])
def test_a_batch_beyond_what_a_record_may_hold_becomes_several(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk stood still while slot after slot came in: all of it is written, in order, and durable on return."""
    monkeypatch.setattr("chubby.storage.wal.PART_LIMIT", 1000)
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    batch: Batch = (
        accepted(1, size=5000),
        *(accepted(slot, size=400) for slot in range(2, count + 1)),
        ChosenRecord(1),
    )
    opened.wal.append(batch)
    assert opened.wal.statistics().appends == 1 + -(-(count - 1) // 2)
    files.power_loss(nothing)
    assert same_log(reopened(files).recovered, expected([batch]))


def test_a_crash_within_such_a_batch_keeps_a_beginning_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of it was acknowledged yet; what is there is what was accepted first, and no gap is in it."""
    monkeypatch.setattr("chubby.storage.wal.PART_LIMIT", 1000)
    batch = tuple(accepted(slot, size=400) for slot in range(1, 9))
    found = set()
    for number in range(8):
        files = FakeFiles()
        formatted(files)
        opened = reopened(files)
        files.interference = CrashAt(number)
        with contextlib.suppress(Crashed):
            opened.wal.append(batch)
        files.power_loss(nothing)
        slots = [entry.slot for entry in reopened(files).recovered.entries]
        assert slots == list(range(1, len(slots) + 1))
        found.add(len(slots))
    assert found == {0, 2, 4, 6}
