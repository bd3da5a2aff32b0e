"""Who may cache what, and what must not be cached just now (DESIGN §5 Invalidate first; paper §2.7).

A *registration* says that a session may hold one cache key. Its *mark* tells how things stand:

    mark > 0     the number of the call whose answer filled it
    mark < 0     it was invalidated: -mark is the place in the session's queue of invalidations whose
                 acknowledgement is owed

`Uncachable` counts, per key, the changes under way: while it is above zero answers are not cacheable, so that one
round of invalidations is enough, however long it takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chubby.types.identity import CallNumber, SessionId
from chubby.types.stream import CacheKey


class Registry:
    """Registrations by key and by session. Invariant: both sides hold the same pairs."""

    def __init__(self) -> None:
        """Nobody caches anything."""
        self._marks: dict[CacheKey, dict[SessionId, int]] = {}
        self._keys: dict[SessionId, dict[CacheKey, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many registrations there are."""
        return self._count

    def count_of(self, session: SessionId) -> int:
        """How many registrations a session has."""
        return len(self._keys.get(session, ()))

    def register(self, session: SessionId, key: CacheKey, number: CallNumber) -> None:
        """The answer to call `number` lets the session cache `key`."""
        assert number > 0, "calls are numbered from 1"
        marks = self._marks.setdefault(key, {})
        if session not in marks:
            self._count += 1
            self._keys.setdefault(session, {})[key] = None
        marks[session] = number

    def marks(self, key: CacheKey) -> tuple[tuple[SessionId, int], ...]:
        """Who may cache `key`, in order of first registration, each with its mark."""
        marks = self._marks.get(key)
        return tuple(marks.items()) if marks is not None else ()

    def owe(self, session: SessionId, key: CacheKey, place: int) -> None:
        """The registration was invalidated at `place` of the session's queue."""
        assert place > 0 and session in self._marks[key], "what is invalidated was registered"
        self._marks[key][session] = -place

    def acknowledged(self, session: SessionId, keys: Iterable[CacheKey], place: int) -> None:
        """The session has carried out all invalidations of `keys` up to `place`; newer registrations stay."""
        for key in keys:
            mark = self._marks.get(key, {}).get(session, 0)
            if mark < 0 and -mark <= place:
                self.drop(session, key)

    def drop(self, session: SessionId, key: CacheKey) -> None:
        """Forget one registration, which must be there."""
        marks = self._marks[key]
        del marks[session]
        if not marks:
            del self._marks[key]
        keys = self._keys[session]
        del keys[key]
        if not keys:
            del self._keys[session]
        self._count -= 1

    def forget(self, session: SessionId) -> None:
        """Forget all registrations of a session: its cache is empty."""
        for key in tuple(self._keys.get(session, ())):
            self.drop(session, key)

    def sessions(self) -> Iterator[SessionId]:
        """The sessions that have registrations, in order of their first."""
        return iter(tuple(self._keys))

    def clear(self) -> None:
        """Forget everything: the mastership is over."""
        self._marks.clear()
        self._keys.clear()
        self._count = 0


class Uncachable:
    """A counter per key; above zero answers about the key are not cacheable."""

    def __init__(self) -> None:
        """Everything is cacheable."""
        self._counts: dict[CacheKey, int] = {}

    def __len__(self) -> int:
        """How many keys are uncachable."""
        return len(self._counts)

    def __contains__(self, key: CacheKey) -> bool:
        """Whether `key` is uncachable."""
        return key in self._counts

    def rise(self, key: CacheKey) -> None:
        """A change of `key` begins; before its first invalidation."""
        self._counts[key] = self._counts.get(key, 0) + 1

    def fall(self, key: CacheKey) -> None:
        """That change was applied, or is void."""
        count = self._counts[key] - 1
        assert count >= 0, "a change ends once"
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]

    def clear(self) -> None:
        """The mastership is over."""
        self._counts.clear()
