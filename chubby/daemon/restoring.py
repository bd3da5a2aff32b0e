"""A new cell with the contents of an old one: from a backup, or from the directory of a replica that survived (DESIGN
§4 Token).

What comes back are the permanent nodes with their contents, ACLs, attributes and generations. Sessions, locks,
ephemerals do not: whoever held one is somebody else's client now. The cell gets a new number and a new key, and every
counter starts at or above `floor`, so that tokens and instances handed out by the old cell, even after the backup was
taken, stay below those of the new one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chubby.config.cell import CellConfig
from chubby.daemon.founding import SLICE, first_configuration, first_incarnation
from chubby.daemon.loading import Loader
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace import commands
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Identity
from chubby.paxos.messages import ValueKind
from chubby.paxos.ready import Recovered
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.faults import disk_errors
from chubby.storage.files import OsFiles
from chubby.types.identity import CellId, ReplicaId, Slot

FLOOR_SHIFT = 20
"""A cell would have to count a million times a second, for ever, to outrun the clock (DESIGN §4)."""


def floor_at(seconds: int) -> int:
    """The floor of all counters for a cell restored at `seconds` since 1970."""
    return seconds << FLOOR_SHIFT


class Found(msgspec.Struct, frozen=True):
    """What a surviving replica held: the state up to `applied`. The last `unconfirmed` slots of it were accepted, but
    it never learned that they were chosen.
    """

    machine: Machine
    applied: Slot
    unconfirmed: int


def found_cell(
    machine: Machine, config: CellConfig, directories: dict[ReplicaId, Path], cell: CellId, floor: int
) -> Machine:
    """Format `directories` as a new cell `cell` with the nodes of `machine`; returns the machine it begins with.

    The same arguments give the same first state on every machine. Raises StorageFailed if a directory is not empty;
    then none is changed. If the disk refuses in the middle, its words say which directories were formatted before.
    """
    slices = tuple(machine.snapshot().slices(SLICE))
    born = Machine.reborn(slices, cell=cell, key=b"", counter_floor=floor, name=config.name)
    with contextlib.ExitStack() as stack:
        opened: dict[ReplicaId, DataDirectory] = {}
        for replica, path in directories.items():
            with disk_errors(f"making the data directory {path}"):
                files = OsFiles(path)
            opened[replica] = stack.enter_context(DataDirectory(files, replica))
            if opened[replica].inspect().condition is not Condition.EMPTY:
                raise StorageFailed(f"{path} is not empty; a cell is only ever restored into empty directories")
        formatted: list[str] = []
        for replica, directory in opened.items():
            try:
                directory.format(
                    Identity(cell, replica, first_incarnation(cell, replica)),
                    first_configuration(config, cell),
                    born.snapshot().slices(SLICE),
                    machine_version=born.version,
                )
            except StorageFailed as error:
                if not formatted:
                    raise
                begun = ", ".join(formatted)
                raise StorageFailed(f"{error}; before you try again, remove what was made before: {begun}") from error
            formatted.append(str(directories[replica]))
    return born


def machine_of_backup(slices: Iterable[bytes]) -> Machine:
    """The state in a backup. Raises CorruptData."""
    return Machine.restore(slices)


def machine_of_directory(path: Path) -> Found:
    """The state that a replica's directory holds: its newest snapshot and the log after it, as far as it is
    without gaps.

    What was accepted and not known to be chosen is taken along: it may have been acknowledged, and what was not
    may still take effect.

    Raises CorruptData if it holds none that can be trusted, StorageFailed if its replica still runs.
    """
    with DataDirectory(OsFiles(str(path))) as directory:
        loader = Loader()
        opened = directory.open(loader)
        try:
            if loader.machine is None:
                raise CorruptData("the replica was a newcomer and had no state yet")
            return _replay(opened.recovered, loader.machine)
        finally:
            opened.close()


def _replay(recovered: Recovered, machine: Machine) -> Found:
    """The state after the log, too: `machine` is the one of the newest snapshot."""
    for entry in recovered.entries:
        if entry.slot != machine.applied + 1:
            break
        if entry.value.kind is ValueKind.COMMANDS:
            for payload in entry.value.payloads:
                machine.apply(entry.slot, commands.decode(payload))
        else:
            machine.apply_noop(entry.slot)
    return Found(machine, machine.applied, unconfirmed=max(machine.applied - recovered.chosen, 0))
