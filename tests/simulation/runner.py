"""Runs plans one after another, or several processes at a time, and says what became of each."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable
from functools import partial
from itertools import islice
from multiprocessing.pool import AsyncResult
from types import FrameType

import msgspec

from tests.simulation.plan import Plan
from tests.simulation.scenario import Scenario, Verdict

PATIENCE = 600
"""Seconds of processor time after which a run is taken for one that never ends: a hundred times what one takes."""

AHEAD = 4
"""Runs per process that are begun before their turn, so that nobody waits for a long one."""


class Result(msgspec.Struct, frozen=True):
    """What became of one plan: a verdict, or the failure in words; and the processor time it took, in seconds."""

    plan: Plan
    verdict: Verdict | None
    failure: str
    took: float

    @property
    def cause(self) -> str:
        """The last line of the failure: what was broken."""
        return self.failure.rstrip().rpartition("\n")[2]


class Endless(Exception):
    """The run did not end within `PATIENCE`."""


def run_plan(plan: Plan, tracing: bool = False) -> Result:
    """Run one plan.

    A run makes next to no garbage in cycles, so the collector waits until it is over, and then leaves alone what was
    there before.
    """
    before = signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    begun = time.process_time()
    verdict, failure = None, ""
    gc.freeze()
    gc.disable()
    try:
        verdict = Scenario(plan, tracing).run()
    except Exception:
        failure = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        gc.enable()
    took = time.process_time() - begun
    gc.collect()
    return Result(plan, verdict, failure, took)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise Endless(f"no end after {PATIENCE} s of processor time")


def run_plans(plans: Iterable[Plan], jobs: int, tracing: bool = False) -> Generator[Result, None, None]:
    """Run them all, `jobs` at a time, and yield the results in order. Whoever stops asking ends the processes."""
    if jobs == 1:
        yield from map(partial(run_plan, tracing=tracing), plans)
        return
    waiting = iter(plans)
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=_leave_signals_to_the_parent) as pool:

        def begin(count: int) -> list[AsyncResult[Result]]:
            return [pool.apply_async(run_plan, (plan, tracing)) for plan in islice(waiting, count)]

        running = deque(begin(AHEAD * jobs))
        while running:
            yield running.popleft().get()
            running += begin(1)


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C goes to all processes of a terminal: the parent ends its children, whatever it ignores itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
