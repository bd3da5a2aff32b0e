"""A replica's life around its node: how it starts, what ends it, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chubby.config.cell import CellConfig
from chubby.daemon import serve
from chubby.daemon.founding import format_replica
from chubby.daemon.loading import Loader
from chubby.daemon.node import Ending
from chubby.daemon.serve import Service
from chubby.errors import ConfigError, StorageFailed
from chubby.frontends.native.frontend import NativeFrontend
from chubby.storage.directory import Condition, DataDirectory
from chubby.storage.faults import ForeignData
from tests.daemon.samples import CELL, small_cell
from tests.daemon.test_node import running as node_running
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import FailAt, Operation


@pytest.fixture
def config(tmp_path: Path) -> CellConfig:
    """A cell of one."""
    return small_cell(tmp_path)


def formatted(config: CellConfig) -> FakeFiles:
    """The disk of its replica."""
    files = FakeFiles()
    with DataDirectory(files, 1) as directory:
        format_replica(directory, config, 1, CELL)
    return files


def listens(address: str) -> bool:
    """Whether somebody accepts connections there."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@asynccontextmanager
async def running(config: CellConfig, files: FakeFiles) -> AsyncIterator[tuple[Service, asyncio.Task[Ending]]]:
    """A service at work; in the end it must have ended, and left no task, no thread and no open file behind."""
    threads = {thread.ident for thread in threading.enumerate() if not thread.name.startswith("asyncio")}
    tasks = asyncio.all_tasks()
    with DataDirectory(files, 1) as directory:
        service = Service(config, 1, directory)
        life = asyncio.create_task(service.run())
        yield service, life
        assert life.done(), "whoever uses it ends it"
    left = {thread.name for thread in threading.enumerate() if thread.ident not in threads}
    assert not {name for name in left if name == "disk"}
    assert asyncio.all_tasks() <= tasks | {life}
    assert files.open_files == 0


async def serving(config: CellConfig) -> None:
    """Until the replica listens at both its addresses."""
    async with asyncio.timeout(60):
        while not all(listens(address) for each in config.replicas for address in (each.peer, each.client)):
            await asyncio.sleep(0.01)


async def ended(life: asyncio.Task[Ending]) -> Ending:
    """How it ended, or what it raised."""
    return await asyncio.wait_for(life, 60)


async def test_it_runs_until_it_is_stopped_and_runs_again(config: CellConfig) -> None:
    """Both ports are open meanwhile, and free afterwards."""
    files = formatted(config)
    for _ in range(2):
        async with running(config, files) as (service, life):
            await serving(config)
            service.stop()
            assert await ended(life) is Ending.STOPPED
            assert not any(listens(address) for each in config.replicas for address in (each.peer, each.client))


async def test_a_stop_before_the_start_is_a_stop(config: CellConfig) -> None:
    """SIGTERM may come as early as it likes."""
    async with running(config, formatted(config)) as (service, life):
        service.stop()
        assert await ended(life) is Ending.STOPPED


async def test_a_stop_while_the_state_is_loaded_is_a_stop(config: CellConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large state takes seconds to load: whoever stops the replica then does not wait for it."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Loader):
        def __call__(self, slices: Iterator[bytes]) -> None:
            def slowly() -> Iterator[bytes]:
                for piece in slices:
                    begun.set()
                    assert go_on.wait(30)
                    yield piece

            super().__call__(slowly())

    monkeypatch.setattr(serve, "Loader", Slow)
    files = formatted(config)
    before = files.tree()
    async with running(config, files) as (service, life):
        assert await asyncio.to_thread(begun.wait, 30)
        assert not life.done(), "the loop runs meanwhile"
        service.stop()
        await asyncio.sleep(0.01)
        go_on.set()
        assert await ended(life) is Ending.STOPPED
    assert files.tree() == before


async def test_a_stop_while_it_waits_for_its_cell_is_a_stop(tmp_path: Path) -> None:
    """An empty directory: it asks the others which cell this is, and nobody answers."""
    config = small_cell(tmp_path, replicas=3)
    files = FakeFiles()
    async with running(config, files) as (service, life):
        async with asyncio.timeout(60):
            while not listens(config.replicas[0].peer):
                await asyncio.sleep(0.01)
        service.stop()
        assert await ended(life) is Ending.STOPPED
    with DataDirectory(files, 1) as directory:
        assert directory.inspect().condition is Condition.EMPTY, "an empty directory stays one"


@pytest.mark.parametrize("door", ["peer", "client"])
async def test_a_port_that_is_taken_is_told_and_nothing_stays_open(config: CellConfig, door: str) -> None:
    """Whichever of the two it is; the one that could be had is free again."""
    (replica,) = config.replicas
    address = replica.peer if door == "peer" else replica.client
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))):
        async with running(config, formatted(config)) as (_, life):
            with pytest.raises(ConfigError, match=f"cannot listen for .* at {address}: Address already in use"):
                await ended(life)
    assert not listens(replica.peer) and not listens(replica.client)


class FailLater:
    """Lets every change of the log fail from a certain moment on."""

    def __init__(self, code: int, kinds: frozenset[str]) -> None:
        """The disk is well until `broken` is set."""
        self.broken = False
        self._fail = FailAt(0, code, kinds, lasting=True)

    def __call__(self, operation: Operation) -> None:
        """See `Interference`."""
        if self.broken and "/wal/" in operation.name:
            self._fail(operation)


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, "replace the disk")])
@pytest.mark.parametrize("kind", ["write", "sync"])
async def test_a_log_that_cannot_be_written_ends_it(
    config: CellConfig, code: int, words: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN §3 Disk: with a clear message, which is said by whoever catches it and by nobody besides."""
    files = formatted(config)
    disk = FailLater(code, frozenset({kind}))
    files.interference = disk
    async with running(config, files) as (_, life):
        await serving(config)
        disk.broken = True
        with pytest.raises(StorageFailed, match=words):
            await ended(life)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_a_disk_that_refuses_the_start_ends_it(config: CellConfig) -> None:
    """Before any port is open; and nothing was changed: the next start finds everything."""
    files = formatted(config)
    files.interference = FailAt(0, errno.EIO, frozenset({"sync"}))
    async with running(config, files) as (_, life):
        with pytest.raises(StorageFailed, match=r"opening .*Input/output error"):
            await ended(life)
        assert not listens(config.replicas[0].peer)
    async with running(config, files) as (service, life):
        await serving(config)
        service.stop()
        assert await ended(life) is Ending.STOPPED


async def test_a_bug_in_the_core_ends_it(config: CellConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state is not to be trusted any more: it raises, whatever input found the bug."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with running(config, formatted(config)) as (_, life):
        await serving(config)
        monkeypatch.setattr("chubby.replica.replica.Replica.tick", broken)
        with pytest.raises(ZeroDivisionError):
            await ended(life)


async def test_a_front_end_that_does_not_stop_well_keeps_no_disk_open(
    config: CellConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is stopped, whatever another one raises."""
    original = NativeFrontend.stop

    async def stop(self: NativeFrontend, grace: float) -> None:
        await original(self, grace)
        raise ZeroDivisionError

    monkeypatch.setattr(NativeFrontend, "stop", stop)
    async with running(config, formatted(config)) as (service, life):
        await serving(config)
        service.stop()
        with pytest.raises(ZeroDivisionError):
            await ended(life)


async def test_a_damaged_directory_is_not_given_up_to_another_cell(tmp_path: Path) -> None:
    """Whoever names the wrong configuration must not lose what is left of a replica to a cell it never belonged to."""
    config = small_cell(tmp_path, replicas=3)
    files = FakeFiles()
    with DataDirectory(files, 2) as directory:
        format_replica(directory, config, 2, CELL + 1)
    (segment,) = [name for name in files.tree() if name.endswith(".wal")]
    files.rot(segment, 5, b"?")
    before = files.tree()
    async with node_running(config, FakeFiles()):
        with DataDirectory(files, 2) as directory, pytest.raises(ForeignData, match=r"is of cell 0x8.* are cell 0x7"):
            await asyncio.wait_for(Service(config, 2, directory).run(), 60)
    assert files.tree() == before


async def test_a_damaged_directory_begins_anew_in_its_own_cell(tmp_path: Path) -> None:
    """DESIGN §3 Incarnations: as a learner, under another name; what was there is put aside."""
    config = small_cell(tmp_path, replicas=3)
    files = FakeFiles()
    with DataDirectory(files, 2) as directory:
        format_replica(directory, config, 2, CELL)
        born = directory.inspect().identity
    (segment,) = [name for name in files.tree() if name.endswith(".wal")]
    files.rot(segment, 5, b"?")
    async with node_running(config, FakeFiles()):
        with DataDirectory(files, 2) as directory:
            service = Service(config, 2, directory)
            life = asyncio.create_task(service.run())
            async with asyncio.timeout(60):
                while not listens(config.replicas[1].client):
                    await asyncio.sleep(0.01)
            service.stop()
            assert await ended(life) is Ending.STOPPED
            reborn = directory.inspect().identity
    assert born is not None and reborn is not None
    assert (reborn.cell, reborn.replica) == (CELL, 2) and reborn.incarnation != born.incarnation
    assert files.names("") == ["current", "rotten-1"]
