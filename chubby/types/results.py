"""What calls answer: one `Result` or a `Failure`, together an `Answer` (DESIGN §6; paper §2.6)."""

from __future__ import annotations

import msgspec

from chubby.errors import Failure
from chubby.types.identity import Revision, SessionId, Token
from chubby.types.nodes import DirEntry, LockInfo, LockMode, Stat
from chubby.types.time import Duration
from chubby.types.transaction import TransactionResult


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The call took effect and has nothing more to say (Close, Release, Delete, SetSequencer, StepDown ...)."""

    revision: Revision = 0


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """`ticket` is the handle's check digits: present it at Resume. `path` is the full name (it differs for a
    sequential node).
    """

    ticket: bytes
    path: str
    created: bool
    stat: Stat


class Contents(msgspec.Struct, frozen=True, tag="contents"):
    """Answer to GetContentsAndStat."""

    contents: bytes
    stat: Stat


class StatResult(msgspec.Struct, frozen=True, tag="stat"):
    """Answer to GetStat and to calls that change a node: its metadata afterwards."""

    stat: Stat
    revision: Revision = 0


class Listing(msgspec.Struct, frozen=True, tag="listing"):
    """Answer to ReadDir; `more` says whether names follow."""

    entries: tuple[DirEntry, ...]
    more: bool


class LockGranted(msgspec.Struct, frozen=True, tag="lock_granted"):
    """Answer to Acquire; also to CancelAcquire when the grant came first."""

    token: Token
    generation: int


class LockInfoResult(msgspec.Struct, frozen=True, tag="lock_info"):
    """Answer to GetLockInfo."""

    info: LockInfo


class SequencerResult(msgspec.Struct, frozen=True, tag="sequencer"):
    """Answer to GetSequencer and CheckSequencer."""

    sequencer: bytes
    path: str
    mode: LockMode
    generation: int
    token: Token


class Transacted(msgspec.Struct, frozen=True, tag="transacted"):
    """Answer to Transact. A failure inside is part of the result; a Failure instead of it means the call itself was
    refused.
    """

    result: TransactionResult


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """Answer to Watch: changes above this revision will be told."""

    revision: Revision


class Locks(msgspec.Struct, frozen=True, tag="locks"):
    """Answer to ListLocks."""

    locks: tuple[LockInfo, ...]
    more: bool


class SessionInfo(msgspec.Struct, frozen=True):
    """One line of ListSessions; `lease_left` may be negative while an expiry is on its way."""

    session: SessionId
    principal: str
    lease_left: Duration
    connected: bool
    handles: int
    locks: int
    ephemerals: int
    cached: int


class Sessions(msgspec.Struct, frozen=True, tag="sessions"):
    """Answer to ListSessions."""

    sessions: tuple[SessionInfo, ...]
    more: bool


Result = (
    Done
    | Opened
    | Contents
    | StatResult
    | Listing
    | LockGranted
    | LockInfoResult
    | SequencerResult
    | Transacted
    | Watching
    | Locks
    | Sessions
)
Answer = Result | Failure
