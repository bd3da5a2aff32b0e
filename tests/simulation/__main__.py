"""`python -m tests.simulation`: many seeds, or one seed with its trace."""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import msgspec

from chubby.types.time import SECOND, to_seconds
from tests.simulation.scenario import Scenario, Verdict


class Result(msgspec.Struct, frozen=True):
    """What became of one seed: a verdict, or the failure in words; and the processor time it took, in seconds."""

    seed: int
    verdict: Verdict | None
    failure: str
    took: float


def run_seed(seed: int, tracing: bool, seconds: int) -> Result:
    """Run one seed. A run makes next to no garbage in cycles, so the collector waits until it is over, and then leaves
    alone what was there before.
    """
    gc.freeze()
    begun = time.process_time()
    verdict, failure = None, ""
    gc.disable()
    try:
        verdict = Scenario.of(seed, seconds * SECOND, tracing).run()
    except Exception:
        failure = traceback.format_exc()
    gc.enable()
    gc.collect()
    return Result(seed, verdict, failure, time.process_time() - begun)


def main() -> int:
    """Run what the arguments ask for; 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many seeds")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--seed", type=int, help="this seed alone")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    parser.add_argument("--duration", type=int, default=60, help="seconds of faults, simulated")
    parser.add_argument("--jobs", type=int, default=1, help="processes to spread the seeds over")
    options = parser.parse_args()
    seeds = [options.seed] if options.seed is not None else range(options.start, options.start + options.seeds)
    run = partial(run_seed, tracing=options.trace, seconds=options.duration)
    failed: list[int] = []
    simulated = operations = 0
    took = 0.0
    with ProcessPoolExecutor(options.jobs) as pool:
        for result in map(run, seeds) if options.jobs == 1 else pool.map(run, seeds):
            took += result.took
            if result.verdict is None:
                failed.append(result.seed)
                print(f"seed {result.seed} FAILED; again with: make simulate SEED={result.seed} TRACE=1")
                print(result.failure, flush=True)
                continue
            simulated += result.verdict.simulated
            operations += result.verdict.operations
            if options.seed is not None:
                print(f"seed {result.seed}: {result.verdict.plan.describe()}")
                print(f"answers {dict(result.verdict.tally)}")
                print(f"faults {dict(result.verdict.faults)}")
                print(f"trace {result.verdict.trace_hash}")
    print(
        f"{len(seeds) - len(failed)} of {len(seeds)} seeds passed: {to_seconds(simulated):.0f} s simulated "
        f"in {took:.0f} s of processor time, {operations} operations"
    )
    if failed:
        print(f"failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
