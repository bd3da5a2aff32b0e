"""Disks that are slow, full or broken, that keep something else than was written, or nothing.

What costs a replica its vote befalls one at a time, with time to rebuild between (`Field.may_lose_a_disk`): more is
beyond what a cell promises. Whether damage does cost the vote depends on what it hits: the log, IDENTITY or MANIFEST
do; a snapshot does if there is no other good one. So all damage counts.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import Final, NamedTuple

from chubby.errors import CorruptData
from chubby.storage.directory import CURRENT
from chubby.storage.life import read_identity
from chubby.storage.manifest import Manifest
from chubby.storage.places import Within
from chubby.storage.records import SECTOR, Head
from chubby.storage.scan import scan_segment
from chubby.storage.segment import segment_name
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.faults.field import Field
from tests.simulation.hosts import ReplicaHost
from tests.storage.interference import Refuse

GROWING: Final = frozenset({"create", "allocate", "write", "make_directory"})
"""What needs room on the disk. Writes do on file systems that never write in place."""
RESERVING: Final = frozenset({"create", "allocate", "make_directory"})
"""What needs room where that of the log's segments is reserved."""
WRITING: Final = frozenset({"write", "allocate", "rename"})
SYNCING: Final = frozenset({"sync", "sync_directory"})
READING: Final = frozenset({"read", "names"})


def slow_disk(field: Field) -> None:
    """An fsync takes up to seconds."""
    host = field.any()
    host.fsync = field.chance.choice((20 * MILLISECOND, 300 * MILLISECOND, 3 * SECOND))
    field.world.trace(f"{host.place} has a slow disk: {host.fsync // MILLISECOND} ms")
    field.world.after(field.a_while(), lambda: _recover(host, host.usual_fsync))


def _recover(host: ReplicaHost, usual: Duration) -> None:
    host.fsync = usual


def full_disk(field: Field) -> None:
    """ENOSPC, for all that needs room, or for some of it, as others take and free it."""
    _refuse(field, errno.ENOSPC, field.chance.choice((GROWING, RESERVING)), field.chance.choice((1.0, 0.3)))


def io_errors(field: Field) -> None:
    """EIO: the disk does not write, does not sync, or does not read, always or now and then. A machine that is
    restarted for it forgets what could not be synced.
    """
    kinds = field.chance.choice((WRITING, SYNCING, SYNCING, READING))
    host = _refuse(field, errno.EIO, kinds, field.chance.choice((1.0, 0.1)))
    if field.chance.random() < 0.5:
        field.world.after(field.a_while(), partial(_restart_machine, host))


def _refuse(field: Field, code: int, kinds: frozenset[str], probability: float) -> ReplicaHost:
    host, chance = field.any(), field.chance
    trouble = Refuse(code, kinds, lambda: chance.random() < probability)
    field.world.trace(f"the disk of {host.place} refuses {' '.join(sorted(kinds))}: {errno.errorcode[code]}")
    field.befall(host, trouble)
    field.world.after(field.a_while(), partial(field.mended, host, trouble))
    return host


def _restart_machine(host: ReplicaHost) -> None:
    if not host.running:
        trouble = host.trouble
        host.power_loss()
        host.disk.interference = trouble


def wipe(field: Field) -> None:
    """A replica comes back with an empty disk."""
    host = field.any()
    if field.may_lose_a_disk(host):
        if host.running:
            host.crash()
        host.wipe()
        field.up(host)


def rot(field: Field) -> None:
    """A bit flips in the newest log of one replica, which finds out when it starts."""
    host = field.any()
    if not host.running or not field.may_lose_a_disk(host):
        return
    host.crash()
    segments = [
        name for name in host.disk.tree() if name.endswith(".wal") and host.disk.contents(name)[4096:8192].strip(b"\0")
    ]
    if segments:
        name = field.chance.choice(segments)
        held = host.disk.contents(name)
        _flip(field, host, name, field.chance.randrange(512, len(held.rstrip(b"\0"))), 16)
    field.up(host)


def rot_anywhere(field: Field) -> None:
    """Any bit of any file: in the log, a snapshot, IDENTITY or MANIFEST, whether somebody uses it just now or not."""
    if (found := _damage(field)) is not None:
        host, name = found
        if size := len(host.disk.contents(name)):
            _flip(field, host, name, field.chance.randrange(size), 1 << field.chance.randrange(8))
        _look(field, host)


def truncate(field: Field) -> None:
    """Any file is cut off somewhere, at a sector's end most of the time."""
    if (found := _damage(field)) is not None:
        host, name = found
        if size := len(host.disk.contents(name)):
            length = field.chance.randrange(size)
            if field.chance.random() < 0.8:
                length -= length % 512
            field.world.trace(f"{name} of {host.place} is cut off at {length} of {size}")
            host.disk.truncate(name, length)
        _look(field, host)


def lose_file(field: Field) -> None:
    """Any file is gone, or a folder with all that was in it."""
    if (found := _damage(field)) is not None:
        host, name = found
        while field.chance.random() < 0.2 and "/" in name:
            name = name.rpartition("/")[0]
        field.world.trace(f"{name} of {host.place} is gone")
        host.disk.lose(name)
        _look(field, host)


def lose_writes(field: Field) -> None:
    """The disk said that it had synced what it had not: the end of the log is zero, or one sector of a record that
    others follow.

    Of the end only what the replica can notice: up to where MANIFEST was written last, all records are known to have
    been synced; whoever loses newer ones, and nothing else, finds a log that ends before them.
    """
    host = field.any()
    if not host.running or not field.may_lose_a_disk(host):
        return
    host.crash()
    records = _records(host)
    known = [index for index, record in enumerate(records) if record.head.sequence <= record.synced]
    if len(records) > 1 and field.chance.random() < 0.5:
        record = field.chance.choice(records[:-1])
        _lose(field, host, record.name, field.chance.randrange(record.head.start, record.head.end, SECTOR), SECTOR)
    elif known:
        for record in records[field.chance.choice(known) :]:
            begin = 0 if record.first else record.head.start
            _lose(field, host, record.name, begin, record.head.end - begin)
    field.up(host)


def _lose(field: Field, host: ReplicaHost, name: str, begin: int, length: int) -> None:
    field.world.trace(f"{length} bytes of {name} of {host.place} at {begin} are zero")
    host.disk.rot(name, begin, bytes(length))


class _Record(NamedTuple):
    """A whole record in the log of a disk that nobody uses just now."""

    name: str
    head: Head
    first: bool
    """Whether its segment begins with it: then its write brought the header along."""
    synced: int
    """MANIFEST says that all records up to this one were synced."""


def _records(host: ReplicaHost) -> list[_Record]:
    """All of the log, as far as it verifies; none if there is no life on this disk."""
    life = Within(host.disk, CURRENT)
    try:
        identity = read_identity(life)
        contents = Manifest.load(life, identity).contents
        found: list[_Record] = []
        for number in contents.segments:
            name = segment_name(number)
            data = host.disk.contents(f"{CURRENT}/{name}")
            heads = scan_segment(data, identity, number, 0, name).heads
            found += [_Record(f"{CURRENT}/{name}", head, head is heads[0], contents.sequence) for head in heads]
    except (CorruptData, FileNotFoundError):
        return []
    return found


def _damage(field: Field) -> tuple[ReplicaHost, str] | None:
    """A replica that is to lose a file, and which; None if none may. Files count alike, so that the small ones get
    their share.
    """
    host = field.any()
    names = [name for name in host.disk.tree() if name.startswith(CURRENT)]
    if not names or not field.may_lose_a_disk(host):
        return None
    if field.chance.random() < 0.7:
        host.crash()
    return host, field.chance.choice(names)


def _look(field: Field, host: ReplicaHost) -> None:
    """The replica finds out: as it starts, at once; or as it runs, sooner or later, and at the latest now."""
    if not host.running:
        field.up(host)
    else:
        field.world.after(field.a_while(), partial(_look_again, field, host, host.life))


def _look_again(field: Field, host: ReplicaHost, life: int) -> None:
    if host.life == life:
        field.down(host)


def _flip(field: Field, host: ReplicaHost, name: str, offset: int, bit: int) -> None:
    field.world.trace(f"a bit flips in {name} of {host.place} at {offset}")
    host.disk.rot(name, offset, bytes([host.disk.contents(name)[offset] ^ bit]))
