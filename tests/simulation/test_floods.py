"""A client that begins more calls at once than a master answers unacknowledged (DESIGN §4 Sessions)."""

from __future__ import annotations

import msgspec

from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.time import SECOND
from tests.simulation.network import Weather
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario
from tests.simulation.workloads import SELDOM
from tests.simulation.workloads.floods import MOST, NAMES, Floods


def test_a_flood_is_answered_and_more_than_once_it_has_to_wait_in_the_client() -> None:
    """In fair weather all of it, and what it made is there for others."""
    plan = msgspec.structs.replace(
        draw(2, 20 * SECOND), faults=(), clients=2, caching=1.0, weather=Weather(), workloads=("floods",), bounded=True
    )
    scenario = Scenario(plan)
    waited = 0

    def look() -> None:
        nonlocal waited
        for client in scenario.population.clients:
            flights = client.core.desk.flights
            waited += len(flights) > REPLY_TABLE_LIMIT and flights.acknowledged > 0
        scenario.world.after(SECOND // 1000, look)

    look()
    scenario.run()
    floods = scenario.workloads["floods"]
    assert isinstance(floods, Floods)
    assert floods.begun == floods.answered == MOST and waited
    master = next(host.replica for host in scenario.hosts if host.replica is not None and host.replica.serving)
    assert master.machine is not None
    made = [entry for entry in master.machine.children("/", "", 1000)[0] if entry.name.startswith("f-")]
    assert len(made) == MOST * NAMES


def test_some_seeds_have_floods() -> None:
    """They cost more than others."""
    drawn = sum("floods" in draw(seed, SECOND).workloads for seed in range(400))
    assert 400 * SELDOM["floods"] * 0.6 < drawn < 400 * SELDOM["floods"] * 1.4
