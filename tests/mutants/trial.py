"""One mutant in a process of its own: first a run in which nothing goes wrong, then seeds until one catches it.

`python -m tests.mutants.trial NAME ...` is called by `runner`; each line it writes is a `Report` in JSON. Nothing of
the product may be imported before the mutant is in place, so what simulates is imported inside functions.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from tests.mutants.catalogue import MUTANTS
from tests.mutants.sabotage import sabotage

if TYPE_CHECKING:
    from tests.simulation.plan import Plan
    from tests.simulation.runner import Result

SECOND: Final = 1_000_000_000
SMOKE: Final = 1
"""The seed whose cell lives through a run without faults."""

_MOST: Final = 200
"""Characters of a complaint that are told."""

_FRAME = re.compile(r'^  File "([^"]+)", line \d+, in (\w+)$', re.MULTILINE)


class Report(msgspec.Struct, frozen=True):
    """What became of one seed, with the mutant in place. `smoke`: nothing went wrong in it but the mutant."""

    seed: int
    smoke: bool
    passed: bool
    took: float
    """Seconds of processor time."""
    simulated: float
    """Seconds; of a run that failed, those until it did are not known: 0."""
    checker: str = ""
    """The module that raised, without what every one has in common."""
    complaint: str = ""
    """The first line of what it said."""
    plan: msgspec.Raw = msgspec.Raw(b"null")


def complaint_of(failure: str) -> tuple[str, str]:
    """Who raised, and the first line of what was said, from a traceback."""
    frames = list(_FRAME.finditer(failure))
    if not frames:
        return "", failure.strip().partition("\n")[0]
    last = frames[-1]
    module = last[1].removesuffix(".py").replace("/", ".")
    who = re.sub(r"^.*?\b(tests\.simulation|tests|chubby)\.", "", module)
    said = [line for line in failure[last.end() :].splitlines() if line and not line.startswith(" ")]
    return who, re.sub(r"^([\w.]*\.)?Violation: ", "", said[0])[:_MOST] if said else ""


def report_of(result: Result, smoke: bool) -> Report:
    """A result in what the parent needs of it."""
    seconds = result.verdict.simulated / SECOND if result.verdict is not None else 0.0
    who, said = complaint_of(result.failure) if result.verdict is None else ("", "")
    plan = msgspec.Raw(msgspec.json.encode(result.plan))
    passed = result.verdict is not None
    return Report(result.plan.seed, smoke, passed, result.took, seconds, who, said, plan)


def smoke_plan() -> Plan:
    """One client does everything, and nothing goes wrong: whoever fails this breaks more than a rule of safety."""
    from tests.simulation.network import Weather
    from tests.simulation.plan import draw
    from tests.simulation.workloads import SELDOM, WORKLOADS

    workloads = tuple(name for name in WORKLOADS if name not in SELDOM)
    plan = draw(SMOKE, 8 * SECOND)
    return msgspec.structs.replace(plan, clients=1, workloads=workloads, faults=(), weather=Weather(), bounded=True)


def narrowed(plan: Plan) -> Plan:
    """The seed's plan with few faults and few workloads, drawn by the seed too, and clocks within the bound.

    What catches a bug is mostly one fault at the right moment of one workload: where all kinds of them come by turns
    that moment comes seldom.
    """
    from tests.simulation.faults import FAULTS
    from tests.simulation.world import stream

    chance = stream(plan.seed, "narrowed")
    faults = tuple(sorted(chance.sample(sorted(FAULTS), chance.randint(1, 4))))
    workloads = tuple(chance.sample(plan.workloads, min(chance.randint(1, 3), len(plan.workloads))))
    interval = round(chance.uniform(0.5, 3.0) * SECOND)
    return msgspec.structs.replace(plan, faults=faults, workloads=workloads, interval=interval, bounded=True)


def reports(options: argparse.Namespace) -> Iterator[Report]:
    """One by one; ends with the first seed that fails."""
    from tests.simulation.plan import Plan, draw
    from tests.simulation.runner import run_plan

    if options.smoke:
        yield report_of(run_plan(smoke_plan()), smoke=True)
    if options.plan:
        yield report_of(run_plan(msgspec.json.decode(options.plan, type=Plan)), smoke=False)
        return
    for seed in range(options.start, options.start + options.seeds):
        report = report_of(run_plan(narrowed(draw(seed, options.duration * SECOND))), smoke=False)
        yield report
        if not report.passed:
            return


def main(arguments: list[str] | None = None) -> int:
    """Put the mutant in place, then run; 0 whatever became of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.trial", description=__doc__)
    parser.add_argument("name", help="of the mutant; 'none': the product as it is")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--duration", type=int, default=25, help="seconds of faults, simulated")
    parser.add_argument("--plan", default="", help="a plan in JSON, in place of seeds")
    parser.add_argument("--smoke", action="store_true", help="begin with runs in which nothing goes wrong")
    options = parser.parse_args(arguments)
    if options.name != "none":
        sabotage(MUTANTS[options.name])
    for report in reports(options):
        print(msgspec.json.encode(report).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
