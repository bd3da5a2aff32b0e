"""What the fake cell remembers of each session, its handles and the changes that wait for caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chubby import paths
from chubby.types.calls import Mode
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import CallNumber, HandleNumber, SessionId, WatchNumber
from chubby.types.results import Answer
from chubby.types.stream import CacheKey
from chubby.types.time import Instant
from chubby.types.transaction import Remove
from tests.client.fake_tree import Change, FakeNode

if TYPE_CHECKING:
    from tests.client.fake_cell import FakeCell

_SET = {
    EventKind.CONTENTS_MODIFIED,
    EventKind.CREATED,
    EventKind.DELETED,
}


class Handle:
    """An open handle; its ticket says all there is to know, so that a new master needs no memory."""

    def __init__(self, number: HandleNumber, path: str, instance: int, mode: Mode, events: EventMask) -> None:
        self.number = number
        self.path = path
        self.instance = instance
        self.mode = mode
        self.events = events
        self.sequencer = b""

    @property
    def ticket(self) -> bytes:
        """Check digits, of a kind."""
        return f"{self.instance} {int(self.mode)} {self.path}".encode()

    @staticmethod
    def of_ticket(number: HandleNumber, ticket: bytes, events: EventMask) -> Handle:
        """The handle that a ticket speaks of."""
        instance, mode, path = ticket.decode().split(" ", 2)
        return Handle(number, path, int(instance), Mode(int(mode)), events)


class Pending:
    """A change that waits for caches. `waits_for`: session → the push it has to acknowledge."""

    def __init__(self, keys: set[CacheKey], run: Callable[[Instant], None]) -> None:
        self.keys = keys
        self.run = run
        self.waits_for: dict[SessionId, int] = {}


class Session:
    """What the cell knows of one session. `stream` is the attached one, if any.

    `keys` it may cache; `dropping` it was told to drop, and has not acknowledged (key → push).
    """

    def __init__(self, number: SessionId, nonce: int, caching: bool) -> None:
        self.id = number
        self.nonce = nonce
        self.caching = caching
        self.stream: Any = None
        self.stream_number = 0
        self.deadline: Instant = 0
        self.cache_deadline: Instant = 0
        self.keys: set[CacheKey] = set()
        self.dropping: dict[CacheKey, int] = {}
        self.caches_unknown = False
        self.pushed = 0
        self.acknowledged_push = 0
        self.acknowledged: CallNumber = 0
        self.replies: dict[CallNumber, Answer] = {}
        self.busy: set[CallNumber] = set()
        self.handles: dict[HandleNumber, Handle] = {}
        self.watches: dict[WatchNumber, tuple[str, bool, int]] = {}
        self.acquiring: dict[HandleNumber, dict[CallNumber, None]] = {}

    def events_of(self, change: Change) -> list[Event]:
        """What this session is to be told of `change`."""
        events = []
        for handle in self.handles.values():
            own = handle.path == change.path and handle.instance == change.instance
            child = handle.path == (paths.parent(change.path) if change.path != "/" else None)
            kind = change.kind
            if own and kind is EventKind.DELETED:
                events.append(Event(EventKind.HANDLE_INVALID, change.path, handle=handle.number))
                continue
            wanted = own and EventMask.CONTENTS_MODIFIED in handle.events and kind is EventKind.CONTENTS_MODIFIED
            if wanted or (child and EventMask.CHILD_CHANGED in handle.events and kind in _SET):
                events.append(Event(kind, change.path, change.revision, change.instance, handle=handle.number))
        for watch, (path, recursive, floor) in self.watches.items():
            below = recursive and paths.is_below(change.path, path)
            if change.revision > floor and (change.path == path or below):
                events.append(Event(change.kind, change.path, change.revision, change.instance, watch=watch))
        return events

    def delete_ephemeral(self, cell: FakeCell, path: str, node: FakeNode, now: Instant) -> None:
        """Nobody has the ephemeral node open any more: it goes, invalidation first."""

        def run(_: Instant) -> None:
            if cell.tree.nodes.get(path) is node and not node.openers:
                cell.tree.transact((), (Remove(path),))

        cell.change(None, cell.tree.keys_of((Remove(path),)), run, now)
