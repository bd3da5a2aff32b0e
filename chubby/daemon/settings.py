"""What a replica is told of its configuration file (DESIGN §2 `cell_config/`)."""

from __future__ import annotations

from chubby.config.cell import CellConfig
from chubby.master.settings import MasterSettings
from chubby.namespace.commands import Limits
from chubby.replica.settings import ReplicaSettings
from chubby.types.identity import ReplicaId


def limits_of(config: CellConfig) -> Limits:
    """The limits of the cell, as its machine knows them."""
    limits = config.limits
    return Limits(
        content=limits.content,
        nodes=limits.nodes,
        children=limits.children,
        total_bytes=limits.total_bytes,
        sessions=limits.sessions,
        history=limits.history,
    )


def settings_of(config: CellConfig, replica: ReplicaId) -> ReplicaSettings:
    """What replica `replica` of the cell is told; the clock drift and the master lease come from the log instead."""
    timing = config.timing
    return ReplicaSettings(
        master=MasterSettings(
            replica=replica,
            session_lease=timing.session_lease,
            session_lease_maximum=timing.session_lease_maximum,
            cache_lease=timing.cache_lease,
            cache_lease_maximum=timing.cache_lease_maximum,
            grace_period=timing.grace_period,
            limits=limits_of(config),
        ),
        bootstrap=tuple(each.id for each in config.replicas),
        snapshot_log_bytes=config.storage.snapshot_log_bytes,
        digest_interval=timing.digest_interval,
    )
