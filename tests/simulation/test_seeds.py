"""A few seeds with every run of the tests, each workload under faults, and the promise that a seed names a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chubby.replica.replica import Replica
from chubby.replica.step import Step
from chubby.types.time import SECOND, Instant
from tests.simulation.kept import kept
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario
from tests.simulation.workloads.jugglers import Jugglers
from tests.simulation.workloads.sprouts import Sprouts

ROOT = Path(__file__).parents[2]
DURATION = 25 * SECOND


@pytest.mark.parametrize("seed", range(10))
def test_nothing_breaks_under_faults(seed: int) -> None:
    """All checkers hold, and the cell recovers. A failing seed runs again with: make simulate SEED=n TRACE=1."""
    verdict = Scenario.of(seed, DURATION).run()
    assert verdict.operations > 0, "a run in which nothing succeeds proves nothing"


@pytest.mark.parametrize("name", kept())
def test_what_was_found_stays_found(name: str) -> None:
    """The plans that found a bug pass, and would fail again."""
    Scenario(kept()[name]).run()


def run_only(workload: str, seed: int) -> Scenario:
    """Run that seed with all clients at this, and at nothing else."""
    scenario = Scenario(msgspec.structs.replace(draw(seed, DURATION), workloads=(workload,), clients=4, rate=60))
    scenario.run()
    return scenario


def test_files_become_directories_under_faults() -> None:
    """No cache says otherwise; and such a run proves something: files were seen in caches, and sprouted."""
    sprouted = cached = 0
    for seed in range(4):
        sprouts = run_only("sprouts", seed).workloads["sprouts"]
        assert isinstance(sprouts, Sprouts)
        sprouted += sprouts.number
        cached += sprouts.cached_files
    assert sprouted >= 10 and cached >= 10


def test_jugglers_under_faults() -> None:
    """Compare-and-set, deletion, shared locks and transactions are linearizable; and a run proves something."""
    feats: list[Jugglers] = []
    searched = 0
    for seed in range(4):
        scenario = run_only("jugglers", seed)
        jugglers = scenario.workloads["jugglers"]
        assert isinstance(jugglers, Jugglers)
        feats.append(jugglers)
        searched += scenario.population.chronicle.searched
    assert sum(each.swaps for each in feats) >= 50 and sum(each.mismatches for each in feats) >= 20
    assert sum(each.transactions for each in feats) >= 20 and sum(each.failed_guards for each in feats) >= 20
    assert sum(each.deletions for each in feats) >= 10
    assert sum(each.shared for each in feats) >= 20 and sum(each.exclusive for each in feats) >= 10
    assert searched >= 4, "what transactions tie together is searched"


def test_one_step_is_all_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated shell takes one step after each input; a second one would have nothing in it."""
    taken = Replica.step

    def step(replica: Replica, now: Instant) -> Step | None:
        first = taken(replica, now)
        assert taken(replica, now) is None, "something was left for a second step"
        return first

    monkeypatch.setattr(Replica, "step", step)
    Scenario.of(0, 10 * SECOND).run()


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_a_seed_names_a_run(seed: int) -> None:
    """The same seed gives the same trace: twice in one process, and in two others under different hash seeds."""
    runs = [Scenario.of(seed, 8 * SECOND).run() for _ in range(2)]
    assert runs[0] == runs[1]
    for hash_seed in ("1", "2"):
        finished = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", str(seed), "--duration", "8"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
        assert finished.stdout.partition("trace ")[2].split()[0] == runs[0].trace_hash


def test_a_plan_runs_as_its_seed_does(tmp_path: Path) -> None:
    """What --show prints, --plan runs: a failing plan can be kept, whatever its seed draws one day."""
    command = [sys.executable, "-m", "tests.simulation"]
    shown = subprocess.run(
        [*command, "--seed", "5", "--duration", "8", "--show"], cwd=ROOT, capture_output=True, timeout=100, check=True
    )
    plan = tmp_path / "plan.json"
    plan.write_bytes(shown.stdout)
    finished = subprocess.run(
        [*command, "--plan", str(plan)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert Scenario.of(5, 8 * SECOND).run().trace_hash in finished.stdout
