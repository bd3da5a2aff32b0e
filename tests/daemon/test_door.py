"""What front ends see of a replica: status, location, export."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chubby import __version__
from chubby.daemon.door import NodeDoor
from chubby.daemon.loading import Loader
from chubby.daemon.node import Node
from chubby.errors import Overloaded
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import Role
from chubby.storage.directory import DataDirectory
from chubby.storage.snapshot_reader import BytesSource, SnapshotReader
from tests.daemon.samples import CELL, small_cell
from tests.daemon.test_node import opened, running
from tests.storage.fake_files import FakeFiles


async def test_a_master_tells_all_of_its_cell(tmp_path: Path) -> None:
    """Who it is, under which epoch and lease, what it holds, and that nobody may fail in a cell of one."""
    config = small_cell(tmp_path)
    async with running(config, FakeFiles()) as node:
        await opened(node)
        status = NodeDoor(node).status()
        assert (status.cell, status.cell_id, status.replica, status.version) == ("test", CELL, 1, __version__)
        assert status.master == 1 and status.master_address == config.replicas[0].client
        assert status.epoch > 0 and status.lease_left > 0 and status.sessions == 1
        assert status.applied == status.chosen > 0 and status.nodes > 0 and status.digest
        assert status.margin == 0 and "no further replica may fail" in status.warnings
        (line,) = status.replicas
        assert (line.role, line.lag, line.connected, line.last_heard) == (Role.MASTER.value, 0, True, 0)
        assert status.resident_bytes > 1_000_000


async def test_an_export_is_a_whole_snapshot_of_one_moment(tmp_path: Path) -> None:
    """What comes later is not in it; it is the same file as a replica would keep."""
    async with running(small_cell(tmp_path), FakeFiles()) as node:
        client = await opened(node)
        export = NodeDoor(node).export()
        first = await anext(export)
        assert node.replica.machine is not None
        digest, applied = node.replica.machine.digest(), node.replica.machine.applied
        client.create(1)
        async with asyncio.timeout(60):
            while not client.replies:
                await asyncio.sleep(0.005)
        data = first + b"".join([piece async for piece in export])
        reader = SnapshotReader(BytesSource(data), "export")
        machine = Machine.restore(reader.slices())
        assert machine.digest() == digest and machine.node("/file1") is None
        assert machine.applied == reader.header.slot == applied


async def test_a_location_is_followed_to_the_master(tmp_path: Path) -> None:
    """Nobody is known at first; then there is a master, with address and epoch."""
    config = small_cell(tmp_path)
    async with running(config, FakeFiles()) as node:
        door = NodeDoor(node)
        follower = door.follow()
        async with asyncio.timeout(60):
            location = await anext(follower)
            while not location.master:
                location = await anext(follower)
        assert location == door.locate()
        assert (location.master, location.address) == (1, config.replicas[0].client)
        assert location.replicas == config.client_addresses


async def test_a_client_that_is_cut_is_forgotten(tmp_path: Path) -> None:
    """To the replica it is a connection that went away."""
    async with running(small_cell(tmp_path), FakeFiles()) as node:
        client = await opened(node)
        NodeDoor(node).congested(client.stream)
        assert node.streams == {}


async def test_a_newcomer_says_that_it_has_nothing_yet(tmp_path: Path) -> None:
    """Status answers all the same; an export is refused, and may be tried again elsewhere."""
    config = small_cell(tmp_path, replicas=3)
    files = FakeFiles()
    with DataDirectory(files, 1) as directory:
        directory.become_new_incarnation(Identity(CELL, 1, 77))
        loader = Loader()
        node = Node(config, directory.open(loader), loader.machine)
        try:
            status = NodeDoor(node).status()
            assert (status.cell_id, status.master, status.chosen, status.applied) == (CELL, 0, 0, 0)
            assert status.replicas == () and status.digest == "" and status.margin is None
            with pytest.raises(Overloaded, match="no state yet"):
                await anext(NodeDoor(node).export())
        finally:
            await node.stop()
    assert files.open_files == 0
