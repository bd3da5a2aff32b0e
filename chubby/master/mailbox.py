"""What waits to be pushed to one session, and what of it is not acknowledged yet (DESIGN §5 KeepAlive, Events).

Invalidations stand in a queue of their own and get *places*, 1, 2, 3, ... for the life of the session under this
master; a push covers all places up to some number, its acknowledgement settles them. A session that has an unsettled
place *owes* an acknowledgement: its cache lease is not renewed. When too many keys wait, they become `everything`.

Pushes are numbered from 1 within a stream. A new stream (`restart`) begins with an empty cache, which settles every
place, and with the events that were sent but not seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from chubby.master.counters import Counters
from chubby.master.event_queue import EventQueue
from chubby.master.settings import MasterSettings
from chubby.types.events import Event
from chubby.types.identity import Revision
from chubby.types.stream import CacheKey, Push


class _Sent(NamedTuple):
    """One push that is not acknowledged."""

    push: Push
    place: int


class Acknowledged(NamedTuple):
    """What an acknowledgement settles: all places up to `place`; these keys; or the whole cache."""

    place: int
    keys: tuple[CacheKey, ...]
    everything: bool


class Mailbox:
    """One session's. Invariants: places settled <= places sent <= places given; at most a window of pushes is out."""

    __slots__ = (
        "_cursor_asked",
        "_everything",
        "_given",
        "_keys",
        "_next",
        "_sent",
        "_sent_place",
        "_settings",
        "_settled",
        "_told",
        "events",
    )

    def __init__(self, settings: MasterSettings, counters: Counters, revision: Revision) -> None:
        """An empty mailbox; all events up to `revision` count as told."""
        self.events = EventQueue(settings.events_per_session, counters)
        self._settings = settings
        self._keys: dict[CacheKey, int] = {}
        self._everything = 0
        self._given = self._sent_place = self._settled = 0
        self._sent: deque[_Sent] = deque()
        self._next = 1
        self._told = revision
        self._cursor_asked = False

    @property
    def owes(self) -> bool:
        """Whether an acknowledgement of an invalidation is owed, be it sent already or not."""
        return self._settled < self._given

    @property
    def owes_everything(self) -> bool:
        """Whether the session has yet to acknowledge that it emptied its cache."""
        return self._everything > self._settled

    @property
    def settled(self) -> int:
        """The place up to which invalidations are acknowledged."""
        return self._settled

    @property
    def told(self) -> Revision:
        """All events up to this revision have been sent."""
        return self._told

    def invalidate(self, key: CacheKey) -> int:
        """Queue an invalidation; return its place. A key that waits already keeps the place it has."""
        if self._everything > self._sent_place:
            return self._everything
        place = self._keys.get(key)
        if place is not None:
            return place
        if len(self._keys) >= self._settings.invalidations_per_session:
            return self.invalidate_everything()
        self._given += 1
        self._keys[key] = self._given
        return self._given

    def invalidate_everything(self) -> int:
        """Queue the order to empty the cache, which stands for all that waits; return its place."""
        if self._everything <= self._sent_place:
            self._given += 1
            self._everything = self._given
            self._keys.clear()
        return self._everything

    def ask_cursor(self) -> None:
        """Tell the session how far it has been told, though there may be no event for it."""
        self._cursor_asked = True

    def next_push(self, revision: Revision) -> Push | None:
        """The next push, if there is something to say and the window has room; `revision` is the machine's."""
        if len(self._sent) >= self._settings.push_window:
            return None
        everything = self._everything > self._sent_place
        if not (everything or self._keys or len(self.events) or (self._cursor_asked and self._told < revision)):
            return None
        keys = tuple(self._keys)[: self._settings.keys_per_push]
        place = self._everything if everything else self._sent_place
        for key in keys:
            place = max(place, self._keys.pop(key))
        events = self.events.take(self._settings.events_per_push)
        push = Push(self._next, keys, everything, events, self._advance(revision))
        self._next += 1
        self._sent_place = place
        self._sent.append(_Sent(push, place))
        return push

    def acknowledge(self, push: int) -> Acknowledged:
        """All pushes up to `push` were carried out; numbers never sent count as the last one sent."""
        keys: list[CacheKey] = []
        everything = False
        while self._sent and self._sent[0].push.number <= push:
            sent = self._sent.popleft()
            self._settled = sent.place
            keys.extend(sent.push.invalidate)
            everything = everything or sent.push.everything
        return Acknowledged(self._settled, tuple(keys), everything)

    def restart(self, cursor: Revision) -> None:
        """A new stream begins; its client has emptied its cache and has seen all events up to `cursor`."""
        self._settled = self._sent_place = self._given
        self._keys.clear()
        self.events.put_back(self._unacknowledged(cursor))
        self._sent.clear()
        self._next = 1
        self._told = cursor
        self._cursor_asked = True

    def _unacknowledged(self, cursor: Revision) -> Iterable[Event]:
        for sent in self._sent:
            for event in sent.push.events:
                if not event.revision or event.revision > cursor:
                    yield event

    def _advance(self, revision: Revision) -> Revision:
        """The cursor to send with what has been taken: 0 if it is no further than the one sent before."""
        earliest = self.events.earliest_revision
        cursor = revision if earliest is None else earliest - 1
        if cursor <= self._told:
            return 0
        self._told = cursor
        self._cursor_asked = False
        return cursor
