"""What the core asks of the world: one immutable `Ready` at a time (DESIGN §3, "Persist before send").

The contract of the shell, for each `Ready` in order:

1. `messages` may leave at once.
2. Append `records` in order and make them durable with one fdatasync. While that runs the shell keeps feeding inputs
and taking further `Ready`s: none of them
   carries records or gated messages until `Peer.persisted(number)` has been called. (That is how batches form by
   themselves.)
3. When they are durable, call `Peer.persisted(number, now)`; only then may `gated` leave.
4. `chosen` entries are applied in order, at any time after the `Ready` was taken (a chosen entry is durable on a
majority).
5. `snapshot_requests` are carried out in order, at leisure.

If step 2 fails the replica stops; it never goes on with a guess.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, Message
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import Duration


class PromisedRecord(msgspec.Struct, frozen=True, tag=1):
    """No ballot below this one will be accepted."""

    ballot: Ballot


class AcceptedRecord(msgspec.Struct, frozen=True, tag=2):
    """The entry was accepted, or learned as chosen; a later record of the same slot replaces it. Implies a promise of
    its ballot.
    """

    entry: Entry


class ChosenRecord(msgspec.Struct, frozen=True, tag=3):
    """Every slot up to this one is chosen, for what the log now holds there. Only a hint that saves work: not synced
    for its own sake unless it is a configuration.
    """

    slot: Slot


class LeaseRecord(msgspec.Struct, frozen=True, tag=4):
    """The largest master lease ever granted; waited out after a restart before any promise."""

    bound: Duration


Record = PromisedRecord | AcceptedRecord | ChosenRecord | LeaseRecord


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message and where it goes."""

    to: ReplicaId
    message: Message


class ReadChunk(msgspec.Struct, frozen=True):
    """Send `to` a SnapshotChunk of the snapshot at `slot` from `offset` on; if that snapshot is gone, say so by
    `Peer.snapshot_gone`.
    """

    to: ReplicaId
    slot: Slot
    offset: int


class StoreChunk(msgspec.Struct, frozen=True):
    """Keep this part of a snapshot that is being fetched (offset 0 begins anew), then call `Peer.chunk_stored`.

    Once all `size` bytes are there the shell verifies and installs the snapshot: the file durable first, then
    `Peer.snapshot_installed`. If it does not verify: `Peer.snapshot_rejected`.
    """

    slot: Slot
    offset: int
    size: int
    data: bytes


SnapshotRequest = ReadChunk | StoreChunk


class Role(enum.Enum):
    """What a replica is in its cell's Paxos."""

    LEARNER = "learner"
    FOLLOWER = "follower"
    CANVASSING = "canvassing"
    PREPARING = "preparing"
    MASTER = "master"


class Ready(msgspec.Struct, frozen=True):
    """One step's worth of output. `number` is 0 if there is nothing to make durable (then `gated` is empty)."""

    number: int = 0
    records: tuple[Record, ...] = ()
    messages: tuple[Envelope, ...] = ()
    gated: tuple[Envelope, ...] = ()
    chosen: tuple[Entry, ...] = ()
    snapshot_requests: tuple[SnapshotRequest, ...] = ()


class Recovered(msgspec.Struct, frozen=True):
    """What storage found at start: the newest verified snapshot's position and configuration, and the log after it.

    `entries` are the last accepted ones per slot, in slot order, all above `snapshot`. A blank replica (a new
    incarnation) has no configuration.
    """

    promised: Ballot = NO_BALLOT
    lease_bound: Duration = 0
    snapshot: Slot = 0
    snapshot_size: int = 0
    configuration: Configuration | None = None
    entries: tuple[Entry, ...] = ()
    chosen: Slot = 0

    @property
    def base(self) -> Slot:
        """The slot of the state it begins with; -1 for a blank replica. That one has not even the state at slot 0: it
        needs a snapshot, however far back the others' logs reach.
        """
        return self.snapshot if self.configuration is not None else -1
