"""What a master does at its door: proposals, its lease, refusals, hand-overs (DESIGN §3 Election, Master lease)."""

from __future__ import annotations

from chubby.paxos.lease import believed
from chubby.paxos.messages import (
    Accepted,
    Ballot,
    Commit,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Nack,
    NackReason,
)
from chubby.paxos.ready import Role
from chubby.types.limits import SLOW_SYNC
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.bench import Bench
from tests.paxos.parts import NOW, ballot, configuration


def test_proposals_are_refused_by_whoever_is_not_master() -> None:
    """False means: it took no effect."""
    bench = Bench()
    assert not bench.propose(2, "x")
    bench.elect(1)
    assert bench.propose(1, "x")
    bench.peer(1).hand_over(bench.now)
    assert not bench.propose(1, "y")


def test_the_lease_is_shown_by_the_master_alone() -> None:
    """0 for everybody else."""
    bench = Bench()
    bench.elect(1)
    assert bench.peer(1).lease_until > bench.now
    assert bench.peer(2).lease_until == 0
    assert bench.peer(1).master == bench.peer(2).master == 1


def test_a_master_steps_down_when_its_lease_has_lapsed() -> None:
    """Somebody else may be elected by then; what it had queued is forgotten."""
    bench = Bench()
    bench.elect(1)
    until = bench.peer(1).lease_until
    bench.tick(until - bench.now, [1])
    assert bench.peer(1).role is Role.FOLLOWER
    assert bench.peer(1).master == 0


def test_a_master_without_grants_has_patience_for_one_lease() -> None:
    """Then it gives way to somebody who can reach a majority."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    bench.deliver()
    bench.deliver()
    bench.persist(1)
    bench.deliver(1, 2)
    bench.persist(2)
    bench.cut.update({(1, 2), (1, 3)})
    bench.deliver(2, 1)
    assert bench.peer(1).status(bench.now).margin is not None, "it is master"
    assert bench.peer(1).lease_until == 0
    for _ in range(11):
        bench.tick(100 * MILLISECOND, [1])
        bench.drop()
        bench.persist(1)
    assert bench.peer(1).role is not Role.MASTER


def test_a_slow_disk_hands_over() -> None:
    """DESIGN §3 Election: "A master whose own fsync is more than 2 s late hands over"."""
    bench = Bench()
    bench.elect(1)
    bench.propose(1, "slow")
    end = bench.now + SLOW_SYNC
    while bench.now < end:
        bench.tick(10 * MILLISECOND)
        bench.deliver()
        bench.persist(2)
        bench.persist(3)
    assert bench.peer(1).role is Role.MASTER
    for _ in range(30):
        bench.tick(20 * MILLISECOND)
        bench.deliver()
        bench.persist(2)
        bench.persist(3)
    assert bench.peer(1).role is not Role.MASTER
    assert any(isinstance(message, LeaseRelease) for _, _, message in bench.sent)
    assert Role.MASTER in (bench.peer(2).role, bench.peer(3).role)


def test_a_hand_over_waits_for_what_is_in_flight() -> None:
    """But not for ever."""
    bench = Bench()
    bench.elect(1)
    bench.propose(1, "a")
    bench.peer(1).hand_over(bench.now, 2)
    assert bench.peer(1).releasing
    bench.settle()
    assert not bench.peer(1).releasing
    assert bench.peer(2).chosen == bench.peer(3).chosen == 1
    bench.elect(2)
    bench.propose(2, "b")
    bench.drop()
    bench.peer(2).hand_over(bench.now, 3)
    bench.tick(149 * MILLISECOND, [2])
    bench.drop()
    assert bench.peer(2).releasing
    bench.tick(MILLISECOND, [2])
    assert bench.peer(2).role is Role.FOLLOWER


def test_a_hand_over_during_phase_1_names_a_ballot_already_spoken() -> None:
    """A ballot that is not on our disk yet is named to nobody: the next life might use it again."""
    bench = Bench()
    bench.elect(1)
    first = bench.peer(1).status(bench.now).ballot
    nack = Nack(first, 103, NackReason.BALLOT, ballot(50, 3), 0, 0)
    bench.receive(3, 1, nack)
    assert bench.peer(1).status(bench.now).ballot == ballot(51)
    bench.peer(1).hand_over(bench.now)
    bench.sent.clear()
    bench.tick(200 * MILLISECOND, [1])
    released = [message for _, _, message in bench.sent if isinstance(message, LeaseRelease)]
    assert [message.ballot for message in released] == [first] * 2
    assert not any(getattr(message, "ballot", first) > first for _, _, message in bench.sent)


def test_a_nacked_master_speaks_in_its_old_ballot_until_the_new_one_is_durable() -> None:
    """Heartbeats and commits go on: the lease of a slow disk's master does not lapse meanwhile."""
    bench = Bench()
    bench.elect(1)
    first = bench.peer(1).status(bench.now).ballot
    bench.receive(3, 1, Nack(first, 103, NackReason.BALLOT, ballot(50, 3), 0, 0))
    bench.sent.clear()
    bench.tick(100 * MILLISECOND, [1])
    assert [message.ballot for _, _, message in bench.sent if isinstance(message, Heartbeat)] == [first] * 2
    bench.persist(1)
    bench.sent.clear()
    bench.tick(100 * MILLISECOND, [1])
    assert {message.ballot for _, _, message in bench.sent if isinstance(message, Heartbeat)} == {ballot(51)}


def test_a_commit_goes_out_under_the_ballot_that_chose() -> None:
    """A vote and a refusal come in one step: what the vote made chosen is told in the name of its own ballot."""
    bench = Bench()
    bench.elect(1)
    first = bench.peer(1).status(bench.now).ballot
    bench.propose(1, "a")
    bench.persist(1)
    bench.sent.clear()
    bench.peer(1).receive(2, Accepted(first, 102, (1,), 0, bench.now, SECOND), bench.now)
    bench.peer(1).receive(3, Nack(first, 103, NackReason.BALLOT, ballot(50, 3), 0, 0), bench.now)
    bench.drain(1)
    assert [message for _, _, message in bench.sent] == [Commit(first, 1)] * 2


def test_grants_of_a_former_mastership_are_not_counted() -> None:
    """They may have been given back: an answer to a ballot below the one this office began with says nothing."""
    bench = Bench()
    bench.elect(1)
    before = bench.peer(1).status(bench.now)
    older = Ballot(before.ballot.round - 1, 1, 101)
    late = bench.now + 500 * MILLISECOND
    for replica in (1, 2, 3):
        bench.receive(replica, 1, HeartbeatReply(older, 100 + replica, 0, late, SECOND))
    assert bench.peer(1).lease_until == before.lease_until


def test_out_of_office_no_grant_is_remembered() -> None:
    """The next office begins with none."""
    bench = Bench()
    bench.elect(1)
    bench.peer(1).hand_over(bench.now)
    office = bench.peer(1)._station.office
    office.lease.settle(bench.genesis)
    assert office.lease.until == 0


def test_a_change_of_the_voters_counts_the_lease_anew() -> None:
    """At the instant it is known to be chosen: 3 and 4 have been silent; three of four become two of three."""
    bench = Bench(4)
    bench.elect(1)
    bench.cut.update({(1, 3), (1, 4)})
    for _ in range(5):
        bench.tick(100 * MILLISECOND, [1])
        bench.settle()
    fresh = bench.now
    bench.tick(MILLISECOND, [])
    assert bench.peer(1).lease_until < bench.now + 600 * MILLISECOND
    bench.cut.clear()
    assert bench.peer(1).reconfigure(configuration(1, 2, 3), bench.now) is None
    bench.drain(1)
    bench.persist(1)
    for replica in (2, 3):
        bench.deliver(1, replica)
        while bench.persist(replica):
            pass
    bench.deliver(2, 1)
    assert bench.peer(1).chosen == 0
    bench.receive(3, 1, Accepted(bench.peer(1).status(bench.now).ballot, 103, (1,), 0, NOW - 10 * SECOND, SECOND))
    assert bench.peer(1).chosen == 1
    assert bench.peer(1).lease_until >= believed(SECOND, 10_000) + fresh


def test_a_master_that_hears_of_another_one_is_none() -> None:
    """It slept through its lease; the first message it reads is its successor's."""
    bench = Bench()
    bench.elect(1)
    bench.now += 2 * SECOND
    bench.receive(3, 1, Heartbeat(ballot(50, 3), 0, bench.now))
    assert bench.peer(1).role is Role.FOLLOWER
    assert bench.peer(1).master == 3
    assert not bench.propose(1, "too late")


def test_a_nack_without_a_lease_ends_the_office() -> None:
    """Whoever promised more may have been elected."""
    bench = Bench()
    bench.elect(1)
    bench.now = bench.peer(1).lease_until
    held = bench.peer(1).status(bench.now).ballot
    bench.receive(3, 1, Nack(held, 103, NackReason.BALLOT, ballot(50, 3), 0, 0))
    assert bench.peer(1).role is Role.FOLLOWER


def test_an_old_nack_is_no_news() -> None:
    """Of thirty-two proposals in flight each may be refused; phase 1 is run again once."""
    bench = Bench()
    bench.elect(1)
    first = bench.peer(1).status(bench.now).ballot
    for _ in range(3):
        bench.receive(3, 1, Nack(first, 103, NackReason.BALLOT, ballot(50, 3), 0, 0))
    assert bench.peer(1).status(bench.now).ballot == ballot(51)


def test_a_single_replica() -> None:
    """Its own disk is the majority, its lease its own; nothing is ever sent."""
    bench = Bench(1)
    bench.elect(1)
    bench.propose(1, "a")
    assert bench.peer(1).chosen == 0
    bench.persist(1)
    assert bench.peer(1).chosen == 1
    bench.crash(1)
    bench.restart(1)
    bench.run(3 * SECOND)
    assert bench.peer(1).role is Role.MASTER
    assert bench.peer(1).chosen == 1
    bench.peer(1).hand_over(bench.now)
    bench.drain(1)
    bench.run(3 * SECOND)
    assert bench.peer(1).role is Role.MASTER
    assert bench.sent == []
