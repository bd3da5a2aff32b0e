"""How trouble with the disk is told: `StorageFailed` when it refuses, `CorruptData` when bytes do not verify.

What an operator does next differs, so the kinds differ:

| error           | means                                             | what follows                                   |
|-----------------|---------------------------------------------------|------------------------------------------------|
| `StorageFailed` | the disk refused an operation (ENOSPC, EIO, ...)  | the replica stops; repair the disk, start again|
| `ForeignData`   | whole bytes, but not this replica's, or none that | the replica does not start; nothing is touched |
|                 | this release can load                             |                                                |
| `CorruptData`   | vote state is rotten or missing                   | rejoin as a new incarnation (DESIGN §3)        |
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chubby.errors import StorageFailed


class ForeignData(StorageFailed):
    """The bytes are whole, but belong to another cell or replica, or are none that this release can load.

    Nobody's vote state is known to be lost, so nothing is moved aside: an operator mounts the right volume or
    installs the right release.
    """


_REMEDIES: Final = {
    errno.ENOSPC: "the disk is full; free some space, then start the replica again",
    errno.EDQUOT: "the disk quota is used up; raise it, then start the replica again",
    errno.EFBIG: "the system allows no larger files here; raise the limit (ulimit -f), then start the replica again",
    errno.EIO: "the disk reports an input/output error; look at the kernel's log and replace the disk",
    errno.EROFS: "the file system is read-only; look at the kernel's log for why",
    errno.EACCES: "permission denied; the data directory must belong to the user that runs the replica",
    errno.EPERM: "operation not permitted; the data directory must belong to the user that runs the replica",
    errno.EMFILE: "too many open files in this process; raise its limit",
}


def explain(doing: str, error: OSError) -> str:
    """One sentence on what failed while `doing` something, and the remedy if there is a known one."""
    text = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{doing}: {text}" + (f" ({remedy})" if remedy else "")


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an `OSError` of the block into `StorageFailed` that says what was being done (DESIGN §3 Disk)."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(explain(doing, error)) from error
