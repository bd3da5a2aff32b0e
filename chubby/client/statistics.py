"""A picture of a session for humans and metrics."""

from __future__ import annotations

import msgspec

from chubby.client.state import SessionState
from chubby.types.identity import Epoch, SessionId
from chubby.types.time import Duration


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
