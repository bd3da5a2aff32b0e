"""Who wants to be told of what: handles with event masks and watches, found by path (DESIGN §5 Events).

A change of `/a/b/c` concerns

| subscription                          | found under                        | told as                        |
|---------------------------------------|------------------------------------|--------------------------------|
| handle on `/a/b/c`, CONTENTS_MODIFIED | `/a/b/c`                           | CONTENTS_MODIFIED              |
| handle on `/a/b/c`, HANDLE_INVALID    | `/a/b/c`, when it is deleted       | HANDLE_INVALID                 |
| handle on `/a/b`, CHILD_CHANGED       | its parent                         | the change, with the child's path |
| watch of `/a/b/c`                     | `/a/b/c`                           | the change                     |
| recursive watch of `/a`               | the node and each of its ancestors | the change                     |

so finding them costs the depth of the path, not the number of sessions. A handle whose node is deleted is told so and
leaves the index: it is bound to that instance, and nothing that happens to the name later concerns it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from chubby.master.handles import Handle
from chubby.namespace.outcomes import Change
from chubby.paths import ROOT, ancestors, parent
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import SessionId, WatchNumber

Told = tuple[SessionId, Event]
"""An event and the session it is for."""

_OF_THE_NODE = EventMask.CONTENTS_MODIFIED | EventMask.HANDLE_INVALID | EventMask.LOCK_ACQUIRED


class Watch(msgspec.Struct, frozen=True):
    """One watch of a session."""

    number: WatchNumber
    path: str
    recursive: bool


_S = TypeVar("_S", Handle, Watch)
_Index = dict[str, dict[tuple[SessionId, int], _S]]


class Subscriptions:
    """All handles with masks and all watches of some sessions, by path. Iteration is in the order of subscription."""

    def __init__(self) -> None:
        """Nobody wants anything."""
        self._nodes: _Index[Handle] = {}
        self._parents: _Index[Handle] = {}
        self._watches: _Index[Watch] = {}
        self._trees: _Index[Watch] = {}

    def add_handle(self, session: SessionId, handle: Handle) -> None:
        """Tell the session what the handle's mask asks for; a handle that is known takes its present mask."""
        self.drop_handle(session, handle)
        if handle.events & _OF_THE_NODE:
            _put(self._nodes, handle.path, session, handle)
        if EventMask.CHILD_CHANGED in handle.events:
            _put(self._parents, handle.path, session, handle)

    def drop_handle(self, session: SessionId, handle: Handle) -> None:
        """Tell nothing more to that handle; idempotent."""
        _take(self._nodes, handle.path, session, handle)
        _take(self._parents, handle.path, session, handle)

    def add_watch(self, session: SessionId, watch: Watch) -> None:
        """Tell the session of changes."""
        _put(self._trees if watch.recursive else self._watches, watch.path, session, watch)

    def drop_watch(self, session: SessionId, watch: Watch) -> None:
        """Tell nothing more to that watch; idempotent."""
        _take(self._trees if watch.recursive else self._watches, watch.path, session, watch)

    def changed(self, change: Change) -> Iterator[Told]:
        """Whom `change` concerns, and what they are told. Handles on a deleted node leave the index."""
        yield from self._node_changed(change)
        if change.path != ROOT:
            for (session, number), _ in _at(self._parents, parent(change.path)):
                yield session, _event(change, handle=number)
        for (session, number), _ in _at(self._watches, change.path):
            yield session, _event(change, watch=number)
        if self._trees:
            for path in (*ancestors(change.path), change.path):
                for (session, number), _ in _at(self._trees, path):
                    yield session, _event(change, watch=number)

    def acquired(self, path: str, instance: int, generation: int) -> Iterator[Told]:
        """Who wants to know that the lock of that node is held now (paper §2.5: "lock acquired")."""
        for (session, number), handle in _at(self._nodes, path):
            if EventMask.LOCK_ACQUIRED in handle.events and handle.instance == instance:
                yield session, Event(EventKind.LOCK_ACQUIRED, path, 0, instance, generation, number)

    def clear(self) -> None:
        """The mastership is over."""
        for index in (self._nodes, self._parents):
            index.clear()
        for watches in (self._watches, self._trees):
            watches.clear()

    def _node_changed(self, change: Change) -> Iterator[Told]:
        for (session, number), handle in _at(self._nodes, change.path):
            if handle.instance != change.instance:
                continue
            if change.kind is EventKind.CONTENTS_MODIFIED and EventMask.CONTENTS_MODIFIED in handle.events:
                yield session, _event(change, handle=number)
            elif change.kind is EventKind.DELETED and EventMask.HANDLE_INVALID in handle.events:
                yield session, Event(EventKind.HANDLE_INVALID, change.path, 0, change.instance, 0, number)
        if change.kind is EventKind.DELETED:
            for index in (self._nodes, self._parents):
                for (session, _), handle in _at(index, change.path):
                    if handle.instance == change.instance:
                        _take(index, change.path, session, handle)


def _event(change: Change, *, handle: int = 0, watch: int = 0) -> Event:
    return Event(change.kind, change.path, change.revision, change.instance, change.generation, handle, watch)


def _at(index: _Index[_S], path: str) -> tuple[tuple[tuple[SessionId, int], _S], ...]:
    found = index.get(path)
    return tuple(found.items()) if found is not None else ()


def _put(index: _Index[_S], path: str, session: SessionId, subscription: _S) -> None:
    index.setdefault(path, {})[session, subscription.number] = subscription


def _take(index: _Index[_S], path: str, session: SessionId, subscription: _S) -> None:
    found = index.get(path)
    if found is not None and found.pop((session, subscription.number), None) is not None and not found:
        del index[path]
