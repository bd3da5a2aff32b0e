"""One test per sentence of DESIGN §3 and of "Paxos Made Live" that concerns the log, quoted in its docstring.

What only units can show (ties, arithmetic, limits) is tested there; here the sentence is put to a whole cell.
"""

from __future__ import annotations

import random
from functools import partial

import pytest

from chubby.paxos.belonging import JOIN_INTERVAL
from chubby.paxos.configuration import Member
from chubby.paxos.messages import (
    Accept,
    Accepted,
    Ballot,
    Commit,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Message,
    Nack,
    NackReason,
    Prepare,
    Promise,
)
from chubby.paxos.ready import Role
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.bench import Bench
from tests.paxos.network import Links, World
from tests.paxos.parts import ballot, commands, configuration
from tests.paxos.replica import Replica


def sent(bench: Bench, kind: type[Message]) -> list[tuple[ReplicaId, ReplicaId, Message]]:
    """Everything of this kind that ever left."""
    return [each for each in bench.sent if isinstance(each[2], kind)]


def ready_cell(size: int = 3) -> Bench:
    """Replica 1 is master, all is quiet, nothing is remembered of how it came about."""
    bench = Bench(size)
    bench.elect(1)
    bench.sent.clear()
    return bench


def any_believes(nodes: list[Replica]) -> bool:
    """Whether one of them is master and believes in its lease."""
    return any(node.believes for node in nodes)


def calm_world(seed: int, size: int = 5) -> World:
    """A cell with a master, over a fast network."""
    world = World(seed, size, Links(streams=True, delay=MILLISECOND))
    world.start_all()
    assert world.run(5 * SECOND, until=lambda: any(node.believes for node in world.nodes.values()))
    world.run(500 * MILLISECOND)
    return world


# --- the log -------------------------------------------------------------------------------------------------------


def test_ballots_are_totally_ordered() -> None:
    """«A ballot is (round, replica id), totally ordered.»"""
    rng = random.Random(1)
    ballots = [Ballot(rng.randrange(3), rng.randrange(3), rng.randrange(3)) for _ in range(50)]
    assert sorted(ballots) == sorted(ballots, key=lambda each: (each.round, each.replica, each.incarnation))


def test_phase_1_runs_once() -> None:
    """«Phase 1 runs once over all open slots; then one round trip per batch.»"""
    bench = ready_cell()
    for number in range(20):
        bench.propose(1, str(number))
        bench.settle()
    assert sent(bench, Prepare) == sent(bench, Promise) == []
    assert len(sent(bench, Accept)) == len(sent(bench, Accepted)) == 2 * 20
    assert bench.peer(3).chosen == 20


def test_batches_form_by_themselves() -> None:
    """«Whatever arrived while the last fsync ran is the next slot.»"""
    bench = ready_cell()
    bench.propose(1, "first")
    for number in range(100):
        bench.propose(1, str(number))
    bench.settle()
    assert bench.peer(1).chosen == 2
    held = bench.peer(1)._station.log.get(2)
    assert held is not None
    assert len(held.value.payloads) == 100


def test_persist_before_send() -> None:
    """«Accept may leave while the master's own fsync runs; nobody's Accepted or Promise leaves before its own.»"""
    bench = ready_cell()
    bench.propose(1, "a")
    assert len(sent(bench, Accept)) == 2
    assert bench.places[1].syncing is not None
    bench.deliver()
    assert sent(bench, Accepted) == []
    bench.persist(2)
    assert [sender for sender, _, _ in sent(bench, Accepted)] == [2]
    bench.deliver()
    assert bench.peer(1).chosen == 0, "two votes are needed, and the master's own is not on disk"
    bench.persist(1)
    assert bench.peer(1).chosen == 1


def test_commit_names_its_ballot() -> None:
    """«A follower marks chosen only what it accepted under that ballot, else it fetches the value.»"""
    bench = ready_cell()
    bench.propose(1, "loser")
    bench.deliver(1, 2)
    bench.drop()
    bench.persist(2)
    bench.sent.clear()
    bench.receive(3, 2, Commit(ballot(9, 3), 1))
    assert bench.peer(2).chosen == 0
    assert [str(type(message).__name__) for _, to, message in bench.sent if to == 3] == ["Accepted", "CatchUp"][1:]


# --- election ------------------------------------------------------------------------------------------------------


def test_heartbeats_every_100_ms() -> None:
    """«Heartbeats every 100 ms.»"""
    bench = ready_cell()
    bench.run(SECOND)
    assert len(sent(bench, Heartbeat)) == 2 * 10


def test_first_asking_whether_a_majority_would_promise() -> None:
    """«... so a replica that was cut off never deposes a healthy master.»"""
    bench = ready_cell()
    held = bench.peer(1).status(bench.now).ballot
    for _ in range(3):
        bench.cut.update({(1, 3), (2, 3), (3, 1), (3, 2)})
        bench.run(3 * SECOND)
        bench.cut.clear()
        bench.run(300 * MILLISECOND)
        assert bench.peer(3).master == 1
    assert bench.peer(1).status(bench.now).ballot == held
    assert sent(bench, Prepare) == []


@pytest.mark.parametrize("seed", range(5))
def test_one_that_hears_nothing_does_no_harm(seed: int) -> None:
    """The same where only one direction is cut: it can ask, and hears no answer."""
    world = calm_world(seed)
    master = next(node for node in world.nodes.values() if node.believes)
    held = master.running.status(master.now).ballot
    deaf = next(node.id for node in world.nodes.values() if node is not master)
    world.cut = {(other, deaf) for other in world.replicas}
    world.run(5 * SECOND)
    world.cut.clear()
    world.run(2 * SECOND)
    assert master.believes
    assert master.running.status(master.now).ballot == held


def test_a_nacked_master_keeps_its_office() -> None:
    """«A nacked master with a live lease re-runs phase 1 higher and keeps its epoch», window and queue included."""
    bench = ready_cell(5)
    held = bench.peer(1).status(bench.now).ballot
    bench.propose(1, "in flight")
    bench.propose(1, "queued")
    bench.receive(3, 1, Nack(held, 103, NackReason.BALLOT, ballot(70, 3), 0, 0))
    roles = set()
    for _ in range(6):
        bench.deliver()
        for replica in bench.places:
            bench.persist(replica)
        roles.add(bench.peer(1).role)
    assert roles == {Role.MASTER}
    bench.settle()
    bench.run(200 * MILLISECOND)
    assert bench.peer(1).status(bench.now).ballot == ballot(71)
    words = [entry.value for entry in bench.peer(5)._station.log.above(0)]
    assert words == [commands("in flight"), commands("queued")]


def test_sigterm_hands_over() -> None:
    """«SIGTERM hands over: LeaseRelease names its ballot, which is never used again.»"""
    bench = ready_cell()
    held = bench.peer(1).status(bench.now).ballot
    bench.peer(1).hand_over(bench.now)
    bench.drain(1)
    assert [message.ballot for _, _, message in bench.sent if isinstance(message, LeaseRelease)] == [held] * 2
    assert bench.peer(1).role is Role.FOLLOWER
    began = bench.now
    bench.sent.clear()
    bench.run(100 * MILLISECOND)
    assert Role.MASTER in (bench.peer(2).role, bench.peer(3).role)
    assert bench.now - began <= 100 * MILLISECOND
    bench.run(3 * SECOND)
    assert all(getattr(message, "ballot", None) != held for _, _, message in bench.sent)


# --- the master lease ----------------------------------------------------------------------------------------------


def test_answering_a_master_promises_no_other_ballot() -> None:
    """«Answering a master's message promises no other ballot for L.»"""
    bench = ready_cell()
    bench.tick(100 * MILLISECOND, [1])
    bench.deliver(1, 2)
    bench.sent.clear()
    bench.now += SECOND - 1
    bench.receive(3, 2, Prepare(ballot(90, 3), 0))
    bench.now += 1
    bench.receive(3, 2, Prepare(ballot(90, 3), 0))
    bench.persist(2)
    assert [type(message) for _, to, message in bench.sent if to == 3] == [Nack, Promise]


def test_the_master_counts_from_its_send_time() -> None:
    """«The master counts from its send time, shortened by the clock-rate bound ε.»"""
    bench = ready_cell()
    bench.tick(100 * MILLISECOND, [1])
    sent_at = bench.now
    bench.deliver(1, 2, "Heartbeat")
    bench.now += 700 * MILLISECOND
    bench.deliver(2, 1, "HeartbeatReply")
    assert bench.peer(1).lease_until == sent_at + SECOND * 990_000 // 1_010_000


def test_a_restart_is_silent() -> None:
    """«The largest L ever granted is persisted and waited out after a restart before any promise.»"""
    bench = ready_cell()
    for replica in (1, 2, 3):
        bench.crash(replica)
    for replica in (2, 3):
        bench.restart(replica)
    bench.run(SECOND - 20 * MILLISECOND)
    assert sent(bench, Prepare) == []
    bench.run(200 * MILLISECOND)
    assert Role.MASTER in (bench.peer(2).role, bench.peer(3).role)


def test_a_lease_grant_waits_for_its_bound() -> None:
    """Without the bound on disk a restart would not know what to wait for."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    while bench.peer(1).role is not Role.MASTER:
        bench.deliver()
        bench.persist(1)
        bench.persist(3)
    bench.deliver(1, 2)
    assert [sender for sender, _, _ in sent(bench, HeartbeatReply)] == []
    while bench.persist(2):
        pass
    assert [sender for sender, _, _ in sent(bench, HeartbeatReply)] == [2]


@pytest.mark.parametrize("seed", range(10))
def test_never_two_masters_that_believe(seed: int) -> None:
    """At most one master at a time (Burrows §2.2), while clocks run at rates that differ by as much as ε allows, the
    master is stalled for longer than its lease, and a new one is elected: the world's checker looks on.
    """
    world = calm_world(seed)
    for node in world.nodes.values():
        assert abs(node.ppm) <= 10_000
    nodes = world.nodes.values()
    for _ in range(4):
        old = next(node for node in nodes if node.believes)
        old.pause(3 * SECOND)
        assert world.run(4 * SECOND, until=partial(any_believes, [node for node in nodes if node is not old]))
        world.run(3 * SECOND)


# --- membership and incarnations -----------------------------------------------------------------------------------


def test_one_replica_at_a_time_through_the_log() -> None:
    """«Membership lives in the log, one replica at a time.»"""
    bench = ready_cell(5)
    bench.run(200 * MILLISECOND)
    refused = bench.peer(1).reconfigure(configuration(1, 2, 3), bench.now)
    assert refused == "only one voter may change at a time"
    assert bench.peer(1).reconfigure(configuration(1, 2, 3, 4), bench.now) is None
    assert bench.peer(1).reconfigure(configuration(1, 2, 3, 4), bench.now) == "another change is under way"
    assert bench.peer(2).reconfigure(configuration(1, 2, 3, 4), bench.now) == "this replica is not the master"


def test_joiners_are_learners_and_are_promoted() -> None:
    """«Joiners are non-voting learners; a promoted one first waits out L.»"""
    bench = ready_cell()
    bench.propose(1, "a")
    bench.settle()
    bench.crash(3)
    bench.wipe(3, 999)
    bench.run(2500 * MILLISECOND)
    bench.restart(3)
    for wait in (0, JOIN_INTERVAL):
        bench.tick(wait, [3])
        bench.settle()
    assert bench.peer(1).electorate.latest.learners == (Member(3, 999),)
    promoted_at = bench.now
    bench.run(200 * MILLISECOND)
    assert bench.peer(1).electorate.latest.is_voter(3, 999)
    bench.sent.clear()
    bench.crash(1)
    bench.now = promoted_at + SECOND - 1
    bench.receive(2, 3, Prepare(ballot(90, 2), 1))
    assert [type(message) for _, _, message in bench.sent] == [Nack]


def test_a_forgotten_promise_is_not_counted() -> None:
    """«A promise forgotten by the disk may still be counted by its candidate», hence incarnations ◊. Replica 3 votes
    for slot 1 and loses its disk; the vote still counts for the life that gave it, and the new life's counts nothing.
    """
    bench = ready_cell()
    bench.propose(1, "a")
    bench.persist(1)
    held = bench.peer(1).status(bench.now).ballot
    bench.receive(3, 1, Accepted(held, 999, (1,), 0, bench.now, SECOND))
    assert bench.peer(1).chosen == 0
    bench.receive(3, 1, Accepted(held, 103, (1,), 0, bench.now, SECOND))
    assert bench.peer(1).chosen == 1


def test_an_empty_directory_never_votes() -> None:
    """«An empty directory never votes.» All three are empty: there will be no master."""
    bench = Bench()
    for replica in (1, 2, 3):
        bench.crash(replica)
        bench.wipe(replica, 900 + replica)
    for replica in (1, 2, 3):
        bench.restart(replica)
    bench.sent.clear()
    bench.run(5 * SECOND)
    assert {type(message).__name__ for _, _, message in bench.sent} == {"Join"}


def test_drain_then_alone() -> None:
    """«Drain; the command is proposed alone; the new configuration governs from the next slot.»"""
    bench = ready_cell(4)
    bench.propose(1, "a")
    assert bench.peer(1).reconfigure(configuration(1, 2, 3), bench.now) is None
    bench.propose(1, "b")
    bench.settle()
    kinds = [entry.value.kind.name for entry in bench.peer(1)._station.log.above(0)]
    assert kinds == ["COMMANDS", "CONFIGURATION", "COMMANDS"]
    targets = {
        slot: {to for _, to, each in sent(bench, Accept) if isinstance(each, Accept) and each.slot == slot}
        for slot in (1, 2, 3)
    }
    assert targets == {1: {2, 3, 4}, 2: {2, 3, 4}, 3: {2, 3}}
