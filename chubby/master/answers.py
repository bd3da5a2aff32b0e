"""Answers on their way to the client: what it may cache of them, and for how long (DESIGN §5 Three leases).

An answer is *cacheable* if its call asked for it, nothing it would fill is being changed, and there is room to remember
who caches it. Any answer to a call of a caching client renews the cache lease, unless an acknowledgement is owed. The
client counts from the send of its call, which was before the call arrived here; so a call that took longer than the
lease renews nothing. Neither happens without a live master lease: another master might count already.

What is said of a *file* is being changed also while anything is under way among its children: a child makes it a
directory. Had it been a file when that child was planned, it would be uncachable anyway; but it may have taken the
place of a directory since then (see `footprints`). What is said of a directory is not concerned, whoever comes or goes.
"""

from __future__ import annotations

from chubby.master.desk import Desk, Settled
from chubby.master.footprints import children_key
from chubby.master.invalidation import Invalidations
from chubby.master.leases import Leases
from chubby.master.moment import Moment
from chubby.master.pending import PendingCall
from chubby.master.session import Session
from chubby.master.streams import Streams
from chubby.types.identity import CallNumber
from chubby.types.nodes import NodeKind
from chubby.types.results import Answer
from chubby.types.stream import CacheKey, CacheKind, Reply
from chubby.types.time import Instant


class Answers:
    """Sends answers, registers what they fill, renews cache leases."""

    def __init__(self, desk: Desk, streams: Streams, invalidations: Invalidations, leases: Leases) -> None:
        """Nothing was answered yet."""
        self._desk = desk
        self._streams = streams
        self._invalidations = invalidations
        self._leases = leases
        self._full_until: Instant = 0

    def refuse(self, session: Session, number: CallNumber, answer: Answer) -> None:
        """Answer without any promise."""
        self._desk.counters.calls_answered += 1
        self._streams.send(session.stream, Reply(number, answer))

    def give(self, pending: PendingCall, settled: Settled, at: Moment, *, fresh: bool) -> None:
        """Answer a call on its session's present stream; `fresh`: the answer shows the state as it is now."""
        session = pending.session
        cacheable, lease = False, 0
        if pending.caching and at.live:
            cacheable = fresh and self._register(session, pending.number, settled.cache, at.now)
            if at.now - pending.arrived < self._leases.cache:
                lease = session.renew_cache(self._leases.cache, at.now)
        self._desk.counters.calls_answered += 1
        self._streams.send(session.stream, Reply(pending.number, settled.answer, cacheable, lease))

    def _register(self, session: Session, number: CallNumber, keys: tuple[CacheKey, ...], now: Instant) -> bool:
        """Register what the answer fills, if all of it may be cached."""
        if not keys or session.mailbox.owes_everything or self._are_changing(keys):
            return False
        registry, settings = self._desk.registry, self._desk.settings
        if registry.count_of(session.id) + len(keys) > settings.keys_per_session:
            self._start_afresh(session)
            return False
        if len(registry) + len(keys) > settings.keys_in_total:
            self._reclaim(now)
            if len(registry) + len(keys) > settings.keys_in_total:
                return False
        for key in keys:
            registry.register(session.id, key, number)
        return True

    def _are_changing(self, keys: tuple[CacheKey, ...]) -> bool:
        """Whether one of `keys` may be another before anybody is told so."""
        uncachable, machine = self._invalidations.uncachable, self._desk.machine
        if not len(uncachable):
            return False
        for key in keys:
            if key in uncachable:
                return True
            if key.kind is CacheKind.NODE and children_key(key.path) in uncachable:
                node = machine.node(key.path)
                if node is not None and node.stat.kind is NodeKind.FILE:
                    return True
        return False

    def _start_afresh(self, session: Session) -> None:
        """The session caches too much: have it empty its cache. Until it has, it may still use what it holds."""
        session.mailbox.invalidate_everything()
        self._desk.told[session.id] = None

    def _reclaim(self, now: Instant) -> None:
        """Have the sessions start afresh whose cache lease has run out: nobody waits for them. At most once a lease."""
        if now < self._full_until:
            return
        self._full_until = now + self._leases.cache
        registry = self._desk.registry
        for session in registry.sessions():
            found = self._desk.sessions[session]
            if found.cache_ends <= now:
                self._start_afresh(found)
                registry.forget(session)
