"""Starting again: what a log with something missing, torn or rotten comes to (DESIGN §3 Disk)."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import CorruptData
from chubby.paxos.messages import Entry, Value, ValueKind
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, PromisedRecord
from chubby.storage.directory import CURRENT, DataDirectory
from chubby.storage.faults import ForeignData
from chubby.storage.files import OsFiles
from chubby.storage.manifest import MANIFEST
from chubby.storage.records import SECTOR
from chubby.storage.sealed import PREFIX_SIZE, seal
from chubby.storage.segment import SegmentHeader, segment_name
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.samples import (
    ANOTHER_LIFE,
    CONFIGURATION,
    GENESIS,
    IDENTITY,
    SMALL,
    Batch,
    accepted,
    ballot,
    batches,
    expected,
    formatted,
    reopened,
    same_log,
)

PER_SEGMENT = SMALL // SECTOR - 1


def filled(count: int = 3 * PER_SEGMENT + 2) -> tuple[FakeFiles, list[Batch]]:
    """A disk with a log of several segments, closed."""
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    written: list[Batch] = [(accepted(slot),) for slot in range(1, count + 1)]
    for batch in written:
        opened.wal.append(batch)
    opened.close()
    return files, written


def segments(files: FakeFiles) -> list[str]:
    """The segments there are."""
    return [name for name in files.tree() if name.endswith(".wal")]


def drop(files: FakeFiles, name: str) -> None:
    """Somebody removes a file."""
    files.remove(name)


def replace(files: FakeFiles, name: str, data: bytes) -> None:
    """Somebody puts another file in its place."""
    files.remove(name)
    file = files.create(name)
    file.write(0, data)
    file.close()


def test_a_missing_segment_in_the_middle_is_told() -> None:
    """The manifest names it."""
    files, _ = filled()
    drop(files, segments(files)[1])
    with pytest.raises(CorruptData, match=r"0+3.wal: missing; expected segment 3 of the log"):
        reopened(files)


def test_a_missing_last_segment_is_told() -> None:
    """DESIGN §3 Incarnations: a missing file is lost vote state, also when nothing comes after it."""
    files, _ = filled()
    drop(files, segments(files)[-1])
    with pytest.raises(CorruptData, match="missing"):
        reopened(files)


def test_a_segment_that_was_cut_off_is_told() -> None:
    """DESIGN §3 Disk: wherever it was cut, right behind a record included, and whether anything comes after it."""
    files, _ = filled()
    for name in segments(files):
        whole = files.contents(name)
        for length in range(0, len(whole), SECTOR):
            replace(files, name, whole[:length])
            with pytest.raises(CorruptData, match="bytes long; expected"):
                reopened(files)
        replace(files, name, whole)
    reopened(files)


def test_a_segment_made_for_a_long_record_may_not_be_cut_off() -> None:
    """It is longer than the manifest knows, and its record takes all of it."""
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    opened.wal.append((accepted(1, size=3 * SMALL),))
    opened.close()
    name = segments(files)[-1]
    whole = files.contents(name)
    assert len(whole) > 3 * SMALL
    for length in range(0, len(whole), SECTOR):
        replace(files, name, whole[:length])
        with pytest.raises(CorruptData):
            reopened(files)


def test_a_manifest_of_a_release_without_sizes_is_read() -> None:
    """A rolling upgrade keeps its votes."""
    files, _ = filled(2)
    name = f"{CURRENT}/{MANIFEST}"
    contents = msgspec.msgpack.decode(files.contents(name)[PREFIX_SIZE:])
    del contents["sizes"]
    replace(files, name, seal(files.contents(name)[:8], msgspec.msgpack.encode(contents)))
    assert len(reopened(files).recovered.entries) == 2
    assert msgspec.msgpack.decode(files.contents(name)[PREFIX_SIZE:])["sizes"] == [SMALL]


def test_a_segment_that_turned_to_zeros_is_told() -> None:
    """A trimmed or zeroed file looks merely prepared, but records were synced in it or behind it."""
    for index in range(4):
        files, _ = filled()
        name = segments(files)[index]
        if index == 3:
            # The manifest learns of synced records when the next segment is prepared.
            opened = reopened(files)
            while opened.wal.tend():
                pass
            opened.close()
            name = segments(files)[-2]
        replace(files, name, bytes(len(files.contents(name))))
        with pytest.raises(CorruptData):
            reopened(files)


def test_segments_in_each_others_place_are_told() -> None:
    """Each header names its number."""
    files, _ = filled()
    first, second = segments(files)[:2]
    one, two = files.contents(first), files.contents(second)
    replace(files, first, two)
    replace(files, second, one)
    with pytest.raises(CorruptData, match="segment 3 of incarnation 0x1dea; expected segment 2"):
        reopened(files)


def test_a_segment_of_another_life_is_told() -> None:
    """A restored backup of the old life is not this life's vote."""
    files, _ = filled()
    name = segments(files)[0]
    other = SegmentHeader(ANOTHER_LIFE, 2, 1).encode()
    replace(files, name, other + files.contents(name)[SECTOR:])
    with pytest.raises(CorruptData, match="of incarnation 0x2dea"):
        reopened(files)


def test_a_segment_of_another_replica_is_foreign() -> None:
    """Nothing is thrown away because of a wrong volume."""
    files, _ = filled()
    name = segments(files)[0]
    other = SegmentHeader(msgspec.structs.replace(IDENTITY, replica=1), 2, 1).encode()
    replace(files, name, other + files.contents(name)[SECTOR:])
    with pytest.raises(ForeignData, match="a segment of replica 1"):
        reopened(files)


def test_an_old_state_of_the_last_segment_is_told() -> None:
    """Records the manifest knows to have been synced are gone."""
    files, _ = filled()
    opened = reopened(files)
    name = segments(files)[-1]
    before = files.contents(name)
    opened.wal.append([accepted(90)])
    while opened.wal.tend():
        pass
    opened.close()
    replace(files, name, before)
    with pytest.raises(CorruptData, match="the log ends with record 23; expected record 24 at least"):
        reopened(files)


def test_something_after_a_torn_record_in_another_segment_is_rotten() -> None:
    """DESIGN §3 Disk: "nothing valid after it" looks into the segments that follow, even at a single byte."""
    files, _ = filled(PER_SEGMENT)
    opened = reopened(files)
    opened.wal.append([accepted(50, size=2 * SECTOR)])
    while opened.wal.tend():
        pass
    opened.close()
    *_, active, blank = segments(files)
    torn = 2 * SECTOR
    assert files.contents(active)[torn] and not any(files.contents(blank))
    files.rot(active, torn, bytes(SECTOR))
    files.rot(blank, 3 * SECTOR + 7, b"\1")
    with pytest.raises(CorruptData, match="expected none, because the log ends before it"):
        reopened(files)


def test_a_torn_last_record_is_cut_off_with_a_warning() -> None:
    """DESIGN §3 Disk: torn is no rot; the replica goes on and says what it found."""
    files, written = filled(3)
    name = segments(files)[-1]
    opened = reopened(files)
    opened.wal.append([accepted(4, size=2 * SECTOR)])
    opened.close()
    name = segments(files)[-1]
    files.rot(name, 5 * SECTOR, bytes(SECTOR))
    again = reopened(files)
    assert same_log(again.recovered, expected(written))
    (warning,) = again.warnings
    assert warning.startswith(f"torn write: /fake/{name}, offset 2048: record 4 lacks the sector at offset 2560")
    again.wal.append([accepted(4, "anew")])
    again.close()
    third = reopened(files)
    assert third.warnings == () and len(third.recovered.entries) == 4


def test_the_tail_is_written_anew_and_the_rest_left_alone() -> None:
    """DESIGN §3 Disk: a start copies the last segment into a fresh one, synced; older ones were followed by others."""
    files, written = filled()
    before = segments(files)
    opened = reopened(files)
    after = segments(files)
    assert after[:-1] == before[:-1] and after[-1] > before[-1]
    assert len(files.contents(after[-1])) == SMALL
    files.power_loss(nothing)
    assert same_log(opened.recovered, expected(written))
    assert same_log(reopened(files).recovered, expected(written))


def test_a_start_without_any_record_leaves_a_blank_log() -> None:
    """Over and over; the numbers grow, the files do not."""
    files = FakeFiles()
    formatted(files)
    for _ in range(4):
        opened = reopened(files)
        assert opened.recovered == expected([], snapshot_size=opened.recovered.snapshot_size)
        opened.close()
    assert len(segments(files)) == 1
    opened = reopened(files)
    opened.wal.append([accepted(1)])
    files.power_loss(nothing)
    assert same_log(reopened(files).recovered, expected([(accepted(1),)]))


def test_segments_of_another_size_are_read_all_the_same() -> None:
    """The size is a setting; it may change between starts."""
    files, written = filled()
    for size in (2 * SECTOR, 10 * SMALL, SMALL):
        opened = reopened(files, size)
        assert same_log(opened.recovered, expected(written))
        written.append((accepted(100 + size),))
        opened.wal.append(written[-1])
        opened.close()
    assert same_log(reopened(files).recovered, expected(written))


@settings(max_examples=60)
@given(batches(minimum=2, maximum=12), st.data())
def test_any_flipped_bit_of_a_synced_log_is_rotten(written: list[Batch], data: st.DataObject) -> None:
    """DESIGN §3 Disk: in any segment, at any place that was written, whatever it holds."""
    files = FakeFiles()
    size = 4 * SECTOR
    formatted(files, size)
    opened = reopened(files, size)
    for batch in written:
        opened.wal.append(batch)
    used = opened.wal.statistics()
    opened.close()
    names = segments(files)
    name = data.draw(st.sampled_from(names))
    contents = files.contents(name)
    end = len(contents.rstrip(b"\0"))
    position = data.draw(st.integers(0, end - 1))
    files.rot(name, position, bytes((contents[position] ^ 1 << data.draw(st.integers(0, 7)),)))
    assert used.segments == len(names)
    with pytest.raises(CorruptData, match=name.replace(".", r"\.")):
        reopened(files, size)


def test_a_failed_start_changes_nothing() -> None:
    """What is rotten is there for inspection as it was found."""
    files, _ = filled()
    name = segments(files)[1]
    files.rot(name, 700, b"\xff\xff\xff")
    before = {path: files.contents(path) for path in files.tree()}
    with pytest.raises(CorruptData):
        reopened(files)
    assert {path: files.contents(path) for path in files.tree()} == before


def test_promises_without_entries_come_back() -> None:
    """A log need not hold entries."""
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    opened.wal.append([PromisedRecord(ballot(3))])
    opened.wal.append([ChosenRecord(0)])
    opened.close()
    assert reopened(files).recovered.promised == ballot(3)


def test_a_long_log_is_read_in_seconds(tmp_path: Path) -> None:
    """A cell of 100,000 nodes, each just written: one pass over the real disk, generously timed."""
    batch = 500
    payloads = tuple(b"%06d" % number + bytes(range(1, 251)) for number in range(batch))
    with DataDirectory(OsFiles(tmp_path)) as directory:
        directory.format(IDENTITY, CONFIGURATION, GENESIS)
        opened = directory.open()
        for slot in range(1, 100_000 // batch + 1):
            entry = Entry(slot, ballot(1), Value(ValueKind.COMMANDS, payloads))
            opened.wal.append([AcceptedRecord(entry), ChosenRecord(slot - 1)])
        opened.close()
        began = time.monotonic()
        opened = directory.open()
        took = time.monotonic() - began
        assert sum(len(entry.value.payloads) for entry in opened.recovered.entries) == 100_000
        opened.close()
    assert took < 10


def test_segment_names_are_the_manifests(tmp_path: Path) -> None:
    """Whatever else lies in the folder is debris and goes at the next start."""
    with DataDirectory(OsFiles(tmp_path)) as directory:
        directory.format(IDENTITY, CONFIGURATION, GENESIS, segment_size=SMALL)
        (tmp_path / "current" / segment_name(99)).write_bytes(b"left by a preparation that was cut short")
        (tmp_path / "current" / "MANIFEST.new").write_bytes(b"left by a replacement that was cut short")
        (tmp_path / "current" / "snapshots" / "own.part").write_bytes(b"left by a snapshot that was cut short")
        directory.open(segment_size=SMALL).close()
    assert sorted(path.name for path in (tmp_path / "current").rglob("*") if path.is_file()) == [
        "00000000000000000000.snap",
        "00000000000000000002.wal",
        "IDENTITY",
        "MANIFEST",
    ]
