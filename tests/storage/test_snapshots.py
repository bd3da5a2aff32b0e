"""Snapshots in the making: written, received, served, and refused when they do not verify (DESIGN §3 Disk)."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import msgspec
import pytest

from chubby.errors import CorruptData, StorageFailed
from chubby.storage.life import OpenedDirectory
from chubby.storage.segment import STEP
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.storage.snapshot_reader import exhaust
from chubby.storage.snapshots import snapshot_name
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import FailAt
from tests.storage.samples import (
    GENESIS,
    IDENTITY,
    accepted,
    formatted,
    header,
    newer,
    reopened,
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
    sink.verify(exhaust)
    sink.install()


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
    sink.verify(exhaust)
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


def test_a_received_snapshot_is_loaded_in_the_pass_that_verifies_it() -> None:
    """Read once; what `load` rejects is not installed, whole or not, and the next transfer finds its place free."""
    files, opened = opened_store()
    data = whole(40)
    for attempt in ("rejected", "taken"):
        sink = opened.snapshots.sink(40, len(data))
        sink.store(0, data)
        files.operations.clear()
        loaded: list[bytes] = []

        def load(pieces: Iterator[bytes], attempt: str = attempt, loaded: list[bytes] = loaded) -> None:
            loaded += pieces
            if attempt == "rejected":
                raise CorruptData("its rows contradict each other")

        if attempt == "rejected":
            with pytest.raises(CorruptData, match="contradict"):
                sink.verify(load)
            assert opened.snapshots.slots == (0,) and not parts(files)
        else:
            assert sink.verify(load) == header(40)
            reads = [operation for operation in files.operations if operation.kind == "read"]
            assert len(reads) == 2, "all of it in one piece, and then its end"
            assert opened.snapshots.slots == (0,), "verified is not installed"
            sink.install()
        assert tuple(loaded) == slices(40)
    assert opened.snapshots.slots == (0, 40)


def test_all_of_a_received_snapshot_is_on_disk_before_it_is_verified() -> None:
    """The last chunk brings its sync along: `verify` only reads, so it may run beside the log."""
    files, opened = opened_store()
    data = whole(40)
    sink = opened.snapshots.sink(40, len(data))
    sink.store(0, data[:100])
    sink.store(100, data[100:])
    files.operations.clear()
    sink.verify(exhaust)
    assert {operation.kind for operation in files.operations} == {"read"}


def test_a_failed_attempt_is_told_by_its_first_failure() -> None:
    """A disk that turned read-only also refuses to remove what was being written; that is not what to look into."""
    files, opened = opened_store()
    writer = opened.snapshots.begin(header(5))
    files.interference = FailAt(0, errno.EIO, lasting=True)
    with pytest.raises(StorageFailed, match=r"writing /fake/current/snapshots/own\.part: Input/output error"):
        writer.write(b"x" * STEP)
    files.interference = None
    opened.snapshots.begin(header(5)).write(b"x" * STEP)
    files.interference = FailAt(0, errno.EROFS, lasting=True)
    opened.close()
    assert files.open_files == 0, "closing a directory is no place for new trouble"
    files.interference = None
    assert reopened(files).snapshots.slots == (0,) and not parts(files)


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
