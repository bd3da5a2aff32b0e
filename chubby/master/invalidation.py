"""Rounds of invalidations: a change waits until nobody can read the old value from a cache (DESIGN §5; paper §2.7).

A round begins by making its keys uncachable, then tells every session registered for one of them. It is *clear* when
each session it waits for has acknowledged, has begun again with an empty cache, has ended, or has let its cache lease
run out. Its end, when the change was applied or is void, makes the keys cacheable again.

**The writer** drops its copies before it sends, so its own registration is dropped without a word, if the answer that
filled it had arrived by then (`CallFrame.acknowledged` says so). Otherwise that answer is still under way and would
bring back the old value: then the writer is told like anybody else.

**A lapsed session** is told but not waited for. While it owes an acknowledgement its lease is not renewed, so a writer
is held up once, and for no longer than what was left of the lease.
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.master.counters import Counters
from chubby.master.registry import Registry, Uncachable
from chubby.master.session import Session
from chubby.master.timers import Timers
from chubby.types.identity import CallNumber, SessionId
from chubby.types.stream import CacheKey
from chubby.types.time import Duration, Instant


class Round:
    """One change's wait. `keys` are uncachable on its account, `waiting` maps sessions to the place to be settled."""

    __slots__ = ("keys", "waiting")

    def __init__(self) -> None:
        """A round that touches nothing yet."""
        self.keys: dict[CacheKey, None] = {}
        self.waiting: dict[SessionId, int] = {}

    @property
    def clear(self) -> bool:
        """Whether nobody is waited for."""
        return not self.waiting


class Invalidations:
    """All rounds under way."""

    def __init__(
        self,
        sessions: dict[SessionId, Session],
        registry: Registry,
        counters: Counters,
        told: dict[SessionId, None],
    ) -> None:
        """No round is under way. `sessions` is only read; `told` collects who has something new in the mailbox."""
        self._sessions = sessions
        self._registry = registry
        self._counters = counters
        self._rounds: dict[SessionId, dict[Round, None]] = {}
        self._lapses: Timers[SessionId] = Timers()
        self._told = told
        self.uncachable = Uncachable()

    def extend(
        self, round_: Round, keys: Iterable[CacheKey], writer: SessionId, acknowledged: CallNumber, now: Instant
    ) -> None:
        """Let the round cover `keys` too. `writer` (0: none) had received the answers up to `acknowledged`."""
        fresh = [key for key in keys if key not in round_.keys]
        if fresh:
            self._counters.invalidation_rounds += 1
        for key in fresh:
            round_.keys[key] = None
            self.uncachable.rise(key)
        for key in fresh:
            for session, mark in self._registry.marks(key):
                if session == writer and 0 < mark <= acknowledged:
                    self._registry.drop(session, key)
                else:
                    self._tell(round_, self._sessions[session], key, mark, now)

    def end(self, round_: Round) -> None:
        """The change was applied, or is void, or was given up."""
        for key in round_.keys:
            self.uncachable.fall(key)
        for session in tuple(round_.waiting):
            self._stop_waiting(round_, session)
        round_.keys.clear()

    def settled(self, session: Session) -> list[Round]:
        """The session acknowledged something: the rounds that are clear by that."""
        place = session.mailbox.settled
        rounds = self._rounds.get(session.id, {})
        return self._release(session.id, [item for item in rounds if item.waiting[session.id] <= place])

    def forget(self, session: SessionId) -> list[Round]:
        """The session's cache is empty, or it has ended: the rounds that are clear by that."""
        self._registry.forget(session)
        return self._release(session, list(self._rounds.get(session, ())))

    def lapse(self, now: Instant) -> list[Round]:
        """Stop waiting for sessions whose cache lease has run out: the rounds that are clear by that."""
        clear: list[Round] = []
        while (session := self._lapses.pop(now)) is not None:
            ends = self._sessions[session].cache_ends
            if ends > now:
                self._lapses.set(session, ends)
                continue
            self._counters.cache_lapses += 1
            clear.extend(self._release(session, list(self._rounds[session])))
        return clear

    @property
    def next_lapse(self) -> Instant:
        """When `lapse` has something to do."""
        return self._lapses.next

    def postpone(self, duration: Duration) -> None:
        """Every cache lease ends that much later."""
        self._lapses.postpone(duration)

    def clear(self) -> None:
        """The mastership is over."""
        self._rounds.clear()
        self._lapses.clear()
        self.uncachable.clear()
        self._registry.clear()

    def _tell(self, round_: Round, session: Session, key: CacheKey, mark: int, now: Instant) -> None:
        place = -mark
        if mark > 0:
            place = session.mailbox.invalidate(key)
            self._registry.owe(session.id, key, place)
            self._counters.invalidations += 1
            self._told[session.id] = None
        if session.cache_ends > now:
            round_.waiting[session.id] = max(place, round_.waiting.get(session.id, 0))
            self._rounds.setdefault(session.id, {})[round_] = None
            self._lapses.set(session.id, session.cache_ends)

    def _release(self, session: SessionId, rounds: list[Round]) -> list[Round]:
        for round_ in rounds:
            self._stop_waiting(round_, session)
        return [round_ for round_ in rounds if round_.clear]

    def _stop_waiting(self, round_: Round, session: SessionId) -> None:
        del round_.waiting[session]
        rounds = self._rounds[session]
        del rounds[round_]
        if not rounds:
            del self._rounds[session]
            self._lapses.cancel(session)
