"""Snapshots on their way between core, disk and other replicas (DESIGN §3 Disk)."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from chubby.daemon import clock
from chubby.daemon import vault as vault_module
from chubby.daemon.archive import Archive
from chubby.daemon.loading import Loader
from chubby.daemon.vault import Vault
from chubby.daemon.worker import DiskWorker
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import SnapshotChunk
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.storage.life import OpenedDirectory
from tests.daemon.samples import CELL, accepted, machine_at, opened_directory, order, parts_of, snapshot_bytes
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import FailAt


class Desk:
    """An archive with a disk of its own, and a core that notes what it is told."""

    def __init__(self, opened: OpenedDirectory) -> None:
        """Begun on the running loop."""
        self.said: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.sent: asyncio.Queue[SnapshotChunk] = asyncio.Queue()
        self.failures: asyncio.Queue[BaseException] = asyncio.Queue()
        self.machine: Machine | None = None
        self.vault = Vault(opened, CELL, clock.now, chunk=500)
        self.worker = DiskWorker(asyncio.get_running_loop(), self.failures.put_nowait)
        self.archive = Archive(
            self,
            self.vault,
            self.worker,
            lambda action: action(),
            lambda _, chunk: self.sent.put_nowait(chunk),
            self.failures.put_nowait,
        )

    def snapshot_taken(self, slot: int, size: int) -> None:
        """See `Core`."""
        assert size > 0
        self.said.put_nowait(("taken", slot))

    def snapshot_failed(self) -> None:
        """See `Core`."""
        self.said.put_nowait(("failed", 0))

    def snapshot_gone(self, to: int) -> None:
        """See `Core`."""
        self.said.put_nowait(("gone", to))

    def chunk_stored(self, slot: int, now: int) -> None:
        """See `Core`."""
        self.said.put_nowait(("stored", slot))

    def snapshot_rejected(self, now: int) -> None:
        """See `Core`."""
        self.said.put_nowait(("rejected", 0))

    def snapshot_installed(
        self, slot: int, size: int, configuration: Configuration, machine: Machine, now: int
    ) -> None:
        """See `Core`."""
        self.machine = machine
        self.said.put_nowait(("installed", slot))

    async def hears(self) -> tuple[str, int]:
        """What the core is told next."""
        return await asyncio.wait_for(self.said.get(), 30)

    async def store(self, slot: int, data: bytes) -> None:
        """All parts but the last are stored, one after the other; the last one is on its way."""
        *parts, last = parts_of(slot, data)
        for part in parts:
            self.archive.store(part)
            assert await self.hears() == ("stored", slot)
        self.archive.store(last)


@asynccontextmanager
async def desk(files: FakeFiles | None = None) -> AsyncIterator[Desk]:
    """One, stopped in the end as a node stops it; nothing failed that was not looked at."""
    files = files or FakeFiles()
    with opened_directory(files) as (opened, _):
        running = Desk(opened)
        try:
            yield running
        finally:
            await running.archive.stop()
            await asyncio.to_thread(running.worker.stop)
            running.vault.close()
        assert running.failures.empty() and files.open_files == 0


async def test_a_snapshot_is_written_and_read_by_others() -> None:
    """In parts; the core is told when it is durable."""
    async with desk() as running:
        running.archive.write(order(4))
        assert await running.hears() == ("taken", 4)
        running.archive.read(ReadChunk(3, 4, 500))
        chunk = await asyncio.wait_for(running.sent.get(), 30)
        assert (chunk.slot, chunk.offset) == (4, 500)
        running.archive.read(ReadChunk(3, 77, 0))
        assert await running.hears() == ("gone", 3)
        assert running.archive.warnings == ()


async def test_a_snapshot_that_cannot_be_written_is_told_and_the_log_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """DESIGN §3 Disk: trouble with the log stops a replica. This is none yet: status warns until one succeeds."""
    files = FakeFiles()
    async with desk(files) as running:
        files.interference = FailAt(0, errno.ENOSPC, frozenset({"write"}))
        running.archive.write(order(4))
        assert await running.hears() == ("failed", 0)
        (warning,) = running.archive.warnings
        assert "could not be written" in warning and "No space left" in warning
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        await running.worker.call(lambda: running.vault.append([accepted(5)]))
        running.archive.write(order(5))
        assert await running.hears() == ("taken", 5)
        assert running.archive.warnings == ()


async def test_a_fetched_snapshot_is_stored_loaded_and_installed() -> None:
    """And only then handed to the core."""
    async with desk() as running:
        await running.store(9, snapshot_bytes(9))
        assert await running.hears() == ("installed", 9)
        assert running.machine is not None and running.machine.digest() == machine_at(9).digest()
        assert running.vault.size_of(9) is not None


@pytest.mark.parametrize("spoil", [lambda data: data[:-9] + bytes(9), lambda _: snapshot_bytes(9, (b"nonsense",))])
async def test_a_fetched_snapshot_of_no_use_is_rejected(spoil: Callable[[bytes], bytes]) -> None:
    """Rotten, or whole and no state: the core asks for another, and nothing was changed."""
    async with desk() as running:
        await running.store(9, spoil(snapshot_bytes(9)))
        assert await running.hears() == ("rejected", 0)
        assert running.vault.size_of(9) is None
        await running.store(9, snapshot_bytes(9))
        assert await running.hears() == ("installed", 9)


async def test_a_part_out_of_turn_is_rejected() -> None:
    """The transfer begins anew."""
    async with desk() as running:
        running.archive.store(StoreChunk(9, 500, 1000, bytes(500)))
        assert await running.hears() == ("rejected", 0)


async def test_a_snapshot_overtaken_while_it_was_written_is_none() -> None:
    """The replica fell behind and fetched a newer one: what it wrote is dropped, which is no error."""
    async with desk() as running:
        await running.store(9, snapshot_bytes(9))
        assert await running.hears() == ("installed", 9)
        running.archive.write(order(5))
        assert await running.hears() == ("failed", 0)
        assert running.archive.warnings == ()


class Slow(Loader):
    """A loader that waits with each slice until it may go on."""

    begun = threading.Event()
    go_on = threading.Event()

    def __call__(self, slices: Iterator[bytes]) -> None:
        """See `Loader`."""

        def slowly() -> Iterator[bytes]:
            for piece in slices:
                self.begun.set()
                assert self.go_on.wait(30)
                yield piece

        super().__call__(slowly())


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[Slow]:
    """Whatever is loaded is loaded slowly."""
    Slow.begun.clear()
    Slow.go_on.clear()
    monkeypatch.setattr("chubby.daemon.archive.Loader", Slow)
    return Slow


async def test_the_log_goes_on_while_a_fetched_snapshot_is_loaded(slow: type[Slow]) -> None:
    """A replica that catches up answers heartbeats: what they need durable does not wait for a second of loading."""
    async with desk() as running:
        await running.store(9, snapshot_bytes(9))
        await asyncio.to_thread(slow.begun.wait, 30)
        for slot in range(10, 20):
            await asyncio.wait_for(running.worker.call(partial(running.vault.append, [accepted(slot)])), 30)
        assert running.said.empty()
        slow.go_on.set()
        assert await running.hears() == ("installed", 9)


async def test_a_stop_does_not_wait_for_what_is_being_loaded(slow: type[Slow]) -> None:
    """It gives up at the next slice; nothing is installed, and no file stays open."""
    async with desk() as running:
        await running.store(9, snapshot_bytes(9))
        await asyncio.to_thread(slow.begun.wait, 30)
        stopping = asyncio.ensure_future(running.archive.stop())
        await asyncio.sleep(0)
        slow.go_on.set()
        await asyncio.wait_for(stopping, 30)
        assert running.said.empty() and running.vault.size_of(9) is None


async def test_a_bug_while_loading_is_no_verdict_on_the_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the replica, as any bug does."""

    def broken(_: Vault, loader: Loader) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(vault_module.Vault, "load_fetched", broken)
    async with desk() as running:
        await running.store(9, snapshot_bytes(9))
        assert isinstance(await asyncio.wait_for(running.failures.get(), 30), ZeroDivisionError)


async def test_a_disk_that_refuses_a_fetched_snapshot_stops_the_replica() -> None:
    """It cannot catch up without: to ask for it again and again would help nobody."""
    files = FakeFiles()
    async with desk(files) as running:
        files.interference = FailAt(0, errno.ENOSPC, frozenset({"write"}))
        running.archive.store(parts_of(9, snapshot_bytes(9), size=2_000_000)[0])
        error = await asyncio.wait_for(running.failures.get(), 30)
        assert "No space left on device (the disk is full" in str(error)


async def test_a_rotten_spare_is_found_when_the_replica_is_up() -> None:
    """And stays in the warnings of status."""
    files = FakeFiles()
    async with desk(files) as running:
        for slot in (3, 6):
            running.archive.write(order(slot))
            await running.hears()
    name = f"current/snapshots/{3:020d}.snap"
    files.rot(name, 300, bytes((files.contents(name)[300] ^ 1,)))
    async with desk(files) as running:
        running.archive.start()
        async with asyncio.timeout(30):
            while not running.archive.warnings:
                await asyncio.sleep(0.001)
        assert "the snapshot at slot 3 is rotten" in running.archive.warnings[0]
        assert running.vault.size_of(3) is None and running.vault.size_of(6) is not None
