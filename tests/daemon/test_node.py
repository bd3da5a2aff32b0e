"""One running replica: what it acknowledges, and how it ends (DESIGN §3 Persist before send, Disk)."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chubby.config.cell import CellConfig
from chubby.daemon.door import NodeDoor
from chubby.daemon.founding import format_replica
from chubby.daemon.loading import Loader
from chubby.daemon.node import Ending, Node
from chubby.errors import StorageFailed
from chubby.namespace.machine import Machine
from chubby.paxos.ready import ReadChunk
from chubby.storage.directory import DataDirectory
from chubby.types.calls import Transact
from chubby.types.stream import CallFrame, ClientFrame, OpenSession, Reply, ServerFrame, SessionOpened
from chubby.types.transaction import Create
from tests.daemon.samples import CELL, small_cell
from tests.storage.fake_files import FakeFiles, nothing
from tests.storage.interference import Interference, Operation


@pytest.fixture
def config(tmp_path: Path) -> CellConfig:
    """A cell of one."""
    return small_cell(tmp_path)


class Client:
    """A stream to a node, without a network in between."""

    def __init__(self, node: Node) -> None:
        """Attached."""
        self.heard: list[ServerFrame] = []
        self.news = asyncio.Event()
        self.ended = False
        self._door = NodeDoor(node)
        self.stream = self._door.attach("anyone", self._deliver, self._end)

    def say(self, *frames: ClientFrame) -> None:
        """As if a packet had arrived."""
        self._door.receive(self.stream, frames)

    def create(self, number: int) -> None:
        """Call number `number`: make a file of that name."""
        self.say(CallFrame(number, 0, 0, Transact(then=(Create(f"/file{number}"),))))

    async def hears(self, kind: type[ServerFrame]) -> None:
        """Until a frame of that kind came."""
        async with asyncio.timeout(60):
            while not any(isinstance(frame, kind) for frame in self.heard):
                self.news.clear()
                await self.news.wait()

    @property
    def replies(self) -> set[int]:
        """The calls that were answered."""
        return {frame.number for frame in self.heard if isinstance(frame, Reply)}

    def _deliver(self, frames: Sequence[ServerFrame]) -> None:
        self.heard += frames
        self.news.set()

    def _end(self) -> None:
        self.ended = True


@asynccontextmanager
async def running(config: CellConfig, files: FakeFiles) -> AsyncIterator[Node]:
    """A node on a disk that is formatted first, if it is new."""
    loader = Loader()
    with DataDirectory(files, 1) as directory:
        if directory.inspect().identity is None:
            format_replica(directory, config, 1, CELL)
        node = Node(config, directory.open(loader), loader.machine)
        await node.start()
        try:
            yield node
        finally:
            await node.stop()
    assert files.open_files == 0


async def opened(node: Node) -> Client:
    """A client with a session, at a node that is master."""
    async with asyncio.timeout(60):
        while not node.replica.serving:
            await asyncio.sleep(0.005)
    client = Client(node)
    client.say(OpenSession(99, caching=False))
    await client.hears(SessionOpened)
    return client


def failing(at: Callable[[Operation], bool], code: int) -> Interference:
    """A disk on which some operations fail."""

    def interfere(operation: Operation) -> None:
        if at(operation):
            raise OSError(code, errno.errorcode[code], operation.name)

    return interfere


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("kind", ["write", "sync"])
async def test_nothing_is_acknowledged_that_is_not_on_disk(config: CellConfig, kind: str, code: int) -> None:
    """A call under way when the log fails is never answered; those before it are there after a power failure."""
    files = FakeFiles()
    async with running(config, files) as node:
        client = await opened(node)
        client.create(1)
        await client.hears(Reply)
        files.interference = failing(lambda operation: operation.kind == kind and "/wal/" in operation.name, code)
        for number in range(2, 10):
            client.create(number)
        with pytest.raises(StorageFailed, match="/wal/"):
            await asyncio.wait_for(node.run(), 60)
        await asyncio.sleep(0.05)
        assert client.replies == {1}
        files.interference = None
    files.power_loss(nothing)
    machine = await _state(config, files)
    assert machine.node("/file1") is not None


async def _state(config: CellConfig, files: FakeFiles) -> Machine:
    """What a restart comes to, once the node is master again and has applied its log."""
    async with running(config, files) as node:
        await opened(node)
        assert node.replica.machine is not None
        return node.replica.machine


async def test_after_the_first_failure_there_is_no_second_one(config: CellConfig) -> None:
    """What `run` raises is what went wrong, not what followed from it."""
    files = FakeFiles()
    async with running(config, files) as node:
        client = await opened(node)
        files.interference = failing(lambda operation: operation.kind == "sync", errno.EIO)
        client.create(1)
        with pytest.raises(StorageFailed) as first:
            await asyncio.wait_for(node.run(), 60)
        node._fail(ZeroDivisionError())
        with pytest.raises(StorageFailed) as second:
            await node.run()
        assert first.value is second.value
        files.interference = None


async def test_a_failure_that_nobody_asks_for_leaves_no_complaint(
    config: CellConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """A front end that could not start has a better reason to give than the node it stops."""
    async with running(config, FakeFiles()) as node:
        node._fail(StorageFailed("the disk is full"))
    del node
    assert caplog.records == []


async def test_a_snapshot_that_cannot_be_written_is_a_warning(config: CellConfig, tmp_path: Path) -> None:
    """DESIGN §3 Disk: only trouble with the log stops a replica. Status tells of it."""
    files = FakeFiles()
    async with running(config, files) as node:
        client = await opened(node)
        client.create(1)
        await client.hears(Reply)
        files.interference = failing(lambda operation: "own.part" in operation.name, errno.ENOSPC)
        assert node.replica.order_snapshot()
        client.create(2)
        async with asyncio.timeout(60):
            while not node.warnings:
                await asyncio.sleep(0.005)
        assert "could not be written" in NodeDoor(node).status().warnings[0]
        client.create(3)
        async with asyncio.timeout(60):
            while client.replies != {1, 2, 3}:
                await asyncio.sleep(0.005)
        files.interference = None
        assert node.replica.order_snapshot()
        client.create(4)
        async with asyncio.timeout(60):
            while node.replica.snapshot_slot == 0:
                await asyncio.sleep(0.005)
        assert node.warnings == ()


@pytest.mark.parametrize("method", ["persisted", "stalled", "snapshot_gone", "attach", "detach", "receive_frame"])
async def test_a_bug_behind_any_input_stops_the_node(
    config: CellConfig, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever the core raises, its state is not to be trusted any more, and nothing it gave out goes anywhere."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with running(config, FakeFiles()) as node:
        client = await opened(node)
        monkeypatch.setattr(f"chubby.replica.replica.Replica.{method}", broken)
        match method:
            case "persisted" | "receive_frame":
                client.create(1)
            case "stalled":
                node._on_timer(0)
            case "snapshot_gone":
                node._archive.read(ReadChunk(1, 77, 0))
            case "attach":
                Client(node)
            case "detach":
                NodeDoor(node).detach(client.stream)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(node.run(), 60)
        assert client.replies == set()


async def test_a_node_that_stops_hands_over_first_and_takes_nothing_more(config: CellConfig) -> None:
    """DESIGN §3 Election: the lease is over before the process is."""
    async with running(config, FakeFiles()) as node:
        client = await opened(node)
        await asyncio.wait_for(node.hand_over(), 60)
        assert node.replica.lease_until == 0
        node.shut()
        assert await node.run() is Ending.STOPPED
        await node.stop()
        client.create(1)
        NodeDoor(node).detach(client.stream)
        assert client.replies == set()
