"""From an operator's call to a configuration (DESIGN §3 Membership)."""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.paxos.configuration import Configuration, Member
from chubby.replica.members import PLACEHOLDER, PendingChanges, wanted
from chubby.types.calls import ChangeMembers, MemberAction

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
