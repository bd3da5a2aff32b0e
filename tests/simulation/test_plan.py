"""What a seed stands for."""

from __future__ import annotations

import random

import msgspec
import pytest

from chubby.types.time import SECOND
from tests.simulation.faults import FAULTS
from tests.simulation.plan import RATE, Plan, draw
from tests.simulation.tempo import Rhythm, Tempo
from tests.simulation.workloads import WORKLOADS
from tests.simulation.world import START, stream


def test_a_seed_names_a_plan() -> None:
    """The same one each time; others are other ones."""
    plans = [draw(seed, SECOND) for seed in range(100)]
    assert plans == [draw(seed, SECOND) for seed in range(100)]
    assert len({msgspec.structs.replace(plan, seed=0) for plan in plans}) == 100


def test_a_plan_can_be_kept_as_text() -> None:
    """A failing one is worth keeping, whatever its seed draws one day."""
    for seed in range(20):
        plan = draw(seed, SECOND)
        assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_everything_is_drawn_and_everything_is_left_out() -> None:
    """Swarm testing: each fault and each workload in some seeds, and not in others."""
    plans = [draw(seed, SECOND) for seed in range(100)]
    for name in FAULTS:
        assert 10 <= sum(name in plan.faults for plan in plans) <= 90
    for name in WORKLOADS:
        assert 5 <= sum(name in plan.workloads for plan in plans) <= 90
    assert {plan.rhythm for plan in plans} == set(Rhythm) and {plan.replicas for plan in plans} == {3, 5}
    assert RATE * 0.7 <= sum(plan.rate for plan in plans) / 100 <= RATE * 1.3


def test_concerns_have_streams_of_their_own() -> None:
    """Whatever one draws, others draw as before."""
    assert stream(1, "network").random() == stream(1, "network").random()
    assert len({stream(seed, concern).random() for seed in (1, 2) for concern in ("a", "b")}) == 4


@pytest.mark.parametrize("rhythm", list(Rhythm))
def test_a_rhythm_keeps_the_rate(rhythm: Rhythm) -> None:
    """However operations are spread, there are as many of them."""
    tempo, chance, now = Tempo(SECOND, rhythm), random.Random(1), START
    for _ in range(4_000):
        later = tempo.next(chance, now)
        assert later > now
        now = later
    assert 0.8 <= (now - START) / SECOND / 4_000 <= 1.3


def test_clients_that_act_together_meet() -> None:
    """At the same moments, give or take two milliseconds."""
    tempo = Tempo(SECOND, Rhythm.TOGETHER)
    beats = {tempo.next(random.Random(seed), START + seed) // (SECOND // 2) for seed in range(50)}
    within = [tempo.next(random.Random(seed), START + seed) % (SECOND // 2) for seed in range(50)]
    assert len(beats) <= 12 and max(within) <= SECOND // 500
