"""Replaying history to sessions that resume: no event is lost in a fail-over (DESIGN §5 Events, Fail-over).

Ten thousand sessions resume within seconds of a fail-over. Were each to walk the ten thousand changes of the history,
the new master would do nothing else for minutes. So the history is indexed once per epoch, by node, by parent and by
ancestor, and a session costs what concerns it. What has happened since the index was made is short and walked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol

from chubby.master.handles import Handle
from chubby.master.subscriptions import Subscriptions, Watch
from chubby.namespace.commands import Limits
from chubby.namespace.outcomes import Change
from chubby.paths import ROOT, ancestors, parent
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import Revision

_FROM_HISTORY = EventMask.CONTENTS_MODIFIED | EventMask.CHILD_CHANGED


class Chronicle(Protocol):
    """What of the machine tells its history."""

    @property
    def revision(self) -> Revision:
        """The newest revision."""

    @property
    def limits(self) -> Limits:
        """How much history is kept at most."""

    def history_since(self, revision: Revision) -> tuple[Change, ...] | None:
        """All changes above `revision`; None if some of them are forgotten."""


class Replay:
    """The history of one moment, indexed, and everything after it read from the machine."""

    def __init__(self, machine: Chronicle) -> None:
        """Index all the history there is."""
        self._machine = machine
        self._floor = _oldest(machine)
        self._until = machine.revision
        self._changes = machine.history_since(self._floor) or ()
        self._revisions = [change.revision for change in self._changes]
        self._nodes: dict[str, list[int]] = {}
        self._children: dict[str, list[int]] = {}
        self._trees: dict[str, list[int]] = {}
        for index, change in enumerate(self._changes):
            self._nodes.setdefault(change.path, []).append(index)
            self._trees.setdefault(change.path, []).append(index)
            if change.path != ROOT:
                self._children.setdefault(parent(change.path), []).append(index)
            for path in ancestors(change.path):
                self._trees.setdefault(path, []).append(index)

    def since(self, cursor: Revision, handles: Iterable[Handle], watches: Iterable[Watch]) -> Iterator[Event]:
        """What these subscriptions of one session missed above `cursor`, in order; RESYNC for each if it is too old."""
        handles = [handle for handle in handles if handle.events & _FROM_HISTORY]
        watches = list(watches)
        late = self._machine.history_since(max(cursor, self._until))
        if cursor < self._floor or late is None:
            for handle in handles:
                yield Event(EventKind.RESYNC, handle=handle.number)
            for watch in watches:
                yield Event(EventKind.RESYNC, watch=watch.number)
            return
        subscriptions = Subscriptions()
        for handle in handles:
            subscriptions.add_handle(0, handle)
        for watch in watches:
            subscriptions.add_watch(0, watch)
        indexed = (self._changes[index] for index in self._relevant(cursor, handles, watches))
        for changes in (indexed, late):
            for change in changes:
                for _, event in subscriptions.changed(change):
                    if event.kind is not EventKind.HANDLE_INVALID:
                        yield event

    def _relevant(self, cursor: Revision, handles: list[Handle], watches: list[Watch]) -> list[int]:
        """The places, ascending, of indexed changes above `cursor` that some subscription may want."""
        first = bisect_right(self._revisions, cursor)
        places: dict[int, None] = {}
        for handle in handles:
            for index, wanted in ((self._nodes, True), (self._children, EventMask.CHILD_CHANGED in handle.events)):
                if wanted:
                    places.update(_from(index.get(handle.path, []), first))
        for watch in watches:
            index = self._trees if watch.recursive else self._nodes
            places.update(_from(index.get(watch.path, []), first))
        return sorted(places)


def _from(places: list[int], first: int) -> dict[int, None]:
    return dict.fromkeys(places[bisect_right(places, first - 1) :])


def _oldest(machine: Chronicle) -> Revision:
    """The lowest revision since which the whole history is known."""
    low, high = max(0, machine.revision - machine.limits.history), machine.revision
    while low < high:
        middle = (low + high) // 2
        if machine.history_since(middle) is None:
            low = middle + 1
        else:
            high = middle
    return low
