"""The disk of one simulated replica: what survives a crash, and what a restart reads back (DESIGN §3 Disk).

Only what the records say is kept: a promise only where a `PromisedRecord` (or a surviving entry) tells of it. So a core
that relied on more than it wrote would be found out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import NO_BALLOT, Ballot, Entry, ValueKind, configuration_of
from chubby.paxos.ready import AcceptedRecord, ChosenRecord, LeaseRecord, PromisedRecord, Record, Recovered
from chubby.types.identity import Slot
from chubby.types.time import Duration


class Machine(msgspec.Struct, frozen=True):
    """The replicated state, reduced to a check sum over everything applied, and the configuration at that point."""

    slot: Slot = 0
    chain: int = 0
    configuration: Configuration | None = None

    def apply(self, entry: Entry) -> Machine:
        """The state after the next entry."""
        assert entry.slot == self.slot + 1, f"applied {entry.slot} behind {self.slot}"
        configuration = self.configuration
        if entry.value.kind is ValueKind.CONFIGURATION:
            configuration = configuration_of(entry.value)
        return Machine(entry.slot, link(self.chain, entry), configuration)


def link(chain: int, entry: Entry) -> int:
    """The check sum after `entry`."""
    for payload in (bytes([entry.value.kind]), *entry.value.payloads):
        chain = zlib.crc32(payload, chain + len(payload))
    return chain


BLANK = Machine(slot=-1)
"""Not even the state at slot 0."""


class Image(msgspec.Struct, frozen=True):
    """A snapshot file: the machine's state, padded so that it takes a few chunks to fetch."""

    machine: Machine
    padding: bytes

    def encode(self) -> bytes:
        """The bytes of the file, its check sum in front."""
        body = msgspec.msgpack.encode(self)
        return zlib.crc32(body).to_bytes(4, "big") + body

    @staticmethod
    def decode(data: bytes) -> Image | None:
        """The image, or None if the check sum does not fit."""
        if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
            return None
        return msgspec.msgpack.decode(data[4:], type=Image)


class Disk:
    """Durable state, folded record by record, and up to two snapshots."""

    def __init__(self, machine: Machine) -> None:
        """A formatted disk, with a snapshot of the genesis state, or an empty one."""
        self.promised: Ballot = NO_BALLOT
        self.lease_bound: Duration = 0
        self.chosen: Slot = 0
        self.entries: dict[Slot, Entry] = {}
        self.base = machine
        self.images: dict[Slot, bytes] = {} if machine is BLANK else {machine.slot: Image(machine, b"").encode()}

    def write(self, records: Iterable[Record]) -> None:
        """These records are durable from now on."""
        for record in records:
            match record:
                case PromisedRecord():
                    self.promised = max(self.promised, record.ballot)
                case AcceptedRecord():
                    self.entries[record.entry.slot] = record.entry
                case ChosenRecord():
                    self.chosen = record.slot
                case LeaseRecord():
                    self.lease_bound = max(self.lease_bound, record.bound)

    def keep(self, machine: Machine, image: bytes) -> None:
        """A snapshot file is durable; the two newest are kept, and the log goes."""
        self.images[machine.slot] = image
        for slot in sorted(self.images)[:-2]:
            del self.images[slot]
        if machine.slot > self.base.slot:
            self.base = machine
            self.entries = {slot: entry for slot, entry in self.entries.items() if slot > machine.slot}

    def holds(self, slot: Slot, ballot: Ballot) -> bool:
        """Whether a vote for `slot` under `ballot` is backed by what is durable."""
        entry = self.entries.get(slot)
        return slot <= self.base.slot or (entry is not None and entry.ballot >= ballot)

    def bound_by(self, ballot: Ballot) -> bool:
        """Whether a promise of `ballot` is durable."""
        return self.promised >= ballot or any(entry.ballot >= ballot for entry in self.entries.values())

    def recovered(self) -> Recovered:
        """What storage would find at start."""
        return Recovered(
            promised=self.promised,
            lease_bound=self.lease_bound,
            snapshot=max(self.base.slot, 0),
            snapshot_size=len(self.images.get(self.base.slot, b"")),
            configuration=self.base.configuration,
            entries=tuple(self.entries[slot] for slot in sorted(self.entries) if slot > self.base.slot),
            chosen=self.chosen,
        )
