"""Which errno stands for which error: one literal table. PURE.

What a shell prints is `strerror` of these, and programs act on them, so each is chosen by what its readers do with it:

| errno        | stands for                      | because                                                             |
|--------------|---------------------------------|---------------------------------------------------------------------|
| `EAGAIN`     | a lock that others hold, only   | flock(1) and lockf(3) take it for "somebody has the lock"           |
| `EBUSY`      | a full queue                    | EAGAIN would tell `flock -n` a lie; SQLite and git wait and retry   |
| `EFBIG`      | content beyond its limit        | cp says "File too large" and stops                                  |
| `ENOSPC`     | a full cell or attribute map    | `df` shows the cell's quotas; programs that heed a full disk heed it|
| `ESTALE`     | a node deleted and made again   | the kernel itself looks the name up anew, once, and repeats the call|
| `ETIMEDOUT`  | nobody could answer in time     | nothing was changed; it is worth trying again                       |
| `EIO`        | a session that is lost, a write | as of a disk: what this descriptor stood for is lost, or nobody     |
|              | whose outcome nobody knows      | knows whether it was written                                        |
| `EINTR`      | a call given up by a signal     | nothing was changed; runtimes repeat it, shells end                 |

`EDQUOT` would be the literal name of a quota, but means "yours, not the others'": the cell's quotas are everybody's.

A code says nothing of *which* of its meanings applies, and its text is for people. So two of them are told apart before
the cell is asked: a name that is too long is `ENAMETOOLONG` in `names` (what the cell still refuses is `EINVAL`), and
what is too large of an attribute map is `ENOSPC` in `attributes` (what the cell still refuses is content, or the loser
of a race: `attributes_errno_of`).
"""

from __future__ import annotations

import errno
from typing import Final

from chubby.errors import ChubbyError, ErrorCode, TooLarge

__all__ = ["ERRNOS", "attributes_errno_of", "errno_of"]

ERRNOS: Final[dict[ErrorCode, int]] = {
    ErrorCode.BAD_PATH: errno.EINVAL,
    ErrorCode.BAD_ARGUMENT: errno.EINVAL,
    ErrorCode.TOO_LARGE: errno.EFBIG,
    ErrorCode.PERMISSION_DENIED: errno.EACCES,
    ErrorCode.QUOTA_EXCEEDED: errno.ENOSPC,
    ErrorCode.NO_NODE: errno.ENOENT,
    ErrorCode.NODE_EXISTS: errno.EEXIST,
    ErrorCode.NOT_EMPTY: errno.ENOTEMPTY,
    ErrorCode.GENERATION_MISMATCH: errno.ESTALE,
    ErrorCode.LOCK_CONFLICT: errno.EAGAIN,
    ErrorCode.LOCK_NOT_HELD: errno.ENOLCK,
    ErrorCode.SEQUENCER_INVALID: errno.ESTALE,
    ErrorCode.HANDLE_INVALID: errno.ESTALE,
    ErrorCode.HANDLE_POISONED: errno.EIO,
    ErrorCode.SESSION_EXPIRED: errno.EIO,
    ErrorCode.SESSION_UNKNOWN: errno.EIO,
    ErrorCode.FORKED_PROCESS: errno.EIO,
    ErrorCode.NOT_MASTER: errno.ETIMEDOUT,
    ErrorCode.NO_QUORUM: errno.ETIMEDOUT,
    ErrorCode.DEADLINE_EXCEEDED: errno.ETIMEDOUT,
    ErrorCode.OUTCOME_UNKNOWN: errno.EIO,
    ErrorCode.CANCELLED: errno.EINTR,
    ErrorCode.OVERLOADED: errno.EBUSY,
    ErrorCode.CONFIG: errno.EIO,
    ErrorCode.CORRUPT_DATA: errno.EIO,
    ErrorCode.STORAGE_FAILED: errno.EIO,
    ErrorCode.MEMBERSHIP_REFUSED: errno.EPERM,
    ErrorCode.INTERNAL: errno.EIO,
    ErrorCode.REPLICAS_DISAGREE: errno.EIO,
}
"""Every code has its errno."""
assert set(ERRNOS) == set(ErrorCode), "every error has an errno"

_BARE: Final[tuple[tuple[type[OSError], int], ...]] = (
    (InterruptedError, errno.EINTR),
    (TimeoutError, errno.ETIMEDOUT),
)
"""What Python's own errors mean where whoever raised them gave no number."""


def errno_of(error: BaseException) -> int:
    """The positive errno that stands for `error`; what is neither an OSError nor a ChubbyError is a bug, so EIO."""
    if isinstance(error, ChubbyError):
        return ERRNOS[error.code]
    if isinstance(error, OSError):
        if error.errno is not None and error.errno > 0:
            return error.errno
        return next((number for kind, number in _BARE if isinstance(error, kind)), errno.EIO)
    return errno.EIO


def attributes_errno_of(error: BaseException) -> int:
    """The same for a call that changes attributes alone: what is too large is their map, as setxattr(2) says ENOSPC."""
    return errno.ENOSPC if isinstance(error, TooLarge) else errno_of(error)
