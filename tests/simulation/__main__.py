"""`python -m tests.simulation`: many seeds, one of them with its trace, or seeds for as long as it is let.

Exit codes: 0 all passed, 1 some did not, 2 a wrong command line, 130 ended by Ctrl-C (with what was run until then).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec

from chubby.types.time import SECOND
from tests.simulation import ledger
from tests.simulation.kept import kept, load
from tests.simulation.plan import Plan, draw
from tests.simulation.report import Report
from tests.simulation.runner import run_plan, run_plans
from tests.simulation.shrink import shrink

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for."""
    options = _parser().parse_args(arguments)
    duration = options.duration * SECOND
    if options.plan is not None:
        return _one(load(options.plan), options)
    if options.seed is not None:
        return _one(draw(options.seed, duration), options)
    if options.kept:
        return _many(iter(kept().values()), Report(len(kept())), options)
    if options.hunt:
        return _hunt(options)
    seeds = range(options.start, options.start + options.seeds)
    return _many((draw(seed, duration) for seed in seeds), Report(len(seeds)), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Whole cells in a hostile world.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seeds", type=int, default=50, help="how many seeds (50)")
    what.add_argument("--seed", type=int, help="this seed alone")
    what.add_argument("--plan", type=Path, metavar="FILE", help="this plan alone, as --show prints it")
    what.add_argument("--kept", action="store_true", help="the plans that found a bug once")
    what.add_argument("--hunt", action="store_true", help="new seeds until Ctrl-C; a ledger is kept in .hunt/")
    parser.add_argument("--start", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--duration", type=int, default=60, help="seconds of faults, simulated (60)")
    parser.add_argument("--jobs", type=int, default=1, help="processes to spread the seeds over (1)")
    parser.add_argument("--trace", action="store_true", help="tell what happens, with --seed or --plan")
    parser.add_argument("--show", action="store_true", help="print the plan and do not run it")
    parser.add_argument("--shrink", action="store_true", help="look for a smaller plan that fails as well")
    return parser


def _one(plan: Plan, options: argparse.Namespace) -> int:
    if options.show:
        print(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode())
        return 0
    print(f"seed {plan.seed}: {plan.describe()}")
    result = run_plan(plan, options.trace)
    if result.verdict is not None:
        print(f"answers {dict(result.verdict.tally)}")
        print(f"faults {dict(result.verdict.faults)}")
        print(f"trace {result.verdict.trace_hash}")
        return 0
    print(result.failure)
    if options.shrink:
        smallest = shrink(plan, lambda smaller: run_plan(smaller).verdict is None, lambda p: print(p.describe()))
        print(msgspec.json.encode(smallest).decode())
    return 1


def _many(plans: Iterator[Plan], report: Report, options: argparse.Namespace) -> int:
    results = run_plans(plans, options.jobs)
    try:
        for result in results:
            report.add(result)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        results.close()
        report.close()
    return 1 if report.failed else 0


def _hunt(options: argparse.Namespace) -> int:
    """New seeds for as long as it is let. A ledger that is not one ends it before anything is run."""
    source = ledger.source_hash()
    book = ledger.load()
    before = book.hunt(source)
    print(
        f"source {source}: {before.seeds} seeds, {before.simulated:.1f} simulated hours so far; from {book.next_seed}"
    )
    report = Report(None, on_result=lambda report: ledger.save(book.noted(report.hunt(before), report.next_seed)))
    return _many((draw(seed, options.duration * SECOND) for seed in count(book.next_seed)), report, options)


if __name__ == "__main__":
    sys.exit(main())
