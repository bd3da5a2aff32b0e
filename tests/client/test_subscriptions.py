"""Every history event once, in order, across streams (DESIGN §5 Events)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.client.subscriptions import Subscriptions
from chubby.types.calls import Watch
from chubby.types.events import Event, EventKind
from chubby.types.stream import WatchClaim

CHANGED = EventKind.CONTENTS_MODIFIED


def change(revision: int, watch: int = 0, handle: int = 0, path: str = "/a") -> Event:
    """A change of a node, told to one subscriber."""
    return Event(CHANGED, path, revision, handle=handle if handle or watch else 1, watch=watch)


def watching(subscriptions: Subscriptions, since: int, path: str = "/a") -> int:
    """Begin a watch; its number."""
    call = Watch(subscriptions.fresh_number(), path)
    subscriptions.opening(call)
    subscriptions.begun(call, since)
    return call.watch


def at(cursor: int) -> Subscriptions:
    """Subscriptions told everything up to `cursor`."""
    subscriptions = Subscriptions()
    subscriptions.advance(cursor)
    return subscriptions


def test_what_the_cursor_covers_was_told() -> None:
    """DESIGN §5: the cursor is a revision."""
    subscriptions = at(10)
    assert subscriptions.take((change(9), change(10), change(11))) == [change(11)]


def test_the_cursor_never_goes_back() -> None:
    """0 means unchanged; an older one says nothing new."""
    subscriptions = at(10)
    subscriptions.advance(0)
    subscriptions.advance(7)
    assert subscriptions.cursor == 10


def test_what_was_told_above_the_cursor_is_not_told_again() -> None:
    """The stream broke in the middle of a revision; Resume names the cursor, and the master replays above it."""
    subscriptions = at(10)
    told = (change(11, handle=1), change(11, handle=2))
    assert subscriptions.take(told[:1]) == [told[0]]
    assert subscriptions.take((*told, change(12))) == [told[1], change(12)]
    subscriptions.advance(12)
    assert subscriptions.take((*told, change(12))) == []


@pytest.mark.parametrize(
    "event",
    [
        Event(EventKind.LOCK_ACQUIRED, "/a", handle=1),
        Event(EventKind.LOCK_CONFLICT, "/a", handle=1),
        Event(EventKind.RESYNC, "/a", 5, handle=1),
        Event(EventKind.HANDLE_INVALID, "/a", 5, handle=1),
        Event(EventKind.MASTER_FAILED_OVER),
        Event(EventKind.RESYNC),
    ],
)
def test_what_has_no_place_in_the_history_always_passes(event: Event) -> None:
    """RESYNC is never swallowed: it is the only honest gap."""
    subscriptions = at(10)
    assert subscriptions.take((event, event)) == [event, event]


def test_a_watch_is_told_nothing_from_before_it_began() -> None:
    """Watching: changes above this revision will be told. The session's cursor may lag behind it."""
    subscriptions = at(10)
    watch = watching(subscriptions, 20)
    assert subscriptions.take((change(15, watch), change(20, watch), change(21, watch))) == [change(21, watch)]


def test_an_unknown_or_ended_watch_is_told_nothing() -> None:
    """Its events may still be on the way."""
    subscriptions = at(10)
    watch = watching(subscriptions, 10)
    assert subscriptions.take((change(11, 99),)) == []
    subscriptions.closing(watch)
    assert subscriptions.take((change(11, watch),)) == []
    subscriptions.ended(watch)
    subscriptions.ended(watch)
    assert len(subscriptions) == 0


def test_before_its_answer_a_watch_is_told_nothing() -> None:
    """On one stream the answer comes first. If it was lost with its stream, the master tells on; the repeated call has
    all of that told again, in order, with what was lost (kept plan `watch_told_before_it_began`).
    """
    subscriptions = at(10)
    call = Watch(subscriptions.fresh_number(), "/a", since=5)
    subscriptions.opening(call)
    assert subscriptions.take((change(12, call.watch), Event(EventKind.RESYNC, watch=call.watch))) == []
    subscriptions.advance(12)
    assert subscriptions.claims() == ()
    subscriptions.begun(call, 5)
    replay = (change(6, call.watch), change(11, call.watch), change(12, call.watch))
    assert subscriptions.take(replay) == list(replay)
    assert subscriptions.take(replay) == []


class TestPastWatches:
    """A watch that began in the past is told of what the session's cursor has passed long ago."""

    def test_the_replay_runs_below_the_cursor(self) -> None:
        """`since_revision`."""
        subscriptions = at(500)
        watch = watching(subscriptions, 100)
        replay = (change(101, watch), change(300, watch), change(501, watch))
        assert subscriptions.take(replay) == list(replay)
        assert subscriptions.take(replay) == []

    def test_cut_off_it_is_begun_anew_where_it_stood(self) -> None:
        """Claimed, it would go on from the cursor, and 301 to 500 would be lost."""
        subscriptions = at(500)
        watch = watching(subscriptions, 100)
        subscriptions.take((change(101, watch), change(300, watch)))
        assert subscriptions.claims() == ()
        ((old, call),) = subscriptions.begin_anew()
        assert old == watch
        assert call == Watch(watch + 1, "/a", False, 299)
        subscriptions.opening(call)
        subscriptions.begun(call, 299)
        again = (change(300, call.watch), change(300, call.watch, path="/b"), change(301, call.watch))
        news = subscriptions.take(again)
        assert news == [change(300, watch, path="/b"), change(301, watch)], "known to its owner by its first number"
        assert subscriptions.number_of(watch) == call.watch
        assert subscriptions.name_of(call.watch) == watch
        assert subscriptions.number_of(77) == 77

    def test_the_cursor_may_pass_it_before_it_is_begun_anew(self) -> None:
        """A new master tells the other watches at once, and this one only when it knows of it again."""
        subscriptions = at(500)
        watch = watching(subscriptions, 100)
        subscriptions.take((change(300, watch),))
        ((_, call),) = subscriptions.begin_anew()
        subscriptions.opening(call)
        subscriptions.advance(510)
        assert subscriptions.claims() == () and subscriptions.begin_anew() == [], "its call is on the way"
        subscriptions.begun(call, 299)
        news = subscriptions.take((change(300, call.watch), change(400, call.watch), change(505, call.watch)))
        assert news == [change(400, watch), change(505, watch)]
        subscriptions.take((change(511, call.watch),))
        subscriptions.advance(511)
        assert subscriptions.take((change(511, call.watch),)) == []
        assert subscriptions.claims() == (WatchClaim(call.watch, "/a", False),)

    def test_begun_anew_in_step_it_is_told_nothing_twice(self) -> None:
        """The master has told it more than the cursor says."""
        subscriptions = at(500)
        watch = watching(subscriptions, 100)
        subscriptions.take((change(300, watch), change(501, watch)))
        ((_, call),) = subscriptions.begin_anew()
        subscriptions.begun(call, 500)
        again = (change(501, call.watch), change(501, call.watch, path="/b"), change(502, call.watch))
        assert subscriptions.take(again) == [change(501, watch, path="/b"), change(502, watch)]
        assert subscriptions.claims() == (WatchClaim(call.watch, "/a", False),)

    def test_not_told_anything_it_begins_anew_at_its_start(self) -> None:
        """Nothing of the revision it began at concerns it."""
        subscriptions = at(500)
        watching(subscriptions, 100)
        ((_, call),) = subscriptions.begin_anew()
        assert call.since == 100

    def test_caught_up_it_is_one_of_many(self) -> None:
        """Once the cursor has passed where it stood when the watch began."""
        subscriptions = at(500)
        watch = watching(subscriptions, 100)
        subscriptions.take((change(101, watch), change(502, watch)))
        subscriptions.advance(501)
        assert subscriptions.claims() == (WatchClaim(watch, "/a", False),)
        assert subscriptions.begin_anew() == []
        assert subscriptions.take((change(502, watch), change(503, watch))) == [change(503, watch)]

    def test_one_that_is_being_ended_is_not_begun_anew(self) -> None:
        """Its owner does not care."""
        subscriptions = at(500)
        subscriptions.closing(watching(subscriptions, 100))
        assert subscriptions.begin_anew() == []


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=12),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_whatever_breaks_when_each_event_comes_once(sizes: list[int], breaks: list[int]) -> None:
    """A history of revisions with a few changes each, told by a master that replays from the cursor after each break.

    `breaks` says after how many further events the stream breaks. A revision's cursor follows its last change.
    """
    history = [change(revision, handle=index + 1) for revision, size in enumerate(sizes, 1) for index in range(size)]
    subscriptions = Subscriptions()
    told: list[Event] = []
    for length in [*breaks, len(history)]:
        rest = [event for event in history if event.revision > subscriptions.cursor][:length]
        for index, event in enumerate(rest):
            told += subscriptions.take((event,))
            if index + 1 == len(rest) or rest[index + 1].revision > event.revision:
                whole = [other for other in history if other.revision == event.revision]
                if event == whole[-1]:
                    subscriptions.advance(event.revision)
    assert told == history
