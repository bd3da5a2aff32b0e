"""What applying a command gave: an answer for whoever asked, and facts the master acts upon (DESIGN §4, §5)."""

from __future__ import annotations

import enum

import msgspec

from chubby.errors import Failure
from chubby.types.events import EventKind
from chubby.types.identity import CallNumber, Epoch, Revision, SessionId, Slot, Token
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.time import Duration
from chubby.types.transaction import TransactionResult


class LockStanding(enum.IntEnum):
    """Where an owner stands with a lock after a lock command."""

    HELD = 1
    WAITING = 2
    NONE = 3


class LockAnswer(msgspec.Struct, frozen=True, tag="lock"):
    """Answer to a lock command; `token` and `generation` are of the hold period if the standing is HELD."""

    standing: LockStanding
    token: Token = 0
    generation: int = 0


class SessionMade(msgspec.Struct, frozen=True, tag="session_made"):
    """Answer to OpenSession."""

    session: SessionId


class Applied(msgspec.Struct, frozen=True, tag="applied"):
    """Answer to a command with nothing more to say."""

    revision: Revision = 0


class Transacted(msgspec.Struct, frozen=True, tag="transacted"):
    """Answer to a Transaction; its failures are part of the result."""

    result: TransactionResult


Reply = LockAnswer | SessionMade | Applied | Transacted | Failure


class Change(msgspec.Struct, frozen=True, gc=False):
    """One line of the history: what happened to one node in one revision. `kind` is one of the node kinds of
    `EventKind`.
    """

    revision: Revision
    kind: EventKind
    path: str
    instance: int
    generation: int


class Grant(msgspec.Struct, frozen=True):
    """An owner that holds the lock from this command on (it waited, or it asked just now)."""

    owner: LockOwner
    path: str
    instance: int
    mode: LockMode
    generation: int
    token: Token


class Conflict(msgspec.Struct, frozen=True):
    """Somebody began to wait for a lock: its holders may want to know."""

    path: str
    holders: tuple[LockOwner, ...]


class Delay(msgspec.Struct, frozen=True):
    """A lock went into lock-delay: the master proposes EndLockDelay when `delay` has passed on its clock."""

    path: str
    instance: int
    generation: int
    delay: Duration


class Outcome(msgspec.Struct, frozen=True):
    """All that one applied command brought about.

    `void`: it was proposed under another epoch, or acknowledged, or of a dead session; nothing happened, `reply` says
    why. `repeated`: the reply came from the reply table (or a sessions' nonce) and nothing happened now. `orphaned`:
    owners (holders or waiters) that lost their place since the node was deleted.
    """

    slot: Slot
    epoch: Epoch
    sequence: int
    reply: Reply
    void: bool = False
    repeated: bool = False
    session: SessionId = 0
    number: CallNumber = 0
    changes: tuple[Change, ...] = ()
    grants: tuple[Grant, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    delays: tuple[Delay, ...] = ()
    orphaned: tuple[LockOwner, ...] = ()
    ended_sessions: tuple[SessionId, ...] = ()
