"""What waits to be pushed to a session, and what of it is owed (DESIGN §5 KeepAlive, Events, Three leases)."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.counters import Counters
from chubby.master.footprints import node_key
from chubby.master.mailbox import Mailbox
from chubby.master.settings import MasterSettings
from chubby.types.events import Event, EventKind
from chubby.types.stream import CacheKey, Push

A, B, C = node_key("/a"), node_key("/b"), node_key("/c")
SETTINGS = MasterSettings(
    replica=1, push_window=2, invalidations_per_session=3, keys_per_push=2, events_per_push=2, events_per_session=64
)


def mailbox(revision: int = 0) -> Mailbox:
    """A small one."""
    return Mailbox(SETTINGS, Counters(), revision)


def change(revision: int) -> Event:
    """One from the history."""
    return Event(EventKind.CONTENTS_MODIFIED, "/a", revision, 1, 1, watch=1)


def acquired() -> Event:
    """One that is not."""
    return Event(EventKind.LOCK_ACQUIRED, "/l", 0, 1, 1, 3)


def pushed(box: Mailbox, revision: int = 0) -> Push:
    """The next push, which there is."""
    push = box.next_push(revision)
    assert push is not None
    return push


def test_nothing_to_say() -> None:
    """No push without a reason."""
    assert mailbox().next_push(100) is None


def test_an_invalidation_is_owed_until_acknowledged() -> None:
    """DESIGN §5: an acknowledgement owed withholds the cache lease; it is owed before it is sent."""
    box = mailbox()
    place = box.invalidate(A)
    assert box.owes
    push = pushed(box)
    assert push.invalidate == (A,) and push.number == 1 and box.owes
    settled = box.acknowledge(1)
    assert settled.place == place and settled.keys == (A,) and not settled.everything and not box.owes


def test_events_are_not_owed() -> None:
    """Events withhold nothing."""
    box = mailbox()
    box.events.add(change(1))
    pushed(box, 1)
    assert not box.owes


def test_pushes_are_numbered_from_one_and_windowed() -> None:
    """At most a window of pushes is out; the rest waits for an acknowledgement."""
    box = mailbox()
    for key in (A, B, C):
        box.invalidate(key)
        push = box.next_push(0)
        assert (push.number if push else None) == {A: 1, B: 2, C: None}[key]
    assert box.acknowledge(1).keys == (A,)
    assert pushed(box).invalidate == (C,)


def test_acknowledging_several_at_once() -> None:
    """`Acknowledge(n)` speaks of all pushes up to n; numbers never sent mean no more than that."""
    box = mailbox()
    box.invalidate(A)
    pushed(box)
    box.invalidate(B)
    pushed(box)
    assert box.acknowledge(99).keys == (A, B) and not box.owes
    assert box.acknowledge(99).keys == ()


def test_one_key_waits_once() -> None:
    """A key that waits already keeps its place."""
    box = mailbox()
    assert box.invalidate(A) == box.invalidate(A)
    pushed(box)
    assert box.invalidate(A) == 2, "once sent it is a new one"


def test_overflow_becomes_everything() -> None:
    """DESIGN §5: its invalidations are queued (overflow: "empty all")."""
    box = mailbox()
    places = [box.invalidate(key) for key in (A, B, C, node_key("/d"))]
    push = pushed(box)
    assert push.everything and push.invalidate == () and box.owes_everything
    assert box.invalidate(A) > places[-1], "what comes after it is sent for itself"
    settled = box.acknowledge(1)
    assert settled.everything and settled.place >= max(places) and not box.owes_everything and box.owes


def test_everything_stands_for_what_waits() -> None:
    """While `everything` waits, single keys are part of it."""
    box = mailbox()
    box.invalidate(A)
    place = box.invalidate_everything()
    assert box.invalidate(B) == place == box.invalidate_everything()
    assert pushed(box).everything and box.next_push(0) is None


def test_cursor_comes_with_the_last_event() -> None:
    """All events up to the cursor have been told: it stays below an event that still waits."""
    box = mailbox()
    for revision in (3, 4, 6):
        box.events.add(change(revision))
    first = pushed(box, 9)
    assert [event.revision for event in first.events] == [3, 4] and first.cursor == 5
    assert pushed(box, 9).cursor == 9 and box.told == 9


def test_cursor_never_goes_back() -> None:
    """A watch that replays old changes does not move the session's cursor back."""
    box = mailbox(revision=50)
    for revision in (3, 4, 6):
        box.events.add(change(revision))
    assert pushed(box, 50).cursor == 0 and box.told == 50


def test_asked_for_the_cursor() -> None:
    """An idle subscriber is told how far it has been told, once, and only if that is news."""
    box = mailbox(revision=5)
    box.ask_cursor()
    assert box.next_push(5) is None
    push = pushed(box, 8)
    assert push == Push(1, cursor=8) and box.next_push(9) is None


def test_restart_settles_and_sends_unseen_events_again() -> None:
    """DESIGN §5: Resume empties the cache, which is its acknowledgement; no event is lost."""
    box = mailbox()
    for event in (change(1), acquired(), change(2), change(3)):
        box.events.add(event)
    box.invalidate(A)
    pushed(box, 3)
    pushed(box, 3)
    box.invalidate(B)
    box.restart(cursor=1)
    assert not box.owes
    again = pushed(box, 3)
    assert again.number == 1 and again.invalidate == () and again.events == (acquired(), change(2))
    assert pushed(box, 3).events == (change(3),)


def test_acknowledged_events_are_not_sent_again() -> None:
    """What was seen on the stream before is not repeated on the next."""
    box = mailbox()
    box.events.add(acquired())
    pushed(box)
    box.acknowledge(1)
    box.restart(cursor=0)
    assert box.next_push(0) is None


keys = st.sampled_from([node_key(f"/{name}") for name in "abcdef"])
PUSH, ACKNOWLEDGE = 1, 2


@given(st.lists(st.one_of(keys, st.sampled_from([PUSH, ACKNOWLEDGE])), max_size=60))
def test_whoever_settled_a_place_has_dropped_the_key(steps: list[CacheKey | int]) -> None:
    """For each invalidation: once its place is settled, the client has carried out a push that covers it.

    The client of this model caches every key always: only what was dropped after the invalidation counts.
    """
    box = mailbox()
    out: deque[Push] = deque()
    dropped: dict[CacheKey, int] = {}
    due: list[tuple[CacheKey, int, int]] = []
    for clock, step in enumerate(steps, 1):
        if isinstance(step, CacheKey):
            dropped.setdefault(step, 0)
            due.append((step, box.invalidate(step), clock))
        elif step == PUSH and (push := box.next_push(0)) is not None:
            out.append(push)
        elif step == ACKNOWLEDGE and out:
            push = out.popleft()
            dropped.update(dict.fromkeys(tuple(dropped) if push.everything else push.invalidate, clock))
            box.acknowledge(push.number)
        assert all(dropped[key] > asked for key, place, asked in due if place <= box.settled)
