"""Disks that are slow, are replaced by empty ones, or keep something else than was written."""

from __future__ import annotations

from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.faults.field import Field
from tests.simulation.hosts import ReplicaHost


def slow_disk(field: Field) -> None:
    """An fsync takes up to seconds."""
    host = field.any()
    host.fsync = field.chance.choice((20 * MILLISECOND, 300 * MILLISECOND, 3 * SECOND))
    field.world.trace(f"{host.place} has a slow disk: {host.fsync // MILLISECOND} ms")
    field.world.after(field.a_while(), lambda: _recover(host, host.usual_fsync))


def _recover(host: ReplicaHost, usual: Duration) -> None:
    host.fsync = usual


def wipe(field: Field) -> None:
    """A replica comes back with an empty disk."""
    if field.may_lose_a_disk():
        host = field.any()
        if host.running:
            host.crash()
        host.wipe()
        field.up(host)


def rot(field: Field) -> None:
    """A bit flips in the newest log of one replica, which finds out when it starts."""
    host = field.any()
    if not host.running or not field.may_lose_a_disk():
        return
    host.crash()
    segments = [
        name for name in host.disk.tree() if name.endswith(".wal") and host.disk.contents(name)[4096:8192].strip(b"\0")
    ]
    if segments:
        name = field.chance.choice(segments)
        held = host.disk.contents(name)
        offset = field.chance.randrange(512, len(held.rstrip(b"\0")))
        field.world.trace(f"a bit flips in {name} of {host.place} at {offset}")
        host.disk.rot(name, offset, bytes([held[offset] ^ 16]))
    field.up(host)
