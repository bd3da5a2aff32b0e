"""Running many plans: results in order, failures in words, an end to what would never end, and to processes."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator

import pytest

from chubby.types.time import SECOND
from tests.simulation import runner
from tests.simulation.plan import Plan, draw
from tests.simulation.runner import run_plan, run_plans
from tests.simulation.scenario import Scenario
from tests.simulation.violation import Violation
from tests.simulation.world import World


def plans(seeds: Iterator[int] | range) -> Iterator[Plan]:
    """Short ones."""
    return (draw(seed, 2 * SECOND) for seed in seeds)


def test_a_failure_is_told_with_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the processor time it took; the last line says what was broken."""

    def broken(scenario: Scenario) -> None:
        raise Violation("two masters")

    monkeypatch.setattr(Scenario, "run", broken)
    result = run_plan(draw(7, SECOND))
    assert result.verdict is None and result.plan.seed == 7
    assert result.cause == "tests.simulation.violation.Violation: two masters"


def test_a_run_that_never_ends_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its processor time: a busy machine is no failure."""

    def endless(world: World, until: int) -> None:
        while True:
            pass

    monkeypatch.setattr(World, "run", endless)
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    result = run_plan(draw(1, SECOND))
    assert result.verdict is None and "no end after 0.2 s" in result.cause


def test_processes_give_what_one_gives() -> None:
    """In the order of the plans."""
    alone = [result.verdict for result in run_plans(plans(range(5)), jobs=1)]
    together = [result.verdict for result in run_plans(plans(range(5)), jobs=2)]
    assert alone == together and None not in alone


def test_who_stops_asking_ends_the_processes() -> None:
    """However many plans would come."""
    results = run_plans(plans(itertools.count()), jobs=2)
    assert next(results).plan.seed == 0 and next(results).plan.seed == 1
    results.close()
    assert not multiprocessing.active_children()
