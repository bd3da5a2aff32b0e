"""Faults that wait for their moment: they strike when it comes, and everything is mended afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from chubby.types.identity import Slot
from chubby.types.time import MILLISECOND, SECOND
from tests.simulation.fault_cells import Cell
from tests.simulation.faults import Fault, leases, votes
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Tape


def reigning(cell: Cell) -> ReplicaHost:
    """The master, which there is."""
    master = cell.field.reigning()
    assert master is not None
    return master


def before(patch: pytest.MonkeyPatch, host: ReplicaHost, look: Callable[[], None]) -> None:
    """Look at the cell right before this machine goes down."""
    crash = host.crash

    def looked_at() -> None:
        look()
        crash()

    patch.setattr(host, "crash", looked_at)


def whole(cell: Cell) -> bool:
    """Whether nothing is cut, and nothing waits."""
    network, places = cell.field.network, [host.place for host in cell.hosts]
    return all(network.connected(one, other) for one in places for other in places if one != other)


# --- waiting -------------------------------------------------------------------------------------------------------


def test_the_moment_is_met_at_the_very_step_and_once() -> None:
    """What is done comes behind that step, before any other event."""
    cell = Cell()
    host = cell.hosts[0]
    chosen = cell.scenario.log.log()
    met: list[tuple[int, int]] = []

    def grown() -> bool:
        standing = cell.field.standing(host)
        return standing is not None and standing.chosen >= len(chosen) + 5

    def act() -> None:
        standing = cell.field.standing(host)
        assert standing is not None
        met.append((standing.chosen, cell.world.now))

    cell.field.when(grown, act, 10 * SECOND, lambda: met.append((0, 0)))
    cell.run(20 * SECOND)
    assert len(met) == 1 and met[0][0] >= len(chosen) + 5, "once, and it was not in vain"


def test_a_moment_that_does_not_come_is_waited_for_in_vain() -> None:
    """Then what was prepared for it is taken back; nothing at all is done when all faults are over."""
    cell = Cell()
    told: list[str] = []
    wait = partial(cell.field.when, lambda: False, lambda: told.append("met"), SECOND)
    wait(lambda: told.append("in vain"))
    cell.run(2 * SECOND)
    assert told == ["in vain"]
    wait(lambda: told.append("too late"))
    cell.field.soon(SECOND, lambda: told.append("too late"))
    cell.field.stop()
    wait(lambda: told.append("not begun"))
    cell.run(5 * SECOND)
    assert told == ["in vain"]


def test_what_is_severed_is_mended_once() -> None:
    """However often it is asked for: what others cut stays cut."""
    cell = Cell(clients=0)
    network = cell.field.network
    network.cut("r1", "r2")
    mend = cell.field.sever([("r1", "r2"), ("r2", "r1")])
    assert not network.connected("r2", "r1")
    mend()
    mend()
    assert network.connected("r2", "r1") and not network.connected("r1", "r2")


@pytest.mark.parametrize("through", [True, False])
def test_what_is_recorded_can_be_played(through: bool) -> None:
    """It comes once more, in order; or only then."""
    cell = Cell(clients=0)
    network, arrived = cell.field.network, list[int]()
    tape = network.record("r1", "x", through)
    for number in range(3):
        network.datagram("r1", "x", partial(arrived.append, number))
    cell.run(10 * MILLISECOND)
    assert arrived == ([0, 1, 2] if through else [])
    network.play(tape)
    network.datagram("r1", "x", partial(arrived.append, 3))
    cell.run(10 * MILLISECOND)
    assert arrived[-4:] == [0, 1, 2, 3] and len(arrived) == (7 if through else 4)


def test_a_tape_stops_only_itself() -> None:
    """Another one that took its place goes on; when all is mended none does."""
    cell = Cell(clients=0)
    network, arrived = cell.field.network, list[int]()
    first, second = (network.record("r1", "x", through=False) for _ in range(2))
    network.stop(first)
    network.datagram("r1", "x", partial(arrived.append, 1))
    assert not first.messages and len(second.messages) == 1
    network.heal()
    network.datagram("r1", "x", partial(arrived.append, 2))
    cell.run(10 * MILLISECOND)
    assert arrived == [2]


# --- votes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicas", [3, 5])
@pytest.mark.parametrize(
    "fault", [votes.leave_a_hole, votes.rival, votes.last_words, leases.hand_back], ids=lambda each: each.__name__
)
def test_the_moment_comes_most_of_the_time(fault: Fault, replicas: int) -> None:
    """And the cell goes on, whole."""
    cell = Cell(replicas)
    for _ in range(6):
        fault(cell.field)
        cell.run(8 * SECOND)
    assert cell.field.hits[fault.__name__] >= 3
    cell.settle()
    assert whole(cell)


def test_nobody_strikes_where_there_is_no_master() -> None:
    """There is no moment to wait for."""
    cell = Cell()
    for host in cell.hosts[1:]:
        host.crash()
    cell.run(3 * SECOND)
    for fault in (votes.leave_a_hole, votes.rival, votes.last_words, votes.amnesia, leases.drift_apart, leases.crumble):
        fault(cell.field)
    leases.hand_back(cell.field)
    leases.oversleep(cell.field)
    cell.run(3 * SECOND)
    assert not cell.field.hits and whole(cell) and cell.hosts[0].running


def test_a_hole_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the master dies nobody else knows of a slot, and somebody holds a later one."""
    cell = Cell()
    found: list[tuple[list[Slot], Slot]] = []

    def look(master: ReplicaHost) -> None:
        others = [other.replica for other in cell.field.others(master) if other.replica is not None]
        chosen = max(other.peer_status(0).chosen for other in others)
        slots = range(chosen + 1, chosen + 20)
        held = [slot for slot in slots if any(other.entry(slot) is not None for other in others)]
        assert master.replica is not None and master.replica.entry(chosen + 1) is not None
        found.append((held, chosen))

    for host in cell.hosts:
        before(monkeypatch, host, partial(look, host))
    for _ in range(8):
        votes.leave_a_hole(cell.field)
        cell.run(8 * SECOND)
    assert found and all(held and chosen + 1 not in held for held, chosen in found)
    cell.settle()


@pytest.mark.parametrize("replicas", [3, 5])
def test_a_rival_is_left(monkeypatch: pytest.MonkeyPatch, replicas: int) -> None:
    """Who dies has chosen something; another value of a lower ballot is held by the first master, which is needed."""
    cell = Cell(replicas)
    first = reigning(cell)
    deaths: list[ReplicaHost] = []
    rivals: list[Slot] = []

    def look(second: ReplicaHost) -> None:
        deaths.append(second)
        if len(deaths) > 1:
            return
        assert first.replica is not None and second.replica is not None
        for slot in range(1, second.replica.peer_status(0).chosen + 1):
            old, new = first.replica.entry(slot), second.replica.entry(slot)
            assert new is not None
            if old is not None and old.ballot < new.ballot and old.value != new.value:
                rivals.append(slot)
        others = [each for each in cell.field.others(second) if each.replica is not None]
        assert all(standing.chosen < rivals[0] for each in others if (standing := cell.field.standing(each)))

    for host in cell.field.others(first):
        before(monkeypatch, host, partial(look, host))
    votes.rival(cell.field)
    cell.run(5 * SECOND)
    assert cell.field.hits["rival"] == 1 and rivals
    assert len(deaths) == replicas // 2 and first not in deaths, "as few are left as it takes"
    cell.settle()
    assert whole(cell)


def test_last_words_come_after_the_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A majority has promised another ballot when those who promised it hear the former master once more."""
    cell = Cell(replicas=5)
    first = reigning(cell)
    network, heard = cell.field.network, list[str]()
    play = network.play

    def played(tape: Tape) -> None:
        if tape.source == first.place:
            assert tape.messages
            standings = [cell.field.standing(host) for host in cell.field.others(first)]
            promised = [standing.promised for standing in standings if standing is not None]
            assert promised.count(max(promised)) >= 3 and max(promised).replica != first.number
            heard.append(tape.target)
        play(tape)

    monkeypatch.setattr(network, "play", played)
    votes.last_words(cell.field)
    cell.run(4 * SECOND)
    assert len(heard) == 3, "all but the candidate hear it"
    cell.settle()


@pytest.mark.parametrize("replicas", [3, 5])
def test_what_a_majority_chose_outlives_amnesia(replicas: int) -> None:
    """DESIGN §3 Incarnations: who lost its disk is no voter, so those who are left are too few, and wait."""
    cell = Cell(replicas)
    lives = {host.number: host.incarnation for host in cell.hosts}
    votes.amnesia(cell.field)
    cell.run(SECOND)
    down = [host for host in cell.hosts if not host.running]
    assert cell.field.hits["amnesia"] == 1 and len(down) == replicas // 2
    cell.run(3 * SECOND)
    assert not any(host.believes for host in cell.hosts), "a majority of those who vote is away"
    cell.settle()
    assert sum(host.incarnation != lives[host.number] for host in cell.hosts) == 1
    votes.amnesia(cell.field)
    cell.run(SECOND)
    assert cell.field.hits["amnesia"] == 1, "one disk at a time"


# --- leases --------------------------------------------------------------------------------------------------------


def test_clocks_drift_apart_and_no_further() -> None:
    """Both ends of the bound, for three seconds."""
    cell = Cell(clients=0)
    master = reigning(cell)
    usual = [host.clock.usual_ppm for host in cell.hosts]
    leases.drift_apart(cell.field)
    begun = [host.clock.now() for host in cell.hosts]
    cell.run(SECOND)
    for host, since in zip(cell.hosts, begun, strict=True):
        assert abs(host.clock.now() - since - SECOND - (-1 if host is master else 1) * SECOND // 100) <= 2
    assert not whole(cell)
    cell.run(3 * SECOND)
    begun = [host.clock.now() for host in cell.hosts]
    cell.run(SECOND)
    for host, since, ppm in zip(cell.hosts, begun, usual, strict=True):
        assert abs(host.clock.now() - since - SECOND - ppm * 1000) <= 2
    assert whole(cell) and cell.settled()


def test_links_crumble_within_a_lease() -> None:
    """One first, which has to wait until the others are free as well; then all of them."""
    cell = Cell(replicas=5, clients=0)
    master = reigning(cell)
    others = [host.place for host in cell.field.others(master)]

    def lost() -> int:
        return sum(not cell.field.network.connected(master.place, other) for other in others)

    leases.crumble(cell.field)
    cell.run(50 * MILLISECOND)
    assert lost() == 1
    cell.run(600 * MILLISECOND)
    assert lost() == 4
    cell.run(3 * SECOND)
    cell.settle()
    assert whole(cell)


def test_mastership_is_handed_back() -> None:
    """To the one that had it, under a later ballot; then its former words come once more, and change nothing."""
    cell = Cell()
    first = reigning(cell)
    standing = cell.field.standing(first)
    assert standing is not None
    leases.hand_back(cell.field)
    cell.run(SECOND)
    again = cell.field.standing(first)
    assert cell.field.hits["hand_back"] == 1 and first.believes and again is not None
    assert again.ballot > standing.ballot


def test_a_master_oversleeps_with_those_who_reach_nobody_else() -> None:
    """Another one is there when it wakes up; it is not struck again meanwhile."""
    cell = Cell(clients=2)
    reader = cell.scenario.population.add(0.0, cell.scenario.plan.tempo())
    cell.run(2 * SECOND)
    first = reigning(cell)
    leases.oversleep(cell.field)
    assert 0 < reader.paused_until < first.paused_until, "its clients wake up first"
    assert all(client.awake for client in cell.scenario.population.clients if client is not reader)
    assert cell.field.under_way == {"oversleep"}
    until = first.paused_until
    cell.world.run(until - 1)
    second = reigning(cell)
    leases.oversleep(cell.field)
    assert second is not first and second.paused_until == 0
    cell.settle()
    assert whole(cell) and not cell.field.under_way
