"""The door: the contract of `Ready`, wake-ups, hand-overs, snapshots, single replicas (DESIGN §3)."""

from __future__ import annotations

import pytest

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.lease import believed
from chubby.paxos.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Canvass,
    CanvassReply,
    Commit,
    Entries,
    Entry,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Nack,
    NackReason,
    Prepare,
    Promise,
    configuration_value,
)
from chubby.paxos.peer import Peer
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, PromisedRecord, Recovered, Role
from chubby.types.limits import SLOW_SYNC
from chubby.types.time import MILLISECOND, NEVER, SECOND
from tests.paxos.bench import Bench
from tests.paxos.parts import NOW, ballot, commands, configuration, entry, member


def peer(me: int = 2, recovered: Recovered | None = None) -> Peer:
    """A replica of a cell of three."""
    recovered = recovered or Recovered(configuration=configuration(1, 2, 3))
    return Peer(member(me), 7, recovered, bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)


def accept(slot: int, number: int, word: str, chosen: int = 0) -> Accept:
    """From master 1."""
    return Accept(ballot(number), slot, commands(word), chosen, NOW)


# --- Ready ----------------------------------------------------------------------------------------------------------


def test_nothing_to_do_is_none() -> None:
    """And taking twice gives nothing twice."""
    follower = peer()
    assert follower.take_ready(NOW) is None
    follower.receive(1, Heartbeat(ballot(3), 0, NOW), NOW)
    assert follower.take_ready(NOW) is not None
    assert follower.take_ready(NOW) is None


def test_no_records_while_earlier_ones_are_unsynced() -> None:
    """DESIGN §3 "Persist before send": one fsync at a time; what comes meanwhile is one batch."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    first = follower.take_ready(NOW)
    assert first is not None
    assert first.number == 1
    for slot in (2, 3):
        follower.receive(1, accept(slot, 3, "b"), NOW)
        assert follower.take_ready(NOW) is None
    follower.persisted(1, NOW)
    second = follower.take_ready(NOW)
    assert second is not None
    assert [each.entry.slot for each in second.records if isinstance(each, AcceptedRecord)] == [2, 3]
    assert len(second.gated) == 1


def test_what_needs_no_disk_leaves_while_the_fsync_runs() -> None:
    """A refusal claims nothing about the disk, and chosen entries are durable elsewhere."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    follower.receive(3, Prepare(ballot(2, 3), 0), NOW)
    follower.receive(1, Commit(ballot(3), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert (ready.number, ready.records, ready.gated) == (0, (), ())
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert ready.chosen == (entry(1, 3, "a"),)


def test_completions_come_once_and_in_order() -> None:
    """A shell that reports otherwise is broken."""
    follower = peer()
    with pytest.raises(AssertionError):
        follower.persisted(1, NOW)
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    with pytest.raises(AssertionError):
        follower.persisted(2, NOW)
    follower.persisted(1, NOW)
    with pytest.raises(AssertionError):
        follower.persisted(1, NOW)


def test_how_far_the_log_is_chosen_rides_along() -> None:
    """A hint that saves work after a restart: synced with other records, never for itself."""
    follower = peer()
    follower.receive(1, accept(1, 3, "a"), NOW)
    follower.take_ready(NOW)
    follower.persisted(1, NOW)
    follower.receive(1, Commit(ballot(3), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert ready.records == ()
    follower.receive(1, accept(2, 3, "b", chosen=1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert ready.records[-1] == ChosenRecord(1)


def test_a_chosen_configuration_is_recorded_for_itself() -> None:
    """Who has only accepted it needs the voters before it too; they may be gone by the next restart."""
    bench = Bench(3)
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2, learners=(3,)), bench.now)
    bench.drain(1)
    bench.settle()
    assert {place.disk.chosen for place in bench.places.values()} == {1}


def test_recovery_reports_what_is_known_to_be_chosen() -> None:
    """With the first `Ready`, in order, to be applied above the snapshot."""
    recovered = Recovered(
        snapshot=4, configuration=configuration(1, 2, 3), entries=(entry(5), entry(6), entry(7)), chosen=6
    )
    ready = peer(recovered=recovered).take_ready(NOW)
    assert ready is not None
    assert [each.slot for each in ready.chosen] == [5, 6]


# --- wake-ups -------------------------------------------------------------------------------------------------------


def test_a_tick_leaves_nothing_due() -> None:
    """Else the shell would spin; and whoever is a voter always has something to wait for. (Stepping down may make it
    stand at once: that is the second tick.)
    """
    bench = Bench(5)
    bench.elect(1)
    bench.cut.update((1, other) for other in (2, 3, 4, 5))
    for _ in range(400):
        now = min(bench.peer(replica).wake_at for replica in bench.places)
        assert bench.now <= now < bench.now + 10 * SECOND
        bench.tick(now - bench.now)
        bench.tick(0)
        assert all(bench.peer(replica).wake_at > bench.now for replica in bench.places)
        bench.settle()


def test_who_waits_for_nothing_sleeps() -> None:
    """A learner that is a member is woken by messages alone."""
    learner = peer(2, Recovered(configuration=configuration(1, 3, learners=(2,))))
    assert learner.wake_at == NEVER


def test_a_blank_replica_asks_to_join_again_and_again() -> None:
    """Until it is a member."""
    blank = Peer(Member(2, 999), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)
    for _ in range(3):
        now = blank.wake_at
        blank.tick(now)
        ready = blank.take_ready(now)
        assert ready is not None
        assert sorted(each.to for each in ready.messages) == [1, 3]
        assert blank.role is Role.LEARNER


# --- the master ------------------------------------------------------------------------------------------------------


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


# --- snapshots and catch-up -----------------------------------------------------------------------------------------


def test_an_installed_snapshot_takes_the_place_of_the_log() -> None:
    """Entries above it stay; what was not handed out below it is not handed out any more."""
    follower = peer()
    follower.receive(1, accept(12, 3, "late"), NOW)
    assert follower.lacks(10)
    follower.snapshot_installed(10, 100, configuration(1, 2, 3), NOW)
    assert not follower.lacks(10)
    follower.receive(1, Entries((entry(11, 3, "next"),), 11), NOW)
    follower.receive(1, Commit(ballot(3), 12), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [each.slot for each in ready.chosen] == [11, 12]
    status = follower.status(NOW)
    assert (status.first, status.chosen) == (11, 12)


def test_a_snapshot_that_came_too_late_changes_nothing() -> None:
    """Entries arrived by another way; `lacks` tells the shell to leave its state alone."""
    follower = peer()
    follower.receive(1, Entries(tuple(entry(slot) for slot in range(1, 6)), 5), NOW)
    assert not follower.lacks(5)
    follower.snapshot_installed(5, 100, configuration(1, 2, 3), NOW)
    assert follower.status(NOW).first == 1


def test_a_master_lacks_nothing() -> None:
    """It may have been elected while it fetched; it chooses what is missing itself."""
    bench = Bench()
    bench.elect(1)
    assert not bench.peer(1).lacks(99)


def test_a_snapshot_that_makes_a_voter_is_followed_by_silence() -> None:
    """DESIGN §3 Membership: "a promoted one first waits out L"."""
    blank = Peer(Member(2, 102), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)
    blank.take_ready(NOW)
    blank.snapshot_installed(10, 100, configuration(1, 2, 3), NOW)
    assert blank.role is Role.FOLLOWER
    blank.receive(1, Prepare(ballot(9), 10), NOW + SECOND - 1)
    ready = blank.take_ready(NOW)
    assert ready is not None
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert blank.wake_at >= NOW + SECOND


def test_a_canvass_shows_what_is_missing() -> None:
    """Without a master nobody else would tell; a voter that does not know of its promotion could not be asked."""
    follower = peer()
    follower.receive(3, Canvass(5, 9), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert "CatchUp" in {type(each.message).__name__ for each in ready.messages}


def test_an_outdated_proposer_does_not_write_over_a_chosen_value() -> None:
    """Slot 1 is learned under ballot 7; an Accept of ballot 5, which lost, comes late. It once ended the process."""
    follower = peer()
    follower.receive(3, Entries((entry(1, 7, "winner", replica=3),), 1), NOW)
    follower.receive(1, accept(1, 5, "loser"), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [type(each.message) for each in ready.messages] == [Nack]
    assert PromisedRecord(ballot(7, 3)) in ready.records


def test_entries_beyond_a_gap_are_left_out() -> None:
    """An answer to an old question; what lies between is asked for again."""
    follower = peer()
    follower.receive(1, Entries((entry(3), entry(4)), 4), NOW)
    assert follower.chosen == 0
    follower.receive(1, Entries((entry(1), entry(2), entry(3)), 4), NOW)
    assert follower.chosen == 3


def test_what_was_accepted_higher_is_not_replaced_by_what_was_learned() -> None:
    """The source may hold the same value under an older ballot; our vote stays what it was."""
    follower = peer()
    follower.receive(1, accept(1, 8, "same"), NOW)
    follower.receive(3, Entries((entry(1, 4, "same", replica=3),), 1), NOW)
    ready = follower.take_ready(NOW)
    assert ready is not None
    assert [each.entry.ballot for each in ready.records if isinstance(each, AcceptedRecord)] == [ballot(8)]
    assert ready.chosen == (entry(1, 8, "same"),)


def test_entries_for_a_candidate() -> None:
    """What is learned during phase 1 is not proposed again."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    bench.deliver()
    bench.deliver(0, 1)
    bench.persist(1)
    assert bench.peer(1).role is Role.PREPARING
    mine = bench.peer(1).status(bench.now).ballot
    learned = Entries((entry(1, 1, "a", replica=3),), 1)
    bench.receive(3, 1, learned)
    held = (entry(1, 1, "a", replica=3), entry(2, 1, "b", replica=3))
    bench.receive(3, 1, Promise(mine, 103, 0, held))
    accepts = [(each.slot, each.value) for _, _, each in bench.sent if isinstance(each, Accept)]
    assert set(accepts) == {(2, commands("b"))}


def test_a_candidacy_is_above_what_was_learned_meanwhile() -> None:
    """Between the question and the ballot our own promise may have risen."""
    bench = Bench()
    bench.tick(10 * MILLISECOND, [1])
    assert bench.peer(1).role is Role.CANVASSING
    bench.receive(3, 1, Entries((entry(1, 30, replica=3),), 1))
    bench.persist(1)
    bench.deliver()
    bench.deliver()
    assert bench.peer(1).status(bench.now).ballot == ballot(31)


def test_status_of_a_blank_replica() -> None:
    """Nothing is known, and nothing falls over."""
    status = Peer(Member(2, 999), 7, Recovered(), bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0).status(NOW)
    assert (status.role, status.configuration, status.progress) == (Role.LEARNER, None, ())
    assert status.promised == NO_BALLOT


def test_status_of_a_master() -> None:
    """Margin and progress, for `health`."""
    bench = Bench(5)
    bench.elect(1)
    bench.propose(1, "a")
    bench.settle()
    bench.run(200 * MILLISECOND)
    status = bench.peer(1).status(bench.now)
    assert status.margin == 2
    assert [(replica, chosen) for replica, chosen, _ in status.progress] == [(each, 1) for each in range(1, 6)]
    assert bench.peer(2).status(bench.now).margin is None


# --- members --------------------------------------------------------------------------------------------------------


def test_who_is_expelled_knows_it() -> None:
    """And stands no more."""
    bench = Bench()
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2), bench.now)
    bench.drain(1)
    bench.settle()
    assert bench.peer(3).expelled
    assert bench.peer(3).role is Role.LEARNER
    assert not bench.peer(2).expelled
    assert bench.peer(3).wake_at == NEVER


def test_a_removed_master_leaves_in_good_order() -> None:
    """The others know of the change at once, and are free to elect."""
    bench = Bench()
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(2, 3), bench.now)
    bench.drain(1)
    bench.settle()
    assert bench.peer(1).expelled
    assert len(bench.peer(2).electorate.latest.voters) == 2
    began = bench.now
    bench.elect(2)
    assert bench.now - began < 500 * MILLISECOND


def test_a_promotion_chosen_by_the_dead_is_found_out() -> None:
    """Four voters of whom one, the master, is dead: the new one does not know that it is one. See learner_is_asked."""
    bench = Bench(4)
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2, 3, learners=(4,)), bench.now)
    bench.drain(1)
    bench.settle()
    bench.peer(1).reconfigure(configuration(1, 2, 3, 4), bench.now)
    bench.drain(1)
    bench.drop(1, 3)
    bench.drop(1, 4)
    bench.deliver(1, 2)
    bench.persist(2)
    bench.persist(1)
    bench.deliver(2, 1)
    assert bench.peer(1).chosen == 2
    bench.crash(1)
    bench.drop()
    bench.run(5 * SECOND)
    assert Role.MASTER in {bench.peer(replica).role for replica in (2, 3, 4)}
    assert all(len(bench.peer(replica).electorate.latest.voters) == 4 for replica in (2, 3, 4))


def test_a_learner_promoted_through_the_log_is_silent_at_first() -> None:
    """DESIGN §3 Membership: "a promoted one first waits out L"; nor does it stand before."""
    learner = peer(2, Recovered(configuration=configuration(1, 3, learners=(2,))))
    change = Entry(1, ballot(1), configuration_value(configuration(1, 2, 3)))
    learner.receive(1, Entries((change,), 1), NOW)
    role: Role = learner.role
    assert role is Role.FOLLOWER
    learner.receive(3, Canvass(9, 1), NOW + SECOND - 1)
    learner.receive(3, Canvass(9, 1), NOW + SECOND)
    ready = learner.take_ready(NOW + SECOND)
    assert ready is not None
    replies = [each.message for each in ready.messages if isinstance(each.message, CanvassReply)]
    assert [(reply.would, reply.retry_after) for reply in replies] == [(False, 1), (True, 0)]
    assert learner.wake_at >= NOW + SECOND


def test_lease_terms_change_through_the_log() -> None:
    """DESIGN §3: "L and ε live in the log"; the bound on disk follows."""
    bench = Bench()
    bench.elect(1)
    wanted = Configuration(bench.genesis.voters, master_lease=3 * SECOND)
    assert bench.peer(1).reconfigure(wanted, bench.now) is None
    bench.drain(1)
    bench.settle()
    bench.run(300 * MILLISECOND)
    assert bench.peer(1).lease_until - bench.now > 2 * SECOND
    assert {place.disk.lease_bound for place in bench.places.values()} == {3 * SECOND}


def test_ballots_of_two_lives_differ_by_their_incarnation() -> None:
    """DESIGN §3: (round, replica id), and the incarnation besides."""
    assert Ballot(3, 1, 101) != Ballot(3, 1, 999)
    assert Ballot(3, 1, 999) < Ballot(3, 2, 102) < Ballot(4, 1, 101)
