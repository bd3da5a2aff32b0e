"""New cells from old contents (DESIGN §4: "a restored cell gets a new cell id and key, and every counter starts at
max(own, unix seconds << 20)").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chubby.config.load import load_cell
from chubby.daemon.founding import SLICE, first_configuration, first_machine, format_replica
from chubby.daemon.restoring import floor_at, found_cell, machine_of_directory
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace import commands
from chubby.namespace.commands import (
    AcquireLock,
    BeginEpoch,
    Body,
    Command,
    OpenSession,
    Request,
    Transaction,
)
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Identity
from chubby.paxos.messages import Ballot, Entry, Value, ValueKind
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, PromisedRecord
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.files import OsFiles
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.types.nodes import LockMode
from chubby.types.transaction import Create

LOCAL = Path(__file__).parents[2] / "cell_config" / "local.toml"
CELL, NEW = 7, 8
NOW = 1_790_000_000


def bodies(machine: Machine) -> list[Body]:
    """A short life: an epoch, a session, a permanent file with a lock held, an ephemeral one."""
    acquire = AcquireLock(1, "/kept", 3, LockMode.EXCLUSIVE, wait=False, delay=0)
    return [
        BeginEpoch(1),
        OpenSession(5, "anyone", caching=False),
        Request(1, 1, 0, Transaction(then=(Create("/kept", b"content", attributes={"a": b"1"}),))),
        Request(1, 2, 0, Transaction(then=(Create("/gone", b"", ephemeral=True),))),
        Request(1, 3, 0, acquire),
    ]


def lived() -> tuple[Machine, list[bytes]]:
    """A machine after that life, and the commands of it."""
    machine = first_machine(load_cell(LOCAL), CELL)
    payloads = []
    for slot, body in enumerate(bodies(machine), 1):
        command = Command(0 if isinstance(body, BeginEpoch) else 1, slot, 0, body)
        payloads.append(commands.encode(command))
        machine.apply(slot, command)
    return machine, payloads


def directories(tmp_path: Path) -> dict[int, Path]:
    """Where the new cell's replicas keep their data."""
    return {replica: tmp_path / f"replica-{replica}" for replica in range(1, 6)}


def test_permanent_files_come_back_and_holders_do_not(tmp_path: Path) -> None:
    """Sessions, locks and ephemeral files of the old cell do not come back to life."""
    old, _ = lived()
    assert old.node("/kept") is not None and old.node("/gone") is not None
    assert old.session_count == 1 and old.lock_count == 1
    born = found_cell(old, load_cell(LOCAL), directories(tmp_path), NEW, floor_at(NOW))
    kept = born.node("/kept")
    assert kept is not None and kept.contents == b"content" and kept.stat.attributes == {"a": b"1"}
    assert born.node("/gone") is None
    assert (born.session_count, born.lock_count, born.cell) == (0, 0, NEW)


def test_every_counter_starts_above_whatever_the_old_cell_can_have_used(tmp_path: Path) -> None:
    """Old fencing tokens stay below new ones, even those granted after the backup was taken."""
    old, _ = lived()
    born = found_cell(old, load_cell(LOCAL), directories(tmp_path), NEW, floor_at(NOW))
    assert born.revision >= NOW << 20
    born.apply(1, Command(0, 1, 0, BeginEpoch(1)))
    born.apply(2, Command(1, 1, 0, OpenSession(6, "anyone", caching=False)))
    session = next(iter(born.session_ids()))
    assert session > NOW << 20
    node = born.node("/kept")
    assert node is not None
    acquire = AcquireLock(1, "/kept", node.instance, LockMode.EXCLUSIVE, wait=False, delay=0)
    outcome = born.apply(3, Command(1, 2, 0, Request(session, 1, 0, acquire)))
    assert outcome.grants and outcome.grants[0].token > NOW << 20


def test_all_replicas_of_the_new_cell_begin_alike(tmp_path: Path) -> None:
    """The same number and floor give the same first state on every machine."""
    old, _ = lived()
    config = load_cell(LOCAL)
    one = found_cell(old, config, {1: tmp_path / "a"}, NEW, floor_at(NOW))
    other = found_cell(old, config, {2: tmp_path / "b"}, NEW, floor_at(NOW))
    assert one.digest() == other.digest()


def test_nothing_is_touched_unless_all_directories_are_empty(tmp_path: Path) -> None:
    """A cell is only ever restored into empty directories."""
    old, _ = lived()
    config = load_cell(LOCAL)
    places = directories(tmp_path)
    places[3].mkdir()
    with DataDirectory(OsFiles(str(places[3])), 3) as directory:
        format_replica(directory, config, 3, CELL)
    with pytest.raises(StorageFailed, match="not empty"):
        found_cell(old, config, places, NEW, floor_at(NOW))
    with DataDirectory(OsFiles(str(places[1])), 1) as directory:
        assert directory.inspect().identity is None


def test_a_surviving_directory_gives_back_what_was_chosen_and_accepted(tmp_path: Path) -> None:
    """After a quorum is gone: the log of the survivor is replayed, its unconfirmed end is counted and told."""
    config = load_cell(LOCAL)
    expected, payloads = lived()
    ballot = Ballot(1, 1, 99)
    with DataDirectory(OsFiles(str(tmp_path)), 1) as directory:
        format_replica(directory, config, 1, CELL)
        opened = directory.open()
        entries = [
            AcceptedRecord(Entry(slot, ballot, Value(ValueKind.COMMANDS, (payload,))))
            for slot, payload in enumerate(payloads, 1)
        ]
        opened.wal.append([PromisedRecord(ballot), *entries, ChosenRecord(len(entries) - 2)])
        opened.close()
    found = machine_of_directory(tmp_path)
    assert found.applied == len(payloads) and found.unconfirmed == 2
    assert found.machine.digest() == expected.digest()


def test_a_directory_in_use_is_not_read(tmp_path: Path) -> None:
    """Its replica still runs: then nothing is lost, and nothing is to be recovered."""
    config = load_cell(LOCAL)
    with DataDirectory(OsFiles(str(tmp_path)), 1) as directory:
        format_replica(directory, config, 1, CELL)
        with pytest.raises(StorageFailed, match="in use"):
            machine_of_directory(tmp_path)


def test_a_disk_that_refuses_in_the_middle_is_told_with_what_is_to_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a cell is none: whoever tries again knows which directories have to go first."""
    old, _ = lived()
    original = DataDirectory.format
    made: list[DataDirectory] = []

    def refuse(self: DataDirectory, *arguments: Any, **options: Any) -> None:
        made.append(self)
        if len(made) == 3:
            raise StorageFailed("the disk is full")
        original(self, *arguments, **options)

    monkeypatch.setattr(DataDirectory, "format", refuse)
    places = directories(tmp_path)
    with pytest.raises(
        StorageFailed, match="the disk is full; before you try again, remove what was made before"
    ) as no:
        found_cell(old, load_cell(LOCAL), places, NEW, floor_at(NOW))
    assert str(places[1]) in str(no.value) and str(places[2]) in str(no.value) and str(places[3]) not in str(no.value)


def test_a_directory_in_use_is_not_restored_into(tmp_path: Path) -> None:
    """And none of the others is touched."""
    old, _ = lived()
    places = directories(tmp_path)
    with DataDirectory(OsFiles(places[5]), 5), pytest.raises(StorageFailed, match="in use"):
        found_cell(old, load_cell(LOCAL), places, NEW, floor_at(NOW))
    with DataDirectory(OsFiles(places[1]), 1) as directory:
        assert directory.inspect().condition is Condition.EMPTY


def test_a_newcomer_has_no_state_to_recover(tmp_path: Path) -> None:
    """It was rebuilt, and had not caught up when the others were lost."""
    with DataDirectory(OsFiles(tmp_path), 1) as directory:
        directory.become_new_incarnation(Identity(CELL, 1, 77))
    with pytest.raises(CorruptData, match="newcomer"):
        machine_of_directory(tmp_path)


def test_of_a_survivor_whose_newest_snapshot_is_rotten_the_older_one_and_the_log_are_taken(tmp_path: Path) -> None:
    """DESIGN §3 Disk: two snapshots, and the log since the older."""
    config = load_cell(LOCAL)
    expected, payloads = lived()
    with DataDirectory(OsFiles(tmp_path), 1) as directory:
        format_replica(directory, config, 1, CELL)
        opened = directory.open()
        ballot = Ballot(1, 1, 99)
        opened.wal.append(
            [
                AcceptedRecord(Entry(slot, ballot, Value(ValueKind.COMMANDS, (payload,))))
                for slot, payload in enumerate(payloads, 1)
            ]
        )
        writer = opened.snapshots.begin(
            SnapshotHeader(CELL, expected.applied, first_configuration(config, CELL), expected.version)
        )
        for piece in expected.snapshot().slices(SLICE):
            writer.write(piece)
        writer.finish()
        opened.close()
    newest = max((tmp_path / "current" / "snapshots").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    found = machine_of_directory(tmp_path)
    assert found.machine.digest() == expected.digest() and found.applied == len(payloads)
