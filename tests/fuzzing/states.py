"""The state of a cell from elsewhere: snapshots on disk, chunks of them from a peer, backups from wherever they lay.

The programs know the formats' checksums: `state_slices` is what lies behind those of a snapshot, `backup` may seal anew
what it has spoilt. A backup is compressed, so a small one may be a large state, or a bomb.
"""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import zstandard

from chubby.daemon.loading import Loader
from chubby.daemon.restoring import machine_of_backup
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace.commands import BeginEpoch, Command, LeaseCaps, Limits, OpenSession
from chubby.namespace.machine import Genesis, Machine
from chubby.namespace.snapshot import UnknownVersion
from chubby.storage.backup_format import BackupLabel, BackupReader, encode_backup
from chubby.storage.directory import DataDirectory
from chubby.storage.faults import ForeignData
from chubby.storage.snapshot_format import SnapshotEncoder
from chubby.storage.snapshot_reader import BytesSource, SnapshotReader
from tests.fuzzing.program import Program, block
from tests.fuzzing.target import MIB, Target
from tests.namespace.test_digest import a_full_cell
from tests.storage.fake_files import FakeFiles
from tests.storage.samples import SMALL, formatted, header

CELL: Final = 77
LABEL: Final = BackupLabel("test", CELL, 1_700_000_000_000, "1.0")


def genesis() -> Machine:
    """The machine of a new cell."""
    return Machine.genesis(Genesis(CELL, "test", ("root",), Limits(), LeaseCaps(), b"k" * 32, 1_700_000_000_000))


@functools.cache
def lived() -> Machine:
    """A machine with an epoch and a session."""
    machine = genesis()
    machine.apply(1, Command(1, 0, 1_700_000_000_000, BeginEpoch(1)))
    machine.apply(2, Command(2, 1, 1_700_000_000_001, OpenSession(7, "anyone", True)))
    return machine


def state_slices(machine: Machine, limit: int = 200) -> list[bytes]:
    """The slices of its snapshot."""
    return list(machine.snapshot().slices(limit))


def snapshot_file(slices: Iterable[bytes]) -> bytes:
    """A snapshot that verifies, whatever its slices say."""
    encoder = SnapshotEncoder(header(2))
    return b"".join((encoder.header, *map(encoder.block, slices), encoder.footer()))


# ----------------------------------------------------------------------------------------------------------- snapshots


def read_snapshot(data: bytes) -> None:
    """A snapshot file, as it lies on a disk."""
    SnapshotReader(BytesSource(data), "fuzz").give(Loader())


def restore(data: bytes) -> None:
    """A program: slices, each a block. What can be restored gives the same state again."""
    program = Program(data)
    slices = []
    while program:
        piece = program.block()
        if piece:
            slices.append(piece)
    loader = Loader()
    SnapshotReader(BytesSource(snapshot_file(slices)), "fuzz").give(loader)
    assert loader.machine is not None
    again = Machine.restore(loader.machine.snapshot().slices(200))
    assert again.digest() == loader.machine.digest(), "what was restored is a state"


@functools.cache
def _full() -> tuple[bytes, ...]:
    """The slices of a cell that has a row of every kind."""
    return tuple(a_full_cell().machine.snapshot().slices(1 << 20))


ODD: Final[tuple[object, ...]] = (
    0,
    1,
    -1,
    (1 << 63) - 1,
    7,
    "",
    "/",
    "/none/x",
    "/a",
    "/a/e",
    b"",
    None,
    True,
    [],
    {},
    [3, None],
)
"""What may stand in any field instead."""


def rows(data: bytes) -> None:
    """A program: rows of a full cell dropped, repeated, moved to other tables, and changed field by field.

    Rows are counted right, so that what is left to notice is whether they fit together.
    """
    program = Program(data)
    head, *slices = (msgspec.msgpack.decode(piece) for piece in _full())
    while program:
        _name, found = program.one_of(slices)
        at = program.number() % len(found) if found else 0
        match program.number() % 4:
            case 0:
                del found[at : at + 1]
            case 1:
                found += copy.deepcopy(found[at : at + 1])
            case 2:
                program.one_of(slices)[1].extend(copy.deepcopy(found[at : at + 1]))
            case _ if found:
                _change(program, found[at])
    head[4] = dict.fromkeys(head[4], 0) | {name: len(found) for name, found in slices}
    machine = Machine.restore(map(msgspec.msgpack.encode, (head, *slices)))
    assert machine.digest() == int.from_bytes(head[3], "big"), "what is restored is what was taken"


def _change(program: Program, thing: object) -> None:
    """Something in a row becomes something else."""
    for _ in range(4):
        if isinstance(thing, list) and thing:
            at = program.number() % len(thing)
            inside: object = thing[at]
            if not isinstance(inside, list | dict) or program.number() & 1:
                thing[at] = program.one_of(ODD)
                return
        elif isinstance(thing, dict) and thing:
            key = program.one_of(sorted(thing, key=str))
            inside = thing[key]
            if not isinstance(inside, list | dict) or program.number() & 1:
                thing[key] = program.one_of(ODD)
                return
        else:
            return
        thing = inside


def fetch(data: bytes) -> None:
    """A program: the size a peer announces, and chunks at offsets, of a good snapshot or of anything."""
    program = Program(data)
    whole = snapshot_file(state_slices(lived()))
    files = FakeFiles()
    formatted(files)
    with DataDirectory(files) as directory:
        opened = directory.open(segment_size=SMALL)
        sink = opened.snapshots.sink(2, (len(whole), program.number(8))[program.number() & 1])
        while program and not sink.complete:
            size = program.number(2)
            good = program.number() & 1
            offset = sink.received if good else program.number(4)
            sink.store(offset, whole[offset : offset + size] if good else program.take(size % 256))
        if sink.complete:
            loader = Loader()
            sink.verify(loader)
            sink.install()
            assert loader.machine is not None and loader.machine.digest() == lived().digest()
        opened.close()


def _states() -> list[bytes]:
    return [b"".join(map(block, state_slices(machine))) for machine in (genesis(), lived())]


def _fetchings() -> list[bytes]:
    start = bytes(8) + b"\0"
    return [
        start + b"\xff\xff\1",
        start + b"\x40\0\1" * 20,
        start + b"\x40\0\1\x40\0\0\0\0\0\0" + b"x" * 64,
        b"\xff" * 8 + b"\1" + b"\xff\xff\1",
    ]


# ------------------------------------------------------------------------------------------------------------- backups


def sealed_backup(body: bytes) -> bytes:
    """`body` under a seal that is right."""
    return body + b"\x5d\x2a\x4d\x18\x20\0\0\0" + hashlib.sha256(body).digest()


def backup(slices: Sequence[bytes]) -> bytes:
    """A good backup of these slices."""
    return b"".join(encode_backup(LABEL, [snapshot_file(slices)]))


def read_backup(data: bytes) -> None:
    """A program: in which portions it comes, whether it is sealed anew; then the backup."""
    program = Program(data)
    how = program.number()
    size = (program.number() + 1) * (1 if how & 2 else 4096)
    body = program.rest()
    if how & 1:
        body = sealed_backup(body[:-40])
    portions = [body[at : at + size] for at in range(0, len(body), size)]
    machine_of_backup(BackupReader(portions, "fuzz").slices())


def _backups() -> list[bytes]:
    good = [backup(state_slices(machine, 4096)) for machine in (genesis(), lived())]
    return [bytes((how, 255)) + data for data in good for how in (0, 1, 2)]


def _zeros(size: int) -> bytes:
    """A backup whose snapshot is zeros: `size` bytes of it would be thousands of times as many."""
    label = b"".join(encode_backup(LABEL, []))
    skip = 8 + int.from_bytes(label[4:8], "little")
    compressor = zstandard.ZstdCompressor(level=6, write_checksum=True).compressobj()
    good = snapshot_file(state_slices(lived()))[:-56]
    body = label[:skip] + compressor.compress(good)
    for _ in range(min(size, 5000) // 33 + 1):
        body += compressor.compress(bytes(MIB))
    return b"\1\xff" + sealed_backup(body + compressor.flush()) + bytes(40)


TARGETS: Final = (
    Target(
        name="snapshot_file",
        door="a snapshot on disk: `storage.snapshot_reader.SnapshotReader`, `daemon.loading.Loader`",
        feed=read_snapshot,
        refusals=(CorruptData, ForeignData, UnknownVersion),
        samples=lambda: [snapshot_file(state_slices(machine)) for machine in (genesis(), lived())],
        bombs={"announced and missing": lambda size: snapshot_file([])[:-56] + b"\xff\xff\xff\x03abcd" + bytes(size)},
    ),
    Target(
        name="state_slices",
        door="a snapshot that verifies, whoever wrote it: `namespace.machine.Machine.restore`",
        feed=restore,
        refusals=(CorruptData, ForeignData, UnknownVersion),
        samples=_states,
        bombs={
            "nested without end": lambda size: block(b"\x95" + b"\x91" * min(size, 60_000)),
            "nested rows": lambda size: (
                block(state_slices(lived(), 4096)[0]) + block(b"\x92\xa4node" + b"\x91" * min(size, 60_000))
            ),
        },
    ),
    Target(
        name="state_rows",
        door="a snapshot whose rows do not fit together: the indexes of `namespace`, made anew",
        feed=rows,
        refusals=(CorruptData, UnknownVersion),
        samples=lambda: [b"", *(bytes((part, row, how)) for part in range(8) for row in range(3) for how in range(3))],
        longest=64,
    ),
    Target(
        name="snapshot_chunks",
        door="a snapshot fetched from another replica, chunk after chunk: `storage.snapshot_writer.ChunkSink`",
        feed=fetch,
        refusals=(CorruptData, StorageFailed),
        samples=_fetchings,
        longest=1024,
    ),
    Target(
        name="backup",
        door="a backup, sealed anew or not: `storage.backup_format.BackupReader`",
        feed=read_backup,
        refusals=(CorruptData, ForeignData, UnknownVersion),
        samples=_backups,
        bombs={"compressed zeros": _zeros},
        memory=48 * MIB,
    ),
)
