"""Longer random schedules, each with a taste of its own (DESIGN §5; the swarm of TigerBeetle's simulator).

A schedule that does everything equally often never does the same thing often enough: each seed draws how often each
step happens, which paths take part, how many. The steps and what must hold after each of them are those of
`test_random`, which shrinks what it finds; here the seed is the finding: `run(seed)` repeats it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from chubby.types.calls import CreateMode
from chubby.types.time import MILLISECOND, SECOND
from tests.master.test_random import CHANGES, LOCKS, NAMES, PATHS, READS, TRANSACTIONS, Schedule

STEPS = 200
SEEDS = 400
PER_TEST = 40

Step = Callable[[], None]


def steps_of(schedule: Schedule, chance: random.Random, paths: list[str]) -> dict[Step, float]:
    """Everything that may happen, and how often in comparison."""

    def peer() -> int:
        return chance.randrange(len(NAMES))

    def which() -> int:
        return chance.randrange(10)

    create = list(CreateMode)
    times = [10 * MILLISECOND, 900 * MILLISECOND, 2 * SECOND, 5 * SECOND]
    return {
        lambda: schedule.open(peer(), chance.choice(paths), chance.choice(create), chance.random() < 0.3): 10,
        lambda: schedule.read(peer(), which(), chance.choice(READS)): 12,
        lambda: schedule.change(peer(), which(), chance.choice(CHANGES)): 10,
        lambda: schedule.lock(peer(), which(), chance.choice(LOCKS)): 8,
        lambda: schedule.transact(
            peer(), chance.choice(paths), chance.choice(paths), chance.randrange(TRANSACTIONS)
        ): 6,
        lambda: schedule.beat(peer()): 8,
        lambda: schedule.deliver(peer(), chance.randrange(1, 6)): 30,
        lambda: schedule.hear(peer(), chance.randrange(1, 6)): 30,
        lambda: schedule.apply(chance.randrange(1, 5)): 25,
        lambda: schedule.advance(chance.choice(times)): 6,
        lambda: schedule.reconnect(peer()): 3,
        lambda: come_back(schedule, chance): 10,
        schedule.lease: 1,
        schedule.divide: 0.5,
        lambda: schedule.stall(chance.choice([SECOND, 3 * SECOND])): 1,
        lambda: schedule.fail_over(chance.randrange(4), chance.randrange(4)): 1,
    }


def come_back(schedule: Schedule, chance: random.Random) -> None:
    """One of those without a stream, if there is any, makes a new one."""
    peers = enumerate(schedule.world.peers)
    away = [index for index, peer in peers if peer.stream is None and not peer.dead]
    if away:
        schedule.reconnect(chance.choice(away))


def run(seed: int, count: int = STEPS) -> None:
    """One schedule; raises where something does not hold."""
    chance = random.Random(seed)
    schedule = Schedule()
    schedule.begin()
    paths = chance.sample(PATHS, chance.choice([2, 3, len(PATHS)]))
    steps = steps_of(schedule, chance, paths)
    weights = [weight * chance.choice([0.1, 0.5, 1, 1, 3]) for weight in steps.values()]
    for step in chance.choices(list(steps), weights, k=count):
        step()
        schedule.world.check()
    schedule.teardown()


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_a_swarm_of_schedules(first: int) -> None:
    """No stale hit, no mistaken holder, changes in order, one answer per call."""
    for seed in range(first, first + PER_TEST):
        run(seed)


def test_a_seed_is_a_schedule() -> None:
    """The same seed does the same, to the last frame: iteration order plays no part in what the master does."""
    histories = []
    for _ in range(2):
        chance = random.Random(99)
        schedule = Schedule()
        schedule.begin()
        steps = steps_of(schedule, chance, list(PATHS))
        for step in chance.choices(list(steps), list(steps.values()), k=STEPS):
            step()
        cell = schedule.world.cell
        histories.append((cell.commands, cell.outcomes, [peer.answered for peer in schedule.world.peers], cell.frames))
    assert histories[0] == histories[1]
