"""Who runs when, and what one run comes to."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.compare import alternate as module
from bench.compare.alternate import alternate, systems_of, takes_part, turns
from bench.compare.catalogue import COMPARED, GROWING, QUICK, WORKS, Measure, Victims
from bench.compare.contenders import OURS, PYTHON, SYSTEMS, Kind, Placement, compiled
from bench.compare.runner import GeneratorFailed, job_of, measure
from bench.peers.cluster import Cluster
from tests.bench.toys import SAYS, WORK, Toy, generator
from tests.integration.cells import alive

ENDPOINTS = ["127.0.0.1:2", "127.0.0.1:1"]


@given(st.integers(1, 5), st.integers(0, 7))
def test_in_each_round_everybody_has_a_turn_and_another_is_first(parties: int, rounds: int) -> None:
    """So that what slowly changes on a machine meets all alike."""
    order = list(turns(range(parties), rounds))
    for number in range(rounds):
        inside = [party for each, party in order if each == number]
        assert sorted(inside) == list(range(parties))
        assert inside[0] == number % parties
    assert len(order) == parties * rounds


def test_no_parties_have_no_turns() -> None:
    """Nothing to divide by."""
    assert list(turns([], 3)) == []


def test_systems_come_in_the_order_of_reports() -> None:
    """Each once."""
    assert systems_of([*PYTHON, OURS]) == ["Chubby", "etcd", "ZooKeeper"]


def test_everything_is_measured_with_one_system_up_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two systems, two points, two rounds; the rounds begin with another system each; nothing is left."""
    names = {"a": Toy, "b": Toy}
    monkeypatch.setattr(module, "SYSTEMS", names)
    said: list[str] = []
    found = []
    for work, point, contender, measured in alternate(
        [WORK], [generator("a", "first"), generator("b", "second", Kind.PYTHON)], 2, tmp_path, said.append
    ):
        found.append((work, point, contender, measured.figure))
        assert len(list(tmp_path.iterdir())) == 1, "two systems are up"
    one, other = [("writes", point, "first", 100.0) for point in ("1", "10")], "second"
    two = [(work, point, other, value) for work, point, _, value in one]
    assert found == [*one, *two, *two, *one]
    assert len(said) == 8
    assert list(tmp_path.iterdir()) == []


def test_a_generator_that_fails_is_told_of_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on."""
    monkeypatch.setattr(module, "SYSTEMS", {"a": Toy})
    said: list[str] = []
    broken = generator("a", "broken", script="sys.exit('no such library')")
    found = list(alternate([WORK], [broken, generator("a", "whole")], 1, tmp_path, said.append))
    assert [contender for _, _, contender, _ in found] == ["whole", "whole"]
    assert "no such library" in said[0]


def test_who_stops_listening_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C does: the generator of measurements is closed, and with it the cluster."""
    monkeypatch.setattr(module, "SYSTEMS", {"a": Toy})
    running = alternate([WORK], [generator("a")], 3, tmp_path, lambda line: None)
    next(iter(running))
    assert len(list(tmp_path.iterdir())) == 1
    del running
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- one run


def test_one_run_comes_to_what_the_generator_says_and_what_it_cost(tmp_path: Path) -> None:
    """Members of sleeping shells cost nothing."""
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        found = measure(WORK, WORK.points[0], generator(), cluster)
    assert found.sample == SAYS
    assert found.figure == SAYS.value
    assert found.members < 0.1
    assert found.cost == pytest.approx(0.25 * 0.5 / 50, abs=0.005)
    assert 0 < found.elapsed < 60


def test_the_figure_may_be_the_cost_or_the_memory(tmp_path: Path) -> None:
    """As the work has it."""
    point = replace(WORK.points[0], nodes=10)
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        cost = measure(replace(WORK, measure=Measure.COST), point, generator(), cluster)
        memory = measure(replace(WORK, measure=Measure.MEMORY), point, generator(), cluster)
    assert cost.figure == cost.cost
    assert abs(memory.figure) < 1 << 20


def test_a_generator_that_says_nothing_has_failed(tmp_path: Path) -> None:
    """With its last words in the error."""
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster, pytest.raises(GeneratorFailed, match="out of luck"):
        measure(WORK, WORK.points[0], generator(script="sys.exit('out of luck')"), cluster)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_the_leader_is_struck_when_the_generator_is_ready_and_revived_afterwards(
    sent: signal.Signals, tmp_path: Path
) -> None:
    """The cluster is whole again for who comes next."""
    work = replace(WORK, victims=Victims.LEADER, strikes=sent)
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        before = cluster.pids()
        measure(work, work.points[0], generator(), cluster)
        after = cluster.pids()
        assert before[1] != after[1]
        assert before[2] == after[2]
        assert all(map(alive, after.values()))


def test_all_members_can_be_killed_and_started_meanwhile(tmp_path: Path) -> None:
    """What a restart takes is seen by a reader."""
    with Cluster(Toy(), tmp_path / "toy", 3) as cluster:
        before = set(cluster.pids().values())
        measure(replace(WORK, victims=Victims.ALL), WORK.points[0], generator(), cluster)
        assert before.isdisjoint(cluster.pids().values())


def test_a_generator_is_told_of_all_members_or_of_the_leader() -> None:
    """The leader is the last of the endpoints."""
    spread, leader = compiled("x", "X", "toy", ["x"], 2.0)
    assert spread.placement is Placement.SPREAD
    assert job_of(WORK, WORK.points[1], spread, ENDPOINTS).endpoints == tuple(ENDPOINTS)
    job = job_of(WORK, WORK.points[1], leader, ENDPOINTS)
    assert job.endpoints == ("127.0.0.1:1",)
    assert (job.in_flight, job.connections, job.warm, job.workload) == (10, 10, 2.0, "writes")


# ----------------------------------------------------------------------------------------------------------- catalogue


def test_every_work_is_done_by_somebody_and_compared_ones_by_each_system() -> None:
    """Who cannot do a work is not asked; what only ours has is done by ours."""
    contenders = [OURS, *PYTHON]
    for work in WORKS:
        able = [contender for contender in contenders if takes_part(contender, work)]
        expected = list(SYSTEMS) if work in COMPARED and work.only != ("chubby",) else ["Chubby"]
        assert systems_of(able) == expected, work.key


def test_keys_are_the_names_of_files_and_unique() -> None:
    """Charts are named after them."""
    assert len({work.key for work in WORKS}) == len(WORKS)
    assert all(work.key.isidentifier() for work in WORKS)
    assert all(len({point.label for point in work.points}) == len(work.points) for work in WORKS)


def test_two_minutes_have_no_room_for_growth() -> None:
    """What fills a cell takes longer."""
    assert "writes" in QUICK
    assert not {"memory", "restart", *(work.key for work in GROWING)} & set(QUICK)


def test_connections_are_never_more_than_operations() -> None:
    """The holder of a contended lock apart."""
    for work in WORKS:
        for point in work.points:
            assert 1 <= point.connections <= point.in_flight + (work.workload == "contended_lock")
