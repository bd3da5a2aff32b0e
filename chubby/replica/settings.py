"""What a replica is given besides its state: settings from the configuration file, and what only the shell can make."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chubby.master.settings import MasterSettings
from chubby.types.identity import ReplicaId
from chubby.types.limits import DIGEST_INTERVAL, SNAPSHOT_LOG_BYTES
from chubby.types.time import Duration


class ReplicaSettings(msgspec.Struct, frozen=True):
    """What a replica is told by its configuration file."""

    master: MasterSettings
    bootstrap: tuple[ReplicaId, ...]
    snapshot_log_bytes: int = SNAPSHOT_LOG_BYTES
    digest_interval: Duration = DIGEST_INTERVAL


class Surroundings(msgspec.Struct, frozen=True):
    """What only the shell can give: wall time for display, jitter in [0, 1), fresh keys."""

    wall_ms: Callable[[], int]
    jitter: Callable[[], float]
    fresh_key: Callable[[], bytes]
