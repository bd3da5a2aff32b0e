"""Every error of the project, one tree.

::

    ChubbyError
    ├── RequestError            the call is wrong and stays wrong: final, nothing changed
    │   ├── BadPath             not a legal name
    │   ├── BadArgument         any other malformed parameter
    │   ├── TooLarge            content, attributes or a message beyond its limit
    │   ├── PermissionDenied    the ACL does not admit the principal, or the handle's mode does not allow the call
    │   └── QuotaExceeded       the cell or a directory is full; deleting makes room at once
    ├── ConditionError          the state of the cell forbids it now: final for this call, nothing changed
    │   ├── NoNode              no node of that name
    │   ├── NodeExists          a node of that name is there already
    │   ├── NotEmpty            a node with children cannot be deleted
    │   ├── GenerationMismatch  compare-and-set lost
    │   ├── LockConflict        try_acquire found the lock held, delayed or waited for
    │   ├── LockNotHeld         release or get_sequencer without the lock
    │   └── SequencerInvalid    the lock period a sequencer speaks of is over
    ├── HandleError             this handle is of no more use
    │   ├── HandleInvalid       node deleted, handle closed, or forged
    │   └── HandlePoisoned      poison() was called on it
    ├── SessionError            this session is of no more use
    │   ├── SessionExpired      its lease ran out: every handle and lock of it is gone
    │   ├── SessionUnknown      the cell has never heard of it, or the ticket is forged
    │   └── ForkedProcess       a session was used in a child of the process that made it
    ├── AvailabilityError       try again: the cell, not the call, is the trouble
    │   ├── NotMaster           this replica is not the master (carries who is, when known)
    │   ├── NoQuorum            the deadline passed and no majority answered; the call took no effect
    │   ├── DeadlineExceeded    the deadline passed before the call was proposed; it took no effect
    │   ├── OutcomeUnknown      the deadline passed after it may have been proposed: it may yet take effect
    │   ├── Cancelled           the caller cancelled a waiting call; it took no effect
    │   └── Overloaded          a bounded queue was full; it took no effect
    └── CellError               an operator has to look
        ├── ConfigError         a configuration file is wrong (file, key, remedy in the text)
        ├── CorruptData         bytes on disk or in a backup do not verify
        ├── StorageFailed       the disk refused: ENOSPC, EIO
        ├── MembershipRefused   a change of replicas that would endanger the quorum
        ├── ReplicasDisagree    replicas hold different states, none of them on a majority; the call took no effect
        └── InternalError       a bug; please report it

`ErrorCode` names each leaf on the wire and inside the pure rooms, where a failure is a value (`Failure`) and never
an exception; `error_of` and `Failure.of` convert. A retryable code (`ErrorCode.retryable`) promises that the call
took no effect.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

__all__ = [
    "AvailabilityError",
    "BadArgument",
    "BadPath",
    "Cancelled",
    "CellError",
    "ChubbyError",
    "ConditionError",
    "ConfigError",
    "CorruptData",
    "DeadlineExceeded",
    "ErrorCode",
    "Failure",
    "ForkedProcess",
    "GenerationMismatch",
    "HandleError",
    "HandleInvalid",
    "HandlePoisoned",
    "InternalError",
    "LockConflict",
    "LockNotHeld",
    "MembershipRefused",
    "NoNode",
    "NoQuorum",
    "NodeExists",
    "NotEmpty",
    "NotMaster",
    "OutcomeUnknown",
    "Overloaded",
    "PermissionDenied",
    "QuotaExceeded",
    "ReplicasDisagree",
    "RequestError",
    "SequencerInvalid",
    "SessionError",
    "SessionExpired",
    "SessionUnknown",
    "StorageFailed",
    "TooLarge",
    "error_of",
]


class ErrorCode(enum.IntEnum):
    """The name of a failure inside the pure rooms and on the wire. Numbers are permanent: never reuse one."""

    BAD_PATH = 1
    BAD_ARGUMENT = 2
    TOO_LARGE = 3
    PERMISSION_DENIED = 4
    QUOTA_EXCEEDED = 5
    NO_NODE = 10
    NODE_EXISTS = 11
    NOT_EMPTY = 12
    GENERATION_MISMATCH = 13
    LOCK_CONFLICT = 14
    LOCK_NOT_HELD = 15
    SEQUENCER_INVALID = 16
    HANDLE_INVALID = 20
    HANDLE_POISONED = 21
    SESSION_EXPIRED = 30
    SESSION_UNKNOWN = 31
    FORKED_PROCESS = 32
    NOT_MASTER = 40
    NO_QUORUM = 41
    DEADLINE_EXCEEDED = 42
    OUTCOME_UNKNOWN = 43
    CANCELLED = 44
    OVERLOADED = 45
    CONFIG = 50
    CORRUPT_DATA = 51
    STORAGE_FAILED = 52
    MEMBERSHIP_REFUSED = 53
    INTERNAL = 54
    REPLICAS_DISAGREE = 55

    @property
    def retryable(self) -> bool:
        """Whether the same call may simply be sent again: it certainly took no effect."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {
        ErrorCode.NOT_MASTER,
        ErrorCode.NO_QUORUM,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.OVERLOADED,
        ErrorCode.REPLICAS_DISAGREE,
    }
)


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A failure as a value: what pure rooms return and the wire carries.

    `message` is one English sentence for a human; programs look at `code` alone.
    """

    code: ErrorCode
    message: str

    @staticmethod
    def of(error: ChubbyError) -> Failure:
        """The value that stands for `error`."""
        return Failure(error.code, str(error))


class ChubbyError(Exception):
    """The root of all errors of this package; `code` names the kind of failure."""

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL


class RequestError(ChubbyError):
    """The call is wrong and stays wrong; nothing changed."""

    code = ErrorCode.BAD_ARGUMENT


class BadPath(RequestError):
    """Not a legal name."""

    code = ErrorCode.BAD_PATH


class BadArgument(RequestError):
    """A malformed parameter other than a path."""

    code = ErrorCode.BAD_ARGUMENT


class TooLarge(RequestError):
    """Content, attributes or a message beyond its limit."""

    code = ErrorCode.TOO_LARGE


class PermissionDenied(RequestError):
    """The ACL does not admit the principal, or the handle's mode does not allow the call."""

    code = ErrorCode.PERMISSION_DENIED


class QuotaExceeded(RequestError):
    """The cell or a directory is full; deleting makes room at once."""

    code = ErrorCode.QUOTA_EXCEEDED


class ConditionError(ChubbyError):
    """The state of the cell forbids the call now; nothing changed."""

    code = ErrorCode.GENERATION_MISMATCH


class NoNode(ConditionError):
    """No node of that name."""

    code = ErrorCode.NO_NODE


class NodeExists(ConditionError):
    """A node of that name is there already."""

    code = ErrorCode.NODE_EXISTS


class NotEmpty(ConditionError):
    """A node with children cannot be deleted."""

    code = ErrorCode.NOT_EMPTY


class GenerationMismatch(ConditionError):
    """A compare-and-set lost: the generation (or another guard) was not the expected one."""

    code = ErrorCode.GENERATION_MISMATCH


class LockConflict(ConditionError):
    """try_acquire found the lock held, delayed or waited for."""

    code = ErrorCode.LOCK_CONFLICT


class LockNotHeld(ConditionError):
    """release or get_sequencer without the lock."""

    code = ErrorCode.LOCK_NOT_HELD


class SequencerInvalid(ConditionError):
    """The hold period a sequencer speaks of is over, or the bytes are none of ours."""

    code = ErrorCode.SEQUENCER_INVALID


class HandleError(ChubbyError):
    """This handle is of no more use."""

    code = ErrorCode.HANDLE_INVALID


class HandleInvalid(HandleError):
    """The node was deleted, the handle closed, or it is forged."""

    code = ErrorCode.HANDLE_INVALID


class HandlePoisoned(HandleError):
    """poison() was called on the handle."""

    code = ErrorCode.HANDLE_POISONED


class SessionError(ChubbyError):
    """This session is of no more use."""

    code = ErrorCode.SESSION_UNKNOWN


class SessionExpired(SessionError):
    """The session lease ran out: every handle and lock of the session is gone."""

    code = ErrorCode.SESSION_EXPIRED


class SessionUnknown(SessionError):
    """The cell has never heard of the session, or its ticket is forged."""

    code = ErrorCode.SESSION_UNKNOWN


class ForkedProcess(SessionError):
    """A session was used in a child of the process that made it."""

    code = ErrorCode.FORKED_PROCESS


class AvailabilityError(ChubbyError):
    """The cell, not the call, is the trouble."""

    code = ErrorCode.OVERLOADED


class NotMaster(AvailabilityError):
    """This replica is not the master; the message says who is, when that is known."""

    code = ErrorCode.NOT_MASTER


class NoQuorum(AvailabilityError):
    """The deadline passed and no majority answered; the call took no effect."""

    code = ErrorCode.NO_QUORUM


class DeadlineExceeded(AvailabilityError):
    """The deadline passed before the call was proposed; it took no effect."""

    code = ErrorCode.DEADLINE_EXCEEDED


class OutcomeUnknown(AvailabilityError):
    """The deadline passed after the call may have been proposed: it may yet take effect, once."""

    code = ErrorCode.OUTCOME_UNKNOWN


class Cancelled(AvailabilityError):
    """The caller cancelled a waiting call; it took no effect."""

    code = ErrorCode.CANCELLED


class Overloaded(AvailabilityError):
    """A bounded queue was full; the call took no effect."""

    code = ErrorCode.OVERLOADED


class CellError(ChubbyError):
    """An operator has to look."""

    code = ErrorCode.INTERNAL


class ConfigError(CellError):
    """A configuration file is wrong; the text names file, key and remedy."""

    code = ErrorCode.CONFIG


class CorruptData(CellError):
    """Bytes on disk or in a backup do not verify."""

    code = ErrorCode.CORRUPT_DATA


class StorageFailed(CellError):
    """The disk refused (ENOSPC, EIO): the replica stops rather than guess."""

    code = ErrorCode.STORAGE_FAILED


class MembershipRefused(CellError):
    """A change of replicas that would endanger the quorum."""

    code = ErrorCode.MEMBERSHIP_REFUSED


class ReplicasDisagree(CellError):
    """Replicas hold different states and none of them is on a majority: writes are stopped; the call took no effect."""

    code = ErrorCode.REPLICAS_DISAGREE


class InternalError(CellError):
    """A bug."""

    code = ErrorCode.INTERNAL


def _leaves(kind: type[ChubbyError]) -> list[type[ChubbyError]]:
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in _leaves(child)] if below else [kind]


_CLASSES: dict[ErrorCode, type[ChubbyError]] = {kind.code: kind for kind in _leaves(ChubbyError)}

assert set(_CLASSES) == set(ErrorCode), "every code has exactly one leaf class"


def error_of(failure: Failure) -> ChubbyError:
    """The exception that stands for `failure`, ready to be raised."""
    return _CLASSES[failure.code](failure.message)
