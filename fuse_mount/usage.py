"""What statfs(2) tells: the limits of the cell and how much of them is used, asked for once a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from chubby.types.limits import NAME_LIMIT
from chubby.types.status import CellStatus

BLOCK: Final = 4096
"""Bytes of what statfs(2) calls a block."""
NO_QUOTA: Final = 1 << 50
"""What is told of what has no limit: some programs look for room before they write."""
FRESH: Final = 1.0
"""Seconds for which an answer of the cell is told again."""


class Usage:
    """See the module. `status` asks the cell. For many threads: those that come while one asks do so too."""

    def __init__(self, status: Callable[[], CellStatus], clock: Callable[[], float] = time.monotonic) -> None:
        self._status = status
        self._clock = clock
        self._known: tuple[float, dict[str, int]] | None = None

    def statfs(self) -> dict[str, int]:
        """The fields of `struct statvfs`. Raises NoQuorum if no replica answers."""
        known, now = self._known, self._clock()
        if known is not None and now - known[0] < FRESH:
            return known[1]
        found = fields_of(self._status())
        self._known = (now, found)
        return found


def fields_of(status: CellStatus) -> dict[str, int]:
    """Bytes of content as blocks, nodes as files."""
    blocks, used = (status.bytes_quota or NO_QUOTA) // BLOCK, -(-status.content_bytes // BLOCK)
    nodes = status.nodes_quota or NO_QUOTA
    free, files = max(blocks - used, 0), max(nodes - status.nodes, 0)
    return {
        "f_bsize": BLOCK,
        "f_frsize": BLOCK,
        "f_blocks": blocks,
        "f_bfree": free,
        "f_bavail": free,
        "f_files": nodes,
        "f_ffree": files,
        "f_favail": files,
        "f_namemax": NAME_LIMIT,
    }
