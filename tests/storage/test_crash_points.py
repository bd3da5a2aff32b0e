"""Crashes at every single file operation: whatever is left on disk recovers to a legal state (DESIGN §3 Disk)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.paxos.ready import Recovered
from chubby.storage.directory import Condition, DataDirectory
from tests.storage.fake_files import Coin, FakeFiles, everything, nothing
from tests.storage.interference import CrashAt, Crashed, Operation
from tests.storage.samples import (
    ANOTHER_LIFE,
    IDENTITY,
    Batch,
    accepted,
    batches,
    coin,
    expected,
    formatted,
    reopened,
    same_log,
)
from tests.storage.story import SEGMENT, Story

FALLS = ["nothing survives", "everything survives", "some sectors survive", "other sectors survive", "process only"]


def fall(files: FakeFiles, kind: str, number: int) -> None:
    """The process is gone, and perhaps the machine with it."""
    seed = 2 * number + (kind == "other sectors survive")
    coins: dict[str, Coin] = {"nothing survives": nothing, "everything survives": everything}
    if kind == "process only":
        files.process_crash()
    else:
        files.power_loss(coins.get(kind, coin(seed)))


def crashes(live: Callable[[FakeFiles], None], files: Callable[[], FakeFiles]) -> Iterator[tuple[int, FakeFiles]]:
    """Live it again and again, each time a little longer, until no crash cuts it short."""
    for number in range(10_000):
        disk = files()
        disk.interference = crash = CrashAt(number)
        try:
            live(disk)
        except Crashed:
            yield number, disk
        if not crash.happened:
            return
    raise AssertionError("the story has no end")


def stories() -> Iterator[tuple[int, Story]]:
    """The day, ended before each operation in turn."""
    for number in range(10_000):
        story = Story()
        story.files.interference = crash = CrashAt(number)
        try:
            story.run()
        except Crashed as ended:
            story.ended_before = ended.operation
            yield number, story
        if not crash.happened:
            return
    raise AssertionError("the story has no end")


@pytest.mark.parametrize("kind", FALLS)
def test_a_crash_at_any_operation_loses_nothing_that_was_promised(kind: str) -> None:
    """DESIGN §3 Disk: what append returned from is there, and only what was under way may be there besides."""
    count = 0
    for number, story in stories():
        fall(story.files, kind, number)
        story.check()
        count += 1
    assert count > 250, "the story has many operations"


@pytest.mark.parametrize("kind", FALLS)
def test_what_a_start_recovered_is_durable(kind: str) -> None:
    """DESIGN §3 Disk: on start the tail is copied to a fresh segment and synced before the first vote.

    The last record may have verified from the cache alone; had open() not written it anew, this power loss would take
    back what a vote rested on.
    """
    for number, story in stories():
        fall(story.files, kind, number)
        found = story.check()
        story.files.power_loss(nothing)
        again = story.check()
        assert found is None or again is not None
        assert found is None or again is None or same_log(found, again), "the second start finds what the first found"


@pytest.mark.parametrize("kind", ["nothing survives", "some sectors survive", "process only"])
def test_a_crash_at_any_operation_of_a_start_loses_nothing(kind: str) -> None:
    """DESIGN §3 Disk: recovery itself may be cut short anywhere, and be cut short again."""
    chosen = range(3, 400, 23)
    for number, story in stories():
        if number not in chosen:
            continue
        fall(story.files, kind, number)
        found = _until_it_starts(story, kind)
        story.files.power_loss(nothing)
        assert found is None or same_log(found, _must(story.check()))


def test_a_start_upon_what_only_the_cache_knew_loses_nothing() -> None:
    """DESIGN §3 Disk: the process ends before a directory is synced, and the machine in the middle of the next start.

    The start reads a manifest whose name is in the cache alone; were it to remove what that one no longer names before
    the name is on disk, the old manifest would be back and name what is gone.
    """
    count = 0
    for number, story in stories():
        if story.ended_before == Operation("sync_directory", "current"):
            count += 1
            fall(story.files, "process only", number)
            for step in range(100):
                again = copy.deepcopy(story)
                again.files.interference = crash = CrashAt(step)
                try:
                    again.check()
                except Crashed:
                    again.files.power_loss(nothing)
                    again.check()
                if not crash.happened:
                    break
    assert count > 10


def _until_it_starts(story: Story, kind: str) -> Recovered | None:
    """Start over and over, crashing one operation later each time."""
    for number in range(1_000):
        story.files.interference = crash = CrashAt(number)
        try:
            found = story.check()
        except Crashed:
            fall(story.files, kind, number)
            continue
        assert not crash.happened
        return found
    raise AssertionError("it never starts")


def _must(found: Recovered | None) -> Recovered:
    assert found is not None
    return found


@settings(max_examples=80)
@given(batches(minimum=1, maximum=6), st.integers(0, 2**32), st.sampled_from([3, 6, 40]))
def test_any_torn_pattern_of_the_last_write_recovers_to_the_synced_batches(
    written: list[Batch], seed: int, sectors: int
) -> None:
    """DESIGN §3 Disk: power fails between write and sync, any subset of sectors is there, and the start is no rot.

    The last batch is there as a whole, or not at all, with a warning if a part of it was.
    """
    size = sectors * 512
    files = FakeFiles()
    formatted(files, size)
    opened = reopened(files, size)
    for batch in written[:-1]:
        opened.wal.append(batch)
    while opened.wal.tend():
        pass
    files.interference = lambda operation: _end_at("sync", operation)
    with pytest.raises(Crashed):
        opened.wal.append(written[-1])
    files.power_loss(coin(seed))
    again = reopened(files, size)
    whole, synced = expected(written), expected(written[:-1])
    assert same_log(again.recovered, whole) or same_log(again.recovered, synced)
    assert all(warning.startswith("torn write: ") for warning in again.warnings)
    assert not again.warnings or same_log(again.recovered, synced)


def _end_at(kind: str, operation: Operation) -> None:
    if operation.kind == kind:
        raise Crashed(operation)


def _with_a_past() -> FakeFiles:
    """A disk with a life that voted, and an earlier one put aside."""
    files = FakeFiles()
    formatted(files, SEGMENT)
    with DataDirectory(files) as directory:
        directory.become_new_incarnation(ANOTHER_LIFE, segment_size=SEGMENT)
        directory.become_new_incarnation(IDENTITY, segment_size=SEGMENT)
    opened = reopened(files, SEGMENT)
    opened.wal.append([accepted(1)])
    opened.close()
    return files


def _be_reborn(files: FakeFiles) -> None:
    with DataDirectory(files) as directory:
        directory.become_new_incarnation(ANOTHER_LIFE, segment_size=SEGMENT)


@pytest.mark.parametrize("kind", FALLS)
def test_a_new_incarnation_is_begun_wholly_or_not_at_all(kind: str) -> None:
    """DESIGN §3 Incarnations: at any time the directory is the old life, the new one, or says that it is neither."""
    seen = set()
    for number, files in crashes(_be_reborn, _with_a_past):
        fall(files, kind, number)
        with DataDirectory(files) as directory:
            found = directory.inspect()
        seen.add((found.condition, found.identity))
        if found.identity == IDENTITY:
            opened = reopened(files, SEGMENT)
            assert opened.recovered.entries == expected([(accepted(1),)]).entries
            opened.close()
        elif found.identity == ANOTHER_LIFE:
            opened = reopened(files, SEGMENT)
            assert opened.recovered.entries == () and opened.recovered.configuration is None
            assert "rotten-3/IDENTITY" in files.tree(), "the old life is there for inspection"
            opened.close()
        else:
            assert found.condition is Condition.ROTTEN, "a directory that voted never looks empty"
            _be_reborn(files)
            reopened(files, SEGMENT).close()
            assert len([name for name in files.names("") if name.startswith("rotten-")]) == 1
    assert (Condition.FORMATTED, IDENTITY) in seen


@pytest.mark.parametrize("kind", FALLS)
def test_the_first_format_is_there_wholly_or_not_at_all(kind: str) -> None:
    """DESIGN §3 Incarnations: formatting is explicit, and half of one is an empty directory."""
    for number, files in crashes(lambda disk: formatted(disk, SEGMENT), FakeFiles):
        fall(files, kind, number)
        with DataDirectory(files) as directory:
            condition = directory.inspect().condition
        assert condition in (Condition.EMPTY, Condition.FORMATTED)
        if condition is Condition.EMPTY:
            formatted(files, SEGMENT)
        opened = reopened(files, SEGMENT)
        assert same_log(opened.recovered, expected([]))
        opened.close()
