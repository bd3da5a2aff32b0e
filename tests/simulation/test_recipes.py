"""Programs on recipes under faults; that such runs prove something; and that they are the same twice."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chubby.client.handle import Handle
from chubby.client.recipes.barrier import AsyncBarrier
from chubby.client.recipes.election import AsyncElection
from chubby.client.recipes.fencing import _Gate
from chubby.types.identity import Token
from chubby.types.nodes import DirEntry
from chubby.types.time import SECOND, Duration
from tests.simulation.plan import draw
from tests.simulation.programs.counters import Counters
from tests.simulation.programs.leaders import Leaders
from tests.simulation.programs.parties import Parties
from tests.simulation.programs.services import Services
from tests.simulation.programs.settings import Settings
from tests.simulation.scenario import Scenario
from tests.simulation.tempo import Rhythm
from tests.simulation.violation import Violation
from tests.simulation.workloads import SELDOM
from tests.simulation.workloads.recipes import MOST, PROGRAMS, Recipes

ROOT = Path(__file__).parents[2]
FAULTS = ("crash_master", "pause_client", "crash_client", "partition", "pause")


def run(seed: int, *programs: str, duration: Duration = 20 * SECOND) -> tuple[Scenario, Recipes]:
    """Run these programs alone on a few clients that are replaced soon, with clocks within the bound."""
    plan = msgspec.structs.replace(
        draw(seed, duration),
        workloads=("recipes",),
        clients=4,
        rate=60,
        rhythm=Rhythm.EVEN,
        interval=2 * SECOND,
        bounded=True,
        faults=FAULTS,
    )
    scenario = Scenario(plan)
    recipes = Recipes(scenario.world, programs or tuple(PROGRAMS))
    scenario.workloads["recipes"] = scenario.population.workloads[0] = recipes
    scenario.run()
    return scenario, recipes


@pytest.fixture(scope="module")
def runs() -> list[Recipes]:
    """Some runs of all programs. No thread is started by the client's code, and nothing waits for the collector."""
    before = threading.active_count()
    gc.disable()
    try:
        played = [run(seed)[1] for seed in (1, 2)]
    finally:
        gc.enable()
    assert threading.active_count() == before
    return played


def test_leaders_under_faults(runs: list[Recipes]) -> None:
    """Elections, and requests of former leaders that the guard refuses."""
    played = [each for recipes in runs for each in recipes.programs.values() if isinstance(each, Leaders)]
    assert sum(each.terms for each in played) >= 8
    assert sum(each.refused for each in played) >= 4


def test_counters_under_faults(runs: list[Recipes]) -> None:
    """Counts under a lock, across lost locks and sessions."""
    played = [each for recipes in runs for each in recipes.programs.values() if isinstance(each, Counters)]
    assert sum(each.checker.acknowledged for each in played) >= 20
    assert all(each.checker.begun >= each.checker.acknowledged for each in played)


def test_services_under_faults(runs: list[Recipes]) -> None:
    """Instances come and go, and are seen."""
    played = [each for recipes in runs for each in recipes.programs.values() if isinstance(each, Services)]
    assert sum(each.checker.sightings for each in played) >= 100


def test_settings_under_faults(runs: list[Recipes]) -> None:
    """Values are written, and seen."""
    played = [each for recipes in runs for each in recipes.programs.values() if isinstance(each, Settings)]
    assert all(each.checker.newest for each in played)


def test_parties_under_faults(runs: list[Recipes]) -> None:
    """Parties pass the barrier again and again."""
    played = [each for recipes in runs for each in recipes.programs.values() if isinstance(each, Parties)]
    assert sum(each.checker.entered for each in played) >= 8


def test_sessions_of_programs_are_lost_and_opened_again(runs: list[Recipes]) -> None:
    """Processes die and are replaced, and in the end none is left, nor any connection."""
    assert sum(each.sessions for each in runs) > 8, "some were opened anew"
    assert sum(len(each.processes) for each in runs) > 8, "processes were replaced"
    assert all(process.ended and not process.links for each in runs for process in each.processes)


async def _nothing(handle: Handle, sequencer: bytes, *, timeout: float | None = None) -> None:
    """Binds nothing."""


async def _at_once(barrier: AsyncBarrier, entries: list[DirEntry]) -> bool:
    return True


async def _keeps(election: AsyncElection) -> None:
    election._leadership = None


def _forgets(gate: _Gate, token: Token) -> None:
    gate.highest = token


@pytest.mark.parametrize(
    ("program", "where", "name", "broken", "told"),
    [
        ("leaders", _Gate, "pass_token", _forgets, "the guard admits"),
        ("leaders", AsyncElection, "resign", _keeps, "nobody is elected"),
        ("counters", Handle, "set_sequencer", _nothing, "a count is lost|are lost"),
        ("parties", AsyncBarrier, "_everybody_is_here", _at_once, "is not there|is still inside"),
        ("parties", AsyncBarrier, "_everybody_has_left", _at_once, "is still inside"),
    ],
)
def test_a_broken_recipe_fails(
    program: str, where: type, name: str, broken: Callable[..., object], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, and it says what is wrong; what had begun is ended all the same."""
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(Violation, match=told):
        for seed in range(5):
            run(seed, program)


def test_no_more_processes_than_needed() -> None:
    """However many clients there are."""
    scenario = Scenario(msgspec.structs.replace(draw(1, SECOND), workloads=("recipes",), clients=12))
    recipes = scenario.workloads["recipes"]
    assert isinstance(recipes, Recipes)
    for _ in range(12):
        scenario.population.add(1.0, scenario.plan.tempo())
    assert len(recipes.processes) == MOST
    recipes.processes[0].kill()
    scenario.population.add(1.0, scenario.plan.tempo())
    assert len(recipes.processes) == MOST + 1
    recipes.end()
    assert all(each.ended for each in recipes.processes)


def test_recipes_are_drawn_for_some_seeds() -> None:
    """From a stream of their own."""
    drawn = sum("recipes" in draw(seed, SECOND).workloads for seed in range(400))
    assert 400 * SELDOM["recipes"] * 0.6 < drawn < 400 * SELDOM["recipes"] * 1.4


def test_a_seed_names_a_run_of_programs() -> None:
    """The same in two processes, under different hash seeds: no order of sets, no addresses, no real time."""
    command = "from tests.simulation.test_recipes import run; print(run(4, duration=6 * 10**9)[0].world.trace_hash)"
    hashes = set()
    for hash_seed in ("1", "2"):
        finished = subprocess.run(
            [sys.executable, "-c", command],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        hashes.add(finished.stdout.strip())
    assert len(hashes) == 1
