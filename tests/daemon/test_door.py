"""What front ends see of a replica: status, location, export."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from chubby import __version__
from chubby.config.cell import Limits
from chubby.daemon.door import NodeDoor
from chubby.daemon.founding import format_replica
from chubby.daemon.loading import Loader
from chubby.daemon.node import Node
from chubby.errors import ErrorCode, Overloaded
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import Role
from chubby.storage.directory import DataDirectory
from chubby.storage.snapshot_reader import BytesSource, SnapshotReader
from chubby.types.calls import Transact
from chubby.types.results import Transacted
from chubby.types.stream import CallFrame, Reply
from chubby.types.transaction import Create, Operation, Remove, TransactionResult, Write
from tests.daemon.samples import CELL, small_cell
from tests.daemon.test_node import Client, opened, running
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
        assert line.incarnation == node.identity.incarnation > 0
        assert status.resident_bytes > 1_000_000


async def does(client: Client, number: int, *operations: Operation) -> TransactionResult:
    """Call number `number`: these operations; what came of them."""
    client.say(CallFrame(number, 0, 0, Transact(then=operations)))
    async with asyncio.timeout(60):
        while number not in client.replies:
            await asyncio.sleep(0.005)
    answers = [frame.answer for frame in client.heard if isinstance(frame, Reply) and frame.number == number]
    assert isinstance(answers[0], Transacted)
    return answers[0].result


async def refused(client: Client, number: int, code: ErrorCode, *operations: Operation) -> None:
    """Call number `number` fails with `code`, and changes nothing."""
    failure = (await does(client, number, *operations)).failure
    assert failure is not None and failure.code is code


async def test_a_status_follows_what_the_cell_holds(tmp_path: Path) -> None:
    """DESIGN §4: contents and attributes as the quota counts them; what is written adds, what goes gives back."""
    async with running(small_cell(tmp_path), FakeFiles()) as node:
        client, door = await opened(node), NodeDoor(node)
        empty = door.status()

        def grown() -> tuple[int, int]:
            now = door.status()
            return now.nodes - empty.nodes, now.content_bytes - empty.content_bytes

        assert (await does(client, 1, Create("/a", b"12345", attributes={"k": b"vv"}))).succeeded
        assert grown() == (1, 8)
        assert (await does(client, 2, Create("/b", b"x" * 1_000), Write("/a", b"1"))).succeeded
        assert grown() == (2, 1_004)
        assert (await does(client, 3, Remove("/b"))).succeeded
        assert grown() == (1, 4)
        assert (await does(client, 4, Remove("/a"))).succeeded
        assert grown() == (0, 0)


async def test_a_status_tells_the_limits_that_refuse(tmp_path: Path) -> None:
    """To the byte and to the node: what they admit succeeds, and one more is refused."""
    config = msgspec.structs.replace(small_cell(tmp_path), limits=Limits(content=20, nodes=6, total_bytes=40))
    async with running(config, FakeFiles()) as node:
        client, door = await opened(node), NodeDoor(node)
        status = door.status()
        assert (status.content_limit, status.nodes_quota, status.bytes_quota) == (20, 6, 40)

        await refused(client, 1, ErrorCode.TOO_LARGE, Create("/a", b"x" * (status.content_limit + 1)))
        assert (await does(client, 2, Create("/a", b"x" * status.content_limit), Write("/a", b""))).succeeded

        room = door.status().bytes_quota - door.status().content_bytes
        full = Write("/a", b"x" * (room // 2)), Create("/b", b"x" * (room - room // 2))
        await refused(client, 3, ErrorCode.QUOTA_EXCEEDED, *full, Create("/c", b"x"))
        assert (await does(client, 4, *full)).succeeded
        assert door.status().content_bytes == status.bytes_quota

        names = range(status.nodes_quota - door.status().nodes)
        await refused(client, 5, ErrorCode.QUOTA_EXCEEDED, *(Create(f"/{name}") for name in (*names, "more")))
        assert (await does(client, 6, *(Create(f"/{name}") for name in names))).succeeded
        assert door.status().nodes == status.nodes_quota


async def test_the_limits_in_the_log_are_told_not_those_of_a_file(tmp_path: Path) -> None:
    """Until a master has put its own file's limits into the log, the machine enforces the former ones."""
    config, files, loader = small_cell(tmp_path, replicas=3), FakeFiles(), Loader()
    edited = msgspec.structs.replace(config, limits=Limits(content=1, nodes=2, total_bytes=3))
    with DataDirectory(files, 1) as directory:
        format_replica(directory, config, 1, CELL)
        node = Node(edited, directory.open(loader), loader.machine)
        try:
            status = NodeDoor(node).status()
        finally:
            await node.stop()
    told = (status.content_limit, status.nodes_quota, status.bytes_quota)
    assert told == (config.limits.content, config.limits.nodes, config.limits.total_bytes)


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
            assert (status.content_bytes, status.nodes_quota, status.bytes_quota, status.content_limit) == (0, 0, 0, 0)
            assert status.replicas == () and status.digest == "" and status.margin is None
            with pytest.raises(Overloaded, match="no state yet"):
                await anext(NodeDoor(node).export())
        finally:
            await node.stop()
    assert files.open_files == 0
