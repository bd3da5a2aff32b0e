"""The simulated cell's configuration."""

from __future__ import annotations

import random
from collections.abc import Iterable

from chubby.config.cell import CellConfig, ReplicaConfig, Storage, Timing
from chubby.types.identity import ReplicaId
from chubby.types.time import SECOND

CELL = 0xC0FFEE


SHORT = Timing(
    session_lease=4 * SECOND,
    session_lease_maximum=8 * SECOND,
    cache_lease=2 * SECOND,
    cache_lease_maximum=4 * SECOND,
    grace_period=15 * SECOND,
    digest_interval=5 * SECOND,
)
"""Short leases, so that runs are cheap."""


def draw_timing(chance: random.Random) -> Timing:
    """Times of about that length, in other proportions."""
    session = round(chance.uniform(1.5, 6.0) * SECOND)
    cache = round(session * chance.uniform(0.3, 1.0))
    return Timing(
        session_lease=session,
        session_lease_maximum=2 * session,
        cache_lease=cache,
        cache_lease_maximum=2 * cache,
        grace_period=round(chance.uniform(4, 20) * SECOND),
        digest_interval=round(chance.uniform(1, 20) * SECOND),
    )


def address_of(number: ReplicaId) -> ReplicaConfig:
    """Where a replica is."""
    return ReplicaConfig(number, f"10.0.0.{number}:1", f"10.0.0.{number}:2")


def configuration(replicas: Iterable[ReplicaId], timing: Timing = SHORT) -> CellConfig:
    """A cell of these replicas, with little log between snapshots."""
    return CellConfig(
        name="simulated",
        replicas=tuple(address_of(number) for number in replicas),
        storage=Storage("/simulated", snapshot_log_bytes=30_000),
        timing=timing,
    )
