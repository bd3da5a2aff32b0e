"""The frozen messages replicas exchange, and what they are made of (DESIGN §3).

    candidate → acceptor     Canvass, Prepare         acceptor → candidate   CanvassReply, Promise, Nack
    master → all             Accept, Commit,          follower → master      Accepted, HeartbeatReply, Nack
                             Heartbeat, LeaseRelease
    lagging → anyone         CatchUp, FetchSnapshot   answer                 Entries, SnapshotOffer, SnapshotChunk
    newcomer → all           Join                     (answer: a Heartbeat, are you there; then the configuration)

`sent_at` is an instant of the *sender's* clock; it is only ever echoed back and compared there.
"""

from __future__ import annotations

import enum

import msgspec

from chubby.paxos.configuration import Configuration, Member
from chubby.types.identity import Incarnation, ReplicaId, Slot
from chubby.types.time import Duration, Instant


class Ballot(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """A totally ordered proposal number. The incarnation makes sure that two lives of one replica never share a
    ballot.
    """

    round: int
    replica: ReplicaId
    incarnation: Incarnation


NO_BALLOT = Ballot(0, 0, 0)
"""Below every ballot that is ever used."""


class ValueKind(enum.IntEnum):
    """What a slot holds."""

    NOOP = 0
    COMMANDS = 1
    CONFIGURATION = 2


class Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a slot holds: nothing, a batch of commands (bytes to this room), or one encoded `Configuration`."""

    kind: ValueKind
    payloads: tuple[bytes, ...] = ()


NOOP = Value(ValueKind.NOOP)


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value accepted at a slot under a ballot."""

    slot: Slot
    ballot: Ballot
    value: Value


class Canvass(msgspec.Struct, frozen=True, tag=1):
    """Would you promise? Asked before Prepare so that a replica that was cut off never deposes a healthy master."""

    round: int
    chosen: Slot


class CanvassReply(msgspec.Struct, frozen=True, tag=2):
    """`would`: the sender is a voter bound by no lease. `round` echoes; `promised` lets the candidate choose a higher
    one.
    """

    round: int
    incarnation: Incarnation
    would: bool
    promised: Ballot
    chosen: Slot
    retry_after: Duration


class Prepare(msgspec.Struct, frozen=True, tag=3):
    """Phase 1 over all slots above `chosen` (what the candidate knows to be chosen). Leaves only after the candidate's
    own promise is on disk.
    """

    ballot: Ballot
    chosen: Slot


class Promise(msgspec.Struct, frozen=True, tag=4):
    """No lower ballot will be accepted. `entries`: everything held above the candidate's `chosen`; those up to the
    sender's `chosen` are chosen.
    """

    ballot: Ballot
    incarnation: Incarnation
    chosen: Slot
    entries: tuple[Entry, ...]


class NackReason(enum.IntEnum):
    """Why an acceptor refused."""

    BALLOT = 1
    """It has promised a higher one."""
    LEASE = 2
    """A live master lease binds it."""
    BEHIND = 3
    """The candidate lacks slots that the acceptor no longer holds: catch up first."""


class Nack(msgspec.Struct, frozen=True, tag=5):
    """Refusal of a message sent under `ballot`."""

    ballot: Ballot
    incarnation: Incarnation
    reason: NackReason
    promised: Ballot
    chosen: Slot
    retry_after: Duration


class Accept(msgspec.Struct, frozen=True, tag=6):
    """Phase 2. `chosen`: every slot up to it is chosen, for what was accepted under this ballot."""

    ballot: Ballot
    slot: Slot
    value: Value
    chosen: Slot
    sent_at: Instant


class Accepted(msgspec.Struct, frozen=True, tag=7):
    """The slots are on the sender's disk under `ballot`; grants a master lease of `lease` counted from `sent_at`."""

    ballot: Ballot
    incarnation: Incarnation
    slots: tuple[Slot, ...]
    chosen: Slot
    sent_at: Instant
    lease: Duration


class Commit(msgspec.Struct, frozen=True, tag=8):
    """Every slot up to `chosen` is chosen, for what was accepted under this ballot (else fetch the value)."""

    ballot: Ballot
    chosen: Slot


class Heartbeat(msgspec.Struct, frozen=True, tag=9):
    """The master asks to renew its lease, and says where the log stands."""

    ballot: Ballot
    chosen: Slot
    sent_at: Instant


class HeartbeatReply(msgspec.Struct, frozen=True, tag=10):
    """Grants a master lease counted from `sent_at`: no other replica's ballot will be promised for `lease`."""

    ballot: Ballot
    incarnation: Incarnation
    chosen: Slot
    sent_at: Instant
    lease: Duration


class LeaseRelease(msgspec.Struct, frozen=True, tag=11):
    """The master gives its lease back and will never use `ballot` again; `successor` (0: nobody in particular) may
    stand at once.
    """

    ballot: Ballot
    chosen: Slot
    successor: ReplicaId


class CatchUp(msgspec.Struct, frozen=True, tag=12):
    """Please send what is chosen from slot `first` on."""

    first: Slot


class Entries(msgspec.Struct, frozen=True, tag=13):
    """Chosen entries in slot order without gaps, a part of what was asked; `chosen` tells how far the sender knows."""

    entries: tuple[Entry, ...]
    chosen: Slot


class SnapshotOffer(msgspec.Struct, frozen=True, tag=14):
    """The log no longer reaches back that far: fetch the snapshot at `slot`, `size` bytes."""

    slot: Slot
    size: int
    chosen: Slot


class FetchSnapshot(msgspec.Struct, frozen=True, tag=15):
    """Please send the snapshot at `slot` from `offset` on."""

    slot: Slot
    offset: int


class SnapshotChunk(msgspec.Struct, frozen=True, tag=16):
    """A part of a snapshot file, as its bytes lie on the sender's disk; the file carries its own checksums."""

    slot: Slot
    offset: int
    size: int
    data: bytes


class Join(msgspec.Struct, frozen=True, tag=17):
    """A replica under a new incarnation asks to be taken in, as a learner first. The master asks back, is it there."""

    member: Member


Message = (
    Canvass
    | CanvassReply
    | Prepare
    | Promise
    | Nack
    | Accept
    | Accepted
    | Commit
    | Heartbeat
    | HeartbeatReply
    | LeaseRelease
    | CatchUp
    | Entries
    | SnapshotOffer
    | FetchSnapshot
    | SnapshotChunk
    | Join
)


def configuration_value(configuration: Configuration) -> Value:
    """The value that puts `configuration` into a slot."""
    return Value(ValueKind.CONFIGURATION, (msgspec.msgpack.encode(configuration),))


def configuration_of(value: Value) -> Configuration:
    """The configuration in a slot of that kind."""
    assert value.kind is ValueKind.CONFIGURATION, "only a configuration slot holds one"
    return _CONFIGURATION.decode(value.payloads[0])


_CONFIGURATION = msgspec.msgpack.Decoder(Configuration)
