"""Faults of disks and processes strike as they say, and cost what they may: a vote, never what was acknowledged."""

from __future__ import annotations

import random

import pytest

from chubby.types.time import MILLISECOND, SECOND
from tests.simulation.fault_cells import Cell
from tests.simulation.faults import Fault, disks, processes
from tests.simulation.hosts import ReplicaHost
from tests.storage.interference import CrashAt, Refuse


@pytest.mark.parametrize("name", ["IDENTITY", "MANIFEST", ".wal", ".snap"])
@pytest.mark.parametrize("fault", [disks.rot_anywhere, disks.truncate, disks.lose_file], ids=lambda each: each.__name__)
def test_damage_costs_the_vote_and_nothing_else(fault: Fault, name: str) -> None:
    """DESIGN §3 Incarnations: it comes back as another one, and catches up."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    cell.aim(host, name)
    fault(cell.field)
    cell.settle()
    assert host.incarnation != before and host.life > 2


def test_a_rotten_snapshot_costs_nothing_if_there_is_another_one() -> None:
    """DESIGN §3 Disk: two verified ones are kept, and the log since the older."""
    cell = Cell()
    host = cell.follower()
    assert host.replica is not None and host.replica.order_snapshot()
    host.pump()
    cell.run(2 * SECOND)
    snapshots = [name for name in host.disk.tree() if name.endswith(".snap")]
    assert len(snapshots) == 2
    before = host.incarnation
    cell.aim(host, snapshots[-1])
    disks.rot_anywhere(cell.field)
    cell.settle()
    assert host.incarnation == before


def test_lost_writes_cost_the_vote_where_they_can_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §3 Disk: the end of the log up to where MANIFEST was written, or a sector that others follow."""
    lost: list[int] = []
    for seed in range(5):
        cell = Cell(clients=1)
        traced: list[str] = []
        monkeypatch.setattr(cell.world, "trace", traced.append)
        before = {host: host.incarnation for host in cell.hosts}
        cell.field.chance = random.Random(seed)
        disks.lose_writes(cell.field)
        lost.append(sum(" are zero" in line for line in traced))
        (host,) = [host for host in cell.hosts if host.incarnation != before[host]]
        assert any(f"{host.place} is rotten" in line for line in traced)
        cell.settle()
    assert min(lost) == 1 and max(lost) > 5, "both kinds came up"


def test_one_disk_at_a_time_is_lost() -> None:
    """More is beyond the promise, so a second one within half a minute is spared."""
    cell = Cell()
    first, second = cell.hosts[:2]
    lives = first.incarnation, second.incarnation
    cell.aim(first, ".wal")
    disks.truncate(cell.field)
    cell.aim(second, ".wal")
    disks.truncate(cell.field)
    cell.settle()
    assert first.incarnation != lives[0] and second.incarnation == lives[1]


def test_a_full_disk_stops_a_replica_with_a_clear_message_until_there_is_room() -> None:
    """DESIGN §3 Disk: ENOSPC on the log."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    cell.aim(host, disks.GROWING, 1.0)
    disks.full_disk(cell.field)
    cell.run(10 * MILLISECOND)
    cell.run(SECOND)
    assert host.refusals and "the disk is full; free some space, then start the replica again" in host.refusals[0]
    cell.settle()
    assert host.incarnation == before and host.trouble is None


def test_no_room_for_a_snapshot_does_not_stop_a_replica() -> None:
    """DESIGN §3 Disk: trouble with a snapshot is none with the log."""
    cell = Cell()
    host = cell.follower()
    cell.field.befall(host, trouble := Refuse(28, frozenset({"create", "rename"})))
    assert host.replica is not None and host.replica.order_snapshot()
    host.pump()
    cell.run(SECOND)
    assert trouble.refused and host.unwritten == 1 and host.running and not host.refusals
    cell.field.mended(host, trouble)
    assert host.replica.order_snapshot()
    host.pump()
    cell.run(SECOND)
    assert host.unwritten == 1 and len([name for name in host.disk.tree() if name.endswith(".snap")]) == 2


@pytest.mark.parametrize("kinds", [disks.WRITING, disks.SYNCING], ids=["writing", "syncing"])
def test_input_and_output_errors_stop_a_replica(kinds: frozenset[str]) -> None:
    """DESIGN §3 Disk: EIO on the log; what could not be synced was never acknowledged."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    cell.aim(host, kinds, 1.0)
    disks.io_errors(cell.field)
    cell.run(SECOND)
    assert host.refusals and "input/output error" in host.refusals[0]
    cell.settle()
    assert host.incarnation == before


def test_a_disk_that_does_not_read_keeps_a_replica_from_starting() -> None:
    """It is not taken for a lost vote."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    host.crash()
    cell.field.befall(host, trouble := Refuse(5, disks.READING))
    host.start()
    cell.run(3 * SECOND)
    assert not host.running and len(host.refusals) >= 2
    cell.field.mended(host, trouble)
    cell.settle()
    assert host.incarnation == before


# --- processes -----------------------------------------------------------------------------------------------------


def test_a_crash_at_every_step_of_a_start() -> None:
    """DESIGN §3 Disk: the next start finds what the one before found; a start that is cut short costs no vote."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    for number in range(24):
        host.coming.append(CrashAt(number))
        host.crash()
        lives = host.life
        host.start()
        cell.run(3 * SECOND)
        assert host.running and host.life > lives + 1, f"it did not die before change {number}"
        assert host.incarnation == before
    cell.settle()


def test_a_crash_while_a_snapshot_is_written_or_fetched() -> None:
    """DESIGN §3 Disk: beside, synced, renamed; an attempt that is cut short leaves nothing behind."""
    cell = Cell()
    host = cell.follower()
    before = host.incarnation
    for number in range(12):
        assert host.replica is not None
        host.replica.order_snapshot()
        cell.field.befall(host, CrashAt(number))
        host.pump()
        cell.run(3 * SECOND)
        assert host.running and host.trouble is None and host.incarnation == before
    for number in range(0, 48, 4):
        host.crash()
        host.wipe()
        host.coming.append(CrashAt(number))
        host.start()
        cell.settle()
    assert not [name for name in host.disk.tree() if name.endswith((".part", ".new"))]


def test_a_crash_may_tear_what_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a start cuts it off."""
    cell = Cell()
    host = cell.follower()
    traced: list[str] = []
    monkeypatch.setattr(cell.world, "trace", traced.append)
    for _ in range(40):
        host.at_sync = host.crash
        for _ in range(100):
            cell.run(10 * MILLISECOND)
            if not host.running:
                break
        host.start()
    assert sum("torn write" in line for line in traced) >= 3


def test_a_killed_process_leaves_what_it_wrote() -> None:
    """Synced or not: the machine goes on, and nothing is torn."""
    cell = Cell()
    host = cell.follower()
    held = {name: host.disk.contents(name) for name in host.disk.tree()}
    host.kill()
    assert not host.running
    for name, contents in held.items():
        assert host.disk.contents(name)[: len(contents.rstrip(b"\0"))] == contents.rstrip(b"\0")
    host.start()
    cell.settle()


def test_a_majority_pauses_at_once() -> None:
    """Then nobody can be master for long."""
    cell = Cell(replicas=5)
    processes.pause_majority(cell.field)
    assert sum(host.paused_until > cell.world.now for host in cell.hosts) >= 3
    cell.settle()


@pytest.mark.parametrize("election", [False, True])
def test_a_blackout_takes_what_is_on_its_way_to_most_disks(election: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a vote or of a promise; then all come back with disks as fast as before."""
    cell = Cell(replicas=5)
    master = cell.field.reigning()
    monkeypatch.setattr(cell.field.chance, "random", lambda: 0.25 if election else 0.75)
    monkeypatch.setattr(cell.field, "later", lambda low, high: round((low + high) / 2) * MILLISECOND)
    lost: list[bool] = []
    crash = ReplicaHost.crash

    def die(host: ReplicaHost) -> None:
        lost.append(host.syncing)
        crash(host)

    monkeypatch.setattr(ReplicaHost, "crash", die)
    processes.blackout(cell.field)
    assert all(host.fsync > 100 * MILLISECOND for host in cell.hosts)
    assert master is not None and master.running != election
    lost.clear()
    cell.run(6 * SECOND)
    assert cell.field.hits["blackout"] == 1
    assert len(lost) >= 4 and sum(lost) >= 3, "a majority was syncing when it died"
    assert all(host.fsync == host.usual_fsync for host in cell.hosts)
    cell.settle()
