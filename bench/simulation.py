"""How fast the simulator is: simulated seconds per second of one processor, `python -m bench.simulation`.

The cell that figures are told for has five replicas, ten clients and 20 operations a second, all workloads mixed that
keep to that (some bring processes of their own, or floods): once in calm weather, once under all faults, and as the
seeds draw their mixes. Processor time, not real time: whatever else
the machine does costs other processes' time; it still takes some of the caches, so a figure is that of the best of
several batches of seeds. The exit code is 1 if the target was missed.
"""

from __future__ import annotations

import sys

from msgspec.structs import replace

from bench.figures import Figure, show
from chubby.types.time import SECOND, to_seconds
from tests.simulation.faults import FAULTS
from tests.simulation.network import Weather
from tests.simulation.plan import RATE, Plan, draw
from tests.simulation.runner import run_plan
from tests.simulation.tempo import Rhythm
from tests.simulation.workloads import SELDOM, WORKLOADS

TARGET = 100
"""Simulated seconds per second of one processor, for five replicas, ten clients and 20 operations a second."""
BATCHES = 3
SEEDS = 8
DURATION = 60 * SECOND


def reference(seed: int) -> Plan:
    """The cell that figures are told for, in calm weather."""
    return replace(
        draw(seed, DURATION),
        replicas=5,
        clients=10,
        rate=RATE,
        rhythm=Rhythm.EVEN,
        workloads=tuple(name for name in WORKLOADS if name not in SELDOM),
        faults=(),
        weather=Weather(),
    )


def speed(plans: list[Plan]) -> float:
    """Simulated seconds per second of processor time for these plans. Raises RuntimeError if one fails."""
    simulated = took = 0.0
    for plan in plans:
        result = run_plan(plan)
        if result.verdict is None:
            raise RuntimeError(f"seed {plan.seed} fails: {result.cause}")
        simulated += to_seconds(result.verdict.simulated)
        took += result.took
    return simulated / took


def main() -> int:
    """Measure and show; 1 if the target was missed."""
    kinds = {
        "calm": [[reference(seed) for seed in _seeds(batch)] for batch in range(BATCHES)],
        "all faults": [
            [replace(reference(seed), faults=tuple(FAULTS), interval=3 * SECOND) for seed in _seeds(batch)]
            for batch in range(BATCHES)
        ],
        "as drawn": [[draw(seed, DURATION) for seed in _seeds(batch)] for batch in range(BATCHES)],
    }
    figures = []
    for name, batches in kinds.items():
        speeds = [speed(batch) for batch in batches]
        detail = f"best of {BATCHES} batches of {SEEDS} seeds, {min(speeds):.0f} to {max(speeds):.0f}"
        met = max(speeds) >= TARGET
        figures.append(
            Figure(f"simulated seconds per second, {name}", f"{max(speeds):.0f}", detail, f">= {TARGET}", met)
        )
    show(figures)
    return 0 if all(figure.met for figure in figures) else 1


def _seeds(batch: int) -> range:
    return range(batch * SEEDS, (batch + 1) * SEEDS)


if __name__ == "__main__":
    sys.exit(main())
