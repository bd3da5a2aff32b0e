"""Each fault strikes as it says, and a cell under it alone goes on: nothing breaks, and everybody is served again."""

from __future__ import annotations

import random
from functools import partial

import msgspec
import pytest

from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.fault_cells import Aimed, Cell
from tests.simulation.faults import BEYOND, FAULTS, clocks, network
from tests.simulation.network import Slowness
from tests.simulation.plan import draw
from tests.simulation.scenario import Scenario


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_cell_under_one_fault_alone_goes_on(name: str) -> None:
    """No checker complains, somebody was served, and in the end everybody is."""
    plan = msgspec.structs.replace(
        draw(3, 15 * SECOND), faults=(name,), interval=2 * SECOND, clients=4, bounded=True, workloads=("jugglers",)
    )
    verdict = Scenario(plan).run()
    assert verdict.faults[name] >= 1 and verdict.operations > 30


def test_clocks_beyond_the_bound_leave_the_log_alone() -> None:
    """DESIGN §3 Master lease: what is chosen does not rest on clocks, nor does what was acknowledged."""
    plan = msgspec.structs.replace(
        draw(4, 20 * SECOND),
        faults=(*BEYOND, "isolate_master"),
        interval=SECOND,
        clients=5,
        bounded=False,
        workloads=("registers", "locks", "jugglers", "presence"),
    )
    verdict = Scenario(plan).run()
    assert verdict.faults["race"] + verdict.faults["leap"] >= 5 and verdict.operations > 30


def test_only_seeds_without_bound_have_wild_clocks() -> None:
    """About an eighth of them."""
    plans = [draw(seed, SECOND) for seed in range(200)]
    assert 10 <= sum(not plan.bounded for plan in plans) <= 45
    for plan in plans:
        assert plan.bounded == (not set(BEYOND) & set(plan.faults))
        assert plan.bounded or "recipes" not in plan.workloads


# --- network -------------------------------------------------------------------------------------------------------


def test_a_partial_partition_is_no_clean_split() -> None:
    """Two that do not hear each other hear a third."""
    found, cell = 0, Cell(replicas=5, clients=0)
    for seed in range(12):
        cell.field.chance = random.Random(seed)
        network.partial_partition(cell.field)
        places = [host.place for host in cell.hosts]

        def linked(one: str, other: str, here: Cell = cell) -> bool:
            return here.field.network.connected(one, other) and here.field.network.connected(other, one)

        found += any(
            not linked(one, other) and linked(one, third) and linked(third, other)
            for one in places
            for other in places
            for third in places
            if len({one, other, third}) == 3
        )
        cell.run(30 * SECOND)
        assert all(linked(one, other) for one in places for other in places), "it is mended"
    assert found >= 6


def test_a_slow_link_delays_and_keeps_order() -> None:
    """And is as fast as before when it is over."""
    cell = Cell(clients=0)
    one, other = cell.hosts[0].place, cell.hosts[1].place
    arrived: list[tuple[int, Duration]] = []
    begun = cell.world.now

    def arrive(number: int) -> None:
        arrived.append((number, cell.world.now - begun))

    cell.field.network.slow(one, other, Slowness(300 * MILLISECOND, 10 * MILLISECOND))
    for number in range(5):
        cell.field.network.in_order(one, other, partial(arrive, number))
    cell.run(SECOND)
    assert [number for number, _ in arrived] == [0, 1, 2, 3, 4]
    assert arrived[0][1] >= 300 * MILLISECOND and arrived[4][1] >= arrived[0][1] + 40 * MILLISECOND
    network.slow_link(cell.field)
    cell.run(40 * SECOND)
    assert cell.settled()


def test_a_link_that_breaks_brings_what_waited_at_once() -> None:
    """What was written into the dead connection is lost."""
    cell = Cell(clients=0)
    one, other = cell.hosts[0].place, cell.hosts[1].place
    arrived: list[tuple[str, Duration]] = []

    def send(text: str) -> None:
        cell.field.network.datagram(one, other, lambda: arrived.append((text, cell.world.now)))

    cell.field.chance = Aimed()
    cell.field.network.cut(one, other)
    send("lost")
    network._dial_again(cell.field, one, other)
    send("first")
    cell.run(10 * MILLISECOND)
    send("second")
    assert not arrived
    cell.run(3 * SECOND)
    assert [text for text, _ in arrived] == ["first", "second"] and arrived[0][1] == arrived[1][1]


def test_cuts_of_several_faults_are_mended_one_by_one() -> None:
    """A way is open when nobody cuts it any more."""
    cell = Cell()
    net = cell.field.network
    net.cut("a", "b")
    net.cut("a", "b")
    net.mend("a", "b")
    assert not net.connected("a", "b") and net.connected("b", "a")
    net.mend("a", "b")
    assert net.connected("a", "b")
    net.mend("a", "b")
    net.cut("a", "b")
    assert not net.connected("a", "b")
    net.heal()
    assert net.connected("a", "b")


def test_clients_go_on_after_their_streams_were_reset() -> None:
    """With the sessions they had, whoever learns of it first."""
    cell = Cell()
    clients = cell.scenario.population.clients
    sessions = [client.core.identity.session for client in clients]
    before = sum(cell.scenario.population.tally().values())
    for seed in range(8):
        cell.field.chance = random.Random(seed)
        network.reset_streams(cell.field)
        cell.run(2 * SECOND)
    cell.run(25 * SECOND)
    assert [client.core.identity.session for client in clients] == sessions
    assert sum(cell.scenario.population.tally().values()) > before + 100


# --- clocks --------------------------------------------------------------------------------------------------------


def test_a_wild_clock_never_goes_back() -> None:
    """Whatever is done to it."""
    cell = Cell(clients=0)
    clock = cell.hosts[0].clock
    chance = random.Random(1)
    latest = clock.now()
    for _ in range(100):
        if chance.random() < 0.5:
            clock.leap(chance.randrange(SECOND))
        else:
            clock.run_at(chance.randint(-900_000, 1_000_000))
        cell.world.now += chance.randrange(SECOND)
        assert clock.now() >= latest
        latest = clock.now()


def test_a_clock_that_races_does_so_for_a_while() -> None:
    """Then it has the rate it had."""
    cell = Cell(clients=0)
    host = cell.follower()
    cell.field.chance = Aimed(host, 3.0)
    cell.field.hosts = [host]
    begun = cell.world.now, host.clock.now()
    clocks.race(cell.field)
    cell.run(10 * MILLISECOND)
    assert host.clock.now() - begun[1] == 3 * (cell.world.now - begun[0])
    cell.run(60 * SECOND)
    before = cell.world.now, host.clock.now()
    cell.run(SECOND)
    assert abs(host.clock.now() - before[1] - SECOND) <= SECOND // 50


def test_beyond_the_bound_two_may_believe_to_be_master() -> None:
    """DESIGN §3 Master lease: within the bound nobody ever does; this is what reads rest upon."""

    def two_believe(ppm: int) -> bool:
        cell = Cell(clients=0)
        master = next(host for host in cell.hosts if host.believes)
        master.clock.run_at(ppm)
        for other in cell.hosts:
            cell.field.network.cut(master.place, other.place)
            cell.field.network.cut(other.place, master.place)
        for _ in range(400):
            cell.run(10 * MILLISECOND)
            if sum(host.believes for host in cell.hosts) > 1:
                return True
        return False

    assert two_believe(-900_000) and not two_believe(-10_000)
