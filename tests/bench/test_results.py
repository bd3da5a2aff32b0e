"""What was measured: medians, ranges, the better one, ratios; kept as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.compare.contenders import Kind
from bench.compare.results import Results, Series, gather
from bench.compare.targets import GOALS, TARGETS, Goal, Target, goal, target
from tests.bench.toys import measured, results


def test_a_series_has_a_median_and_a_range() -> None:
    """Of the figures of its rounds."""
    series = Series("writes", "1", "ours", measured(3.0, 1.0, 2.0))
    assert (series.median, series.least, series.greatest) == (2.0, 1.0, 3.0)
    assert (series.middle("p50"), series.middle("p99"), series.middle("worst")) == (0.001, 0.01, 0.1)


def test_the_cost_of_an_operation_is_that_of_members_and_generator() -> None:
    """Cores times seconds over operations."""
    (one,) = measured(5.0)
    assert one.cost == pytest.approx(1.0 * 1.0 / 100)
    busy = msgspec.structs.replace(one, sample=msgspec.structs.replace(one.sample, processor=1.0))
    assert busy.cost == pytest.approx(2.0 / 100)


def test_single_measurements_become_series_in_the_order_they_came() -> None:
    """Rounds of others may lie between."""
    a, b, c = measured(1.0, 2.0, 3.0)
    found = gather([("w", "1", "x", a), ("w", "1", "y", b), ("w", "1", "x", c)])
    assert [(each.contender, each.values) for each in found] == [("x", [1.0, 3.0]), ("y", [2.0])]


def test_the_better_of_the_peers_counts() -> None:
    """The greater rate, and the shorter time."""
    made = results(ours=(100.0,), python_a=(50.0,), python_b=(80.0,), compiled_c=(200.0,))
    writes, fan_out = made.topics
    best = [made.best(topic, "10" if topic is fan_out else "1", Kind.PYTHON) for topic in (writes, fan_out)]
    assert [series.contender for series in best if series is not None] == ["python_b", "python_a"]


def test_a_ratio_is_that_of_the_medians() -> None:
    """Ours over theirs, whichever is the better one."""
    made = results(ours=(100.0, 110.0, 500.0), python_a=(50.0, 55.0, 5.0))
    assert made.ratio(made.topics[0], "1", Kind.PYTHON) == pytest.approx(110 / 50)


def test_there_is_no_ratio_to_who_did_not_take_part() -> None:
    """And none of ours, if ours failed."""
    made = results(ours=(100.0,), python_a=(50.0,))
    writes = made.topics[0]
    assert made.ratio(writes, "1", Kind.COMPILED) is None
    assert made.ratio(writes, "10", Kind.PYTHON) is None
    assert results(python_a=(50.0,)).ratio(writes, "1", Kind.PYTHON) is None


def test_results_survive_their_file(tmp_path: Path) -> None:
    """So that the page can be written again."""
    made = results(ours=(1.0, 2.0), python_a=(3.0,))
    made.save(tmp_path / "deep/results.json")
    assert Results.load(tmp_path / "deep/results.json") == made


def test_another_run_comes_behind() -> None:
    """Its topics and figures."""
    made = results(ours=(1.0,)).with_others(results(ours=(2.0,)))
    assert len(made.topics) == len(made.series) == 4
    assert len(made.entrants) == 1


@pytest.mark.parametrize(
    ("ratio", "more_is_better", "met"), [(2.0, True, True), (1.9, True, False), (2.0, False, True), (2.1, False, False)]
)
def test_a_target_is_met_from_its_own_side(ratio: float, more_is_better: bool, met: bool) -> None:
    """A rate must reach it, a time must not exceed it."""
    assert Target("w", "1", Kind.PYTHON, 2.0).met(ratio, more_is_better) is met


def test_the_targets_are_those_that_were_set() -> None:
    """Against Python clients and against compiled ones."""
    wanted = target("writes", "10", Kind.PYTHON), target("reads", "1", Kind.COMPILED)
    assert [each.ratio for each in wanted if each is not None] == [4.0, 0.8]
    assert target("contended_lock", "100", Kind.COMPILED) is None
    assert len({(each.work, each.point, each.kind) for each in TARGETS}) == len(TARGETS)


def test_goals_are_for_figures_that_no_peer_has() -> None:
    """At one point, or at all."""
    cached, idle = goal("cached_reads", "anything"), goal("sessions_idle", "10,000")
    assert cached is not None and cached.met(1_000_000, True) and not cached.met(999_999, True)
    assert idle is not None and idle.met(0.6, False) and not idle.met(0.61, False)
    assert goal("sessions_idle", "100") is None
    assert goal("writes", "1") is None
    assert not {each.work for each in GOALS} & {each.work for each in TARGETS}
    assert all(isinstance(each, Goal) for each in GOALS)
