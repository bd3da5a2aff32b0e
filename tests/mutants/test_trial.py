"""What a trial reports."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import msgspec
import pytest

from tests.mutants.trial import SECOND, Report, complaint_of, narrowed, report_of, smoke_plan
from tests.simulation.faults import FAULTS
from tests.simulation.plan import draw
from tests.simulation.runner import Result, run_plan
from tests.simulation.violation import Violation

ROOT = Path(__file__).resolve().parents[2]

FAILURE = """Traceback (most recent call last):
  File "/home/me/cell/tests/simulation/runner.py", line 66, in run_plan
    verdict = Scenario(plan, tracing).run()
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/me/cell/{module}.py", line 93, in check
    raise Violation(
        f"told over several lines"
    )
{said}
and more of it
"""


@pytest.mark.parametrize(
    ("module", "said", "who", "what"),
    [
        (
            "tests/simulation/checkers/queues",
            "tests.simulation.violation.Violation: b before a",
            "checkers.queues",
            "b before a",
        ),
        (
            "chubby/paxos/log",
            "AssertionError: a chosen value never changes",
            "paxos.log",
            "AssertionError: a chosen value never changes",
        ),
        ("tests/storage/fake_files", "KeyError: 'x'", "storage.fake_files", "KeyError: 'x'"),
    ],
)
def test_who_complained_of_what(module: str, said: str, who: str, what: str) -> None:
    """The module that raised, and the first line of its message: later ones tell a whole history."""
    assert complaint_of(FAILURE.format(module=module, said=said)) == (who, what)


def test_a_real_traceback_is_understood() -> None:
    """Python's own, of this very file."""
    try:
        raise Violation("first\nsecond")
    except Violation:
        who, what = complaint_of(traceback.format_exc())
    assert (who, what) == ("mutants.test_trial", "first")


def test_what_is_no_traceback_is_told_as_it_is() -> None:
    """There is always something to say."""
    assert complaint_of("killed\n") == ("", "killed")


def test_a_report_brings_its_plan_along() -> None:
    """So that it can be recorded and run again, whatever the seed draws one day."""
    plan = draw(3, 25 * SECOND)
    report = report_of(Result(plan, None, FAILURE.format(module="chubby/x", said="E: no"), 1.5), smoke=False)
    assert (report.seed, report.passed, report.took, report.complaint) == (3, False, 1.5, "E: no")
    assert msgspec.json.decode(report.plan, type=type(plan)) == plan
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_a_narrowed_plan_has_few_things_in_it() -> None:
    """The same ones for the same seed, each of them some time, on the cell and the clients that the seed drew."""
    plans = [draw(seed, 25 * SECOND) for seed in range(200)]
    for plan in plans:
        few = narrowed(plan)
        assert few == narrowed(plan)
        assert 1 <= len(few.faults) <= 4 and 1 <= len(few.workloads) <= 3 and few.bounded
        assert set(few.workloads) <= set(plan.workloads)
        assert (few.seed, few.replicas, few.clients, few.weather) == (
            plan.seed,
            plan.replicas,
            plan.clients,
            plan.weather,
        )
    assert {fault for plan in plans for fault in narrowed(plan).faults} == set(FAULTS)


def test_the_product_as_it_is_comes_through_the_smoke() -> None:
    """Else every mutant would be called too gross; and it proves something: there are no faults, but answers."""
    plan = smoke_plan()
    assert not plan.faults and FAULTS and len(plan.workloads) > 5
    result = run_plan(plan)
    assert result.verdict is not None, result.failure
    assert result.verdict.operations > 5 and not result.verdict.faults


def test_a_trial_is_a_process_that_writes_reports() -> None:
    """The product as it is, one plan: one line, and no complaint on the way."""
    plan = msgspec.json.encode(draw(0, SECOND)).decode()
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants.trial", "none", "--plan", plan, "--smoke"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    smoke, report = (msgspec.json.decode(line, type=Report) for line in done.stdout.splitlines())
    assert smoke.smoke and not report.smoke
    assert report.passed and report.simulated > 1 and report.took > 0


def test_a_mutant_is_in_place_in_its_trial() -> None:
    """The one that is seen most easily: nothing is carried out of what is invalidated."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutants.trial", "acknowledged_before_carried_out", "--seeds", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    reports = [msgspec.json.decode(line, type=Report) for line in done.stdout.splitlines()]
    assert [report.passed for report in reports] == [True] * (len(reports) - 1) + [False]
    assert reports[-1].complaint
