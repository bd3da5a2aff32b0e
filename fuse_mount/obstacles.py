"""PURE. What is in the way of a lock: on this mount, as its claims say, and elsewhere, as the cell says.

The cell has one lock for a node, so any bytes that somebody else has count as the whole file.
"""

from __future__ import annotations

import msgspec

from chubby.types.nodes import LockInfo, LockMode
from fuse_mount.grips import Grip
from fuse_mount.ranges import WHOLE, Span


class Obstacle(msgspec.Struct, frozen=True):
    """What is in the way of a lock: a lock of this mode and span, of this process; 0 if that is out of sight."""

    mode: LockMode
    process: int = 0
    span: Span = WHOLE


class Standing(msgspec.Struct, frozen=True):
    """How a lock would fare on this mount: what is in its way here, and what the grip it would join holds already."""

    obstacle: Obstacle | None
    held: LockMode | None


def in_the_way(grip: Grip, mode: LockMode, span: Span) -> Obstacle | None:
    """What of a grip that holds its lock excludes one of `mode`: if there are such bytes, some within `span`."""
    if grip.mode is None or LockMode.EXCLUSIVE not in {mode, grip.mode}:
        return None
    for claim in grip.claims.values():
        for interval in claim.ranges.overlapping(span):
            if LockMode.EXCLUSIVE in {mode, interval.mode}:
                return Obstacle(interval.mode, claim.processes[0], interval.span)
    return next((Obstacle(grip.mode, claim.processes[0]) for claim in grip.claims.values()), None)


def attainable(info: LockInfo, mode: LockMode) -> bool:
    """Whether who holds the lock, according to `info`, would get it in `mode` if it let go and tried at once."""
    if mode is LockMode.SHARED:
        return all(wanted is LockMode.SHARED for _, wanted in info.waiters)
    return len(info.holders) == 1 and not info.waiters


def elsewhere(info: LockInfo, held: LockMode | None, mode: LockMode) -> Obstacle | None:
    """What of other mounts and sessions is in the way of a lock of `mode` for who holds it as `held`."""
    others = len(info.holders) - (held is not None)
    if info.delayed or (others > 0 and LockMode.EXCLUSIVE in {mode, info.mode}):
        return Obstacle(info.mode or LockMode.EXCLUSIVE)
    return Obstacle(info.waiters[0][1]) if info.waiters else None
