"""Who is to be told what: watches, and the cursor that makes every history event arrive once (DESIGN §5 Events).

Events from the history carry a revision. `cursor` says that everything up to it has been told; Resume names it, and
the master replays what is above. What was already told above the cursor (the stream broke in the middle of a push) is
remembered and dropped when it comes again. Lock events and RESYNC carry no position and always pass.

A watch that began in the past (`since` below the cursor) is a special case: its replay runs *below* the session's
cursor. Until the cursor has moved beyond where it stood when the watch began, the watch keeps a position of its own; if
the stream breaks before that, it is not claimed at Resume but begun anew from that position, under a fresh number.
"""

from __future__ import annotations

import msgspec

from chubby.types.calls import Watch
from chubby.types.events import Event, EventKind
from chubby.types.identity import Revision, WatchNumber
from chubby.types.stream import WatchClaim

_HISTORY = frozenset(
    {
        EventKind.CREATED,
        EventKind.CONTENTS_MODIFIED,
        EventKind.DELETED,
        EventKind.ACL_MODIFIED,
        EventKind.ATTRIBUTES_MODIFIED,
    }
)


_CLAIM_BYTES = 32
"""What a claim takes besides the path, at most."""


class WatchRecord:
    """One watch: `name` is what its owner knows it by, `number` what the master knows it by now.

    `begun`: the master has answered, also the last time that it was begun anew; nothing at or below `floor` concerns
    it. Before, nothing concerns it at all: where the answer was lost with its stream, what the master tells meanwhile
    comes again behind the answer to the repeated call, in order and with what was lost. `replay_until` None: in step
    with the session's cursor. Else its replay is over once the cursor has passed that; until then `position` is the
    highest revision told to it, and `told` what was told at that very revision.
    """

    __slots__ = ("begun", "closing", "floor", "name", "number", "path", "position", "recursive", "replay_until", "told")

    def __init__(self, call: Watch) -> None:
        self.name = self.number = call.watch
        self.path = call.path
        self.recursive = call.recursive
        self.begun = False
        self.closing = False
        self.floor: Revision = 0
        self.position: Revision = 0
        self.replay_until: Revision | None = None
        self.told: set[Event] = set()


class Subscriptions:
    """The cursor and the watches of one session. Invariant: `cursor` never decreases."""

    def __init__(self) -> None:
        self.cursor: Revision = 0
        self._next: WatchNumber = 1
        self._watches: dict[WatchNumber, WatchRecord] = {}
        self._names: dict[WatchNumber, WatchRecord] = {}
        self._told: set[Event] = set()

    def __len__(self) -> int:
        return len(self._watches)

    @property
    def claimed(self) -> int:
        """What presenting all watches at Resume takes, bytes, at most."""
        return sum(len(record.path.encode(errors="replace")) + _CLAIM_BYTES for record in self._watches.values())

    def fresh_number(self) -> WatchNumber:
        """A number no watch of this session ever had."""
        number, self._next = self._next, self._next + 1
        return number

    # ----------------------------------------------------------------------------------------------------- watches

    def opening(self, call: Watch) -> None:
        """The call is about to be sent. Its events come behind its answer."""
        if call.watch not in self._watches:
            self._watches[call.watch] = self._names[call.watch] = WatchRecord(call)

    def begun(self, call: Watch, revision: Revision) -> None:
        """The master answered `call`: changes above `revision` will be told."""
        record = self._watches.get(call.watch)
        if record is None or record.begun:
            return
        record.begun = True
        record.floor = revision
        record.position = max(record.position, revision)
        record.replay_until = self.cursor
        if revision >= self.cursor:
            self._caught_up(record)

    def number_of(self, name: WatchNumber) -> WatchNumber:
        """What the master knows the watch `name` by now."""
        record = self._names.get(name)
        return name if record is None else record.number

    def name_of(self, number: WatchNumber) -> WatchNumber:
        """What its owner knows the watch `number` by."""
        record = self._watches.get(number)
        return number if record is None else record.name

    def knows(self, number: WatchNumber) -> bool:
        """Whether the master is to know a watch by `number`; not once it was begun anew under another one."""
        return number in self._watches

    def closing(self, number: WatchNumber) -> None:
        """Its Unwatch is on its way: nothing more is told, and the watch is not begun anew."""
        if (record := self._watches.get(number)) is not None:
            record.closing = True

    def ended(self, number: WatchNumber) -> None:
        """Unwatch was answered, or the watch never came to be; idempotent."""
        record = self._watches.pop(number, None)
        if record is not None:
            self._names.pop(record.name, None)

    # ------------------------------------------------------------------------------------------------------ events

    def take(self, events: tuple[Event, ...]) -> list[Event]:
        """Those of `events` that are news, in order, named as their owners know them."""
        return [news for event in events if (news := self._news(event)) is not None]

    def _news(self, event: Event) -> Event | None:
        if not event.watch:
            return event if not _from_history(event) or self._first(event) else None
        record = self._watches.get(event.watch)
        if record is None or record.closing or not record.begun:
            return None
        if record.name != event.watch:
            event = msgspec.structs.replace(event, watch=record.name)
        if not _from_history(event):
            return event
        if event.revision <= record.floor:
            return None
        first = self._first(event) if record.replay_until is None else _first_in_replay(record, event)
        return event if first else None

    def _first(self, event: Event) -> bool:
        if event.revision <= self.cursor or event in self._told:
            return False
        self._told.add(event)
        return True

    def advance(self, cursor: Revision) -> None:
        """Everything up to `cursor` has been told (0: unchanged)."""
        if cursor <= self.cursor:
            return
        self.cursor = cursor
        self._told = {event for event in self._told if event.revision > cursor}
        for record in self._watches.values():
            if record.begun and record.replay_until is not None and cursor > record.replay_until:
                self._caught_up(record)

    def _caught_up(self, record: WatchRecord) -> None:
        """From now on this watch is in step with the cursor."""
        self._told |= {event for event in record.told if event.revision > self.cursor}
        record.replay_until, record.told = None, set()

    # ------------------------------------------------------------------------------------------------------ resume

    def claims(self) -> tuple[WatchClaim, ...]:
        """What to present at Resume: the watches that are in step with the cursor."""
        return tuple(
            WatchClaim(record.number, record.path, record.recursive)
            for record in self._watches.values()
            if record.begun and record.replay_until is None
        )

    def begin_anew(self) -> list[tuple[WatchNumber, Watch]]:
        """After Resumed: for each watch whose replay was cut off, its old number and the call that takes it up again.

        Taken up one revision early: that revision may not have been told in full, and what was, is known.
        """
        anew = []
        for record in list(self._watches.values()):
            if not record.begun or record.replay_until is None or record.closing:
                continue
            old = record.number
            since = record.position - 1 if record.told else record.position
            del self._watches[old]
            # Until the new master has answered it tells this watch nothing, however far the cursor moves meanwhile.
            record.begun = False
            record.number = self.fresh_number()
            self._watches[record.number] = record
            anew.append((old, Watch(record.number, record.path, record.recursive, since)))
        return anew


def _from_history(event: Event) -> bool:
    return event.revision != 0 and event.kind in _HISTORY


def _first_in_replay(record: WatchRecord, event: Event) -> bool:
    """Whether the event (named as its owner knows it) is new to a watch that has not caught up yet."""
    if event.revision < record.position or event in record.told:
        return False
    if event.revision > record.position:
        record.position, record.told = event.revision, set()
    record.told.add(event)
    return True
