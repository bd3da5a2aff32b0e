"""The book of locks: who holds and who waits, as rows, without the rules (those are in `locks`).

| table    | key                   | row                                                                           |
|----------|-----------------------|-------------------------------------------------------------------------------|
| `lock`   | path                  | `LockRow`; there is one only while the lock is held, waited for, or delayed   |
| `holder` | path, session, handle | `Holder`                                                                      |
| `waiter` | path, ticket          | `Waiter`; the tickets of one lock grow                                        |

What outlives the use of a lock, its generation and last token, stands in the node.

Invariants: a lock's node is there, in the instance that the row names; an owner has at most one place with a lock.
The index of a lock is its `Crowd`: holders in the order in which they joined, waiters in the order in which they asked.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
from sortedcontainers import SortedList

from chubby.namespace.table import Table, discard
from chubby.types.identity import HandleNumber, SessionId
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.time import Duration

__all__ = ["Crowd", "Holder", "LockBook", "LockRow", "Waiter"]

_HolderKey = tuple[str, SessionId, HandleNumber]
_WaiterKey = tuple[str, int]


class LockRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A lock in use. `mode` is that of its holders, None if there are none.

    `delay` is the longest lock-delay of holders of this period that died; `delayed` says that it is running.
    """

    instance: int
    mode: LockMode | None = None
    delay: Duration = 0
    delayed: bool = False


class Holder(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One holder: its place in the order of joining, and the lock-delay it chose."""

    joined: int
    delay: Duration


class Waiter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One place in a queue."""

    session: SessionId
    handle: HandleNumber
    mode: LockMode
    delay: Duration

    @property
    def owner(self) -> LockOwner:
        """Who waits."""
        return LockOwner(self.session, self.handle)


class Crowd:
    """The holders of one lock, and its waiters with their tickets."""

    __slots__ = ("holders", "waiters")

    def __init__(self) -> None:
        """Nobody."""
        self.holders: dict[LockOwner, Holder] = {}
        # An OrderedDict finds its first entry at once, also after thousands before it have left; a dict searches.
        self.waiters: OrderedDict[LockOwner, tuple[int, Waiter]] = OrderedDict()


class LockBook:
    """The rows of all locks in use."""

    __slots__ = ("_crowds", "_of_session", "holders", "locks", "paths", "waiters")

    def __init__(self) -> None:
        """No lock is in use."""
        self.locks: Table[str, LockRow] = Table("lock", msgspec.msgpack.Decoder(list[tuple[str, LockRow]]))
        self.holders: Table[_HolderKey, Holder] = Table(
            "holder", msgspec.msgpack.Decoder(list[tuple[_HolderKey, Holder]])
        )
        self.waiters: Table[_WaiterKey, Waiter] = Table(
            "waiter", msgspec.msgpack.Decoder(list[tuple[_WaiterKey, Waiter]])
        )
        self._clear_indexes()

    def _clear_indexes(self) -> None:
        self.paths: SortedList[str] = SortedList()
        self._crowds: dict[str, Crowd] = {}
        self._of_session: dict[SessionId, dict[tuple[str, HandleNumber], None]] = {}

    def row(self, path: str) -> LockRow | None:
        """The row of a lock; None if the lock is not in use."""
        return self.locks.rows.get(path)

    def crowd(self, path: str) -> Crowd | None:
        """Who holds a lock and who waits for it; None if the lock is not in use. To be read only."""
        return self._crowds.get(path)

    def places_of(self, session: SessionId) -> list[tuple[str, HandleNumber]]:
        """Where the session holds or waits, in order of paths and handles."""
        return sorted(self._of_session.get(session, ()))

    def waits_of(self, session: SessionId) -> list[tuple[str, int]]:
        """Where the session waits, with its ticket, in order of paths and handles."""
        owners = ((path, LockOwner(session, handle)) for path, handle in self.places_of(session))
        queued = ((path, self._crowds[path].waiters.get(owner)) for path, owner in owners)
        return [(path, place[0]) for path, place in queued if place is not None]

    def count_of(self, session: SessionId) -> int:
        """How many places the session has."""
        return len(self._of_session.get(session, ()))

    def begin(self, path: str, instance: int) -> Crowd:
        """A lock comes into use."""
        assert path not in self._crowds, "a lock in use has one row"
        self.locks.put(path, LockRow(instance))
        self.paths.add(path)
        crowd = self._crowds[path] = Crowd()
        return crowd

    def end(self, path: str) -> None:
        """A lock goes out of use."""
        crowd = self._crowds.pop(path)
        assert not crowd.holders and not crowd.waiters, "a lock in use stays"
        self.locks.drop(path)
        self.paths.remove(path)

    def enqueue(self, path: str, waiter: Waiter) -> None:
        """Somebody takes the last place in the queue."""
        owner, crowd = waiter.owner, self._crowds[path]
        assert owner not in crowd.holders and owner not in crowd.waiters, "an owner has one place"
        ticket = next(reversed(crowd.waiters.values()))[0] + 1 if crowd.waiters else 0
        self.waiters.put((path, ticket), waiter)
        crowd.waiters[owner] = (ticket, waiter)
        self._of_session.setdefault(waiter.session, {})[path, waiter.handle] = None

    def leave_queue(self, path: str, owner: LockOwner) -> Waiter:
        """Somebody gives up its place in the queue."""
        ticket, waiter = self._crowds[path].waiters.pop(owner)
        assert waiter.owner == owner, "a place is its owner's"
        self.waiters.drop((path, ticket))
        discard(self._of_session, owner.session, (path, owner.handle))
        return waiter

    def join(self, path: str, owner: LockOwner, delay: Duration) -> None:
        """Somebody becomes a holder."""
        holders = self._crowds[path].holders
        assert owner not in holders, "an owner has one place"
        joined = next(reversed(holders.values())).joined + 1 if holders else 0
        holder = holders[owner] = Holder(joined, delay)
        self.holders.put((path, owner.session, owner.handle), holder)
        self._of_session.setdefault(owner.session, {})[path, owner.handle] = None

    def part(self, path: str, owner: LockOwner) -> Holder:
        """Somebody is a holder no more."""
        holder = self._crowds[path].holders.pop(owner)
        self.holders.drop((path, owner.session, owner.handle))
        discard(self._of_session, owner.session, (path, owner.handle))
        return holder

    def reindex(self) -> None:
        """Derive the indexes from the rows. Raises ValueError if the rows break an invariant."""
        self._clear_indexes()
        self._crowds = {path: Crowd() for path in self.locks.rows}
        self.paths = SortedList(self._crowds)
        for (path, session, handle), holder in self.holders.rows.items():
            self._crowd_of_row(path).holders[LockOwner(session, handle)] = holder
            self._of_session.setdefault(session, {})[path, handle] = None
        for (path, ticket), waiter in self.waiters.rows.items():
            self._crowd_of_row(path).waiters[waiter.owner] = (ticket, waiter)
            self._of_session.setdefault(waiter.session, {})[path, waiter.handle] = None
        for path, crowd in self._crowds.items():
            if (self.locks.rows[path].mode is None) is bool(crowd.holders):
                raise ValueError(f"the lock of {path} has holders and no mode, or a mode and no holders")

    def _crowd_of_row(self, path: str) -> Crowd:
        crowd = self._crowds.get(path)
        if crowd is None:
            raise ValueError(f"somebody holds or awaits a lock of {path} that is not there")
        return crowd
