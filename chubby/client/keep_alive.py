"""When to ask for the leases again, and when silence has lasted too long (DESIGN §5 KeepAlive, §6).

A KeepAlive is due at half of the session lease; and at half of the cache lease, then at three quarters, if the cache
was read since its last renewal. One is outstanding at a time. If by half the session lease + `SILENCE` nothing at all
has been heard on the stream, it is given up for a fresh one: there are seconds of the lease left to resume in.
"""

from __future__ import annotations

from typing import Final

from chubby.client.cache import Cache
from chubby.client.lease import Lease
from chubby.types.stream import KeepAlive, KeepAliveReply
from chubby.types.time import NEVER, SECOND, Duration, Instant

SILENCE: Final[Duration] = 2 * SECOND
_STALL: Final[Duration] = SECOND
"""A timer that fires later than this means that we slept ourselves: what came meanwhile waits to be read."""


class KeepAliveClock:
    """The renewal of both leases on the established stream. `begin` starts it anew for each stream."""

    def __init__(self, session: Lease, cache: Cache) -> None:
        self._session = session
        self._cache = cache
        self._number = 0
        self._asked: Instant | None = None
        self._heard: Instant = 0
        self._cache_check: Instant = NEVER

    def begin(self, now: Instant) -> None:
        """A stream was established: nothing is outstanding on it."""
        self._asked = None
        self._heard = now
        self.cache_renewed()

    def heard(self, now: Instant) -> None:
        """Something arrived."""
        self._heard = now

    def cache_renewed(self) -> None:
        """The cache lease was renewed (or the cache emptied): look at half of it whether it is in use."""
        lease = self._cache.lease
        self._cache_check = lease.half if self._cache.enabled and lease.length else NEVER

    def due(self, now: Instant) -> bool:
        """Whether a KeepAlive is to be sent now."""
        if self._asked is not None:
            return False
        return now >= self._session.half or self._cache_due(now)

    def _cache_due(self, now: Instant) -> bool:
        if now < self._cache_check:
            return False
        lease = self._cache.lease
        if self._cache.used and now < lease.deadline:
            return True
        later = self._cache_check + max(lease.length // 4, 1)
        self._cache_check = later if now < later < lease.deadline else NEVER
        return False

    def ask(self, now: Instant) -> KeepAlive:
        """The KeepAlive to send now."""
        self._number += 1
        self._asked = now
        self._cache_check = NEVER
        return KeepAlive(self._number, self._cache.enabled and self._cache.used)

    def answered(self, reply: KeepAliveReply) -> Instant | None:
        """When the KeepAlive that `reply` answers was sent; None if it is not the outstanding one."""
        if reply.number != self._number or self._asked is None:
            return None
        asked, self._asked = self._asked, None
        return asked

    @property
    def _silence_until(self) -> Instant:
        if self._asked is None:
            return NEVER
        return max(self._session.half, self._heard, self._asked) + SILENCE

    def silent(self, now: Instant) -> bool:
        """Whether the stream is to be given up. One's own stall counts as having heard something."""
        until = self._silence_until
        if now >= until + _STALL:
            self._heard = now
            return False
        return now >= until

    def wake_at(self) -> Instant:
        """When `due` or `silent` may become true."""
        if self._asked is not None:
            return self._silence_until
        return min(self._session.half, self._cache_check)
