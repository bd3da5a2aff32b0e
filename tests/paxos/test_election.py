"""When replicas stand, and how long a cell is without a master (DESIGN §3 Election)."""

from __future__ import annotations

import random

import pytest

from chubby.paxos.election import CANVASS_AGAIN, CANVASS_TIMEOUT, PREPARE_TIMEOUT, RANK_DELAY, TRANSITIONS, Election
from chubby.paxos.electorate import Electorate
from chubby.paxos.messages import Canvass, CanvassReply
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import Role
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import MILLISECOND, NEVER, SECOND
from tests.paxos.bench import Bench
from tests.paxos.network import Links, World
from tests.paxos.parts import NOW, ballot, configuration


def election(me: int = 2, jitter: float = 0.0, size: int = 3) -> tuple[Election, Outbox]:
    """Of one replica."""
    outbox = Outbox(me)
    return Election(me, Electorate(0, configuration(*range(1, size + 1))), outbox, lambda: jitter), outbox


@pytest.mark.parametrize(("me", "jitter", "turn"), [(1, 0.0, 0), (2, 0.0, 50), (3, 0.0, 100), (2, 0.5, 75)])
def test_rank_and_jitter(me: int, jitter: float, turn: int) -> None:
    """DESIGN §3 Election: "rank × 50 ms + jitter"."""
    candidate, _ = election(me, jitter)
    candidate.wait_until(NOW)
    assert candidate.stand_at == NOW + turn * MILLISECOND


def test_a_canvass_asks_every_voter_above_all_rounds_seen() -> None:
    """Ourselves too."""
    candidate, outbox = election()
    candidate.saw(ballot(7, 3))
    candidate.saw(ballot(4, 1))
    candidate.canvass(5, NOW)
    assert [each.message for each in outbox.messages] + outbox.looped == [Canvass(8, 5)] * 3
    assert candidate.stand_at == NEVER
    assert candidate.give_up_at == NOW + CANVASS_TIMEOUT


def test_only_answers_to_this_canvass_count() -> None:
    """And only of voters, and only a yes."""
    candidate, _ = election()
    candidate.canvass(0, NOW)

    def reply(number: int = 1, replica: int = 1, would: bool = True) -> bool:
        message = CanvassReply(number, 100 + replica, would, ballot(20, 3), 0, 0)
        return candidate.on_canvass_reply(replica, message)

    assert not reply(2)
    assert not reply(2, number := 3)
    assert number == 3
    assert not reply(0)
    assert not reply(1, 1, would=False)
    assert not reply(1, 1)
    assert not reply(1, 9)
    assert reply(1, 2)
    assert candidate.next_ballot_round(NOW) == 21, "above what others promised"


def test_a_named_successor_stands_at_once_and_asks_again() -> None:
    """Its question may overtake the master's LeaseRelease: who refused may be free an instant later."""
    candidate, outbox = election()
    candidate.released(NOW, True)
    assert candidate.stand_at == NOW
    assert candidate.canvass(5, NOW) == NOW + CANVASS_AGAIN
    candidate.on_canvass_reply(2, CanvassReply(1, 102, True, ballot(1), 5, 0))
    candidate.on_canvass_reply(1, CanvassReply(1, 101, False, ballot(1), 5, SECOND))
    outbox.messages.clear()
    outbox.looped.clear()
    assert candidate.ask_again(5, NOW + CANVASS_AGAIN) == NOW + 2 * CANVASS_AGAIN
    assert [(each.to, each.message) for each in outbox.messages] == [(1, Canvass(1, 5)), (3, Canvass(1, 5))]
    assert not outbox.looped, "we were willing"
    assert candidate.on_canvass_reply(1, CanvassReply(1, 101, True, ballot(1), 5, 0))


def test_others_hold_back_and_ask_once() -> None:
    """The named one goes first; whoever else stands asks once, and gives up."""
    candidate, _ = election()
    candidate.released(NOW, False)
    assert candidate.stand_at == NOW + 2 * HEARTBEAT_INTERVAL + RANK_DELAY
    assert candidate.canvass(5, NOW) == NEVER


def test_patience_grows_with_failures() -> None:
    """Where every disk takes a second, somebody must still get through; a decision restores haste."""
    candidate, _ = election()
    waits = []
    for _ in range(6):
        candidate.next_ballot_round(NOW)
        waits.append((candidate.give_up_at - NOW) // PREPARE_TIMEOUT)
    assert waits == [1, 2, 4, 8, 8, 8]
    candidate.decided()
    candidate.next_ballot_round(NOW)
    assert candidate.give_up_at == NOW + PREPARE_TIMEOUT


def test_settled_gives_up_nothing_any_more() -> None:
    """Neither time-out nor old answers are left."""
    candidate, _ = election(1)
    candidate.canvass(0, NOW)
    candidate.on_canvass_reply(1, CanvassReply(1, 101, True, ballot(1), 0, 0))
    candidate.settled()
    assert candidate.give_up_at == NEVER
    assert not candidate.on_canvass_reply(2, CanvassReply(1, 102, True, ballot(1), 0, 0))


def test_the_table_is_complete() -> None:
    """Every role has its row; nobody becomes master but from phase 1, and nobody leaves the voters but to learn."""
    assert set(TRANSITIONS) == set(Role)
    assert [role for role in Role if Role.MASTER in TRANSITIONS[role]] == [Role.PREPARING]
    assert all(Role.LEARNER in targets for role, targets in TRANSITIONS.items() if role is not Role.LEARNER)
    assert TRANSITIONS[Role.LEARNER] == {Role.FOLLOWER}


@pytest.mark.parametrize("delay", [100_000, 5 * MILLISECOND, 40 * MILLISECOND])
@pytest.mark.parametrize("seed", range(6))
def test_five_equal_candidates_do_not_starve(seed: int, delay: int) -> None:
    """All start in the same instant; one is master within a second or two, over a slow network too."""
    world = World(seed, links=Links(streams=True, delay=delay))
    world.start_all()
    nodes = world.nodes.values()
    assert world.run(3 * SECOND, until=lambda: any(node.believes for node in nodes))


@pytest.mark.parametrize("seed", range(8))
def test_a_dead_master_is_missed_for_little_more_than_its_lease(seed: int) -> None:
    """L, one turn, a canvass, phase 1: well under two seconds on a local network."""
    world = World(seed, links=Links(streams=True, delay=MILLISECOND))
    world.start_all()
    nodes = world.nodes.values()
    assert world.run(3 * SECOND, until=lambda: any(node.believes for node in nodes))
    world.run(SECOND)
    dead = next(node for node in nodes if node.believes)
    world.crash(dead)
    died = world.now
    assert world.run(3 * SECOND, until=lambda: any(node.believes for node in nodes))
    assert world.now - died < 1500 * MILLISECOND


@pytest.mark.parametrize("seed", range(4))
def test_slow_disks_everywhere(seed: int) -> None:
    """Every fsync takes 0.7 s: longer than the first patience of a candidate, shorter than what a master may take."""
    world = World(seed, size=3, links=Links(streams=True, delay=MILLISECOND))
    for node in world.nodes.values():
        node.slow_sync = 700 * MILLISECOND
    world.start_all()
    assert world.run(30 * SECOND, until=lambda: any(node.believes for node in world.nodes.values()))
    master = next(node for node in world.nodes.values() if node.believes)
    master.propose(b"slow but sure")
    assert world.run(10 * SECOND, until=lambda: len(world.checkers.chosen) > 0)


def test_a_quiet_cell_is_quiet() -> None:
    """Heartbeats and their answers, nothing else: 10 × 2 × 4 messages a second, no fsync."""
    bench = Bench(5)
    bench.elect(1)
    bench.run(SECOND)
    bench.sent.clear()
    bench.run(SECOND)
    kinds = {type(message).__name__ for _, _, message in bench.sent}
    assert kinds == {"Heartbeat", "HeartbeatReply"}
    assert len(bench.sent) == 80
    assert all(place.syncing is None for place in bench.places.values())


def test_turns_are_far_enough_apart() -> None:
    """With jitter below one, ranks never meet."""
    rng = random.Random(1)
    instants = []
    for me in (1, 2, 3):
        candidate, _ = election(me, rng.random() * 0.999)
        candidate.wait_until(NOW)
        instants.append(candidate.stand_at)
    assert instants == sorted(instants)
    assert instants[-1] - NOW < 3 * RANK_DELAY
