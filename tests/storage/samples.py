"""What the tests of the disk build upon: one replica's identity, batches of records, what they come to."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
from hypothesis import strategies as st

from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, Value, ValueKind
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, LeaseRecord, PromisedRecord, Record, Recovered
from chubby.storage.checksum import crc32c
from chubby.storage.directory import DataDirectory
from chubby.storage.files import Files
from chubby.storage.life import OpenedDirectory
from chubby.storage.snapshot_format import SnapshotHeader
from chubby.storage.snapshot_reader import Load, exhaust
from chubby.types.identity import Slot
from tests.storage.fake_files import Coin

IDENTITY = Identity(cell=0xCE11, replica=2, incarnation=0x1DEA)
ANOTHER_LIFE = msgspec.structs.replace(IDENTITY, incarnation=0x2DEA)
CONFIGURATION = Configuration(
    voters=(Member(1, 11, "a:1", "a:2"), Member(2, IDENTITY.incarnation, "b:1", "b:2"), Member(3, 33, "c:1", "c:2"))
)
GENESIS = (b"genesis: ", b"an empty tree")
SMALL = 4096
"""A segment size with room for seven small records."""

Batch = tuple[Record, ...]


def ballot(number: int) -> Ballot:
    """The ballot of round `number`."""
    return Ballot(number, 2, IDENTITY.incarnation)


def entry(slot: Slot, text: str = "", size: int = 0, round: int = 1) -> Entry:
    """An entry of one command: `text`, or `size` bytes that differ from slot to slot."""
    payload = text.encode() if text else bytes((slot + index) % 251 + 1 for index in range(size or 40))
    return Entry(slot, ballot(round), Value(ValueKind.COMMANDS, (payload,)))


def accepted(slot: Slot, text: str = "", size: int = 0, round: int = 1) -> AcceptedRecord:
    """`entry` as a record."""
    return AcceptedRecord(entry(slot, text, size, round))


def header(slot: Slot) -> SnapshotHeader:
    """The header of this cell's snapshot at `slot`."""
    return SnapshotHeader(IDENTITY.cell, slot, CONFIGURATION, machine_version=3, time_ms=1_700_000_000_000 + slot)


def slices(slot: Slot) -> tuple[bytes, ...]:
    """What a snapshot at `slot` holds: as large as needed to be more than one block."""
    return tuple(f"slice {number} of the machine at slot {slot}".encode() * 5 for number in range(3))


def snapshot(opened: OpenedDirectory, slot: Slot) -> None:
    """Write and install this replica's own snapshot at `slot`."""
    writer = opened.snapshots.begin(header(slot))
    for piece in slices(slot):
        writer.write(piece)
    writer.finish()


def formatted(files: Files, segment_size: int = SMALL) -> None:
    """Format an empty directory for `IDENTITY`."""
    with DataDirectory(files) as directory:
        directory.format(IDENTITY, CONFIGURATION, GENESIS, segment_size=segment_size)


def reopened(files: Files, segment_size: int = SMALL, load: Load = exhaust) -> OpenedDirectory:
    """Open a directory and leave its lock alone, as tests may that crash instead of closing."""
    directory = DataDirectory(files)
    try:
        return directory.open(load, segment_size=segment_size)
    finally:
        directory.close()


def coin(seed: int) -> Coin:
    """A fair coin that falls the same way every time."""
    chance = random.Random(seed)
    return lambda: chance.random() < 0.5


def newer(magic: bytes, payload: bytes) -> bytes:
    """A sealed block of format version 2, as a later release would write it."""
    prefix = magic + (2).to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    return prefix + crc32c(crc32c(0, prefix), payload).to_bytes(4, "little") + payload


def expected(batches: Sequence[Batch], base: Slot = 0, snapshot_size: int = 0) -> Recovered:
    """What the batches come to, told the dumb way."""
    promised, bound, chosen = NO_BALLOT, 0, base
    entries: dict[Slot, Entry] = {}
    for record in (record for batch in batches for record in batch):
        if isinstance(record, AcceptedRecord):
            promised = max(promised, record.entry.ballot)
            entries[record.entry.slot] = record.entry
        elif isinstance(record, PromisedRecord):
            promised = max(promised, record.ballot)
        elif isinstance(record, LeaseRecord):
            bound = max(bound, record.bound)
        else:
            chosen = max(chosen, record.slot)
    kept = tuple(entries[slot] for slot in sorted(entries) if slot > base)
    return Recovered(promised, bound, base, snapshot_size, CONFIGURATION, kept, chosen)


def same_log(found: Recovered, wanted: Recovered) -> bool:
    """Whether two recoveries agree on everything but the size of the snapshot's file."""
    return msgspec.structs.replace(found, snapshot_size=0) == msgspec.structs.replace(wanted, snapshot_size=0)


def _payloads() -> st.SearchStrategy[bytes]:
    """Small ones, long runs of one byte (zeros above all), and mixtures: what could look like an unwritten sector."""
    runs = st.builds(
        lambda byte, count: bytes((byte,)) * count, st.sampled_from([0, 0, 0xA5, 0xFF]), st.integers(1, 2000)
    )
    return st.one_of(
        st.binary(max_size=60), runs, st.lists(st.one_of(runs, st.binary(max_size=9)), max_size=4).map(b"".join)
    )


def records() -> st.SearchStrategy[Record]:
    """Any record."""
    slots = st.integers(1, 40)
    ballots = st.builds(Ballot, st.integers(0, 9), st.integers(1, 3), st.integers(1, 2**63 - 1))
    values = st.one_of(
        st.just(Value(ValueKind.NOOP)),
        st.builds(Value, st.just(ValueKind.COMMANDS), st.lists(_payloads(), min_size=1, max_size=3).map(tuple)),
    )
    return st.one_of(
        st.builds(PromisedRecord, ballots),
        st.builds(AcceptedRecord, st.builds(Entry, slots, ballots, values)),
        st.builds(ChosenRecord, slots),
        st.builds(LeaseRecord, st.integers(0, 10**10)),
    )


def batches(minimum: int = 1, maximum: int = 8) -> st.SearchStrategy[list[Batch]]:
    """A few batches of one to four records."""
    return st.lists(st.lists(records(), min_size=1, max_size=4).map(tuple), min_size=minimum, max_size=maximum)
