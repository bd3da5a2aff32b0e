"""The simulated cell's configuration, and what each replica is told by it."""

from __future__ import annotations

from chubby.config.cell import CellConfig, ReplicaConfig, Storage, Timing
from chubby.master.settings import MasterSettings
from chubby.namespace.commands import Limits
from chubby.replica.settings import ReplicaSettings
from chubby.types.identity import ReplicaId
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


def settings_of(config: CellConfig, replica: ReplicaId) -> ReplicaSettings:
    """What `chubbyd` would make of the configuration."""
    timing = config.timing
    return ReplicaSettings(
        master=MasterSettings(
            replica=replica,
            session_lease=timing.session_lease,
            session_lease_maximum=timing.session_lease_maximum,
            cache_lease=timing.cache_lease,
            cache_lease_maximum=timing.cache_lease_maximum,
            grace_period=timing.grace_period,
            drift_ppm=timing.clock_drift,
            limits=Limits(history=config.limits.history),
        ),
        bootstrap=tuple(each.id for each in config.replicas),
        snapshot_log_bytes=config.storage.snapshot_log_bytes,
        digest_interval=timing.digest_interval,
    )
