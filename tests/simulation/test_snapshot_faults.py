"""Faults about snapshots: logs go, and who was away has no other way back (DESIGN §3 Disk, Membership)."""

from __future__ import annotations

import pytest

from chubby.types.time import SECOND
from tests.simulation.fault_cells import Cell
from tests.simulation.faults import snapshots


def test_snapshots_take_the_place_of_the_log() -> None:
    """Each replica has two, and no log before the older one; whoever starts then starts from these."""
    cell = Cell()
    firsts = [cell.field.standing(host) for host in cell.hosts]
    assert all(standing is not None and standing.first == 1 for standing in firsts)
    snapshots.take_snapshots(cell.field)
    cell.run(6 * SECOND)
    for host in cell.hosts:
        assert len([name for name in host.disk.tree() if name.endswith(".snap")]) == 2
        assert host.replica is not None and host.replica.snapshot_slot > 0
    cell.settle()
    began = [standing for host in cell.hosts if (standing := cell.field.standing(host)) is not None]
    assert any(standing.first > 1 for standing in began), "one of them started again"


@pytest.mark.parametrize("replicas", [3, 5])
def test_who_is_left_behind_comes_back_by_a_snapshot(replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cell of five another one was replaced meanwhile; in one of three the rest could not have gone on."""
    cell = Cell(replicas)
    before = {host.place: host.incarnation for host in cell.hosts}
    traced: list[str] = []
    monkeypatch.setattr(cell.world, "trace", traced.append)
    behind = cell.follower()
    cell.aim(behind)
    snapshots.leave_behind(cell.field)
    assert f"{behind.place} is left behind" in traced and "leave_behind" in cell.field.under_way
    struck = len(traced)
    snapshots.leave_behind(cell.field)
    assert len(traced) == struck, "one at a time"
    cell.run(20 * SECOND)
    assert cell.field.hits["leave_behind"] == 1 and not cell.field.under_way
    assert any(line.startswith(f"{behind.place} installs a snapshot") for line in traced)
    cell.settle()
    changed = [host.place for host in cell.hosts if host.incarnation != before[host.place]]
    assert len(changed) == (replicas == 5) and behind.place not in changed
    assert all(cell.field.network.connected(one, other) for one in before for other in before)


def test_who_is_left_behind_is_let_back_if_it_comes_to_nothing() -> None:
    """Nobody writes a snapshot while all others are down: it is not cut off for ever."""
    cell = Cell()
    behind = cell.follower()
    cell.aim(behind)
    snapshots.leave_behind(cell.field)
    for host in cell.field.others(behind):
        host.crash()
    cell.run(20 * SECOND)
    assert not cell.field.hits["leave_behind"] and not cell.field.under_way
    for host in cell.field.others(behind):
        cell.field.up(host)
    cell.settle()
