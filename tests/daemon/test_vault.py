"""What the shell does with the data directory, and what the disk may refuse it (DESIGN §3 Disk)."""

from __future__ import annotations

import errno
from collections import deque
from pathlib import Path

import pytest

from chubby.daemon.loading import Loader
from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.catchup import TRANSFER_PATIENCE
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.storage.files import OsFiles
from chubby.storage.snapshots import snapshot_name
from tests.daemon.samples import (
    accepted,
    machine_at,
    opened_directory,
    order,
    parts_of,
    snapshot_bytes,
    vault_of,
)
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import FailAt


def file_of(slot: int) -> str:
    """The file of a snapshot."""
    return f"current/{snapshot_name(slot)}"


def test_appends_and_a_snapshot_are_there_after_a_restart(tmp_path: Path) -> None:
    """The snapshot is loaded, the log goes on behind it."""
    with vault_of(OsFiles(tmp_path)) as (vault, _):
        vault.append([accepted(1), accepted(2)])
        deque(vault.write_snapshot(order(2), 0), maxlen=0)
        vault.append([accepted(3)])
        assert vault.size_of(2) == (tmp_path / file_of(2)).stat().st_size
        assert vault.size_of(3) is None
    with opened_directory(OsFiles(tmp_path)) as (opened, loader):
        assert loader.machine is not None and loader.machine.digest() == machine_at(2).digest()
        assert [entry.slot for entry in opened.recovered.entries] == [3]
        opened.close()


def test_a_snapshot_travels_from_vault_to_vault() -> None:
    """Read in parts on one side; stored, verified, loaded and installed on the other."""
    with vault_of(FakeFiles()) as (source, _), vault_of(FakeFiles()) as (target, opened):
        deque(source.write_snapshot(order(9), 0), maxlen=0)
        offset, complete = 0, False
        while not complete:
            chunk = source.read_chunk(ReadChunk(2, 9, offset))
            assert chunk is not None and 0 < len(chunk.data) <= 500
            complete = target.store_chunk(StoreChunk(9, chunk.offset, chunk.size, chunk.data))
            offset += len(chunk.data)
        fetched = target.load_fetched(Loader())
        assert list(opened.snapshots.slots) == [0], "what is loaded is not installed yet"
        target.install()
        assert (fetched.slot, fetched.size) == (9, source.size_of(9)) and opened.snapshots.slots == (0, 9)
        assert fetched.machine.digest() == machine_at(9).digest()
        assert fetched.configuration == order(9).configuration


def test_a_snapshot_that_is_gone_is_not_read() -> None:
    """The other side is told, and asks for the newest."""
    with vault_of(FakeFiles()) as (vault, _):
        assert vault.read_chunk(ReadChunk(2, 4, 0)) is None


def test_a_snapshot_whose_file_vanished_stops_the_replica_in_words() -> None:
    """It is no bug of ours, and another replica cannot be told that there is a newer one."""
    files = FakeFiles()
    with vault_of(files) as (vault, _):
        files.lose(next(name for name in files.tree() if name.endswith(".snap")))
        with pytest.raises(StorageFailed, match="missing; expected the snapshot at slot 0; start the replica again"):
            vault.read_chunk(ReadChunk(2, 0, 0))


def test_a_transfer_pins_the_snapshot_it_reads() -> None:
    """DESIGN §3 Disk: "a transfer pins its source", until its reader asks for another one, or for nothing any more."""
    times = [0]
    with vault_of(FakeFiles(), lambda: times[0]) as (vault, opened):

        def write(*slots: int) -> tuple[int, ...]:
            for slot in slots:
                deque(vault.write_snapshot(order(slot), 0), maxlen=0)
            return opened.snapshots.slots

        write(1, 2)
        assert vault.read_chunk(ReadChunk(2, 1, 0)) is not None
        assert vault.read_chunk(ReadChunk(3, 1, 0)) is not None
        assert write(3, 4) == (1, 3, 4)
        assert vault.read_chunk(ReadChunk(2, 1, 100)) is not None, "it is there for whoever began with it"
        assert vault.read_chunk(ReadChunk(2, 4, 0)) is not None
        assert write(5) == (1, 4, 5), "the other reader still needs it"
        times[0] += TRANSFER_PATIENCE + 1
        assert vault.read_chunk(ReadChunk(2, 4, 100)) is not None
        assert write(6) == (4, 5, 6), "nobody has read it for long"
        assert vault.read_chunk(ReadChunk(3, 1, 0)) is None


def test_appends_go_on_while_a_fetched_snapshot_is_loaded() -> None:
    """The log is not kept waiting: a replica that catches up still keeps its promises."""
    files = FakeFiles()
    with vault_of(files) as (vault, _):
        for part in parts_of(9, snapshot_bytes(9)):
            vault.store_chunk(part)
        files.record = True
        vault.load_fetched(Loader())
        assert {operation.kind for operation in files.operations} == {"read"}, "it reads, and changes nothing"
        vault.append([accepted(10)])
        vault.install()


@pytest.mark.parametrize("spoilt", ["a part", "the rows"])
def test_a_fetched_snapshot_that_is_no_good_changes_nothing(spoilt: str) -> None:
    """Neither bytes that do not verify nor bytes that do and hold no state are installed: no start could load them.

    The next attempt begins anew.
    """
    good = snapshot_bytes(9)
    bad = snapshot_bytes(9, (b"no slice of a machine",)) if spoilt == "the rows" else good[:700] + b"?" + good[701:]
    files = FakeFiles()
    with vault_of(files) as (vault, opened):
        assert [vault.store_chunk(part) for part in parts_of(9, bad)][-1]
        with pytest.raises(CorruptData):
            vault.load_fetched(Loader())
        assert list(opened.snapshots.slots) == [0] and not [name for name in files.tree() if "part" in name]
        assert [vault.store_chunk(part) for part in parts_of(9, good)][-1]
        vault.load_fetched(Loader())
        vault.install()
        assert opened.snapshots.slots == (0, 9)


def test_a_part_out_of_turn_ends_the_attempt() -> None:
    """Whatever comes after it is refused too, until one begins anew."""
    parts = parts_of(9, snapshot_bytes(9))
    with vault_of(FakeFiles()) as (vault, _):
        assert not vault.store_chunk(parts[0])
        for _ in range(3):
            with pytest.raises(CorruptData, match="expected offset"):
                vault.store_chunk(parts[2])
        assert [vault.store_chunk(part) for part in parts] == [False] * (len(parts) - 1) + [True]


def test_another_snapshot_takes_the_place_of_a_half_fetched_one() -> None:
    """The source moved on: the old parts are of no use."""
    old, new = parts_of(9, snapshot_bytes(9)), parts_of(11, snapshot_bytes(11))
    with vault_of(FakeFiles()) as (vault, opened):
        vault.store_chunk(old[0])
        for part in new:
            vault.store_chunk(part)
        assert vault.load_fetched(Loader()).slot == 11
        vault.install()
        assert opened.snapshots.slots == (0, 11)


def test_a_fetched_snapshot_may_overtake_the_one_being_written() -> None:
    """A slow replica fell behind meanwhile: what it wrote is of no use any more, and that is no failure."""
    with vault_of(FakeFiles()) as (vault, opened):
        writing = vault.write_snapshot(order(5), 0)
        next(writing)
        for part in parts_of(9, snapshot_bytes(9)):
            vault.store_chunk(part)
        vault.load_fetched(Loader())
        vault.install()
        deque(writing, maxlen=0)
        assert vault.size_of(5) is None and opened.snapshots.slots == (0, 9)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_trouble_with_a_snapshot_is_none_with_the_log(code: int) -> None:
    """DESIGN §3 Disk: ENOSPC or EIO on the log stops the replica; a snapshot is tried again with more log."""
    files = FakeFiles()
    with vault_of(files) as (vault, opened):
        files.interference = FailAt(0, code, frozenset({"write"}))
        with pytest.raises(StorageFailed):
            deque(vault.write_snapshot(order(5), 0), maxlen=0)
        vault.append([accepted(6)])
        deque(vault.write_snapshot(order(6), 0), maxlen=0)
        assert opened.snapshots.slots == (0, 6)


def test_after_a_failed_append_the_log_takes_nothing_any_more() -> None:
    """DESIGN §3 Disk: nobody knows what is on disk, so nothing more is acknowledged upon it."""
    files = FakeFiles()
    with vault_of(files) as (vault, _):
        files.interference = FailAt(0, errno.EIO, frozenset({"sync"}))
        for _ in range(2):
            with pytest.raises(StorageFailed, match="Input/output error"):
                vault.append([accepted(1)])
        with pytest.raises(StorageFailed):
            deque(vault.tend(), maxlen=0)


def test_snapshots_that_the_start_left_are_verified_and_a_rotten_one_is_told(tmp_path: Path) -> None:
    """Of the two that are kept one is spare, and a spare that is rotten is none."""
    with vault_of(OsFiles(tmp_path)) as (vault, _):
        for slot in (3, 6):
            deque(vault.write_snapshot(order(slot), 0), maxlen=0)
    older = tmp_path / file_of(3)
    data = bytearray(older.read_bytes())
    data[len(data) // 2] ^= 1
    older.write_bytes(data)
    with vault_of(OsFiles(tmp_path)) as (vault, opened):
        said: list[str] = []
        deque(vault.recheck(said.append), maxlen=0)
        assert len(said) == 1 and older.name in said[0]
        assert opened.snapshots.slots == (6,)
        deque(vault.recheck(said.append), maxlen=0)
        assert len(said) == 1
