"""The order among calls of one session (DESIGN §5: "Calls in flight are ordered per node")."""

from __future__ import annotations

import pytest

from chubby.master.counters import Counters
from chubby.master.footprints import children_key, node_key
from chubby.master.mailbox import Mailbox
from chubby.master.pending import Footprint, Order, PendingCall, Rank
from chubby.master.session import Session, SessionState
from chubby.types.calls import GetStat
from tests.master.cell import SETTINGS

A, B = node_key("/a"), node_key("/b")


class Calls:
    """Makes calls with footprints and enters them."""

    def __init__(self) -> None:
        mailbox = Mailbox(SETTINGS, Counters(), 0)
        self.session = Session(
            1, "p", caching=True, acknowledged=0, mailbox=mailbox, state=SessionState.LIVE, lease_until=0
        )
        self.order = Order()
        self.count = 0

    def enter(self, footprint: Footprint) -> PendingCall:
        """A call arrives."""
        self.count += 1
        pending = PendingCall(
            self.session, self.count, GetStat(1), acknowledged=0, caching=True, arrived=0, deadline=0, order=self.count
        )
        self.order.move(pending, footprint)
        return pending


@pytest.mark.parametrize("later", [Rank.READ, Rank.CONDITIONAL, Rank.OPEN, Rank.BIND])
@pytest.mark.parametrize("earlier", [Rank.CHANGE, Rank.CONDITIONAL, Rank.OPEN, Rank.CLOSE])
def test_reads_and_conditions_wait_for_earlier_changes(earlier: Rank, later: Rank) -> None:
    """On a common key they see it, so they come after it."""
    calls = Calls()
    first = calls.enter(Footprint(earlier, 1, (A,)))
    assert calls.order.blocker(calls.enter(Footprint(later, 3, (B,)))) is None
    assert calls.order.blocker(calls.enter(Footprint(later, 4, (children_key("/a"),)))) is None
    assert calls.order.blocker(calls.enter(Footprint(later, 2, (node_key("/c"), A)))) is first


@pytest.mark.parametrize("rank", [Rank.CHANGE, Rank.CLOSE])
def test_changes_wait_until_the_earlier_one_is_in_its_lanes(rank: Rank) -> None:
    """Then they are pipelined: the lanes keep their order. A read goes on waiting until it is applied."""
    calls = Calls()
    first = calls.enter(Footprint(Rank.CHANGE, 1, (A,)))
    second, reader = calls.enter(Footprint(rank, 2, (A,))), calls.enter(Footprint(Rank.READ, 3, (A,)))
    assert calls.order.blocker(second) is first is calls.order.blocker(reader)
    first.followers += [second, reader]
    assert calls.order.admit(first) == [second, reader]
    assert calls.order.blocker(second) is None and calls.order.blocker(reader) is first


def test_the_path_of_a_handle_that_is_being_opened() -> None:
    """What is sent through it meanwhile occupies that path already."""
    calls = Calls()
    opening = calls.enter(Footprint(Rank.OPEN, 5, (A,)))
    assert calls.order.maker_of(5) is opening.call and calls.order.maker_of(6) is None


def test_nobody_waits_for_a_read_or_for_what_came_later() -> None:
    """Only earlier calls count, also when the later one is known first."""
    calls = Calls()
    calls.enter(Footprint(Rank.READ, 1, (A,)))
    unknown = calls.enter(Footprint(Rank.READ, 2))
    calls.enter(Footprint(Rank.CHANGE, 1, (A,)))
    calls.order.move(unknown, Footprint(Rank.READ, 2, (A,)))
    assert calls.order.blocker(unknown) is None


@pytest.mark.parametrize("rank", [Rank.READ, Rank.CHANGE, Rank.CONDITIONAL, Rank.BIND])
@pytest.mark.parametrize("maker", [Rank.OPEN, Rank.CLOSE, Rank.BIND])
def test_calls_through_a_handle_come_after_what_makes_it(maker: Rank, rank: Rank) -> None:
    """A client may send Open and use the handle in the same breath."""
    calls = Calls()
    first = calls.enter(Footprint(maker, 5, (B,)))
    assert calls.order.blocker(calls.enter(Footprint(rank, 5))) is first
    assert calls.order.blocker(calls.enter(Footprint(rank, 6))) is None


def test_close_comes_after_everything_through_the_handle() -> None:
    """A write sent before the Close is not lost to it."""
    calls = Calls()
    first = calls.enter(Footprint(Rank.READ, 5, (A,)))
    second = calls.enter(Footprint(Rank.CHANGE, 5, (B,)))
    close = calls.enter(Footprint(Rank.CLOSE, 5))
    assert calls.order.blocker(close) is first
    calls.order.leave(first)
    assert calls.order.blocker(close) is second
    calls.order.leave(second)
    assert calls.order.blocker(close) is None


def test_locks_are_met_like_keys() -> None:
    """A sequencer is asked for after the Acquire that was sent before."""
    calls = Calls()
    first = calls.enter(Footprint(Rank.CHANGE, 1, ("/l",)))
    assert calls.order.blocker(calls.enter(Footprint(Rank.READ, 1, ("/l",)))) is first


def test_leaving_hands_over_the_followers_once() -> None:
    """Whoever waited is looked at again, in order of arrival."""
    calls = Calls()
    first = calls.enter(Footprint(Rank.CHANGE, 1, (A,)))
    followers = [calls.enter(Footprint(Rank.READ, 1, (A,))) for _ in range(3)]
    first.followers.extend(followers)
    assert calls.order.leave(first) == followers and calls.order.leave(first) == []


def test_moving_keeps_the_followers() -> None:
    """A call whose path becomes known later is still waited for."""
    calls = Calls()
    first = calls.enter(Footprint(Rank.CHANGE, 1))
    follower = calls.enter(Footprint(Rank.READ, 1, (A,)))
    first.followers.append(follower)
    calls.order.move(first, Footprint(Rank.CHANGE, 1, (A,)))
    assert calls.order.blocker(follower) is first and calls.order.leave(first) == [follower]


def test_an_earlier_call_that_became_known_late_is_found() -> None:
    """The index is in order of entry; what counts is the order of arrival."""
    calls = Calls()
    early = calls.enter(Footprint(Rank.CHANGE, 1))
    reader = calls.enter(Footprint(Rank.READ, 2, (A,)))
    calls.enter(Footprint(Rank.CHANGE, 3, (A,)))
    calls.order.move(early, Footprint(Rank.CHANGE, 1, (A,)))
    assert calls.order.blocker(reader) is early
