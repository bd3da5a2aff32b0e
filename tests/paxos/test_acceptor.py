"""The acceptor's rules, one by one (DESIGN §3; chubby.paxos.acceptor)."""

from __future__ import annotations

import pytest

from chubby.paxos.acceptor import FAR_AHEAD, PROMISE_BYTES
from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import (
    Accepted,
    Canvass,
    CanvassReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Nack,
    NackReason,
    Prepare,
    Promise,
)
from chubby.paxos.ready import AcceptedRecord, LeaseRecord, PromisedRecord, Recovered
from chubby.types.time import MILLISECOND, SECOND
from tests.paxos.parts import NOW, Parts, accept, ballot, commands, configuration, entry, member

LEASE = SECOND


def bound_parts() -> Parts:
    """A follower bound to master 1 under ballot 5."""
    parts = Parts()
    assert parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    parts.acceptor.synced()
    parts.outbox.records.clear()
    parts.sent()
    parts.gated()
    return parts


def test_promise_is_recorded_and_gated() -> None:
    """DESIGN §3: "nobody's Accepted or Promise leaves before its own" fsync."""
    parts = Parts()
    parts.acceptor.on_prepare(3, Prepare(ballot(4, 3), 0), NOW)
    assert parts.outbox.records == [PromisedRecord(ballot(4, 3))]
    assert parts.sent() == []
    assert parts.gated() == [Promise(ballot(4, 3), 102, 0, ())]


def test_promise_tells_everything_above_what_the_candidate_knows() -> None:
    """Chosen or only accepted: "the highest-ballot accepted value is adopted"."""
    recovered = Recovered(configuration=configuration(1, 2, 3), entries=(entry(1), entry(2), entry(4)), chosen=2)
    parts = Parts(recovered=recovered)
    parts.acceptor.on_prepare(3, Prepare(ballot(4, 3), 1), NOW)
    assert parts.gated() == [Promise(ballot(4, 3), 102, 2, (entry(2), entry(4)))]


def test_a_lower_ballot_is_refused_everywhere() -> None:
    """The rule of Paxos: Prepare, Accept and Heartbeat alike, with the promise in the refusal."""
    parts = Parts()
    parts.acceptor.on_prepare(3, Prepare(ballot(4, 3), 0), NOW)
    parts.acceptor.on_prepare(1, Prepare(ballot(3, 1), 0), NOW)
    assert not parts.acceptor.on_accept(1, accept(1, 3), NOW)
    assert not parts.acceptor.on_heartbeat(1, Heartbeat(ballot(3), 0, NOW), NOW)
    refusals = parts.sent()
    assert [type(message) for message in refusals] == [Nack] * 3
    assert all(isinstance(each, Nack) and each.promised == ballot(4, 3) for each in refusals)
    assert parts.log.get(1) is None


def test_the_same_prepare_twice_is_promised_twice() -> None:
    """The first answer may be lost; nothing is recorded anew."""
    parts = Parts()
    for _ in range(2):
        parts.acceptor.on_prepare(3, Prepare(ballot(4, 3), 0), NOW)
    assert len(parts.gated()) == 2
    assert len(parts.outbox.records) == 1


def test_accepted_is_gated_on_its_entry_and_its_promise() -> None:
    """An Accept of a ballot never heard of is a promise too, recorded as one: the entry may be replaced later."""
    parts = Parts()
    assert parts.acceptor.on_accept(1, accept(1, 5), NOW)
    assert parts.outbox.records == [
        PromisedRecord(ballot(5)),
        AcceptedRecord(entry(1, 5)),
        LeaseRecord(LEASE),
    ]
    parts.acceptor.flush_votes()
    assert parts.sent() == []
    assert parts.gated() == [Accepted(ballot(5), 102, (1,), 0, NOW, LEASE)]


def test_one_answer_for_all_votes_of_a_step() -> None:
    """Fewer messages; the lease counts from the last one's send."""
    parts = Parts()
    for slot in (1, 2, 3):
        parts.acceptor.on_accept(1, accept(slot, 5, sent_at=NOW + slot), NOW + 10)
    parts.acceptor.flush_votes()
    parts.acceptor.flush_votes()
    assert parts.gated() == [Accepted(ballot(5), 102, (1, 2, 3), 0, NOW + 3, LEASE)]


def test_votes_of_two_ballots_are_not_mixed() -> None:
    """A vote names its ballot."""
    parts = Parts()
    parts.acceptor.on_accept(1, accept(1, 5), NOW)
    parts.acceptor.on_accept(1, accept(2, 6), NOW)
    parts.acceptor.flush_votes()
    assert [(each.ballot.round, each.slots) for each in parts.gated() if isinstance(each, Accepted)] == [
        (5, (1,)),
        (6, (2,)),
    ]


def test_an_answer_grants_no_more_than_was_bound() -> None:
    """L is taken when the Accept is handled. If a longer one is chosen before the answer leaves, it grants the old."""
    parts = Parts()
    parts.acceptor.on_accept(1, accept(1, 5), NOW)
    longer = Configuration(configuration(1, 2, 3).voters, master_lease=5 * LEASE)
    parts.electorate.chosen(1, longer)
    parts.acceptor.flush_votes()
    (answer,) = parts.gated()
    assert isinstance(answer, Accepted)
    assert answer.lease == LEASE
    assert parts.acceptor.grant.until == NOW + LEASE


def test_who_knows_no_configuration_grants_nothing() -> None:
    """A blank replica stores what it hears, and binds itself to nobody."""
    parts = Parts(recovered=Recovered())
    parts.acceptor.on_accept(1, accept(1, 5), NOW)
    parts.electorate.chosen(1, configuration(1, 2, 3))
    parts.acceptor.flush_votes()
    (answer,) = parts.gated()
    assert isinstance(answer, Accepted)
    assert answer.lease == 0


def test_a_lease_binds_against_others_until_it_ends() -> None:
    """DESIGN §3: "answering a master's message promises no other ballot for L"."""
    parts = bound_parts()
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 0), NOW + LEASE - MILLISECOND)
    (refusal,) = parts.sent()
    assert isinstance(refusal, Nack)
    assert (refusal.reason, refusal.retry_after) == (NackReason.LEASE, MILLISECOND)
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 0), NOW + LEASE)
    assert len(parts.gated()) == 1


def test_an_accept_binds_like_a_heartbeat() -> None:
    """Under load nothing else may come."""
    parts = Parts()
    parts.acceptor.on_accept(1, accept(1, 5), NOW)
    assert parts.acceptor.bound_against(3, NOW + LEASE - 1) == 1
    assert parts.acceptor.bound_against(1, NOW) == 0


def test_while_bound_nobody_else_is_followed() -> None:
    """A new master has to wait for this one's vote; that costs time, never safety."""
    parts = bound_parts()
    assert not parts.acceptor.on_accept(3, accept(1, 9, replica=3), NOW + LEASE - 1)
    assert not parts.acceptor.on_heartbeat(3, Heartbeat(ballot(9, 3), 0, NOW), NOW + LEASE - 1)
    assert parts.acceptor.promised == ballot(5)
    assert parts.acceptor.on_accept(3, accept(1, 9, replica=3), NOW + LEASE)


def test_the_same_replica_may_raise_its_ballot() -> None:
    """DESIGN §3: "a nacked master with a live lease re-runs phase 1 higher"."""
    parts = bound_parts()
    parts.acceptor.on_prepare(1, Prepare(ballot(8), 0), NOW)
    assert len(parts.gated()) == 1


def test_silence_after_a_restart() -> None:
    """DESIGN §3: "the largest L ever granted is persisted and waited out after a restart before any promise"."""
    recovered = Recovered(configuration=configuration(1, 2, 3), promised=ballot(5), lease_bound=3 * SECOND)
    parts = Parts(recovered=recovered)
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 0), NOW + 3 * SECOND - 1)
    parts.acceptor.on_canvass(3, Canvass(9, 0), NOW + 3 * SECOND - 1)
    assert parts.gated() == []
    nack, reply = parts.sent()
    assert isinstance(nack, Nack)
    assert isinstance(reply, CanvassReply)
    assert not reply.would
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 0), NOW + 3 * SECOND)
    assert len(parts.gated()) == 1


def test_a_restarted_replica_follows_at_once() -> None:
    """Silence forbids promises to candidates, not the work for an elected master."""
    recovered = Recovered(configuration=configuration(1, 2, 3), promised=ballot(5), lease_bound=SECOND)
    parts = Parts(recovered=recovered)
    assert parts.acceptor.on_accept(1, accept(1, 5), NOW)


def test_silence_after_a_promotion() -> None:
    """DESIGN §3: "a promoted one first waits out L" (and a restart in the middle of it again)."""
    parts = Parts()
    parts.acceptor.promoted(NOW)
    assert parts.acceptor.bound_against(1, NOW + LEASE - 1) == 1
    assert parts.outbox.records == [LeaseRecord(LEASE)]


def test_a_voter_by_snapshot_alone_is_silent_too() -> None:
    """It may have crashed between the snapshot that made it a voter and the record of the lease bound."""
    parts = Parts(recovered=Recovered(configuration=configuration(1, 2, 3), snapshot=7))
    assert parts.acceptor.bound_against(1, NOW) == LEASE
    assert Parts().acceptor.bound_against(1, NOW) == 0, "a cell just formatted need not wait"


def test_a_lease_grant_is_gated_on_its_bound() -> None:
    """The first grant ever waits for the disk; later ones leave at once."""
    parts = Parts()
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert parts.sent() == []
    assert parts.gated() == [HeartbeatReply(ballot(5), 102, 0, NOW, LEASE)]
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert parts.sent() == [], "the bound is still not durable"
    parts.acceptor.synced()
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert len(parts.sent()) == 1


def test_a_longer_lease_is_recorded_again() -> None:
    """The bound is the largest ever granted, and never sinks."""
    parts = bound_parts()
    parts.electorate.chosen(1, Configuration(configuration(1, 2, 3).voters, master_lease=2 * LEASE))
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    parts.electorate.chosen(2, Configuration(configuration(1, 2, 3).voters, master_lease=LEASE // 2))
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert parts.outbox.records == [LeaseRecord(2 * LEASE)]
    assert parts.acceptor.lease_bound == 2 * LEASE
    assert parts.acceptor.grant.until == NOW + 2 * LEASE, "a binding never gets shorter"


def test_a_learners_answer_is_gated() -> None:
    """It is promoted by the `chosen` it tells, so that has to be on its disk (DESIGN §3 Membership)."""
    parts = Parts(known=configuration(1, 3, learners=(2,)))
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    parts.acceptor.synced()
    parts.gated()
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert parts.sent() == []
    assert len(parts.gated()) == 1


def test_a_release_frees_and_its_ballot_is_dead() -> None:
    """DESIGN §3 Election: "LeaseRelease names its ballot, which is never used again"."""
    parts = bound_parts()
    assert parts.acceptor.on_release(1, LeaseRelease(ballot(5), 0, 3), NOW)
    assert parts.acceptor.bound_against(3, NOW) == 0
    assert not parts.acceptor.on_heartbeat(1, Heartbeat(ballot(5), 0, NOW), NOW)
    assert not parts.acceptor.on_accept(1, accept(1, 5), NOW)
    assert parts.acceptor.bound_against(3, NOW) == 0
    assert parts.acceptor.on_heartbeat(1, Heartbeat(ballot(6), 0, NOW), NOW)


def test_a_late_release_leaves_a_later_grant_alone() -> None:
    """The same replica was elected again meanwhile."""
    parts = bound_parts()
    parts.acceptor.on_heartbeat(1, Heartbeat(ballot(7), 0, NOW), NOW)
    assert not parts.acceptor.on_release(1, LeaseRelease(ballot(5), 0, 3), NOW)
    assert parts.acceptor.bound_against(3, NOW) == LEASE


def test_a_release_in_somebody_elses_name_frees_nothing() -> None:
    """Only the master itself gives its lease back."""
    parts = bound_parts()
    assert not parts.acceptor.on_release(3, LeaseRelease(ballot(5), 0, 3), NOW)
    assert parts.acceptor.bound_against(3, NOW) == LEASE


@pytest.mark.parametrize("known", [None, configuration(1, 3, 4)])
def test_who_is_no_member_promises_nothing(known: Configuration | None) -> None:
    """DESIGN §3: "An empty directory never votes"."""
    parts = Parts(recovered=Recovered(configuration=known))
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW)
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW + 10 * SECOND)
    assert parts.gated() == []
    parts.acceptor.on_canvass(1, Canvass(9, 0), NOW)
    (reply,) = parts.sent()
    assert isinstance(reply, CanvassReply)
    assert not reply.would


def test_another_incarnation_promises_nothing() -> None:
    """DESIGN §3 Incarnations: the configuration names the former life."""
    other = Configuration((member(1), member(2, life=1), member(3)))
    parts = Parts(known=other)
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW + 10 * SECOND)
    assert parts.gated() == []


def test_a_learner_that_is_asked_promises_after_the_lease() -> None:
    """Its promotion may be chosen in a slot that it does not know to be chosen."""
    parts = Parts(known=configuration(1, 3, learners=(2,)))
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW)
    assert parts.gated() == []
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW + LEASE - 1)
    assert parts.gated() == []
    parts.acceptor.on_prepare(1, Prepare(ballot(9), 0), NOW + LEASE)
    assert len(parts.gated()) == 1


def test_a_candidate_that_lacks_what_is_compacted_is_sent_to_catch_up() -> None:
    """A promise could not tell it the chosen slots."""
    parts = Parts(recovered=Recovered(configuration=configuration(1, 2, 3), snapshot=7))
    later = NOW + 2 * SECOND
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 6), later)
    (refusal,) = parts.sent()
    assert isinstance(refusal, Nack)
    assert refusal.reason is NackReason.BEHIND
    parts.acceptor.on_canvass(3, Canvass(9, 6), later)
    (reply,) = parts.sent()
    assert isinstance(reply, CanvassReply)
    assert not reply.would
    parts.acceptor.on_prepare(3, Prepare(ballot(9, 3), 7), later)
    assert len(parts.gated()) == 1


def test_a_candidate_that_lacks_more_than_a_promise_may_tell_catches_up_first() -> None:
    """A promise is one frame of a link; the log may hold more than that."""
    held = tuple(Entry(slot, ballot(1), commands("x" * (PROMISE_BYTES // 4))) for slot in range(1, 9))
    parts = Parts(recovered=Recovered(configuration=configuration(1, 2, 3), entries=held, chosen=8))
    parts.acceptor.on_canvass(3, Canvass(5, 2), NOW)
    parts.acceptor.on_canvass(3, Canvass(5, 6), NOW)
    assert not parts.acceptor.on_prepare(3, Prepare(ballot(5, 3), 2), NOW)
    replies = parts.sent()
    assert [reply.would for reply in replies if isinstance(reply, CanvassReply)] == [False, True]
    assert [reply.reason for reply in replies if isinstance(reply, Nack)] == [NackReason.BEHIND]
    assert parts.acceptor.on_prepare(3, Prepare(ballot(5, 3), 6), NOW)


def test_what_comes_twice_is_written_once_and_voted_for_twice() -> None:
    """A resent Accept costs the disk nothing; its vote may have been lost."""
    parts = Parts()
    for _ in range(2):
        assert parts.acceptor.on_accept(1, accept(1, 5), NOW)
        parts.acceptor.flush_votes()
    assert sum(isinstance(record, AcceptedRecord) for record in parts.outbox.records) == 1
    assert [type(message) for message in parts.gated()] == [Accepted, Accepted]


def test_slots_far_ahead_are_not_stored() -> None:
    """This replica catches up instead of voting; it does not fill its memory with what it cannot apply."""
    parts = Parts()
    assert parts.acceptor.on_accept(1, accept(FAR_AHEAD + 1, 5), NOW)
    assert parts.log.get(FAR_AHEAD + 1) is None
    assert parts.acceptor.on_accept(1, accept(FAR_AHEAD, 5), NOW)
    assert parts.log.get(FAR_AHEAD) is not None


def test_a_slot_below_the_log_is_voted_for() -> None:
    """It is in our snapshot: chosen, so there is only one value a master can propose there."""
    parts = Parts(recovered=Recovered(configuration=configuration(1, 2, 3), snapshot=7))
    parts.acceptor.on_accept(1, accept(3, 5), NOW)
    parts.acceptor.flush_votes()
    (answer,) = parts.gated()
    assert isinstance(answer, Accepted)
    assert answer.slots == (3,)


def test_messages_in_another_name_are_dropped() -> None:
    """A ballot is used by its owner alone."""
    parts = Parts()
    parts.acceptor.on_prepare(1, Prepare(ballot(9, 3), 0), NOW)
    assert not parts.acceptor.on_accept(1, accept(1, 9, replica=3), NOW)
    assert not parts.acceptor.on_heartbeat(1, Heartbeat(ballot(9, 3), 0, NOW), NOW)
    assert parts.sent() == parts.gated() == []


def test_an_entry_learned_implies_a_promise() -> None:
    """An older proposer, whose value lost, does not write over it (and the core does not fall over it)."""
    parts = Parts()
    parts.log.choose(entry(1, 7, replica=3))
    parts.acceptor.learned(ballot(7, 3))
    assert not parts.acceptor.on_accept(1, accept(1, 5), NOW)
    assert parts.log.get(1) == entry(1, 7, replica=3)
    assert parts.outbox.records == [PromisedRecord(ballot(7, 3))]


def test_promises_survive_in_the_entries_too() -> None:
    """Recovery takes the highest ballot of anything held."""
    recovered = Recovered(configuration=configuration(1, 2, 3), promised=ballot(2), entries=(entry(1, 6),))
    assert Parts(recovered=recovered).acceptor.promised == ballot(6)


def test_a_canvass_promises_nothing() -> None:
    """It only asks."""
    parts = Parts()
    parts.acceptor.on_canvass(3, Canvass(99, 0), NOW)
    (reply,) = parts.sent()
    assert reply == CanvassReply(99, 102, True, parts.acceptor.promised, 0, retry_after=0)
    assert parts.outbox.records == []
