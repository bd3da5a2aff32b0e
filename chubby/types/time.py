"""Time as the pure rooms see it: integers, handed in as arguments.

An `Instant` is nanoseconds of CLOCK_BOOTTIME of one machine: monotonic, counting through suspend, meaningless to any
other machine. A `Duration` is nanoseconds. Wall time appears only as `time_ms` fields, for display, and decides nothing
(DESIGN §3, §4).
"""

from __future__ import annotations

from typing import Final

Instant = int
"""Nanoseconds of the local CLOCK_BOOTTIME."""

Duration = int
"""Nanoseconds."""

MICROSECOND: Final[Duration] = 1_000
MILLISECOND: Final[Duration] = 1_000_000
SECOND: Final[Duration] = 1_000_000_000
NEVER: Final[Instant] = (1 << 63) - 1
"""An instant that does not come: the deadline of what has none."""


def from_seconds(seconds: float) -> Duration:
    """`seconds` as a duration."""
    return round(seconds * SECOND)


def to_seconds(duration: Duration) -> float:
    """`duration` in seconds, for humans and event loops."""
    return duration / SECOND
