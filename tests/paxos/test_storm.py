"""The seeded world: safety through any storm, liveness after it ("Paxos Made Live" §6.2; DESIGN §3).

Repeat one by `python -m tests.paxos.storm SEED`; hunt over many by `python -m tests.paxos.storm FIRST LAST`.
"""

from __future__ import annotations

import pytest

from tests.paxos.storm import Storm, run_seed

SUITE = range(80)
FOUND = (
    317,  # an entry of a higher ballot learned, then an Accept of a lower one: the core fell over it
    367,  # the same, by another road
    377,
    388,
    487,
    505,
    540,
    1351,
    1747,
    1789,
    4392,  # who had only accepted a configuration was left alone with voters that were gone
)
"""Seeds that once found something, in the core or in this world."""


@pytest.mark.parametrize("seed", [*SUITE, *FOUND])
def test_storm(seed: int) -> None:
    """No checker fails, and the cell is whole soon after."""
    run_seed(seed)


def test_a_seed_is_a_story() -> None:
    """The same seed tells the same story to the last slot: a failure can be repeated."""
    stories = []
    for _ in range(2):
        storm = Storm(6)
        storm.run()
        nodes = storm.world.nodes.values()
        stories.append((storm.world.now, storm.world.checkers.chains, [node.machine for node in nodes]))
    assert stories[0] == stories[1]
    assert len(stories[0][1]) > 50
