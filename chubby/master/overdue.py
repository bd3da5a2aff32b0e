"""Who of the dead goes before whom (DESIGN §4 Locks: "a dead session is never granted anything").

A session is *overdue* from the moment its expiry is decided until that is proposed. Whoever gives a lock back may let
in anybody who waits for it; whoever leaves its queue may let in those who wait behind. So a command may free a lock
only when nobody overdue waits for it, and the end of a session that waits itself only when nobody overdue waits behind:
a queue of the dead is cleared from its end, and its dead holder goes last.

Over several locks they may wait for each other in a circle. Then somebody has to begin: the last one to find itself
blocked when all others that wait have.
"""

from __future__ import annotations

from collections.abc import Iterable

from sortedcontainers import SortedList

from chubby.master.desk import Desk
from chubby.types.identity import SessionId


class Overdue:
    """The overdue sessions, and their places in queues. Invariant: both indexes hold the same places."""

    def __init__(self, desk: Desk) -> None:
        """Nobody is overdue."""
        self._desk = desk
        self._places: dict[SessionId, tuple[tuple[str, int], ...]] = {}
        self._queues: dict[str, SortedList[tuple[int, SessionId]]] = {}
        self._behind: dict[SessionId, dict[str, int]] = {}
        self._waiters = 0
        self._blocked: dict[SessionId, None] = {}

    def in_order(self, sessions: Iterable[SessionId]) -> list[SessionId]:
        """These sessions so that, as a rule, none of them is blocked by a later one: the last in their queues first."""
        return sorted(sessions, key=self._rank)

    def note(self, session: SessionId) -> None:
        """The session is overdue, or something of an overdue one was applied: see where it waits now."""
        self.proposed(session)
        machine = self._desk.machine
        places = self._places[session] = machine.waits_of(session)
        held = [path for path, _ in machine.locks_of(session)]
        behind = self._behind[session] = {}
        for path, place in places:
            self._queues.setdefault(path, SortedList()).add((place, session))
            held.remove(path)
            behind[path] = min(place, behind.get(path, place))
        for path in held:
            behind.pop(path, None)
        self._waiters += bool(places)

    def proposed(self, session: SessionId) -> None:
        """Its end is in the log before whatever is proposed from now on; idempotent."""
        places = self._places.pop(session, ())
        self._behind.pop(session, None)
        for path, place in places:
            queue = self._queues[path]
            queue.remove((place, session))
            if not queue:
                del self._queues[path]
        self._waiters -= bool(places)
        self._blocked.clear()

    def may_free(self, paths: Iterable[str], ending: SessionId) -> bool:
        """Whether these locks may be given to others, by the end of a session (0: by something else)."""
        if not any(self._would_let_in(path, ending) for path in paths):
            return True
        if not self._places.get(ending):
            return False
        self._blocked[ending] = None
        return len(self._blocked) == self._waiters

    def clear(self) -> None:
        """The mastership is over."""
        self._places.clear()
        self._queues.clear()
        self._behind.clear()
        self._blocked.clear()
        self._waiters = 0

    def _would_let_in(self, path: str, ending: SessionId) -> bool:
        """Whether an overdue session waits for that lock, behind the place of `ending` if that only waits itself."""
        behind = self._behind.get(ending, {}).get(path, -1)
        last = next((place for place, session in reversed(self._queues.get(path, ())) if session != ending), -1)
        return last > behind

    def _rank(self, session: SessionId) -> tuple[bool, int]:
        machine = self._desk.machine
        places = machine.waits_of(session)
        return len(places) < len(machine.locks_of(session)), -max((place for _, place in places), default=0)
