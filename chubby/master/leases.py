"""How long leases are, and what must stand in the log before they may be longer (DESIGN §5 Three leases).

Each session sends a KeepAlive per half-lease, so n sessions cost 2n / lease of them per second. When that passes what
the master accepts, leases stretch in steps, up to the maximum; the cache lease stretches in proportion, up to its own.

    wanted     what load asks for
    caps       what the log allows: a new master gives every session that long
    granted    the lesser of the two, for each lease

Raising goes log first: `review` asks for larger caps, and nothing longer is granted before they are applied. Lowering
goes the other way round: shorter leases are granted first, and only when every longer one has run out does the log
hear of it.
"""

from __future__ import annotations

from chubby.master.settings import MasterSettings
from chubby.namespace.commands import LeaseCaps
from chubby.types.time import NEVER, SECOND, Duration, Instant


class Leases:
    """The lengths of one master's leases. Invariant: nothing granted is longer than the caps in the log."""

    def __init__(self, settings: MasterSettings) -> None:
        """Lengths of an idle master under the caps the settings ask for."""
        self._settings = settings
        self._wanted = self.wanted(0)
        self._caps = self._wanted
        self._asked: LeaseCaps | None = None
        self._lower_at: Instant = NEVER

    @property
    def session(self) -> Duration:
        """How long a session lease is granted for now."""
        return min(self._wanted.session_lease, self._ceiling.session_lease)

    @property
    def cache(self) -> Duration:
        """How long a cache lease is granted for now."""
        return min(self._wanted.cache_lease, self._ceiling.cache_lease)

    @property
    def next_review(self) -> Instant:
        """When `review` has something to say though nothing else happened."""
        return self._lower_at if self._asked is None else NEVER

    def wanted(self, sessions: int) -> LeaseCaps:
        """The lengths that keep KeepAlives within what the master accepts, from that many sessions."""
        settings = self._settings
        step = max(settings.session_lease // 2, 1)
        needed = 2 * sessions * SECOND // max(settings.keep_alives_per_second, 1)
        stretched = -(-needed // step) * step
        session = max(settings.session_lease, min(stretched, settings.session_lease_maximum))
        cache = settings.cache_lease * session // settings.session_lease
        return LeaseCaps(session, max(settings.cache_lease, min(cache, settings.cache_lease_maximum)))

    def begin(self, caps: LeaseCaps, sessions: int, now: Instant) -> LeaseCaps | None:
        """A mastership begins under these caps; as `review`."""
        self._asked = None
        self._lower_at = NEVER
        self._wanted = self.wanted(sessions)
        return self.review(caps, sessions, now)

    def review(self, caps: LeaseCaps, sessions: int, now: Instant) -> LeaseCaps | None:
        """Look at load and log again; the caps to propose now, if any. At most one proposal is out at a time."""
        if self._asked == caps:
            self._asked = None
        self._caps = caps
        before, self._wanted = self._wanted, self.wanted(sessions)
        if self._asked is not None:
            return None
        if not _within(self._wanted, caps):
            self._lower_at = NEVER
            self._asked = _greater(self._wanted, caps)
            return self._asked
        if self._wanted == caps:
            self._lower_at = NEVER
        elif self._lower_at == NEVER or not _within(before, self._wanted):
            # Until this moment leases longer than now were granted; they have to run out first.
            self._lower_at = now + max(caps.session_lease, caps.cache_lease)
        elif now >= self._lower_at:
            self._lower_at = NEVER
            self._asked = self._wanted
            return self._asked
        return None

    def postpone(self, duration: Duration) -> None:
        """The master slept: leases end later, so lowering waits longer."""
        if self._lower_at != NEVER:
            self._lower_at += duration

    @property
    def _ceiling(self) -> LeaseCaps:
        """What certainly stands in the log, whether or not the caps asked for are applied yet."""
        return self._caps if self._asked is None else _lesser(self._caps, self._asked)


def _within(one: LeaseCaps, other: LeaseCaps) -> bool:
    return one.session_lease <= other.session_lease and one.cache_lease <= other.cache_lease


def _greater(one: LeaseCaps, other: LeaseCaps) -> LeaseCaps:
    return LeaseCaps(max(one.session_lease, other.session_lease), max(one.cache_lease, other.cache_lease))


def _lesser(one: LeaseCaps, other: LeaseCaps) -> LeaseCaps:
    return LeaseCaps(min(one.session_lease, other.session_lease), min(one.cache_lease, other.cache_lease))
