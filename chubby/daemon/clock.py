"""The one clock of a replica (DESIGN §3 Master lease).

CLOCK_BOOTTIME: monotonic, counts through suspend. Never wall time, which operators move, and never `loop.time()`, which
is read once per turn of the loop and may be old by the time a callback runs.
"""

from __future__ import annotations

import time

from chubby.types.time import Instant


def now() -> Instant:
    """This instant."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ms() -> int:
    """Milliseconds since 1970, for display alone."""
    return time.time_ns() // 1_000_000
