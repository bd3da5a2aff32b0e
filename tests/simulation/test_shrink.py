"""Smaller plans that fail as well."""

from __future__ import annotations

from chubby.types.time import SECOND
from tests.simulation.network import Weather
from tests.simulation.plan import Plan, draw
from tests.simulation.shrink import candidates, shrink


def large() -> Plan:
    """A plan with much in it."""
    return max((draw(seed, 60 * SECOND) for seed in range(50)), key=lambda plan: len(plan.faults) + plan.clients)


def test_what_the_failure_does_not_need_is_left_out() -> None:
    """Here it needs one fault, one workload and three clients."""
    plan = large()
    fault, workload = plan.faults[-1], plan.workloads[0]

    def fails(candidate: Plan) -> bool:
        return fault in candidate.faults and workload in candidate.workloads and candidate.clients >= 3

    told: list[Plan] = []
    smallest = shrink(plan, fails, told.append)
    assert smallest.faults == (fault,) and smallest.workloads == (workload,) and smallest.clients == 3
    assert smallest.replicas == 3 and smallest.weather == Weather() and smallest.duration < 2 * SECOND
    assert told[-1] == smallest and all(map(fails, told))


def test_what_cannot_be_smaller_stays() -> None:
    """If no smaller plan fails, this is it."""
    plan = large()
    assert shrink(plan, lambda candidate: False, lambda smaller: None) == plan


def test_every_step_is_smaller() -> None:
    """So that it ends."""

    def size(plan: Plan) -> tuple[int, ...]:
        return (
            plan.duration,
            plan.clients,
            len(plan.faults),
            len(plan.workloads),
            plan.replicas,
            plan.weather != Weather(),
        )

    plan = large()
    steps = list(candidates(plan))
    assert steps
    for step in steps:
        pairs = list(zip(size(step), size(plan), strict=True))
        assert all(new <= old for new, old in pairs) and any(new < old for new, old in pairs)
