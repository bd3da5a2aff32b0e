"""The work of ours alone, on a real cell: short, but all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.load import ours_cache, workloads
from bench.load.engines import AsyncAct
from bench.load.job import Job
from bench.load.ours_client import DRIVER
from bench.load.ours_only import WORKLOADS
from bench.load.workloads import READY, work
from bench.peers.cluster import Cluster
from bench.peers.ours import Ours

COMMON = ("writes", "reads", "near_reads", "lock_cycles", "contended_lock", "fan_out", "fail_over", "outage", "fill")


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Of a cell of three."""
    with Cluster(Ours(), tmp_path_factory.mktemp("bench") / "cell", 3) as cluster:
        yield tuple(cluster.endpoints())


@pytest.fixture
def job(endpoints: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Job:
    """A short one for four operations in flight."""
    monkeypatch.setattr(workloads, "SETTLE", 0.2)
    monkeypatch.setattr(ours_cache, "BURST", 100)
    return Job("", endpoints, 4, 2, 0.2, 0.05, rounds=2)


@pytest.mark.parametrize("workload", COMMON)
async def test_our_client_does_what_all_clients_do(workload: str, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an error, and it says when it begins."""
    connections = 5 if workload == "contended_lock" else 2
    given = Job(workload, job.endpoints, 4, connections, 0.2, 0.05, rounds=2, nodes=1500 if workload == "fill" else 0)
    sample = await work(DRIVER, given)
    assert sample.value > 0
    assert sample.errors == 0
    assert capsys.readouterr().out.splitlines() == [READY]


@pytest.mark.parametrize("workload", ["cached_reads", "cached_reads_sync", "wide", "deep"])
async def test_what_only_ours_does_is_done(workload: str, job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """The same way."""
    given = Job(workload, job.endpoints, 4, 2, 0.2, 0.05, nodes=300, depth=5)
    sample = await WORKLOADS[workload](given)
    assert sample.value > 0
    assert sample.operations > 0
    assert capsys.readouterr().out.splitlines() == [READY]


async def test_a_cached_read_asks_nobody(job: Job) -> None:
    """That is what makes it one: there are far more of them than a master could answer."""
    cached = await WORKLOADS["cached_reads"](job)
    asked = await work(DRIVER, Job("reads", job.endpoints, 1, 1, 0.2, 0.05))
    assert cached.value > 3 * asked.value


async def test_a_filled_cell_is_not_filled_again(job: Job) -> None:
    """A second generator finds the nodes there; growing adds what is missing."""

    async def nodes() -> int:
        client = await DRIVER.connect(job.endpoints)
        await client.fill(1200, b"v")
        write: AsyncAct = await client.writer("full/0/7", b"again")
        await write()
        await client.close()
        return 1

    assert [await nodes(), await nodes()] == [1, 1]
