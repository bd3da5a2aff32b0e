"""What a replica asks of its shell: one immutable `Step` at a time.

A `Step` is a `Ready` (whose contract `chubby.paxos.ready` states: persist, then release what is gated) with what the
machine and the master add. The shell carries out, in this order: `messages`, `deliveries`, `ends`, then persists
`records`, calls `Replica.persisted(number, now)` and lets `gated` leave. Deliveries may leave before our own records
are durable: what they tell has been chosen, hence lies on a majority of disks.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.namespace.machine import MachineSnapshot
from chubby.paxos.configuration import Configuration
from chubby.paxos.ready import Record, SnapshotRequest
from chubby.replica.door import StreamId
from chubby.replica.links import LinkMessage
from chubby.types.identity import ReplicaId, Slot
from chubby.types.stream import ServerFrame


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A link message and where it goes."""

    to: ReplicaId
    message: LinkMessage


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """Frames for one client stream, in order."""

    stream: StreamId
    frames: tuple[ServerFrame, ...]


class SnapshotOrder(msgspec.Struct, frozen=True):
    """Write this snapshot in small slices, then call `Replica.snapshot_taken` (or `snapshot_failed`)."""

    slot: Slot
    configuration: Configuration
    version: int
    content: MachineSnapshot


class Halt(enum.Enum):
    """Why a replica must not go on as it is."""

    DIGEST = "its state differs from the majority's"
    ROT = "its memory no longer matches its own digest"
    OUTDATED = "the cell runs under a version of the machine that this release does not know"
    EXPELLED = "the cell has put another incarnation, or nobody, in its place"


class Step(msgspec.Struct, frozen=True):
    """One step's worth of output."""

    number: int = 0
    records: tuple[Record, ...] = ()
    messages: tuple[Letter, ...] = ()
    gated: tuple[Letter, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    ends: tuple[StreamId, ...] = ()
    snapshot_requests: tuple[SnapshotRequest, ...] = ()
    snapshot: SnapshotOrder | None = None
    configuration: Configuration | None = None
    """Set when the members changed: addresses of links may have."""
    moved: bool = False
    """Whether who is master, or its epoch, changed: followers of the location want to know."""
    halt: Halt | None = None
    """Set once, when this replica must be stopped; a master has handed over before."""
