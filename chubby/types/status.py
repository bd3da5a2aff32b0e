"""What any replica says of the cell when asked: where the master is, and its view of everything (`chubby status`)."""

from __future__ import annotations

import msgspec

from chubby.types.identity import CellId, Epoch, Incarnation, ReplicaId, Revision, Slot
from chubby.types.time import Duration


class Location(msgspec.Struct, frozen=True):
    """Who is master, as far as this replica knows: `master` 0 and an empty `address` mean nobody known. The
    highest `epoch` is right.

    `replicas` are the client addresses of all members.
    """

    cell: str
    cell_id: CellId
    master: ReplicaId
    address: str
    epoch: Epoch
    replicas: tuple[str, ...]


class ReplicaStatus(msgspec.Struct, frozen=True):
    """What the answering replica knows of one replica. `last_heard` is how long ago (None: never, since this replica
    started). `incarnation` is the one that is a member (0: it is expected, but has not come yet; None: the answering
    replica is of a release that does not tell).
    """

    replica: ReplicaId
    peer_address: str
    client_address: str
    role: str
    chosen: Slot
    lag: int
    connected: bool
    last_heard: Duration | None
    incarnation: Incarnation | None = None


class CellStatus(msgspec.Struct, frozen=True):
    """The unary Status: any replica answers with its own view. `master` 0 means none is known.

    `margin` is how many more voters may fail now before the cell stops; negative: it has stopped. Only the master
    knows it (else None).

    What the cell holds against its quotas (DESIGN §4) is told from the state that the answering replica applied:
    `content_bytes` are contents and attributes of all nodes, as `bytes_quota` counts them. The quotas and
    `content_limit`, the most bytes in one node's content, are those in the log, which decide, whatever a file says. A
    quota of 0 means none. A `content_limit` of 0 means that none of the four is known: the replica has no state yet,
    or is of a release that does not tell.
    """

    cell: str
    cell_id: CellId
    replica: ReplicaId
    version: str
    master: ReplicaId
    master_address: str
    epoch: Epoch
    lease_left: Duration
    chosen: Slot
    applied: Slot
    snapshot: Slot
    revision: Revision
    sessions: int
    nodes: int
    locks: int
    margin: int | None
    digest: str
    replicas: tuple[ReplicaStatus, ...]
    warnings: tuple[str, ...] = ()
    resident_bytes: int = 0
    content_bytes: int = 0
    nodes_quota: int = 0
    bytes_quota: int = 0
    content_limit: int = 0
