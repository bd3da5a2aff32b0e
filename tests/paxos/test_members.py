"""Members come, are promoted and leave, and everybody concerned learns of it (DESIGN §3 Membership)."""

from __future__ import annotations

import pytest

from chubby.paxos.belonging import JOIN_INTERVAL, LONELY_AFTER
from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.membership import ALIVE
from chubby.paxos.messages import (
    Accept,
    Ballot,
    Canvass,
    CanvassReply,
    Entries,
    Entry,
    HeartbeatReply,
    Join,
    configuration_value,
)
from chubby.paxos.peer import Peer
from chubby.paxos.ready import Recovered, Role
from chubby.types.time import MILLISECOND, NEVER, SECOND
from tests.paxos.bench import Bench
from tests.paxos.parts import NOW, ballot, commands, configuration, member


def peer(me: int = 2, recovered: Recovered | None = None) -> Peer:
    """A replica of a cell of three."""
    recovered = recovered or Recovered(configuration=configuration(1, 2, 3))
    return Peer(member(me), 7, recovered, bootstrap=(1, 2, 3), now=NOW, jitter=lambda: 0.0)


def accept(slot: int, number: int, word: str, chosen: int = 0) -> Accept:
    """From master 1."""
    return Accept(ballot(number), slot, commands(word), chosen, NOW)


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


@pytest.mark.parametrize("compacted", [False, True], ids=["by log", "by snapshot"])
def test_a_removed_learner_that_missed_the_word_finds_out(compacted: bool) -> None:
    """DESIGN §3 Membership: nobody sends it anything any more, so it asks, and learns it by log or by snapshot."""
    bench = Bench(4)
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2, 3, learners=(4,)), bench.now)
    bench.drain(1)
    bench.settle()
    assert bench.peer(4).role is Role.LEARNER
    bench.cut = {(1, 4)}
    bench.peer(1).reconfigure(configuration(1, 2, 3), bench.now)
    bench.drain(1)
    bench.settle()
    assert not bench.peer(4).expelled
    bench.cut.clear()
    if compacted:
        for replica in (1, 2, 3):
            bench.snapshot(replica)
    bench.run(LONELY_AFTER + SECOND)
    assert bench.peer(4).expelled
    assert bench.peer(4).wake_at == NEVER


def test_a_late_join_does_not_displace_a_newer_incarnation() -> None:
    """DESIGN §3 Incarnations: random ones have no order, so whoever asks to join has to answer first, and of two only
    the living can.
    """
    bench = Bench()
    bench.elect(1)
    bench.crash(3)
    bench.wipe(3, 998)
    bench.restart(3)
    bench.tick(0, [3])
    late = next(message for _, to, message in bench.queue if isinstance(message, Join) and to == 1)
    bench.drop()
    bench.crash(3)
    bench.wipe(3, 999)
    bench.restart(3)
    bench.run(5 * SECOND)
    assert bench.peer(1).electorate.latest.is_voter(3, 999)
    bench.cut = {(3, 1), (3, 2)}
    bench.run(2 * SECOND + JOIN_INTERVAL)
    for _ in range(3):
        bench.receive(3, 1, late)
        bench.run(JOIN_INTERVAL)
    bench.cut.clear()
    bench.run(SECOND)
    assert bench.peer(1).electorate.latest.is_voter(3, 999)
    assert not bench.peer(3).expelled


def test_a_newcomer_that_moved_is_taken_in_though_no_question_reaches_it() -> None:
    """Its Join says where it is, and it is linked with only once the configuration does."""
    bench = Bench()
    bench.elect(1)
    bench.crash(3)
    bench.wipe(3, 998)
    bench.places[3].member = Member(3, 998, "moved:1", "moved:2")
    bench.restart(3)
    bench.cut = {(1, 3), (2, 3)}
    bench.run(ALIVE)
    assert bench.peer(1).electorate.latest == bench.genesis
    bench.run(ALIVE + 2 * JOIN_INTERVAL)
    assert bench.peer(1).electorate.latest.learners == (Member(3, 998, "moved:1", "moved:2"),)
    bench.cut.clear()
    bench.run(SECOND)
    assert bench.peer(1).electorate.latest.is_voter(3, 998)


def test_a_late_answer_does_not_speak_for_a_dead_incarnation() -> None:
    """What counts is when the question was sent, not when its answer came."""
    bench = Bench()
    bench.elect(1)
    bench.crash(3)
    bench.wipe(3, 998)
    bench.restart(3)
    bench.run(bench.genesis.master_lease)
    answer = next(each for each in reversed(bench.sent) if isinstance(each[2], HeartbeatReply) and each[0] == 3)
    assert isinstance(answer[2], HeartbeatReply) and answer[2].incarnation == 998
    bench.crash(3)
    bench.run(ALIVE + SECOND)
    bench.receive(*answer)
    bench.receive(3, 1, Join(Member(3, 998)))
    bench.settle()
    assert bench.peer(1).electorate.latest == bench.genesis


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


@pytest.mark.parametrize("told", [False, True], ids=["before it told", "after it told"])
def test_two_voters_take_in_a_third(told: bool) -> None:
    """docs/protocol.md "While a change is under way": until one of the others knows that the third one votes, the loss
    of a disk counts against the two. Nothing is elected then, and nothing is forgotten: with its disk back the cell
    goes on. From the moment it is told, the third one may stand in for it.
    """
    bench = Bench(3)
    bench.elect(1)
    bench.peer(1).reconfigure(configuration(1, 2, learners=(3,)), bench.now)
    bench.drain(1)
    bench.settle()
    assert len(bench.peer(1).electorate.latest.voters) == 2
    bench.peer(1).reconfigure(configuration(1, 2, 3), bench.now)
    bench.drain(1)
    bench.deliver(1, 2)
    bench.persist(2)
    bench.persist(1)
    bench.deliver(2, 1)
    assert bench.peer(1).electorate.latest == configuration(1, 2, 3)
    if told:
        bench.deliver(1, 2)
        bench.persist(2)
    bench.crash(1)
    bench.drop()
    bench.run(5 * SECOND)
    assert (Role.MASTER in {bench.peer(replica).role for replica in (2, 3)}) is told
    bench.restart(1)
    bench.run(5 * SECOND)
    assert Role.MASTER in {bench.peer(replica).role for replica in (1, 2, 3)}
    assert all(bench.peer(replica).electorate.latest == configuration(1, 2, 3) for replica in (1, 2, 3))


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
