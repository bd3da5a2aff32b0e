"""A picture of a session for humans and metrics."""

from __future__ import annotations

import msgspec

from chubby.client.cache import Cache
from chubby.client.call_desk import CallDesk
from chubby.client.identity import Identity
from chubby.client.state import SessionState
from chubby.client.stream import Stream
from chubby.client.tenure import Tenure
from chubby.types.identity import Epoch, SessionId
from chubby.types.time import Duration, Instant


class Statistics(msgspec.Struct, frozen=True):
    """Where a session stands and what it holds.

    `streams` counts connections opened so far, `address` is where the newest one was told to go (empty: to whoever was
    found). What is left of a lease is negative once it is over.
    """

    state: SessionState
    session: SessionId
    epoch: Epoch
    address: str
    streams: int
    session_lease_left: Duration
    cache_lease_left: Duration
    cached: int
    calls: int
    handles: int
    watches: int


def picture(
    state: SessionState, identity: Identity, stream: Stream, tenure: Tenure, cache: Cache, desk: CallDesk, now: Instant
) -> Statistics:
    """The figures of a session's parts at `now`."""
    return Statistics(
        state,
        identity.session,
        identity.epoch,
        stream.address,
        stream.number,
        tenure.until - now,
        cache.lease.deadline - now,
        len(cache),
        len(desk.flights),
        len(desk.handles),
        len(desk.subscriptions),
    )
