"""How a cell begins: genesis, formatting, joining (DESIGN §3 Incarnations).

All replicas of a new cell must agree on its first configuration without talking to each other. So everything in it
follows from the configuration file and the cell's number, incarnations included; the number is drawn once and given to
every `chubby cell format` of the cell.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets

import msgspec

from chubby.config.cell import CellConfig
from chubby.daemon.settings import limits_of
from chubby.namespace.commands import LeaseCaps
from chubby.namespace.machine import Genesis, Machine
from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.replica.links import LinkMessage
from chubby.storage.directory import DataDirectory
from chubby.transport.codec import Codec
from chubby.transport.mesh import Mesh
from chubby.types.identity import CellId, Incarnation, ReplicaId

SLICE = 128 * 1024


def fresh_number() -> int:
    """A random number of 63 bits that is not zero: a new cell, a new incarnation."""
    return secrets.randbits(62) + 1


def first_incarnation(cell: CellId, replica: ReplicaId) -> Incarnation:
    """The incarnation under which `replica` is born with its cell."""
    digest = hashlib.blake2b(f"{cell}/{replica}".encode(), digest_size=8, person=b"incarnation").digest()
    return (int.from_bytes(digest, "big") >> 1) or 1


def first_configuration(config: CellConfig, cell: CellId) -> Configuration:
    """The configuration of slot 0."""
    return Configuration(
        voters=tuple(
            Member(replica.id, first_incarnation(cell, replica.id), replica.peer, replica.client)
            for replica in sorted(config.replicas, key=lambda each: each.id)
        ),
        master_lease=config.timing.master_lease,
        drift_ppm=config.timing.clock_drift,
    )


def first_machine(config: CellConfig, cell: CellId) -> Machine:
    """The machine of slot 0: identical on every replica. The key for check digits comes with the first epoch."""
    return Machine.genesis(
        Genesis(
            cell=cell,
            name=config.name,
            admins=config.admins,
            limits=limits_of(config),
            caps=LeaseCaps(config.timing.session_lease, config.timing.cache_lease),
            key=b"",
            time_ms=0,
        )
    )


def format_replica(directory: DataDirectory, config: CellConfig, replica: ReplicaId, cell: CellId) -> None:
    """Make `directory` the one of `replica` in the new cell `cell`. Raises StorageFailed if it is not empty."""
    machine = first_machine(config, cell)
    directory.format(
        Identity(cell, replica, first_incarnation(cell, replica)),
        first_configuration(config, cell),
        machine.snapshot().slices(SLICE),
        machine_version=machine.version,
    )


async def learn_cell(config: CellConfig, replica: ReplicaId) -> CellId:
    """Ask the other replicas which cell this is; waits until one answers."""
    loop = asyncio.get_running_loop()
    learned: asyncio.Future[CellId] = loop.create_future()
    here = config.replica(replica)
    assert here is not None, "a joining replica is in its configuration file"

    def on_cell(cell: CellId) -> None:
        if not learned.done():
            learned.set_result(cell)

    def on_message(_sender: ReplicaId, _message: LinkMessage) -> None:
        """Nothing is said to somebody who is not there yet."""

    mesh: Mesh[LinkMessage] = Mesh(
        Identity(0, replica, fresh_number()),
        here.peer,
        {each.id: each.peer for each in config.replicas},
        Codec(msgspec.msgpack.Decoder(LinkMessage)),
        on_message,
        on_cell_learned=on_cell,
    )
    await mesh.start()
    try:
        return await learned
    finally:
        await mesh.stop()
