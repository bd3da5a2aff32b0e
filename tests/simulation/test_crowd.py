"""Thousands of sessions in one cell: leases stretch, a fail-over, and the end of many at once."""

from __future__ import annotations

import msgspec
import pytest

from chubby.config.cell import Timing
from chubby.namespace.commands import RaiseCaps
from chubby.types.calls import Acquire, CreateMode, Mode, Open
from chubby.types.results import Answer, LockGranted
from chubby.types.time import SECOND
from tests.simulation.audit import SETTLING
from tests.simulation.checkers import story
from tests.simulation.clients import ClientHost
from tests.simulation.configuration import CELL, SHORT
from tests.simulation.network import Weather
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario

SESSIONS = 3_000
TIMING: Timing = msgspec.structs.replace(SHORT, session_lease=2 * SECOND, session_lease_maximum=12 * SECOND)
"""Two KeepAlives per lease and session are more than a master wants: 3,000 a second at this length."""
DYING = 1_000


def crowded() -> Scenario:
    """A cell without any faults, and without clients yet."""
    plan = msgspec.structs.replace(
        draw(0, SECOND), replicas=5, clients=0, workloads=(), faults=(), weather=Weather(), timing=TIMING, bounded=True
    )
    scenario = Scenario(plan)
    for host in scenario.hosts:
        host.observe = scenario._observe
        host.format()
        host.start()
    scenario.world.run(scenario.world.now + 5 * SECOND)
    return scenario


def wait_in_line(client: ClientHost, granted: list[str]) -> None:
    """This client wants the one lock that all want."""
    handle = client.new_handle()

    def opened(answer: Answer) -> None:
        client.call(Acquire(handle), acquired)

    def acquired(answer: Answer) -> None:
        if isinstance(answer, LockGranted):
            granted.append(client.place)

    client.call(Open(handle, "/l", Mode.READ | Mode.WRITE, create=CreateMode.MAY), opened)


@pytest.mark.timeout(900)
def test_thousands_of_sessions() -> None:
    """DESIGN §5 Three leases, Fail-over; §4 Locks: leases stretch log first, all resume with a new master, a third dies
    at once and is expired, and the lock goes to the first of those who live.
    """
    scenario = crowded()
    world, population = scenario.world, scenario.population
    clients = []
    for _ in range(SESSIONS):
        clients.append(population.add(caching=0.5, tempo=None))
        world.run(world.now + SECOND // 1_000)
    granted: list[str] = []
    for client in clients[::200]:
        wait_in_line(client, granted)
        world.run(world.now + SECOND // 2)
    assert len(population.living()) == SESSIONS and granted == ["c1"]
    lease = clients[0].core.statistics(clients[0].clock.now()).session_lease_left
    assert lease > TIMING.session_lease // 2
    master = next(host for host in scenario.hosts if host.believes)
    master.crash()
    world.run(world.now + 10 * SECOND)
    master.start()
    assert len(population.living()) == SESSIONS, "nobody lost its session"
    for client in clients[:DYING]:
        client.crash()
    world.run(world.now + 15 * SECOND)
    living = population.living()
    assert len(living) == SESSIONS - DYING
    assert scenario.audit.remains(scenario.hosts, living) == ""
    assert granted == ["c1", f"c{DYING + 1}"], "the first of those in line who live"
    world.run(world.now + SETTLING)
    found = scenario.audit.check(scenario.hosts, living, ())
    assert found.commands > SESSIONS + DYING
    tale = story.tell(scenario.log.log(), story.genesis_of(scenario.hosts[0].config, CELL), {})
    caps = [told.command.body.caps for told in tale.told if isinstance(told.command.body, RaiseCaps)]
    assert max(each.session_lease for each in caps) >= 3 * SECOND, "leases were stretched, log first"
