"""Configurations, quorums and who governs which slot (DESIGN §3 Membership, Incarnations)."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Configuration
from chubby.paxos.electorate import Electorate, Vote
from tests.paxos.parts import configuration, member

votes = st.sets(st.tuples(st.integers(1, 7), st.sampled_from([0, 1])), max_size=10).map(
    lambda pairs: {(replica, member(replica, life).incarnation) for replica, life in pairs}
)


def is_quorum_by_counting(voters: tuple[Vote, ...], given_votes: set[Vote]) -> bool:
    """The dumb twin: more voters are for it than are not."""
    return sum(1 if voter in given_votes else -1 for voter in voters) > 0


@given(st.sets(st.integers(1, 7), min_size=1), votes)
def test_quorum_is_more_than_half_of_the_voters(replicas: set[int], given_votes: set[Vote]) -> None:
    """Both ways to ask agree with counting; learners, strangers and other incarnations count nothing."""
    held = configuration(*sorted(replicas), learners=(8, 9))
    electorate = Electorate(0, held)
    expected = is_quorum_by_counting(tuple((each.replica, each.incarnation) for each in held.voters), given_votes)
    given_votes |= {(8, 108), (9, 109), (77, 1)}
    assert held.is_quorum(given_votes) is expected
    assert electorate.is_quorum(1, given_votes) is expected


@pytest.mark.parametrize(("size", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_quorum_sizes(size: int, quorum: int) -> None:
    """A majority, for odd and even."""
    assert configuration(*range(1, size + 1)).quorum == quorum


@pytest.mark.parametrize("size", range(1, 7))
def test_majorities_of_neighbours_meet(size: int) -> None:
    """DESIGN §3 "one replica at a time": that is what makes one change safe without a joint configuration."""
    before, after = configuration(*range(1, size + 1)), configuration(*range(1, size + 2))
    for one in combinations(range(1, size + 1), before.quorum):
        for other in combinations(range(1, size + 2), after.quorum):
            assert set(one) & set(other)


def test_the_old_incarnation_does_not_vote() -> None:
    """DESIGN §3 Incarnations: "a slot's quorum counts only incarnations in that slot's configuration"."""
    held = Configuration((member(1), member(2), member(3, life=1)))
    electorate = Electorate(0, held)
    assert not electorate.is_quorum(1, {(1, 101), (3, 103)})
    assert electorate.is_quorum(1, {(1, 101), (3, 1103)})
    assert not held.is_voter(3, 103)


def test_who_was_removed_stays_known_while_the_log_tells_of_it() -> None:
    """DESIGN §3 Membership: whoever missed its removal finds out only from those that still talk to it."""
    electorate = Electorate(4, configuration(1, 2, 3))
    electorate.chosen(7, configuration(1, 2))
    electorate.chosen(9, Configuration((member(1), member(2, life=1))))
    assert electorate.acquaintances == {1: member(1), 2: member(2, life=1), 3: member(3)}
    electorate.forget_below(8)
    assert electorate.acquaintances == {1: member(1), 2: member(2, life=1)}


def test_a_configuration_governs_from_the_next_slot() -> None:
    """DESIGN §3 Membership: "the new configuration governs from the next slot"."""
    electorate = Electorate(4, configuration(1, 2, 3))
    electorate.chosen(10, configuration(1, 2))
    electorate.chosen(20, configuration(1))
    sizes = {slot: len(electorate.governing(slot).voters) for slot in (5, 10, 11, 20, 21, 99)}
    assert sizes == {5: 3, 10: 3, 11: 2, 20: 2, 21: 1, 99: 1}
    assert electorate.is_quorum(20, {(1, 101), (2, 102)})
    assert not electorate.is_quorum(20, {(1, 101)})
    assert electorate.is_quorum(21, {(1, 101)})


def test_forgetting_keeps_who_governs_the_rest() -> None:
    """A snapshot lets the log go, and with it only the configurations that govern nothing any more."""
    electorate = Electorate(0, configuration(1, 2, 3))
    electorate.chosen(10, configuration(1, 2))
    electorate.chosen(20, configuration(1))
    electorate.forget_below(15)
    assert len(electorate.governing(16).voters) == 2
    assert electorate.since == 20
    electorate.forget_below(50)
    assert len(electorate.latest.voters) == 1
    electorate.replace(70, configuration(4, 5))
    assert (electorate.since, len(electorate.governing(71).voters)) == (70, 2)


def test_configurations_come_in_slot_order() -> None:
    """Anything else is a bug of the caller."""
    electorate = Electorate(10, configuration(1))
    with pytest.raises(AssertionError):
        electorate.chosen(10, configuration(1, 2))


def test_blank_knows_nobody() -> None:
    """A new incarnation has no configuration."""
    electorate = Electorate(0, None)
    assert not electorate.known
    assert not electorate.is_member(1, 101)


def test_membership_is_of_an_incarnation() -> None:
    """Learners are members; another life is not."""
    electorate = Electorate(0, configuration(1, 2, learners=(3,)))
    assert electorate.is_member(3, 103)
    assert not electorate.is_member(3, 1103)
    assert not electorate.is_member(4, 104)


def test_changes_of_a_configuration() -> None:
    """Members stay in order of their number; nobody is there twice."""
    held = configuration(1, 3, 5)
    joined = held.with_learner(member(3, life=1))
    assert [each.replica for each in joined.voters] == [1, 5]
    assert joined.learners == (member(3, life=1),)
    promoted = joined.promoted(member(3, life=1))
    assert [each.replica for each in promoted.voters] == [1, 3, 5]
    assert promoted.learners == ()
    assert held.without(9) == held
    with pytest.raises(AssertionError):
        held.promoted(member(9))
    with pytest.raises(ValueError, match="twice"):
        Configuration((member(1), member(1, life=1)))


def test_lease_terms_survive_a_change() -> None:
    """DESIGN §3: "L and ε live in the log"."""
    held = Configuration((member(1), member(2)), master_lease=77, drift_ppm=5)
    changed = held.with_learner(member(3)).promoted(member(3)).without(1)
    assert (changed.master_lease, changed.drift_ppm) == (77, 5)
