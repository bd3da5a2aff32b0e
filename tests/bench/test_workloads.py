"""The work, on a system in memory."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bench.load import workloads
from bench.load.job import Job
from bench.load.workloads import READY, Roll, spread, work
from tests.bench.toys import Store, driver_of

ENDPOINTS = ("a", "b", "c")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty system, in which waiters are in line at once."""
    monkeypatch.setattr(workloads, "SETTLE", 0.01)
    return Store()


def job(workload: str, in_flight: int = 4, connections: int = 2, nodes: int = 0) -> Job:
    """A short one."""
    return Job(workload, ENDPOINTS, in_flight, connections, 0.05, 0.01, rounds=3, nodes=nodes)


@pytest.mark.parametrize("workload", ["writes", "reads", "near_reads", "lock_cycles", "fail_over", "outage"])
async def test_a_closed_loop_works_and_says_when_it_is_measured(
    workload: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a figure, without errors; every connection is closed again."""
    sample = await work(driver_of(store), job(workload))
    assert sample.value > 0
    assert sample.operations > 4
    assert sample.errors == 0
    assert capsys.readouterr().out.splitlines() == [READY]
    assert store.open == 0


async def test_connections_begin_at_the_next_endpoint_each(store: Store) -> None:
    """And know the others as well, for when theirs dies."""
    await work(driver_of(store), job("writes", 5, 4))
    assert store.asked == [("a", "b", "c"), ("b", "c", "a"), ("c", "a", "b"), ("a", "b", "c")]


def test_operations_are_spread_over_the_connections() -> None:
    """Evenly, in turn."""
    assert spread(["x", "y"], 5) == ["x", "y", "x", "y", "x"]


async def test_each_operation_has_a_node_of_its_own(store: Store) -> None:
    """Nothing conflicts; values have the size that the job says."""
    await work(driver_of(store), job("writes", 4))
    assert set(store.values) == {"w0000", "w0001", "w0002", "w0003"}
    assert {len(value) for value in store.values.values()} == {100}


async def test_a_contended_lock_goes_through_everybody_in_each_round(store: Store) -> None:
    """The holder first, then each waiter once."""
    sample = await work(driver_of(store), job("contended_lock", 5, 6))
    clients = [client for _, client in store.granted]
    rounds = [clients[first : first + 6] for first in range(0, len(clients), 6)]
    assert len(rounds) == 3
    assert all(len(set(each)) == 6 and each[0] == clients[0] for each in rounds)
    assert sample.operations == 15


async def test_fan_out_waits_for_the_last_watcher(store: Store) -> None:
    """All watches are set again between rounds; the first round is not counted."""
    sample = await work(driver_of(store), job("fan_out", 20, 4))
    assert len(store.watches["watched"]) == 20
    assert sample.operations == 3
    assert 0 < sample.value < 1
    assert store.renewed == 4 * 4


async def test_nodes_are_there_before_the_work(store: Store) -> None:
    """Once, by the first connection."""
    sample = await work(driver_of(store), job("fill", nodes=500))
    assert store.filled == 500
    assert sample.operations == 500


async def test_a_work_that_nobody_knows_is_an_error(store: Store) -> None:
    """At once."""
    with pytest.raises(KeyError):
        await work(driver_of(store), job("nonsense"))


async def test_a_roll_is_complete_when_the_last_has_called_from_whatever_thread() -> None:
    """Not before; and then it begins again."""
    roll = Roll(10)
    for _ in range(2):
        roll.all.clear()
        threads = [threading.Thread(target=roll.call) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        await asyncio.sleep(0)
        assert not roll.all.is_set()
        roll.call()
        await asyncio.wait_for(roll.all.wait(), 10)
