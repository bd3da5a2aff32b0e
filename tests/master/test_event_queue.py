"""Events that wait: in order, bounded, coalescing, never silently lost (DESIGN §5 Events)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.counters import Counters
from chubby.master.event_queue import HISTORY_KINDS, EventQueue
from chubby.types.events import Event, EventKind
from tests.master.counting import count_calls


def modified(path: str, revision: int, watch: int = 1) -> Event:
    """A change of content, for a watch."""
    return Event(EventKind.CONTENTS_MODIFIED, path, revision, 1, revision, watch=watch)


def conflict(handle: int) -> Event:
    """Somebody wants the lock."""
    return Event(EventKind.LOCK_CONFLICT, "/l", 0, 1, 0, handle)


def test_first_in_first_out() -> None:
    """Events of one session arrive in the order in which they happened."""
    queue = EventQueue(10, Counters())
    events = [modified("/a", 1), conflict(3), modified("/a", 2)]
    for event in events:
        queue.add(event)
    assert queue.take(2) == tuple(events[:2]) and queue.take(9) == tuple(events[2:]) and len(queue) == 0


def test_a_full_queue_keeps_the_last_of_its_kind() -> None:
    """Whoever reads after the last change sees all of them: no RESYNC is needed."""
    counters = Counters()
    queue = EventQueue(8, counters)
    for revision in range(1, 30):
        queue.add(modified("/a", revision))
    last = queue.take(99)[-1]
    assert last.revision == 29 and counters.resyncs == 0


def test_overflow_says_resync_per_subscription() -> None:
    """DESIGN §5: queues are bounded; the gap is told, once to each subscription that lost something."""
    counters = Counters()
    queue = EventQueue(6, counters)
    queue.add(conflict(9))
    for revision in range(1, 20):
        queue.add(modified(f"/{revision}", revision, watch=1 + revision % 2))
    events = queue.take(99)
    assert conflict(9) in events, "lock events are kept: nobody could look them up"
    assert {event.watch for event in events if event.kind is EventKind.RESYNC} == {1, 2}
    assert events[-1].revision == 19, "what comes after the gap is told"
    assert counters.resyncs > 0


def test_resync_stands_before_what_follows_it() -> None:
    """An event after RESYNC is newer than everything that was dropped."""
    queue = EventQueue(4, Counters())
    for revision in range(1, 40):
        queue.add(modified(f"/{revision}", revision))
    events = queue.take(99)
    assert events[0].kind is EventKind.RESYNC
    assert all(event.kind is not EventKind.RESYNC for event in events[1:])


def test_put_back_goes_to_the_front() -> None:
    """What was sent but not seen comes again before anything newer."""
    queue = EventQueue(10, Counters())
    queue.add(modified("/a", 1))
    queue.add(modified("/b", 2))
    taken = queue.take(1)
    queue.put_back(taken)
    assert [event.revision for event in queue.take(9)] == [1, 2]


def test_ended_subscription_leaves_nothing() -> None:
    """After Unwatch or Close nothing more is told to it."""
    queue = EventQueue(10, Counters())
    queue.add(modified("/a", 1, watch=1))
    queue.add(modified("/a", 1, watch=2))
    queue.add(conflict(1))
    queue.drop_subscription(0, 1)
    assert [(event.handle, event.watch) for event in queue.take(9)] == [(0, 2), (1, 0)]


def test_earliest_revision() -> None:
    """The cursor must stay below what still waits; lock events have no revision."""
    queue = EventQueue(10, Counters())
    assert queue.earliest_revision is None
    queue.add(conflict(1))
    assert queue.earliest_revision is None
    queue.add(modified("/a", 7))
    queue.add(modified("/a", 5))
    assert queue.earliest_revision == 5


def test_what_cannot_coalesce_costs_no_search_per_event() -> None:
    """Thousands of handles of one session, each with an event of its own: that must not hold up everybody else."""
    queue = EventQueue(100, Counters())

    def fill() -> None:
        for handle in range(2_000):
            queue.add(conflict(handle))

    cost = count_calls(fill)
    assert len(queue) == 2_000 and cost < 200_000, "looking through all of them for each would cost 4,000,000"


def test_a_queue_that_was_emptied_is_as_short_as_before() -> None:
    """Room once made for what does not coalesce is given back."""
    counters = Counters()
    queue = EventQueue(8, counters)
    for handle in range(1, 40):
        queue.add(conflict(handle))
    queue.take(1_000)
    for revision in range(1, 100):
        queue.add(modified(f"/{revision}", revision))
        assert len(queue) <= 8


names = st.sampled_from(["/a", "/b", "/c", "/d", "/e"])


@given(st.lists(st.tuples(names, st.integers(1, 3), st.booleans()), max_size=80), st.integers(2, 12))
def test_no_silent_gap(script: list[tuple[str, int, bool]], limit: int) -> None:
    """For every change of a path: the last one told for it is the last one that happened, or a RESYNC came after it."""
    queue = EventQueue(limit, Counters())
    last: dict[tuple[str, int], int] = {}
    for revision, (path, watch, lock) in enumerate(script, 1):
        if lock:
            queue.add(conflict(watch))
        else:
            queue.add(modified(path, revision, watch))
            last[path, watch] = revision
    assert len(queue) <= limit + 6
    told = queue.take(1000)
    resynced = {event.watch for event in told if event.kind is EventKind.RESYNC}
    seen = {(event.path, event.watch): event.revision for event in told if event.kind in HISTORY_KINDS}
    for (path, watch), revision in last.items():
        assert seen.get((path, watch)) == revision or watch in resynced
