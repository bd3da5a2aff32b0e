"""The simulated cell's configuration."""

from __future__ import annotations

from chubby.config.cell import CellConfig, ReplicaConfig, Storage, Timing
from chubby.types.time import SECOND

CELL = 0xC0FFEE


def configuration(replicas: int) -> CellConfig:
    """A cell with short leases, so that runs are cheap, and little log between snapshots."""
    return CellConfig(
        name="simulated",
        replicas=tuple(
            ReplicaConfig(number, f"10.0.0.{number}:1", f"10.0.0.{number}:2") for number in range(1, replicas + 1)
        ),
        storage=Storage("/simulated", snapshot_log_bytes=30_000),
        timing=Timing(
            session_lease=4 * SECOND,
            session_lease_maximum=8 * SECOND,
            cache_lease=2 * SECOND,
            cache_lease_maximum=4 * SECOND,
            grace_period=15 * SECOND,
            digest_interval=5 * SECOND,
        ),
    )
