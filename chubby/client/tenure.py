"""For how long the session is ours: the session lease, the grace period, and the cache lease below it (DESIGN §5, §6).

All three count from one's own send and are shortened by the clock bound the master named when it opened the session.
"""

from __future__ import annotations

from chubby.client.cache import Cache
from chubby.client.keep_alive import KeepAliveClock
from chubby.client.lease import Lease, shortened
from chubby.types.limits import CLOCK_DRIFT_PPM, GRACE_PERIOD
from chubby.types.stream import KeepAliveReply
from chubby.types.time import Duration, Instant


class Tenure:
    """Both leases and the clock that renews them."""

    def __init__(self, cache: Cache) -> None:
        self.lease = Lease()
        self.keep_alive = KeepAliveClock(self.lease, cache)
        self._cache = cache
        self._drift_ppm = CLOCK_DRIFT_PPM
        self._grace: Duration = GRACE_PERIOD

    def agree(self, drift_ppm: int, grace: Duration) -> None:
        """Take the bounds the master named."""
        self._drift_ppm, self._grace = drift_ppm, grace

    @property
    def until(self) -> Instant:
        """When the session lease ends."""
        return self.lease.deadline

    @property
    def grace_until(self) -> Instant:
        """When the grace period after it ends: counted from the lease, not from when its end was noticed."""
        return self.lease.deadline + self._grace

    def too_late(self, asked: Instant, lease: Duration, now: Instant) -> bool:
        """Whether a session lease asked for at `asked` is over already."""
        return asked + shortened(lease, self._drift_ppm) <= now

    def renew(self, asked: Instant, session_lease: Duration, cache_lease: Duration) -> None:
        """Take renewals (0: none). Whatever precedes them on the stream must have been carried out before."""
        self.lease.renew(asked, shortened(session_lease, self._drift_ppm))
        self._cache.renew(asked, shortened(cache_lease, self._drift_ppm), self.lease.deadline)
        if cache_lease:
            self.keep_alive.cache_renewed()

    def answered(self, reply: KeepAliveReply) -> None:
        """Take the answer to the outstanding KeepAlive; any other is ignored."""
        asked = self.keep_alive.answered(reply)
        if asked is not None:
            self.renew(asked, reply.session_lease, reply.cache_lease)
