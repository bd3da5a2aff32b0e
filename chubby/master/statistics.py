"""What a master tells about itself: immutable figures, for `chubby status` and for metrics."""

from __future__ import annotations

import msgspec

from chubby.types.identity import Epoch


class MasterStatistics(msgspec.Struct, frozen=True):
    """A snapshot of one master: the first block is its present state, the second counts since it was made."""

    phase: str
    epoch: Epoch
    streams: int
    sessions: int
    sessions_connected: int
    sessions_awaited: int
    """Sessions of the machine that have not resumed under this master yet."""
    handles: int
    watches: int
    locks: int
    cached_keys: int
    """Registrations: (session, cache key) pairs."""
    uncachable_keys: int
    calls_pending: int
    commands_in_flight: int
    commands_waiting: int
    """Commands not yet proposed: waiting for invalidations, their turn, or the end of a fail-over."""
    lock_delays: int

    calls_answered: int
    calls_repeated: int
    calls_overloaded: int
    calls_late: int
    invalidations: int
    invalidation_rounds: int
    cache_lapses: int
    """How often a writer stopped waiting for a session's acknowledgement."""
    events: int
    resyncs: int
    sessions_expired: int
    redirects: int
    elections: int
