"""Admission, promotion and refusals (DESIGN §3 Membership, Incarnations; etcd-io/etcd#6103)."""

from __future__ import annotations

import pytest

from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.electorate import Electorate
from chubby.paxos.membership import ALIVE, PAUSE, PROMOTION_LAG, Membership, Progress
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import SECOND
from tests.paxos.parts import NOW, configuration, member


def membership(held: Configuration, since: int = 0, **heard: int) -> Membership:
    """Master 1's view; `r2=5` means that replica 2 was just heard and knows slots up to 5."""
    progress = Progress()
    for name, chosen in heard.items():
        progress.heard((int(name[1:]), 100 + int(name[1:])), chosen, NOW)
    return Membership(Identity(7, 1, 101), Electorate(since, held), progress)


def test_a_newcomer_takes_the_place_of_its_dead_incarnation() -> None:
    """As a learner, with the addresses it brings or else the old ones."""
    held = Configuration((member(1), Member(2, 102, "old:1", "old:2"), member(3)))
    wanted = membership(held).admission(Member(2, 999, "", "new:2"), NOW)
    assert wanted is not None
    assert [each.replica for each in wanted.voters] == [1, 3]
    assert wanted.learners == (Member(2, 999, "old:1", "new:2"),)


def test_strangers_do_not_come_by_themselves() -> None:
    """An operator adds them."""
    assert membership(configuration(1, 2, 3)).admission(member(9), NOW) is None


def test_a_member_need_not_be_taken_in_again() -> None:
    """Join is repeated until the configuration is known."""
    held = configuration(1, 2, learners=(3,))
    assert membership(held).admission(member(2), NOW) is None
    assert membership(held).admission(member(3), NOW) is None


def test_not_while_the_former_incarnation_is_alive() -> None:
    """Two processes would run under one number."""
    view = membership(configuration(1, 2, 3), r2=0)
    assert view.admission(member(2, life=1), NOW) is None
    assert view.admission(member(2, life=1), NOW + ALIVE) is None
    assert view.admission(member(2, life=1), NOW + ALIVE + 1) is not None


@pytest.mark.parametrize(
    ("reached", "chosen", "promoted"),
    [(10, 10, True), (9, 9, False), (100 - PROMOTION_LAG, 100, True), (99 - PROMOTION_LAG, 100, False)],
)
def test_a_learner_is_promoted_when_it_has_caught_up(reached: int, chosen: int, promoted: bool) -> None:
    """With its admission (slot 10 here), and with the master but for a little."""
    view = membership(configuration(1, 2, learners=(3,)), since=10, r3=reached)
    wanted = view.promotion(chosen, NOW)
    assert (wanted == configuration(1, 2, 3)) is promoted


def test_a_dead_learner_is_not_promoted() -> None:
    """It would be a voter that does not vote."""
    view = membership(configuration(1, 2, learners=(3,)), r3=10)
    assert view.promotion(10, NOW + ALIVE + 1) is None
    assert membership(configuration(1, 2, learners=(3,))).promotion(0, NOW) is None


def test_one_voter_at_a_time() -> None:
    """DESIGN §3 Membership: "one replica at a time"."""
    view = membership(configuration(1, 2, 3), r2=1, r3=1)
    assert view.refusal(configuration(1, 2), NOW) is None
    assert view.refusal(configuration(1, 2, 3, learners=(4, 5)), NOW) is None
    assert "one voter" in str(view.refusal(configuration(1), NOW))
    assert "one voter" in str(view.refusal(configuration(1, 2, 4), NOW))
    swapped = Configuration((member(1), member(2), member(3, life=1)))
    assert "one voter" in str(view.refusal(swapped, NOW)), "another incarnation is another voter"


def test_the_last_voter_stays() -> None:
    """A log without voters is the end of it."""
    assert "last voter" in str(membership(configuration(1)).refusal(Configuration(()), NOW))


def test_a_change_that_endangers_the_quorum_is_refused() -> None:
    """With figures in the sentence."""
    view = membership(configuration(1, 2, 3), r2=1)
    assert view.refusal(configuration(1, 2), NOW) is None
    refused = view.refusal(configuration(1, 3), NOW)
    assert refused == "only 1 of the 2 voters it would leave are alive, a quorum needs 2"
    assert view.refusal(configuration(1, 2), NOW + ALIVE + 1) is not None


def test_margin() -> None:
    """Paxos Made Live: a misconfigured replica quietly tolerates one failure less; the margin shows it."""
    assert membership(configuration(1, 2, 3, 4, 5), r2=1, r3=1, r4=1, r5=1).margin(NOW) == 2
    assert membership(configuration(1, 2, 3, 4, 5), r2=1, r3=1).margin(NOW) == 0
    assert membership(configuration(1, 2, 3, 4, 5)).margin(NOW) == -2


def test_the_successor_is_alive_and_furthest_on() -> None:
    """Of equals the lowest number; never the master itself, never a learner."""
    assert membership(configuration(1, 2, 3), r2=5, r3=7).successor(NOW) == 3
    assert membership(configuration(1, 2, 3), r2=7, r3=7).successor(NOW) == 2
    assert membership(configuration(1, 2, 3), r2=7, r3=7).successor(NOW + ALIVE + 1) == 0
    assert membership(configuration(1, learners=(2,)), r2=7).successor(NOW) == 0


def test_an_answer_proves_life_from_the_question_on() -> None:
    """However late it comes: of an incarnation that is no more nothing counts after `ALIVE`."""
    progress = Progress()
    assert not progress.answers(Member(3, 998), NOW)
    progress.answered((3, 998), NOW)
    progress.answered((3, 998), NOW - SECOND)
    assert progress.answers(Member(3, 998), NOW + ALIVE)
    assert not progress.answers(Member(3, 998), NOW + ALIVE + 1)
    assert not progress.answers(Member(3, 999), NOW)
    progress.clear()
    assert not progress.answers(Member(3, 998), NOW)


def test_who_goes_on_asking_insists() -> None:
    """One Join, or a bundle of late ones, is no insistence; nor is one of each of two incarnations."""
    held = Configuration((member(1), Member(2, 102, "old:1", "old:2"), member(3)))
    view = membership(held)
    moved = Member(2, 999, "new:1", "new:2")
    stayed = Member(2, 998, "old:1", "old:2")
    times = (0, 1, ALIVE // 2, ALIVE - 1, ALIVE, 2 * ALIVE + 1)
    assert [view.present(moved, NOW + each) for each in times] == [False, False, False, False, True, False]
    assert not any(view.present(stayed, NOW + each) for each in times)


def test_progress_never_goes_back_but_is_of_one_incarnation() -> None:
    """Answers may be reordered; another life begins at nothing."""
    progress = Progress()
    progress.heard((2, 102), 9, NOW)
    progress.heard((2, 102), 5, NOW)
    assert progress.chosen(member(2)) == 9
    assert progress.chosen(member(2, life=1)) == 0
    assert progress.last_heard(member(2, life=1)) is None
    progress.clear()
    assert not progress.alive(member(2), NOW)


def test_a_restarted_voter_is_no_successor_before_it_may_be_elected() -> None:
    """It waits out the leases it may have granted (DESIGN §3 Master lease), and the hand-over would wait with it."""
    view = membership(configuration(1, 2, 3), r2=7, r3=5)
    lease = configuration(1, 2, 3).master_lease
    for past in range(0, lease + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL):
        view.progress.heard((3, 103), 5, NOW + past)
        if past > PAUSE:
            view.progress.heard((2, 102), 7, NOW + past)
    assert view.successor(NOW + lease) == 3, "2 was not heard for a while: it may have been restarted"
    for past in range(lease, 3 * lease, HEARTBEAT_INTERVAL):
        view.progress.heard((2, 102), 7, NOW + past)
        view.progress.heard((3, 103), 5, NOW + past)
    assert view.successor(NOW + 3 * lease - HEARTBEAT_INTERVAL) == 2
