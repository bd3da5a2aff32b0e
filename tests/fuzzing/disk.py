"""The disk: what a replica finds at its start, after whatever befell it (`chubby.storage`).

Checksums keep a fuzzer out, so the programs here know them: `data_directory` replaces files of a good directory, spoils
them, and seals them anew if told to; `log_record` is what lies behind a record's checksum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import msgspec

from chubby.daemon.loading import Loader
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace import commands
from chubby.namespace.commands import Command, OpenSession
from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import configuration_of, configuration_value
from chubby.paxos.ready import ChosenRecord, LeaseRecord, PromisedRecord, Record
from chubby.storage.directory import DataDirectory
from chubby.storage.faults import ForeignData
from chubby.storage.records import (
    SECTOR,
    Flags,
    RecordType,
    decode_batch,
    encode_batch,
    encode_record,
    stored_payload,
    stuff,
)
from chubby.storage.replay import Summary
from chubby.storage.scan import scan_segment
from chubby.storage.sealed import PREFIX_SIZE, seal
from chubby.storage.segment import SegmentHeader
from tests.fuzzing.program import Program, block
from tests.fuzzing.states import genesis, state_slices
from tests.fuzzing.target import KIB, MIB, Target
from tests.storage.fake_files import FakeFiles
from tests.storage.samples import IDENTITY, SMALL, accepted, ballot, header

HEADER: Final = SegmentHeader(IDENTITY, 1, 1)
BATCHES: Final[tuple[tuple[Record, ...], ...]] = (
    (PromisedRecord(ballot(1)), LeaseRecord(1_000_000_000)),
    (accepted(1, "a"), accepted(2, size=600)),
    (ChosenRecord(2), accepted(3, size=1)),
    (accepted(4, size=900), PromisedRecord(ballot(3))),
)


def segment(size: int = 4 * SMALL) -> bytes:
    """A good segment of the batches above."""
    records = [encode_batch(batch, HEADER.seed, number) for number, batch in enumerate(BATCHES, 1)]
    return b"".join((HEADER.encode(), *records)).ljust(size, b"\0")


# ------------------------------------------------------------------------------------------------------------ records


def decode_record(data: bytes) -> None:
    """The payload of a record that verifies, stuffed or not; what it says is taken into account."""
    program = Program(data)
    flags = program.number() & 1
    records = decode_batch(program.rest(), flags, "fuzz")
    summary = Summary()
    summary.add(records)
    if records:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(records), type=tuple[Record, ...]) == records


def _records() -> list[bytes]:
    payloads = [msgspec.msgpack.encode(batch) for batch in BATCHES]
    return [b"\0" + payload for payload in payloads] + [b"\1" + stuff(payload) for payload in payloads]


def decode_command(data: bytes) -> None:
    """What a slot of the log holds: a command, or a configuration."""
    program = Program(data)
    if program.number() & 1:
        configuration_of(msgspec.structs.replace(_CONFIGURATION, payloads=(program.rest(),)))
    else:
        command = commands.decode(program.rest())
        assert commands.decode(commands.encode(command)) == command, "what was understood can be said"


_CONFIGURATION: Final = configuration_value(Configuration((Member(1, 11, "a:1", "a:2"),), (Member(2, 22, "b", "c"),)))


def _commands() -> list[bytes]:
    opening = commands.encode(Command(1, 1, 1, OpenSession(7, "anyone", True)))
    return [b"\0" + opening, b"\1" + _CONFIGURATION.payloads[0]]


# ------------------------------------------------------------------------------------------------------------ segments


def spoilt(program: Program, data: bytes) -> bytes:
    """`data` after the rest of `program`: bytes replaced, sectors lost, moved and repeated, ends cut off."""
    found = bytearray(data)
    while program and found:
        step, at = program.number() % 6, program.number(2) % len(found)
        sector = at // SECTOR * SECTOR
        match step:
            case 0:
                found[at] ^= 1 << program.number() % 8
            case 1:
                piece = program.block()
                found[at : at + len(piece)] = piece
            case 2:
                found[sector : sector + SECTOR] = bytes(len(found[sector : sector + SECTOR]))
            case 3:
                other = program.number(2) % len(found) // SECTOR * SECTOR
                found[sector : sector + SECTOR] = found[other : other + SECTOR]
            case 4:
                del found[at:]
            case _:
                found += bytes(program.number() * SECTOR)
    return bytes(found)


def scan(data: bytes) -> None:
    """A segment, spoilt: read whatever verifies."""
    whole = spoilt(Program(data), segment())
    found = scan_segment(whole, IDENTITY, 1, 1, "fuzz")
    assert found.used <= len(whole) and found.used % SECTOR == 0
    assert [head.sequence for head in found.heads] == list(range(1, len(found.heads) + 1))
    for head in found.heads:
        decode_batch(stored_payload(whole, head), head.flags, "fuzz")


def _spoilings() -> list[bytes]:
    places = (0, 40, 508, SECTOR, SECTOR + 4, SECTOR + 20, SECTOR + 24, 2 * SECTOR, 3 * SECTOR, 4 * SECTOR, 4096)
    return [
        b"",
        *(bytes((step,)) + at.to_bytes(2, "little") + b"\0\2" for step in (0, 2, 3, 4) for at in places),
        b"\1" + SECTOR.to_bytes(2, "little") + block(b"\xff" * 8),
        b"\5\0\0\2",
    ]


# ----------------------------------------------------------------------------------------------------------- directory


@functools.cache
def _good() -> tuple[tuple[str, bytes], ...]:
    """The files of a good directory that has seen some life."""
    files = FakeFiles()
    with DataDirectory(files) as directory:
        directory.format(IDENTITY, header(0).configuration, state_slices(genesis()), segment_size=SMALL)
        opened = directory.open(segment_size=SMALL)
        for batch in BATCHES:
            opened.wal.append(batch)
        opened.close()
    return tuple((name, files.contents(name)) for name in files.tree() if not files.is_directory(name))


def _folders(files: FakeFiles, name: str) -> None:
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if folder.rpartition("/")[2] not in files.names(folder.rpartition("/")[0]):
            files.make_directory(folder)


def open_directory(data: bytes) -> None:
    """A program: which file, whether it is sealed anew, and what of it is spoilt; then a start, and a second one."""
    program = Program(data)
    contents = dict(_good())
    for _ in range(1 + program.number() % 3):
        name = program.one_of(sorted(contents))
        how = program.number() % 4
        size = program.number() % 64
        contents[name] = _SPOIL[how](Program(program.take(size)), contents[name])
    files = FakeFiles()
    for name, content in contents.items():
        _folders(files, name)
        file = files.create(name)
        file.write(0, content)
        file.close()
    recovered = []
    for _ in range(2):
        with DataDirectory(files) as directory:
            opened = directory.open(Loader(), segment_size=SMALL)
            recovered.append(opened.recovered)
            opened.close()
    assert recovered[0] == recovered[1], "what was found is found again"


def _resealed(program: Program, content: bytes) -> bytes:
    """A sealed block with another payload, or a segment with other records, whose checksums are right."""
    magic = content[:8]
    if len(content) < PREFIX_SIZE:
        return content
    if magic == b"CHUBWAL\0":
        header_ = content[:SECTOR]
        seed = int.from_bytes(header_[-4:], "little")
        payload = spoilt(program, msgspec.msgpack.encode(BATCHES[1])) or b"\x90"
        return (header_ + encode_record(payload, RecordType.BATCH, Flags.NONE, seed, 1)).ljust(len(content), b"\0")
    end = PREFIX_SIZE + int.from_bytes(content[12:16], "little")
    return seal(magic, spoilt(program, content[PREFIX_SIZE:end])) + content[end:]


_SPOIL: Final[tuple[Callable[[Program, bytes], bytes], ...]] = (
    spoilt,
    _resealed,
    lambda program, content: seal(content[:8].ljust(8, b"?"), program.rest()),
    lambda program, content: b"",
)


def _directories() -> list[bytes]:
    good = len(_good())
    untouched = [bytes((0, file, how, 0)) for file in range(good) for how in (0, 1)]
    return untouched + [
        bytes((0, file, how, 5, 0, place, 0, 1, 0)) for file in range(good) for how in range(4) for place in (0, 30)
    ]


def _nested_record(size: int) -> bytes:
    return b"\0\x91\x82\xa4type\x03\xa1x" + b"\x91" * size


def _nested_command(size: int) -> bytes:
    return _commands()[0][:1] + b"\x91" * size


TARGETS: Final = (
    Target(
        name="log_record",
        door="a record of the log that verifies: `storage.records.decode_batch`",
        feed=decode_record,
        refusals=(CorruptData,),
        samples=_records,
        bombs={
            "nested without end": _nested_record,
            "announced and missing": lambda size: b"\0\xdd\xff\xff\xff\xff",
            "very many records": lambda size: b"\0" + msgspec.msgpack.encode((ChosenRecord(1),) * (size // 12)),
        },
    ),
    Target(
        name="log_entry",
        door="what a slot of the log holds: `namespace.commands.decode`, `paxos.messages.configuration_of`",
        feed=decode_command,
        refusals=(msgspec.DecodeError, ValueError),
        samples=_commands,
        bombs={"nested without end": _nested_command},
    ),
    Target(
        name="log_segment",
        door="a segment of the log, spoilt: `storage.scan.scan_segment`",
        feed=scan,
        refusals=(CorruptData, ForeignData),
        samples=_spoilings,
        longest=KIB,
    ),
    Target(
        name="data_directory",
        door="a data directory with files spoilt, or exchanged for others that verify: `storage.directory.open`",
        feed=open_directory,
        refusals=(CorruptData, ForeignData, StorageFailed),
        samples=_directories,
        longest=256,
        memory=16 * MIB,
    ),
)
