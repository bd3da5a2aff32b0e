"""`python -m tests.mutants`: hunt for mutants, or try each by the plan that is recorded as catching it.

Exit codes: 0 all were caught, 1 some were not, 2 a wrong command line, 130 ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tests.mutants import records
from tests.mutants.catalogue import MUTANTS
from tests.mutants.runner import Hunt, Outcome, Trials, run

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MUTANTS]
    if unknown:
        parser.error(f"there is no mutant {unknown[0]}; there are: {' '.join(MUTANTS)}")
    if options.list:
        print("\n".join(f"{mutant.name}: {mutant.rule}" for mutant in MUTANTS.values()))
        return 0
    if options.table:
        print(records.table(records.load()), end="")
        return 0
    trials = Trials()
    names = options.names or list(MUTANTS)
    trial: Callable[[str], Outcome]
    if options.recorded:
        catches = records.load()
        missing = [name for name in names if name not in catches]
        if options.names and missing:
            print(f"nothing is recorded of {' '.join(missing)}", file=sys.stderr)
            return 1
        if missing:
            print(f"not caught yet, so not tried here: {' '.join(missing)}")
            names = [name for name in names if name in catches]
        trial = partial(_again, trials, catches)
    else:
        trial = partial(trials.hunt, hunt=Hunt(options.seeds, options.start, options.duration))
    return _run(names, trial, trials, options)


def _again(trials: Trials, catches: dict[str, records.Catch], name: str) -> Outcome:
    return trials.again(name, catches[name])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Known bugs, and what finds them.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants (all)")
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds until one counts as surviving (2000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--duration", type=int, default=25, help="seconds of faults, simulated (25)")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (1)")
    parser.add_argument("--record", action="store_true", help=f"keep what was caught in {records.FILE.name}")
    parser.add_argument("--recorded", action="store_true", help="each by the plan that is recorded, no other seeds")
    parser.add_argument("--table", action="store_true", help="print the table of what is recorded")
    parser.add_argument("--list", action="store_true", help="print the mutants and what they break")
    return parser


def _run(names: list[str], trial: Callable[[str], Outcome], trials: Trials, options: argparse.Namespace) -> int:
    outcomes: dict[str, Outcome] = {}
    results = run(names, trial, options.jobs, trials.stop)
    try:
        for outcome in results:
            outcomes[outcome.name] = outcome
            print(f"{len(outcomes)}/{len(names)}  {outcome.told()}", flush=True)
            if options.record and outcome.catch is not None:
                records.save({**records.load(), outcome.name: outcome.catch})
    except KeyboardInterrupt:
        trials.stop()
        return INTERRUPTED
    finally:
        trials.stop()
    survivors = [name for name in names if outcomes[name].catch is None]
    took = sum(outcome.took for outcome in outcomes.values())
    print(f"{len(names) - len(survivors)} of {len(names)} mutants caught, in {took:.0f} s of processor time")
    if survivors:
        print(f"not caught: {' '.join(survivors)}")
        if options.recorded:
            print("look for seeds that catch them: python -m tests.mutants --record " + " ".join(survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
