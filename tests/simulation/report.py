"""What is said of many runs: how far it is, what failed and how to see it again, and what all of them came to."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from chubby.types.time import Duration, to_seconds
from tests.simulation.ledger import Hunt
from tests.simulation.runner import Result

HOUR = 3600
EVERY = 20.0
"""Seconds between two lines that tell how far it is. On a terminal it is one line, which changes."""


class Report:
    """Adds up results. `failed` are the seeds that did not pass."""

    def __init__(
        self,
        total: int | None,
        on_result: Callable[[Report], None] = lambda report: None,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total` is how many are to come; None: as many as there is time for."""
        self.failed: list[int] = []
        self.passed = 0
        self.simulated: Duration = 0
        self.took = 0.0
        self.operations = 0
        self.faults: Counter[str] = Counter()
        self.next_seed = 0
        self._total = total
        self._on_result = on_result
        self._out = sys.stdout if out is None else out
        self._clock = clock
        self._told_at = self._begun_at = clock()
        self._live = self._out.isatty()

    def add(self, result: Result) -> None:
        """One more is over."""
        self.took += result.took
        self.next_seed = max(self.next_seed, result.plan.seed + 1)
        if result.verdict is None:
            self.failed.append(result.plan.seed)
            self._clear()
            seconds = round(to_seconds(result.plan.duration))
            duration = f" ARGS='--duration {seconds}'" if seconds != 60 else ""
            self._say(f"seed {result.plan.seed} FAILED; again: make simulate SEED={result.plan.seed} TRACE=1{duration}")
            self._say(f"    {result.plan.describe()}")
            self._say(result.failure)
        else:
            self.passed += 1
            self.simulated += result.verdict.simulated
            self.operations += result.verdict.operations
            self.faults += result.verdict.faults
        self._on_result(self)
        self._tell()

    @property
    def speed(self) -> float:
        """Simulated seconds per second of one processor."""
        return to_seconds(self.simulated) / self.took if self.took else 0.0

    def hunt(self, before: Hunt) -> Hunt:
        """These results on top of what was done before."""
        return Hunt(
            before.source,
            before.seeds + self.passed + len(self.failed),
            before.simulated + to_seconds(self.simulated) / HOUR,
            before.processor + self.took / HOUR,
            (*before.failed, *self.failed),
        )

    def close(self) -> None:
        """The end: what all of it came to."""
        self._clear()
        done = self.passed + len(self.failed)
        self._say(
            f"{self.passed} of {done} seeds passed{self._rest(done)}: {to_seconds(self.simulated) / HOUR:.2f} hours "
            f"simulated in {self.took:.0f} s of processor time ({self.speed:.0f} times real time), "
            f"{self.operations} operations, {self.faults.total()} faults, in {self._clock() - self._begun_at:.0f} s"
        )
        if self.failed:
            self._say(f"failed: {self.failed}")

    def _rest(self, done: int) -> str:
        return f" ({self._total - done} were not run)" if self._total is not None and done < self._total else ""

    def _tell(self) -> None:
        now, done = self._clock(), self.passed + len(self.failed)
        if now - self._told_at < (0.2 if self._live else EVERY):
            return
        self._told_at = now
        of = f" of {self._total}" if self._total is not None else ""
        line = f"{done}{of} seeds, {len(self.failed)} failed, {to_seconds(self.simulated) / HOUR:.2f} simulated hours"
        if self._live:
            self._out.write(f"\r\x1b[K{line}")
            self._out.flush()
        else:
            self._say(line)

    def _clear(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)
