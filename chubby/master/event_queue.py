"""The events that wait for one session: in order, bounded, coalescing, never silently lost (DESIGN §5 Events).

A queue that is full makes room in two steps:

1. Of several changes of the same kind to the same thing for the same subscription, and of several equal lock events,
   only the last stays: whoever reads after it sees all of them.
2. If that is not enough, everything from the history goes, and each subscription that lost something gets one RESYNC
   in its place: read again what you rely on.

So the queue never holds more than its limit plus a few events per subscription, and there is no silent gap. While it
is longer than its limit it is looked through only once per half a limit of events, however many do not coalesce.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from chubby.master.counters import Counters
from chubby.types.events import Event, EventKind
from chubby.types.identity import HandleNumber, Revision, WatchNumber

HISTORY_KINDS: Final = frozenset(
    {
        EventKind.CREATED,
        EventKind.CONTENTS_MODIFIED,
        EventKind.DELETED,
        EventKind.ACL_MODIFIED,
        EventKind.ATTRIBUTES_MODIFIED,
    }
)
"""What derives from the history and carries its revision."""

_Sameness = tuple[EventKind, str, int, HandleNumber, WatchNumber]


class EventQueue:
    """Events not yet sent."""

    __slots__ = ("_counters", "_events", "_limit", "_room")

    def __init__(self, limit: int, counters: Counters) -> None:
        """An empty queue that coalesces when it holds `limit` events."""
        assert limit > 0, "a queue has room for something"
        self._events: deque[Event] = deque()
        self._limit = limit
        self._room = limit
        self._counters = counters

    def __len__(self) -> int:
        """How many events wait."""
        return len(self._events)

    def add(self, event: Event) -> None:
        """Put an event at the end."""
        if len(self._events) >= self._room:
            self._make_room()
        self._events.append(event)

    def put_back(self, events: Iterable[Event]) -> None:
        """Put events that were taken, but not seen, at the front again."""
        self._events.extendleft(reversed(tuple(events)))
        if len(self._events) > self._room:
            self._make_room()

    def take(self, limit: int) -> tuple[Event, ...]:
        """Take up to `limit` events from the front."""
        taken = tuple(self._events.popleft() for _ in range(min(limit, len(self._events))))
        if len(self._events) < self._limit:
            self._room = self._limit
        return taken

    @property
    def earliest_revision(self) -> Revision | None:
        """The lowest revision of a waiting event from the history; None if there is none."""
        return min((event.revision for event in self._events if event.revision), default=None)

    def drop_subscription(self, handle: HandleNumber, watch: WatchNumber) -> None:
        """Forget the events of a subscription that has ended."""
        if any(event.handle == handle and event.watch == watch for event in self._events):
            self._events = deque(event for event in self._events if event.handle != handle or event.watch != watch)

    def _make_room(self) -> None:
        last: dict[_Sameness, int] = {_sameness(event): index for index, event in enumerate(self._events)}
        kept = [event for index, event in enumerate(self._events) if last[_sameness(event)] == index]
        if len(kept) > self._limit // 2:
            kept = self._resynchronise(kept)
        self._events = deque(kept)
        self._room = max(self._limit, len(kept) + self._limit // 2)

    def _resynchronise(self, events: list[Event]) -> list[Event]:
        kept: list[Event] = []
        losers: dict[tuple[HandleNumber, WatchNumber], None] = {}
        for event in events:
            if event.kind in HISTORY_KINDS or event.kind is EventKind.RESYNC:
                losers[event.handle, event.watch] = None
            else:
                kept.append(event)
        self._counters.resyncs += len(losers)
        kept.extend(Event(EventKind.RESYNC, handle=handle, watch=watch) for handle, watch in losers)
        return kept


def _sameness(event: Event) -> _Sameness:
    return event.kind, event.path, event.instance, event.handle, event.watch
