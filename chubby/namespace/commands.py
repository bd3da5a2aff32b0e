"""What the log holds: commands of the machine (DESIGN §4).

Every command names the epoch under which it was proposed and is void under another one (`BeginEpoch` alone opens its
own). `sequence` is the proposing master's running number within its epoch; with the epoch it names the `Outcome`.
`time_ms` is wall time for display and decides nothing.

A client's mutating call arrives as a `Request`, recognised when repeated by (session, number); everything else is the
master's own doing.
"""

from __future__ import annotations

import msgspec

from chubby.types.identity import CallNumber, Epoch, HandleNumber, ReplicaId, SessionId
from chubby.types.limits import (
    CACHE_LEASE,
    CONTENT_LIMIT,
    SESSION_LEASE,
)
from chubby.types.nodes import LockMode
from chubby.types.time import Duration
from chubby.types.transaction import Guard, Operation


class Limits(msgspec.Struct, frozen=True):
    """Limits that decide at apply, hence part of the machine's state: all replicas must agree. 0 means none."""

    content: int = CONTENT_LIMIT
    nodes: int = 0
    children: int = 0
    """Per directory."""
    total_bytes: int = 0
    """Contents plus attributes of the whole cell."""
    sessions: int = 0
    history: int = 10_000
    """How many changes the history keeps."""


class LeaseCaps(msgspec.Struct, frozen=True):
    """The longest leases any master may have granted; a new master waits them out (DESIGN §5)."""

    session_lease: Duration = SESSION_LEASE
    cache_lease: Duration = CACHE_LEASE


class OpenCreated(msgspec.Struct, frozen=True, tag="open_created"):
    """Enter the handle into the open-set of the node made by the last Create of this branch, if it is ephemeral."""

    handle: HandleNumber


class OpenExisting(msgspec.Struct, frozen=True, tag="open_existing"):
    """Enter the handle into the open-set of this instance, if it is ephemeral."""

    path: str
    instance: int
    handle: HandleNumber


MachineOperation = Operation | OpenCreated | OpenExisting


class Transaction(msgspec.Struct, frozen=True, tag="transaction"):
    """The one mutating command (the paper's MultiOp). Ephemerals made without `OpenCreated` are held open by the
    session itself (handle 0).
    """

    guards: tuple[Guard, ...] = ()
    then: tuple[MachineOperation, ...] = ()
    otherwise: tuple[MachineOperation, ...] = ()


class AcquireLock(msgspec.Struct, frozen=True, tag="acquire_lock"):
    """Take or queue for the lock of this instance; with `wait` false never queue. Idempotent for an owner that holds
    or waits already.
    """

    handle: HandleNumber
    path: str
    instance: int
    mode: LockMode
    wait: bool
    delay: Duration


class CancelAcquire(msgspec.Struct, frozen=True, tag="cancel_acquire"):
    """Leave the queue; a lock already granted stays held."""

    handle: HandleNumber
    path: str
    instance: int


class ReleaseLock(msgspec.Struct, frozen=True, tag="release_lock"):
    """Give the lock back."""

    handle: HandleNumber
    path: str
    instance: int


class CloseHandle(msgspec.Struct, frozen=True, tag="close_handle"):
    """Release or leave the queue of the lock, and leave the open-set, of this instance: what closing a handle means to
    the machine.
    """

    handle: HandleNumber
    path: str
    instance: int


Action = Transaction | AcquireLock | CancelAcquire | ReleaseLock | CloseHandle


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A client's call number `number`. Void if at or below what the session has acknowledged; answered from the reply
    table if repeated.
    """

    session: SessionId
    number: CallNumber
    acknowledged: CallNumber
    action: Action


class BeginEpoch(msgspec.Struct, frozen=True, tag="begin_epoch"):
    """Opens a mastership: the epoch is the slot this is applied at."""

    master: ReplicaId


class OpenSession(msgspec.Struct, frozen=True, tag="open_session"):
    """Make a session, or find the one made with the same nonce by the same principal."""

    nonce: int
    principal: str
    caching: bool


class CloseSession(msgspec.Struct, frozen=True, tag="close_session"):
    """End in good order: locks are released without lock-delay, ephemerals closed."""

    session: SessionId


class ExpireSession(msgspec.Struct, frozen=True, tag="expire_session"):
    """The session lease ran out at the master: like Close, but lock-delay applies."""

    session: SessionId


class EndLockDelay(msgspec.Struct, frozen=True, tag="end_lock_delay"):
    """The lock-delay of this hold period is over; void if the lock's generation moved on."""

    path: str
    instance: int
    generation: int


class RaiseCaps(msgspec.Struct, frozen=True, tag="raise_caps"):
    """Put larger lease caps into the log before longer leases are granted (or smaller ones after they ran out)."""

    caps: LeaseCaps


class SetLimits(msgspec.Struct, frozen=True, tag="set_limits"):
    """Change the limits."""

    limits: Limits


class RotateKey(msgspec.Struct, frozen=True, tag="rotate_key"):
    """A new random key for the check digits of tickets and sequencers; the one before is kept beside it."""

    key: bytes


class CheckDigest(msgspec.Struct, frozen=True, tag="check_digest"):
    """Every replica notes its digest at this slot."""


class SetVersion(msgspec.Struct, frozen=True, tag="set_version"):
    """Change the machine's version (rolling upgrade and downgrade by one release)."""

    version: int


Body = (
    Request
    | BeginEpoch
    | OpenSession
    | CloseSession
    | ExpireSession
    | EndLockDelay
    | RaiseCaps
    | SetLimits
    | RotateKey
    | CheckDigest
    | SetVersion
)


class Command(msgspec.Struct, frozen=True, array_like=True):
    """One command as it sits in the log."""

    epoch: Epoch
    sequence: int
    time_ms: int
    body: Body


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Command)


def encode(command: Command) -> bytes:
    """The bytes that the log carries for `command`."""
    return _ENCODER.encode(command)


def decode(data: bytes) -> Command:
    """The command in `data`; raises one of `chubby.types.decoding.MALFORMED` if there is none."""
    return _DECODER.decode(data)
