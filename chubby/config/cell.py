"""What a cell's configuration says, as frozen values (DESIGN §2 `cell_config/`, §3 Membership).

A configuration file *bootstraps*: membership, master lease and clock drift live in the log once the cell is formatted,
and the log is right where the two differ. Limits live there too, and a new master puts those of its file into it.
Defaults and their reasons stand in `chubby.types.limits`.
"""

from __future__ import annotations

from pathlib import PurePath

import msgspec

from chubby.types import limits
from chubby.types.identity import ReplicaId
from chubby.types.time import Duration


class ReplicaConfig(msgspec.Struct, frozen=True):
    """One replica: its number, and the canonical addresses at which replicas and clients reach it."""

    id: ReplicaId
    peer: str
    client: str


class Timing(msgspec.Struct, frozen=True):
    """Times of the cell; `clock_drift` is in parts per million. DESIGN §3 and §5 say what each is for."""

    master_lease: Duration = limits.MASTER_LEASE
    clock_drift: int = limits.CLOCK_DRIFT_PPM
    session_lease: Duration = limits.SESSION_LEASE
    session_lease_maximum: Duration = limits.SESSION_LEASE_MAXIMUM
    grace_period: Duration = limits.GRACE_PERIOD
    cache_lease: Duration = limits.CACHE_LEASE
    cache_lease_maximum: Duration = limits.CACHE_LEASE_MAXIMUM
    digest_interval: Duration = limits.DIGEST_INTERVAL


class Limits(msgspec.Struct, frozen=True):
    """Limits and quotas of the cell: bytes or counts, 0 for none (`content` is never 0)."""

    content: int = limits.CONTENT_LIMIT
    nodes: int = limits.NODES_QUOTA
    children: int = limits.CHILDREN_QUOTA
    """Of one node."""
    total_bytes: int = limits.TOTAL_BYTES_QUOTA
    """Contents and attributes of all nodes."""
    sessions: int = limits.SESSIONS_QUOTA
    history: int = limits.HISTORY_LIMIT
    """Changes that the history keeps."""


class Storage(msgspec.Struct, frozen=True):
    """Where a replica keeps its log and snapshots, and how much log makes it write a snapshot."""

    directory: str
    """Holds one directory for each replica that runs on this machine. Read from a file, it is absolute."""
    snapshot_log_bytes: int = limits.SNAPSHOT_LOG_BYTES


class Network(msgspec.Struct, frozen=True):
    """Whether addresses that other machines can reach are meant."""

    bind_beyond_loopback: bool = False


class CellConfig(msgspec.Struct, frozen=True):
    """The configuration of one cell. `source` is the file it came from, for messages."""

    name: str
    replicas: tuple[ReplicaConfig, ...]
    storage: Storage
    admins: tuple[str, ...] = ()
    """Principals that every access-control list admits (DESIGN §4 ACLs)."""
    timing: Timing = Timing()
    limits: Limits = Limits()
    network: Network = Network()
    source: str = ""

    @property
    def client_addresses(self) -> tuple[str, ...]:
        """The addresses at which clients reach the replicas, in the order of the file."""
        return tuple(replica.client for replica in self.replicas)

    def replica(self, number: ReplicaId) -> ReplicaConfig | None:
        """The replica of that number, or None."""
        return next((replica for replica in self.replicas if replica.id == number), None)

    def replica_directory(self, number: ReplicaId) -> str:
        """Where replica `number` keeps its log and snapshots: `<storage.directory>/replica-<number>`."""
        return str(PurePath(self.storage.directory) / f"replica-{number}")
