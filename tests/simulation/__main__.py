"""`python -m tests.simulation`: many seeds, or one seed with its trace."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from chubby.types.time import SECOND, to_seconds
from tests.simulation.scenario import Scenario


def main() -> int:
    """Run what the arguments ask for; 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many seeds")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    parser.add_argument("--duration", type=int, default=60, help="seconds of faults, simulated")
    options = parser.parse_args()
    seeds = [options.seed] if options.seed is not None else range(options.start, options.start + options.seeds)
    begun = time.monotonic()
    failed: list[int] = []
    simulated = operations = 0
    for seed in seeds:
        try:
            verdict = Scenario(seed, options.trace, options.duration * SECOND).run()
        except Exception:
            failed.append(seed)
            print(f"seed {seed} FAILED; again with: make simulate SEED={seed} TRACE=1")
            traceback.print_exc()
            continue
        simulated += verdict.simulated
        counts = verdict.counts
        operations += counts.reads + counts.writes + counts.grants
        if options.seed is not None:
            print(f"seed {seed}: {counts}, trace {verdict.trace_hash}")
    took = time.monotonic() - begun
    print(
        f"{len(seeds) - len(failed)} of {len(seeds)} seeds passed: {to_seconds(simulated):.0f} s simulated "
        f"in {took:.0f} s, {operations} operations"
    )
    if failed:
        print(f"failed: {failed}")
    return 1 if failed else 0


sys.exit(main())
