"""Exit codes of `chubby`, the same for every command.

| code | meaning                                                                        |
|------|--------------------------------------------------------------------------------|
| 0    | done                                                                           |
| 1    | the answer is no: node missing, condition not met, lock held, sequencer stale  |
| 64   | wrong usage: bad path, bad argument                                            |
| 69   | the cell cannot be reached, has no quorum, or has stopped writes; no FUSE here |
| 70   | a bug                                                                          |
| 74   | the disk refused, or data is corrupt                                           |
| 75   | a lock could not be had in time; the outcome is unknown; a mount is in use     |
| 77   | permission denied                                                              |
| 78   | a configuration file is wrong                                                  |
| 128+n| ended by signal n; `cell start`, `backup schedule`, `mount --foreground`: 0    |

`chubby lock` passes on the exit code of its command (128 + n if signal n ended it); 126 and 127 say that it could not
be started. 69 says that the lock was lost although the command ended as if all were well.
"""

from __future__ import annotations

from chubby.errors import ChubbyError, ErrorCode

OK = 0
NO = 1
USAGE = 64
UNAVAILABLE = 69
BUG = 70
STORAGE = 74
TRY_AGAIN = 75
NO_PERMISSION = 77
CONFIG = 78

_CODES: dict[ErrorCode, int] = {
    ErrorCode.BAD_PATH: USAGE,
    ErrorCode.BAD_ARGUMENT: USAGE,
    ErrorCode.TOO_LARGE: USAGE,
    ErrorCode.PERMISSION_DENIED: NO_PERMISSION,
    ErrorCode.QUOTA_EXCEEDED: NO,
    ErrorCode.NO_NODE: NO,
    ErrorCode.NODE_EXISTS: NO,
    ErrorCode.NOT_EMPTY: NO,
    ErrorCode.GENERATION_MISMATCH: NO,
    ErrorCode.LOCK_CONFLICT: NO,
    ErrorCode.LOCK_NOT_HELD: NO,
    ErrorCode.SEQUENCER_INVALID: NO,
    ErrorCode.HANDLE_INVALID: NO,
    ErrorCode.HANDLE_POISONED: NO,
    ErrorCode.SESSION_EXPIRED: UNAVAILABLE,
    ErrorCode.SESSION_UNKNOWN: UNAVAILABLE,
    ErrorCode.FORKED_PROCESS: BUG,
    ErrorCode.NOT_MASTER: UNAVAILABLE,
    ErrorCode.NO_QUORUM: UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: UNAVAILABLE,
    ErrorCode.OUTCOME_UNKNOWN: TRY_AGAIN,
    ErrorCode.CANCELLED: UNAVAILABLE,
    ErrorCode.OVERLOADED: UNAVAILABLE,
    ErrorCode.CONFIG: CONFIG,
    ErrorCode.CORRUPT_DATA: STORAGE,
    ErrorCode.STORAGE_FAILED: STORAGE,
    ErrorCode.MEMBERSHIP_REFUSED: NO,
    ErrorCode.INTERNAL: BUG,
    ErrorCode.REPLICAS_DISAGREE: UNAVAILABLE,
}
assert set(_CODES) == set(ErrorCode), "every error has an exit code"


def exit_code_of(error: ChubbyError) -> int:
    """The exit code that stands for `error`."""
    return _CODES[error.code]
