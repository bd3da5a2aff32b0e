"""From an operator's call to a configuration (DESIGN §3 Membership)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode, Failure
from chubby.paxos.configuration import Configuration, Member
from chubby.replica.members import PLACEHOLDER, PendingChanges, wanted
from chubby.types.calls import ChangeMembers, MemberAction
from chubby.types.results import Done
from chubby.types.time import SECOND
from tests.replica.lab import Lab

CELL = Configuration(tuple(Member(number, 100 + number, f"p{number}:1", f"c{number}:1") for number in range(1, 6)))


def test_add_puts_a_placeholder_among_the_learners() -> None:
    """A newcomer never votes before it has caught up: it is expected as a learner."""
    after = wanted(ChangeMembers(MemberAction.ADD, 6, "p6:1", "c6:1"), CELL, 1)
    assert isinstance(after, Configuration)
    assert after.voters == CELL.voters
    assert after.learners == (Member(6, PLACEHOLDER, "p6:1", "c6:1"),)


def test_add_needs_addresses_and_a_new_number() -> None:
    """Refusals say what to do instead."""
    known = wanted(ChangeMembers(MemberAction.ADD, 2, "p:1", "c:1"), CELL, 1)
    bare = wanted(ChangeMembers(MemberAction.ADD, 6), CELL, 1)
    assert isinstance(known, Failure) and known.code is ErrorCode.MEMBERSHIP_REFUSED and "replace" in known.message
    assert isinstance(bare, Failure) and "address" in bare.message


def test_remove_takes_one_voter_out() -> None:
    """One replica at a time."""
    after = wanted(ChangeMembers(MemberAction.REMOVE, 3), CELL, 1)
    assert isinstance(after, Configuration)
    assert [voter.replica for voter in after.voters] == [1, 2, 4, 5]


def test_the_master_does_not_remove_itself() -> None:
    """It hands over first; otherwise the change could not be seen through."""
    for action in (MemberAction.REMOVE, MemberAction.REPLACE):
        refused = wanted(ChangeMembers(action, 1), CELL, 1)
        assert isinstance(refused, Failure) and "step down" in refused.message


def test_replace_keeps_addresses_unless_new_ones_are_given() -> None:
    """The replacement is expected at the old place, or where the operator says."""
    same = wanted(ChangeMembers(MemberAction.REPLACE, 3), CELL, 1)
    moved = wanted(ChangeMembers(MemberAction.REPLACE, 3, "new:1"), CELL, 1)
    assert isinstance(same, Configuration) and isinstance(moved, Configuration)
    assert same.learners == (Member(3, PLACEHOLDER, "p3:1", "c3:1"),)
    assert moved.learners == (Member(3, PLACEHOLDER, "new:1", "c3:1"),)
    assert all(voter.replica != 3 for voter in same.voters)


def test_strangers_are_neither_removed_nor_replaced() -> None:
    """A typing error in a replica's number changes nothing."""
    for action in (MemberAction.REMOVE, MemberAction.REPLACE):
        assert isinstance(wanted(ChangeMembers(action, 17), CELL, 1), Failure)


REPLACE = ChangeMembers(MemberAction.REPLACE, 3, incarnation=103)
ELSEWHERE = ChangeMembers(MemberAction.REPLACE, 3, "new:1", "new:2", incarnation=103)
REMOVE = ChangeMembers(MemberAction.REMOVE, 3, incarnation=103)
EXPECTED = CELL.with_learner(Member(3, PLACEHOLDER, "p3:1", "c3:1"))
"""What became of `REPLACE`."""
JOINED = CELL.with_learner(Member(3, 203, "p3:1", "c3:1"))
"""And then of the one it let in."""


@pytest.mark.parametrize("call", [REPLACE, ELSEWHERE, REMOVE])
def test_the_incarnation_that_is_meant_is_the_one_that_goes(call: ChangeMembers) -> None:
    """As if it had not been named."""
    unnamed = ChangeMembers(call.action, call.replica, call.peer_address, call.client_address)
    after = wanted(call, CELL, 1)
    assert isinstance(after, Configuration) and after == wanted(unnamed, CELL, 1) != CELL


@pytest.mark.parametrize("latest", [EXPECTED, JOINED, JOINED.promoted(JOINED.learners[0])])
def test_a_repeated_replacement_strikes_nobody(latest: Configuration) -> None:
    """The first copy was carried out: whoever is expected, has come or votes by now stays, and the answer is the first
    one's. Even where it is the master by now, of whom nobody spoke.
    """
    assert wanted(REPLACE, latest, 1) is None
    assert wanted(REPLACE, latest, 3) is None


def test_a_call_that_names_no_incarnation_strikes_whoever_is_there() -> None:
    """As clients of the first releases send it: nobody can say which one was meant."""
    after = wanted(ChangeMembers(MemberAction.REPLACE, 3), JOINED, 1)
    assert isinstance(after, Configuration) and after.learners == EXPECTED.learners


def test_a_replacement_meant_for_another_place_is_another_change() -> None:
    """It was not carried out, so nobody is told that it was."""
    for latest in (EXPECTED, JOINED):
        refused = wanted(ELSEWHERE, latest, 1)
        assert isinstance(refused, Failure) and refused.code is ErrorCode.MEMBERSHIP_REFUSED
        assert "another one by now, at p3:1" in refused.message
    moved = CELL.with_learner(Member(3, 203, "new:1", "new:2"))
    assert wanted(ELSEWHERE, moved, 1) is None


def test_who_is_expected_can_be_meant_too() -> None:
    """A replica let in at a wrong address has not come: it is replaced, but not the one that came after all."""
    corrected = ChangeMembers(MemberAction.REPLACE, 3, "new:1", "new:2", incarnation=PLACEHOLDER)
    after = wanted(corrected, EXPECTED, 1)
    assert isinstance(after, Configuration) and after.learners == (Member(3, PLACEHOLDER, "new:1", "new:2"),)
    assert wanted(corrected, after, 1) is None
    assert isinstance(wanted(corrected, JOINED, 1), Failure)


def test_a_repeated_removal_is_done_already() -> None:
    """Who named an incarnation saw it: the number is no typing error. But one that was added again since stays."""
    without = CELL.without(3)
    assert wanted(REMOVE, without, 1) is None
    added_again = without.with_learner(Member(3, PLACEHOLDER, "p3:1", "c3:1"))
    for latest in (added_again, JOINED):
        refused = wanted(REMOVE, latest, 1)
        assert isinstance(refused, Failure) and "another one by now" in refused.message


def test_a_replacement_of_nobody_is_refused() -> None:
    """Somebody removed it: to let one in under that number again is for `add`."""
    refused = wanted(REPLACE, CELL.without(3), 1)
    assert isinstance(refused, Failure) and "not a member" in refused.message


def test_a_repeated_addition_is_done_already() -> None:
    """While the newcomer is expected, and after it has come; with other addresses it is another change."""
    add = ChangeMembers(MemberAction.ADD, 6, "p6:1", "c6:1")
    expected = wanted(add, CELL, 1)
    assert isinstance(expected, Configuration)
    joined = CELL.with_learner(Member(6, 206, "p6:1", "c6:1"))
    for latest in (expected, joined, joined.promoted(joined.learners[0])):
        assert wanted(add, latest, 1) is None
        assert isinstance(wanted(ChangeMembers(MemberAction.ADD, 6, "p6:1", "c7:1"), latest, 1), Failure)


def incarnation(lab: Lab, number: int) -> int:
    """Which one of that replica is a member, as the master has it."""
    replica = lab.wait_master().replica
    assert replica is not None and replica.configuration is not None
    member = replica.configuration.member(number)
    assert member is not None
    return member.incarnation


def test_a_copy_of_a_call_that_comes_late_ends_no_newcomer() -> None:
    """DESIGN §3 Membership, after a fail-over: the second copy of a replacement finds the replica that it let in."""
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    dead = next(host for host in lab.hosts.values() if host is not lab.wait_master())
    dead.crash()
    call = ChangeMembers(MemberAction.REPLACE, dead.number, incarnation=dead.incarnation)
    assert isinstance(lab.ask(client, call), Done)
    assert incarnation(lab, dead.number) == PLACEHOLDER
    first = lab.wait_master()
    first.crash()
    lab.until(lambda: lab.master() not in (None, first))
    dead.wipe()
    dead.start()
    lab.until(lambda: incarnation(lab, dead.number) == dead.incarnation)
    assert isinstance(lab.ask(client, call), Done)
    lab.run(5 * SECOND)
    assert incarnation(lab, dead.number) == dead.incarnation and dead.running


def test_a_repeated_removal_and_addition_are_answered() -> None:
    """By the master that knows that it is so, without a change in the log."""
    lab = Lab(5)
    lab.start()
    client = lab.client(caching=False)
    leaving = next(host for host in lab.hosts.values() if host is not lab.wait_master())
    remove = ChangeMembers(MemberAction.REMOVE, leaving.number, incarnation=leaving.incarnation)
    address = lab.config.replica(leaving.number)
    assert address is not None
    add = ChangeMembers(MemberAction.ADD, leaving.number, address.peer, address.client)
    for call in (remove, remove, add, add):
        assert isinstance(lab.ask(client, call), Done)
    refused = lab.ask(client, remove)
    assert isinstance(refused, Failure) and refused.code is ErrorCode.MEMBERSHIP_REFUSED
    assert incarnation(lab, leaving.number) == PLACEHOLDER


def test_a_change_is_answered_when_it_governs() -> None:
    """Not when it was proposed: it might never be chosen."""
    pending = PendingChanges()
    after = CELL.without(3)
    pending.wait(7, after)
    assert pending.chosen(CELL) == []
    assert pending.chosen(after) == [7]
    assert pending.chosen(after) == []


def test_changes_that_wait_are_forgotten_with_the_office() -> None:
    """A deposed master cannot know what becomes of them."""
    pending = PendingChanges()
    pending.wait(7, CELL.without(3))
    pending.clear()
    assert pending.chosen(CELL.without(3)) == []
