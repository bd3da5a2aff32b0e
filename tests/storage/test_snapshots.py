"""The snapshots a replica keeps: made, received, served, pinned, pruned, survived when they rot (DESIGN §3 Disk)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import msgspec
import pytest

from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.ready import ChosenRecord
from chubby.storage.life import OpenedDirectory
from chubby.storage.manifest import Manifest
from chubby.storage.places import Within
from chubby.storage.segment import STEP
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.storage.snapshots import snapshot_name
from tests.storage.fake_files import FailAt, FakeFiles, nothing
from tests.storage.samples import (
    GENESIS,
    IDENTITY,
    accepted,
    entry,
    expected,
    formatted,
    header,
    newer,
    reopened,
    same_log,
    slices,
    snapshot,
)


def opened_store() -> tuple[FakeFiles, OpenedDirectory]:
    """A fresh disk, opened."""
    files = FakeFiles()
    formatted(files)
    opened = reopened(files)
    files.record = True
    files.operations.clear()
    return files, opened


def file_of(slot: int) -> str:
    """The file of a snapshot."""
    return f"current/{snapshot_name(slot)}"


def whole(slot: int, head: SnapshotHeader | None = None) -> bytes:
    """The bytes of a snapshot, as another replica would send them."""
    encoder = SnapshotEncoder(head or header(slot))
    return b"".join((encoder.header, *map(encoder.block, slices(slot)), encoder.footer()))


def receive(opened: OpenedDirectory, slot: int, data: bytes, chunk: int = 64) -> None:
    """A transfer from beginning to end."""
    sink = opened.snapshots.sink(slot, len(data))
    for offset in range(0, len(data), chunk):
        assert not sink.complete and sink.received == offset
        sink.store(offset, data[offset : offset + chunk])
    assert sink.complete
    sink.install()


def rot(files: FakeFiles, slot: int) -> None:
    """One bit of a snapshot turns over."""
    name = file_of(slot)
    middle = len(files.contents(name)) // 2
    files.rot(name, middle, bytes((files.contents(name)[middle] ^ 8,)))


def parts(files: FakeFiles) -> list[str]:
    """What is lying beside."""
    return [name for name in files.tree() if name.endswith(".part")]


def test_a_formatted_replica_has_its_genesis() -> None:
    """DESIGN §3 Incarnations: slot 0 is the genesis configuration."""
    files, opened = opened_store()
    assert opened.snapshots.slots == (0,)
    facts = opened.snapshots.newest()
    assert facts is not None and (facts.slot, facts.size) == (0, len(files.contents(file_of(0))))
    with opened.snapshots.reader(0) as reader:
        assert tuple(reader.slices()) == GENESIS
        assert reader.header.cell == IDENTITY.cell


def test_a_finished_snapshot_is_durable_and_read_back_as_written() -> None:
    """Written beside, fsynced, renamed, directory fsynced."""
    files, opened = opened_store()
    snapshot(opened, 5)
    assert opened.snapshots.slots == (0, 5)
    assert not parts(files)
    files.power_loss(nothing)
    again = reopened(files)
    assert again.recovered.snapshot == 5
    assert again.recovered.snapshot_size == len(files.contents(file_of(5)))
    with again.snapshots.reader(5) as reader:
        assert reader.header == header(5)
        assert tuple(reader.slices()) == slices(5)


def test_an_unfinished_snapshot_is_none() -> None:
    """It lies beside, is not counted, and goes at the next start."""
    files, opened = opened_store()
    opened.snapshots.begin(header(5)).write(b"x" * STEP)
    assert opened.snapshots.slots == (0,) and len(parts(files)) == 1
    files.process_crash()
    assert reopened(files).snapshots.slots == (0,) and not parts(files)


def test_a_large_snapshot_is_flushed_in_small_chunks() -> None:
    """Paxos Made Live: so that no sync of the log waits behind a large one."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    unsynced = largest = 0
    for number in range(300):
        files.operations.clear()
        writer.write(bytes([number % 251 + 1]) * 20_000)
        for operation in files.operations:
            unsynced = 0 if operation.kind == "sync" else unsynced + 20_000
        largest = max(largest, unsynced)
    writer.finish()
    assert largest <= STEP
    assert len(files.contents(file_of(5))) > 300 * 20_000


def test_a_slice_of_many_mebibytes_is_flushed_in_small_chunks_too() -> None:
    """One write of at most 1 MiB between two syncs."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    files.operations.clear()
    writer.write(b"x" * (3 * STEP))
    assert [operation.kind for operation in files.operations] == ["write", "sync"] * 4


def test_finishing_is_done_in_bounded_steps() -> None:
    """Between them the shell appends to the log."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    for _ in range(6):
        writer.write(b"x" * STEP)
    most = steps = 0
    done = False
    while not done:
        files.operations.clear()
        done = writer.finish_step()
        steps += 1
        most = max(most, sum(operation.kind == "read" for operation in files.operations))
    assert steps > 6 and most <= 1


def test_what_does_not_read_back_is_not_installed() -> None:
    """A snapshot counts only when verified; the old ones stay."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    writer.write(b"x" * STEP)
    file = files.open("current/snapshots/own.part")
    file.write(1000, b"stray write")
    file.close()
    with pytest.raises(CorruptData, match=r"own\.part"):
        writer.finish()
    assert opened.snapshots.slots == (0,) and not parts(files)


def test_a_new_attempt_ends_the_one_before() -> None:
    """At most one of each kind is under way."""
    files, opened = opened_store()
    first = opened.snapshots.begin(header(5))
    second = opened.snapshots.begin(header(6))
    first.abandon()
    second.write(b"6")
    second.finish()
    second.abandon()
    opened.snapshots.sink(9, 10)
    receive(opened, 8, whole(8))
    assert opened.snapshots.slots == (0, 6, 8) and not parts(files)


def test_empty_slices_are_left_out() -> None:
    """A block's length of zero is the footer's mark."""
    _, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    for piece in (b"", b"a", b"", b"b"):
        writer.write(piece)
    writer.finish()
    with opened.snapshots.reader(5) as reader:
        assert list(reader.slices()) == [b"a", b"b"]


@pytest.mark.parametrize("kind", ["create", "write", "sync", "rename", "sync_directory"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_refuses_a_snapshot_leaves_the_log_alone(kind: str, code: int) -> None:
    """Only trouble with the log stops the replica; a snapshot is tried again later."""
    files, opened = opened_store()
    files.interference = FailAt(0, code, frozenset({kind}))
    with pytest.raises(StorageFailed, match=r"No space left|Input/output error"):
        snapshot(opened, 5)
    assert opened.snapshots.slots == (0,) and not parts(files)
    opened.wal.append([accepted(1)])
    snapshot(opened, 5)
    files.power_loss(nothing)
    assert reopened(files).recovered.snapshot == 5


def test_a_received_snapshot_is_installed_like_an_own_one() -> None:
    """The file arrives as its bytes lie on the sender's disk."""
    files, opened = opened_store()
    receive(opened, 40, whole(40))
    assert files.contents(file_of(40)) == whole(40)
    files.power_loss(nothing)
    again = reopened(files)
    assert again.recovered.snapshot == 40 and again.recovered.configuration == header(40).configuration


def test_a_snapshot_travels_in_chunks_from_replica_to_replica() -> None:
    """`read_chunk` on one side, `ChunkSink` on the other."""
    _, source = opened_store()
    snapshot(source, 12)
    files, target = opened_store()
    sink = None
    offset = 0
    while sink is None or not sink.complete:
        chunk = source.snapshots.read_chunk(12, offset, 50)
        assert chunk is not None and chunk.offset == offset and len(chunk.data) <= 50
        sink = sink or target.snapshots.sink(chunk.slot, chunk.size)
        sink.store(chunk.offset, chunk.data)
        offset += len(chunk.data)
    sink.install()
    assert target.snapshots.verify(12) == header(12)
    assert source.snapshots.read_chunk(13, 0, 50) is None, "a snapshot that is gone is said to be"
    assert files.open_files == 1, "only the log's segment is open"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:200] + bytes((data[200] ^ 1,)) + data[201:], "expected block"),
        (lambda data: data[:-1], "a part of the snapshot is missing"),
        (lambda _: whole(41), "at slot 41; expected cell 0xce11, slot 40"),
        (lambda _: whole(40, msgspec.structs.replace(header(40), cell=1)), "a snapshot of cell 0x1 at slot 40"),
        (lambda data: data.replace(b"CHUBSNAP", b"CHUBSNAX"), "found b'CHUBSNAX'"),
        (lambda data: b"x" * len(data), "expected b'CHUBSNAP'"),
        (lambda _: newer(b"CHUBSNAP", b"of a newer release"), "format version 2"),
    ],
)
def test_what_cannot_be_used_is_rejected_and_changes_nothing(spoil: Callable[[bytes], bytes], message: str) -> None:
    """The receiver verifies everything: rot on the way, a wrong slot, another cell."""
    files, opened = opened_store()
    with pytest.raises(CorruptData, match=message):
        receive(opened, 40, spoil(whole(40)))
    assert list(opened.snapshots.slots) == [0] and not parts(files)
    receive(opened, 40, whole(40))
    assert list(opened.snapshots.slots) == [0, 40]


def test_chunks_come_in_order_and_end_where_announced() -> None:
    """A gap, a repetition and an excess end the transfer."""
    for offset, data in ((1, b"x"), (0, b"x" * 11)):
        files, opened = opened_store()
        sink = opened.snapshots.sink(40, 10)
        with pytest.raises(CorruptData, match="expected offset 0 and at most 10 bytes"):
            sink.store(offset, data)
        assert not parts(files)


def test_an_own_snapshot_as_new_as_a_received_one_is_dropped() -> None:
    """Whichever was there first may be on its way to somebody."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(40))
    writer.write(b"own")
    receive(opened, 40, whole(40))
    writer.finish()
    receive(opened, 39, whole(39))
    assert opened.snapshots.slots == (0, 40) and not parts(files)
    assert files.contents(file_of(40)) == whole(40)


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
