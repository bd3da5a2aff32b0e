"""What the tests of the shell build upon: a formatted directory, machines with something in them, their snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chubby.config.cell import CellConfig
from chubby.config.load import load_cell
from chubby.daemon.clock import now
from chubby.daemon.founding import first_configuration, first_machine, format_replica
from chubby.daemon.loading import Loader
from chubby.daemon.vault import SLICE, Vault
from chubby.namespace.machine import Machine
from chubby.paxos.messages import Ballot, Entry, Value, ValueKind
from chubby.paxos.ready import AcceptedRecord, StoreChunk
from chubby.replica.step import SnapshotOrder
from chubby.storage.directory import DataDirectory
from chubby.storage.files import Files
from chubby.storage.life import OpenedDirectory
from chubby.storage.snapshot_format import SnapshotEncoder, SnapshotHeader
from chubby.types.identity import Slot
from chubby.types.time import Instant
from tests.integration.cells import free_ports

LOCAL = Path(__file__).parents[2] / "cell_config" / "local.toml"
CONFIG = load_cell(LOCAL)
CELL = 7


def machine_at(slot: Slot) -> Machine:
    """A machine that applied nothing up to `slot`."""
    machine = first_machine(CONFIG, CELL)
    for number in range(1, slot + 1):
        machine.apply_noop(number)
    return machine


def order(slot: Slot) -> SnapshotOrder:
    """To write the snapshot at `slot`."""
    machine = machine_at(slot)
    return SnapshotOrder(slot, first_configuration(CONFIG, CELL), machine.version, machine.snapshot())


def snapshot_bytes(slot: Slot, pieces: tuple[bytes, ...] = ()) -> bytes:
    """The file of the snapshot at `slot`, as another replica would send it; its slices are `pieces` if given."""
    machine = machine_at(slot)
    encoder = SnapshotEncoder(SnapshotHeader(CELL, slot, first_configuration(CONFIG, CELL), machine.version))
    slices = pieces or tuple(machine.snapshot().slices(SLICE))
    return b"".join((encoder.header, *map(encoder.block, slices), encoder.footer()))


def parts_of(slot: Slot, data: bytes, size: int = 500) -> list[StoreChunk]:
    """The snapshot `data` in parts, as the core asks to keep them."""
    return [StoreChunk(slot, at, len(data), data[at : at + size]) for at in range(0, len(data), size)]


def accepted(slot: Slot) -> AcceptedRecord:
    """A record of the log that the machine passes over."""
    return AcceptedRecord(Entry(slot, Ballot(1, 1, 99), Value(ValueKind.NOOP)))


@contextmanager
def opened_directory(files: Files) -> Iterator[tuple[OpenedDirectory, Loader]]:
    """A directory that is formatted first, if it is new; and what was loaded from it."""
    loader = Loader()
    with DataDirectory(files, 1) as directory:
        if directory.inspect().identity is None:
            format_replica(directory, CONFIG, 1, CELL)
        yield directory.open(loader), loader


@contextmanager
def vault_of(files: Files, clock: Callable[[], Instant] = now) -> Iterator[tuple[Vault, OpenedDirectory]]:
    """The vault around such a directory, closed at the end."""
    with opened_directory(files) as (opened, _):
        vault = Vault(opened, CELL, clock, chunk=500)
        try:
            yield vault, opened
        finally:
            vault.close()


def small_cell(directory: Path, replicas: int = 1) -> CellConfig:
    """The configuration of a cell on free ports of this machine, with its data below `directory`."""
    ports = free_ports(2 * replicas)
    lines = ['[cell]\nname = "test"\n', f'[storage]\ndirectory = "{directory / "data"}"\n']
    for number in range(1, replicas + 1):
        peer, client = ports[2 * number - 2 : 2 * number]
        lines.append(f'[[cell.replicas]]\nid = {number}\npeer = "127.0.0.1:{peer}"\nclient = "127.0.0.1:{client}"\n')
    file = directory / "cell.toml"
    file.write_text("\n".join(lines))
    return load_cell(file)
