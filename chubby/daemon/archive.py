"""Snapshots on their way: written here, sent to others, fetched from others. What the loop does with them; the files
are the vault's.

A fetched snapshot passes through three hands. Its parts are stored on the disk's thread, one at a time. It is verified
and loaded on a thread of its own, which takes as long as a start does: the disk's thread goes on appending, so a
replica that catches up keeps answering. Then the disk's thread installs it, which is a rename, and the core takes over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from chubby.daemon import clock
from chubby.daemon.loading import Abandoned, Loader
from chubby.daemon.vault import Fetched, Vault
from chubby.daemon.worker import DiskWorker, Job
from chubby.errors import CorruptData, StorageFailed
from chubby.namespace.machine import Machine
from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import SnapshotChunk
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.replica.step import SnapshotOrder
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import Instant

logger = logging.getLogger(__name__)

Feed = Callable[[Callable[[], None]], None]
"""Hands an input to the core, as `Node` does: unless the node is closing, and with its bugs caught."""


class Core(Protocol):
    """What the replica is told of snapshots (`chubby.replica.replica.Replica`)."""

    def snapshot_taken(self, slot: Slot, size: int) -> None:
        """One of our own is durable."""

    def snapshot_failed(self) -> None:
        """One of our own is not to be had."""

    def snapshot_gone(self, to: ReplicaId) -> None:
        """One that `to` asked for is not there any more."""

    def chunk_stored(self, slot: Slot, now: Instant) -> None:
        """A part of one that is being fetched is kept."""

    def snapshot_rejected(self, now: Instant) -> None:
        """A fetched one is of no use."""

    def snapshot_installed(
        self, slot: Slot, size: int, configuration: Configuration, machine: Machine, now: Instant
    ) -> None:
        """A fetched one is durable."""


class Archive:
    """The snapshots of one running replica."""

    def __init__(
        self,
        replica: Core,
        vault: Vault,
        worker: DiskWorker,
        feed: Feed,
        send: Callable[[ReplicaId, SnapshotChunk], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """`fail` is told of what must not happen. To be made on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._replica = replica
        self._vault = vault
        self._worker = worker
        self._feed = feed
        self._send = send
        self._fail = fail
        self._loader = Loader()
        self._loading: asyncio.Task[None] | None = None
        self._rotten: list[str] = []
        self._unwritten = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know: snapshots that were let go, and that the last one could not be written."""
        return (*self._rotten, *((self._unwritten,) if self._unwritten else ()))

    def start(self) -> None:
        """Have those snapshots verified that the start did not look at."""

        def warn(warning: str) -> None:
            self._loop.call_soon_threadsafe(self._on_rotten, warning)

        self._worker.start(self._vault.recheck(warn))

    async def stop(self) -> None:
        """Load nothing any more. Returns when no thread but the disk's has a file open."""
        self._loader.abandon()
        if self._loading is not None:
            await asyncio.wait((self._loading,))

    def read(self, request: ReadChunk) -> None:
        """Send a part of a snapshot to another replica, or say that it is gone."""

        def sent(chunk: SnapshotChunk | None) -> None:
            if chunk is not None:
                self._send(request.to, chunk)
            else:
                self._feed(lambda: self._replica.snapshot_gone(request.to))

        self._worker.submit(lambda: self._vault.read_chunk(request), sent)

    def store(self, request: StoreChunk) -> None:
        """Keep a part of a snapshot that is being fetched; with the last one, go on to load and install it."""

        def store() -> bool | CorruptData:
            try:
                return self._vault.store_chunk(request)
            except CorruptData as error:
                return error

        def stored(complete: bool | CorruptData) -> None:
            if isinstance(complete, CorruptData):
                self._reject(complete)
            elif complete:
                self._loading = self._loop.create_task(self._take_over(), name="loading a fetched snapshot")
            else:
                self._feed(lambda: self._replica.chunk_stored(request.slot, clock.now()))

        self._worker.submit(store, stored)

    def write(self, order: SnapshotOrder) -> None:
        """Have a snapshot of our own written, in small steps."""
        self._worker.start(self._writing(order))

    # ------------------------------------------------------------------------------------------------------ inside

    async def _take_over(self) -> None:
        try:
            fetched = await self._loop.run_in_executor(None, self._vault.load_fetched, self._loader)
            await self._worker.call(self._vault.install)
        except Abandoned:
            return
        except CorruptData as error:
            self._reject(error)
        except Exception as error:
            self._fail(error)
        else:
            logger.info("installed a fetched snapshot at slot %d", fetched.slot)
            self._feed(partial(self._installed, fetched))

    def _installed(self, new: Fetched) -> None:
        self._replica.snapshot_installed(new.slot, new.size, new.configuration, new.machine, clock.now())

    def _reject(self, error: CorruptData) -> None:
        logger.error("a fetched snapshot is of no use: %s", error)
        self._feed(lambda: self._replica.snapshot_rejected(clock.now()))

    def _writing(self, order: SnapshotOrder) -> Job:
        """On the disk's thread. Trouble with a snapshot is none with the log (DESIGN §3 Disk): the replica goes on."""
        tell = self._loop.call_soon_threadsafe
        try:
            yield from self._vault.write_snapshot(order, clock.wall_ms())
            size = self._vault.size_of(order.slot)
        except (CorruptData, StorageFailed) as error:
            tell(self._on_failed, str(error))
        else:
            tell(self._on_written, order.slot, size)

    def _on_written(self, slot: Slot, size: int | None) -> None:
        self._unwritten = ""
        if size is None:
            self._feed(self._replica.snapshot_failed)
        else:
            self._feed(lambda: self._replica.snapshot_taken(slot, size))

    def _on_failed(self, reason: str) -> None:
        logger.error("a snapshot could not be written; the log grows until one can: %s", reason)
        self._unwritten = f"the last snapshot could not be written: {reason}"
        self._feed(self._replica.snapshot_failed)

    def _on_rotten(self, warning: str) -> None:
        logger.warning("%s", warning)
        self._rotten.append(warning)
