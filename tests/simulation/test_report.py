"""What is said of many runs."""

from __future__ import annotations

import io
from collections import Counter

from chubby.types.time import SECOND
from tests.simulation.ledger import Hunt
from tests.simulation.plan import draw
from tests.simulation.report import Report
from tests.simulation.runner import Result
from tests.simulation.scenario import Verdict


class Terminal(io.StringIO):
    """Output that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Watch:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def passed(seed: int, seconds: int = 60) -> Result:
    """A run without failure, for so long; it took a second for each minute."""
    plan = draw(seed, seconds * SECOND)
    tally = Counter({"Opened": 2, "Contents": 5, "cached": 4, "Failure": 1})
    return Result(plan, Verdict(plan, seconds * SECOND, tally, Counter(crash=3), "00"), "", seconds / 60)


def failed(seed: int, seconds: int = 60) -> Result:
    """A run that broke something."""
    return Result(draw(seed, seconds * SECOND), None, "Traceback ...\nViolation: two masters\n", 0.5)


def test_the_end_says_what_all_came_to() -> None:
    """Time, speed, operations, faults; cached answers are among the answers, failures are no operations."""
    out = io.StringIO()
    report = Report(3, out=out, clock=Watch())
    for seed in range(3):
        report.add(passed(seed, 1200))
    report.close()
    assert out.getvalue() == (
        "3 of 3 seeds passed: 1.00 hours simulated in 60 s of processor time (60 times real time), "
        "21 operations, 9 faults, in 0 s\n"
    )
    assert report.failed == []


def test_a_failure_says_how_to_see_it_again() -> None:
    """With the duration, unless it is the usual one; and the plan, and the whole failure."""
    out = io.StringIO()
    report = Report(2, out=out, clock=Watch())
    report.add(failed(7))
    report.add(failed(8, 25))
    report.close()
    said = out.getvalue()
    assert "seed 7 FAILED; again: make simulate SEED=7 TRACE=1\n" in said
    assert "seed 8 FAILED; again: make simulate SEED=8 TRACE=1 ARGS='--duration 25'\n" in said
    assert "Violation: two masters" in said and draw(7, 60 * SECOND).describe() in said
    assert said.endswith("failed: [7, 8]\n") and "0 of 2 seeds passed" in said


def test_what_was_not_run_is_said() -> None:
    """After Ctrl-C."""
    out = io.StringIO()
    report = Report(10, out=out, clock=Watch())
    report.add(passed(0))
    report.close()
    assert "1 of 1 seeds passed (9 were not run)" in out.getvalue()


def test_progress_is_told_now_and_then_or_in_one_line() -> None:
    """A log gets a line each twenty seconds, a terminal one that changes and is gone at the end."""
    out, screen, watch = io.StringIO(), Terminal(), Watch()
    logged, shown = Report(9, out=out, clock=watch), Report(None, out=screen, clock=watch)
    for seed in range(9):
        watch.now += 7
        logged.add(passed(seed, 1200))
        shown.add(passed(seed, 1200))
    assert out.getvalue().splitlines() == [
        "3 of 9 seeds, 0 failed, 1.00 simulated hours",
        "6 of 9 seeds, 0 failed, 2.00 simulated hours",
        "9 of 9 seeds, 0 failed, 3.00 simulated hours",
    ]
    assert screen.getvalue().split("\r\x1b[K")[1:3] == [
        "1 seeds, 0 failed, 0.33 simulated hours",
        "2 seeds, 0 failed, 0.67 simulated hours",
    ]
    shown.close()
    assert screen.getvalue().rpartition("\r\x1b[K")[2].startswith("9 of 9 seeds passed")


def test_a_hunt_goes_on_from_what_was_done_before() -> None:
    """Seeds, hours and failures add up; whoever keeps a ledger is told after each result."""
    noted: list[Hunt] = []
    before = Hunt("abc", 10, 2.0, 1.0, (3,))
    report = Report(None, lambda report: noted.append(report.hunt(before)), io.StringIO(), Watch())
    report.add(passed(20, 3600))
    report.add(failed(21))
    assert noted[0] == Hunt("abc", 11, 3.0, 1.0 + 60 / 3600, (3,))
    assert noted[1] == Hunt("abc", 12, 3.0, 1.0 + 60.5 / 3600, (3, 21))
    assert report.next_seed == 22
