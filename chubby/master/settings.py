"""What an operator may choose about a master. Defaults are those of DESIGN §5."""

from __future__ import annotations

import msgspec

from chubby.namespace.commands import Limits
from chubby.types.identity import ReplicaId
from chubby.types.limits import (
    CACHE_LEASE,
    CACHE_LEASE_MAXIMUM,
    CLOCK_DRIFT_PPM,
    GRACE_PERIOD,
    REPLY_TABLE_LIMIT,
    SESSION_LEASE,
    SESSION_LEASE_MAXIMUM,
)
from chubby.types.time import Duration


class MasterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Figures and policies of one replica's master; times as `Duration`, bounds as counts.

    Every bound has an answer that tells the client (OVERLOADED, QUOTA_EXCEEDED) or a coarser truth that stays safe
    (RESYNC for events, "drop everything" for invalidations, "not cacheable" for replies).
    """

    replica: ReplicaId
    """Who we are; written into `BeginEpoch`."""

    session_lease: Duration = SESSION_LEASE
    session_lease_maximum: Duration = SESSION_LEASE_MAXIMUM
    cache_lease: Duration = CACHE_LEASE
    cache_lease_maximum: Duration = CACHE_LEASE_MAXIMUM
    grace_period: Duration = GRACE_PERIOD
    drift_ppm: int = CLOCK_DRIFT_PPM
    keep_alives_per_second: int = 2_000
    """The load the master accepts before it stretches session leases (each session sends one per half-lease)."""

    limits: Limits | None = None
    """What the machine's limits shall be (None: leave them as they are)."""
    rotate_key: bool = False
    """Put a fresh key for check digits into the log at the next election; a cell without a key gets one anyway.

    For one start, not for ever: two keys count, so whoever lives through two rotations is not known by its ticket any
    more and loses its session at the next Resume.
    """
    identities_proven: bool = False
    """Whether principals are authenticated; if so, StepDown and ChangeMembers are for the cell's admins alone."""

    calls_per_session: int = REPLY_TABLE_LIMIT
    calls_in_total: int = 100_000
    openings: int = 2_000
    """Sessions being opened at one time."""
    handles_per_session: int = 20_000
    watches_per_session: int = 1_000
    keys_per_session: int = 20_000
    keys_in_total: int = 2_000_000
    """Cache keys registered for one session, and for all: beyond it a client is told to empty its cache."""

    events_per_session: int = 1_024
    """Events waiting for one session before they coalesce."""
    invalidations_per_session: int = 1_024
    """Invalidations waiting to be sent to one session before they become `everything`."""
    push_window: int = 8
    """Pushes one session may owe acknowledgements for."""
    events_per_push: int = 256
    keys_per_push: int = 512
    cursor_lag: int = 256
    """Revisions a subscriber's cursor may stay behind before it is told of the newer one with its next KeepAlive."""
