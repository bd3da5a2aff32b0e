"""Makes a failing plan smaller: what can be left out, so that it still fails, is not what one has to think about."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from chubby.types.time import SECOND
from tests.simulation.network import Weather
from tests.simulation.plan import Plan


def shrink(plan: Plan, fails: Callable[[Plan], bool], tell: Callable[[Plan], None]) -> Plan:
    """The smallest plan found that still `fails`, one step after the other; `tell` hears of each that does.

    Any failure counts: a smaller plan may fail in another way, which is as good.
    """
    smaller = True
    while smaller:
        smaller = False
        for candidate in candidates(plan):
            if fails(candidate):
                plan, smaller = candidate, True
                tell(plan)
                break
    return plan


def candidates(plan: Plan) -> Iterator[Plan]:
    """Plans that are one step smaller, the largest steps first."""
    if plan.duration >= 2 * SECOND:
        yield replace(plan, duration=plan.duration // 2)
        yield replace(plan, duration=plan.duration * 3 // 4)
    if plan.clients > 1:
        yield replace(plan, clients=plan.clients // 2)
        yield replace(plan, clients=plan.clients - 1)
    for name in plan.faults:
        yield replace(plan, faults=tuple(each for each in plan.faults if each != name))
    for name in plan.workloads:
        if len(plan.workloads) > 1:
            yield replace(plan, workloads=tuple(each for each in plan.workloads if each != name))
    if plan.replicas > 3:
        yield replace(plan, replicas=3)
    if plan.weather != Weather():
        yield replace(plan, weather=Weather())
