"""The life of a cell under faults: each workload by itself, members that change, snapshots; and that such runs prove
something.
"""

from __future__ import annotations

import msgspec
import pytest

from chubby.types.calls import CancelAcquire
from chubby.types.identity import CallNumber
from chubby.types.stream import CallFrame, ClientFrame
from chubby.types.time import SECOND
from tests.simulation.clients import ClientHost
from tests.simulation.faults import BEYOND
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario, Verdict
from tests.simulation.workloads.fences import Fences
from tests.simulation.workloads.gates import Gates
from tests.simulation.workloads.waiters import Waiters

SEEDS = range(2)


def run_only(workload: str, seed: int, faults: tuple[str, ...] = (), rate: float = 40) -> tuple[Scenario, Verdict]:
    """Run that seed for a short while with all clients at this, and at nothing else; with these faults, or its own that
    keep clocks within the bound.
    """
    plan = draw(seed, 20 * SECOND)
    faults = faults or tuple(name for name in plan.faults if name not in BEYOND)
    scenario = Scenario(
        msgspec.structs.replace(plan, workloads=(workload,), faults=faults, clients=6, rate=rate, bounded=True)
    )
    return scenario, scenario.run()


def test_watchers_are_told_everything() -> None:
    """DESIGN §5 Events, across fail-overs."""
    found = [run_only("watchers", seed)[1].found for seed in SEEDS]
    assert sum(each.events for each in found) >= 500


def test_queues_and_delays() -> None:
    """DESIGN §4 Locks, Lock-delay: with many handles, cancelled acquires, sessions that end and others that begin."""
    handed_on = delays = closed = ends = 0
    for seed in range(3):
        scenario, verdict = run_only("waiters", seed, ("crash_client", "crash_master"))
        waiters = scenario.workloads["waiters"]
        assert isinstance(waiters, Waiters)
        closed += waiters.closed
        handed_on += verdict.found.handed_on
        delays += verdict.found.delays
        ends += verdict.found.ends
    assert ends >= 1, "sessions were told of their end, and their programs went on for a while"
    assert handed_on >= 50 and delays >= 1 and closed >= 1


def test_calls_that_a_session_makes_by_itself_count_as_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """An acquire whose time is up is cancelled: when the session ends that may be on its way, and take effect."""
    cancelled: list[CallNumber] = []
    send = ClientHost._send

    def sent(client: ClientHost, stream: int, frame: ClientFrame) -> None:
        if isinstance(frame, CallFrame):
            assert client.last_number >= frame.number
            if isinstance(frame.call, CancelAcquire):
                cancelled.append(frame.number)
        send(client, stream, frame)

    monkeypatch.setattr(ClientHost, "_send", sent)
    run_only("waiters", 0, ("crash_client",))
    assert len(cancelled) >= 10


def test_sequencers_and_fenced_writes() -> None:
    """DESIGN §4 Token: both answers about sequencers occur."""
    valid = invalid = 0
    for seed in SEEDS:
        fences = run_only("fences", seed)[0].workloads["fences"]
        assert isinstance(fences, Fences)
        valid += fences.valid
        invalid += fences.invalid
    assert valid >= 3 and invalid >= 10


def test_gates_and_numbers() -> None:
    """DESIGN §4 ACLs, Revision; §5: metadata and child lists are as consistent as contents."""
    for seed in SEEDS:
        gates = run_only("gates", seed)[0].workloads["gates"]
        assert isinstance(gates, Gates)
        assert gates.passed >= 10 and gates.refused >= 10 and gates.turned >= 10
        assert run_only("numbers", seed)[1].found.acknowledgements >= 50


def test_members_change_in_the_middle_of_everything() -> None:
    """DESIGN §3 Membership: replicas are replaced, added and removed; the new ones vote, the old ones find out."""
    scenario = Scenario(msgspec.structs.replace(draw(100, 60 * SECOND), operated=True))
    scenario.run()
    operator = scenario.operator
    assert len(scenario.hosts) == scenario.plan.replicas
    assert operator.replaced >= 1 and operator.added >= 1 and operator.removed >= 1


def test_snapshots_are_written_and_the_log_is_purged() -> None:
    """DESIGN §3 Disk: logs are short in the simulator, so that both happen in every longer run."""
    scenario, verdict = run_only("registers", 0, ("crash", "pause"), rate=200)
    assert verdict.found.commands > 500
    replicas = [host.replica for host in scenario.hosts if host.replica is not None]
    assert min(replica.snapshot_slot for replica in replicas) > 0, "every replica wrote a snapshot"
    assert any(replica.entry(1) is None for replica in replicas), "a log goes back to the older of two snapshots"
