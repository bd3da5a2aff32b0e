"""What a replica's disk is asked to do, in one life of its process: the simulated twin of `chubby.daemon.archive` and
of the disk's thread, around the production `Vault`.

Everything takes time, and while it does the process may stop, die, or be refused: `host.at_disk` sees to that. Appends
are whole for the process; for the disk they are a write and a sync, between which power may fail (`cut_short`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chubby.config.cell import CellConfig
from chubby.daemon.founding import first_configuration, first_incarnation, first_machine
from chubby.daemon.loading import Loader
from chubby.daemon.vault import Vault
from chubby.daemon.worker import Job
from chubby.errors import CorruptData, StorageFailed
from chubby.paxos.configuration import Identity
from chubby.paxos.ready import ReadChunk, StoreChunk
from chubby.replica.replica import Replica
from chubby.replica.step import Letter, SnapshotOrder, Step
from chubby.storage.directory import DataDirectory
from chubby.types.identity import CellId, ReplicaId
from chubby.types.time import Duration
from tests.storage.fake_files import FakeFiles
from tests.storage.interference import CrashAt, Crashed

if TYPE_CHECKING:
    from tests.simulation.hosts import ReplicaHost

SEGMENT = 64 * 1024
"""Small, so that segments roll over in every run."""
WRITTEN = 1
"""So many changes an append makes before its sync."""


def format_disk(files: FakeFiles, config: CellConfig, cell: CellId, number: ReplicaId) -> None:
    """Make an empty disk that of a member of a new cell."""
    with DataDirectory(files, number) as directory:
        directory.format(
            Identity(cell, number, first_incarnation(cell, number)),
            first_configuration(config, cell),
            first_machine(config, cell).snapshot().slices(4096),
            segment_size=SEGMENT,
        )


class DiskWork:
    """The work for one life of one replica; of no use after `end`."""

    def __init__(self, host: ReplicaHost, replica: Replica, vault: Vault) -> None:
        self._host = host
        self._replica = replica
        self._vault = vault
        self._appending: Step | None = None
        self._over = False
        self._do(host.fsync, partial(self._recheck, vault.recheck(self._warn)))

    @property
    def appending(self) -> bool:
        """Whether something was handed to the disk that is not durable yet."""
        return self._appending is not None

    def end(self) -> None:
        """The process is gone: nothing of what waits is done."""
        self._over = True

    def cut_short(self) -> None:
        """The process dies while the log is being written: the write has begun, the sync not."""
        step, self._appending = self._appending, None
        if step is not None:
            self._host.disk.interference = CrashAt(WRITTEN)
            with contextlib.suppress(Crashed):
                self._vault.append(step.records)

    def persist(self, step: Step, takes: Duration) -> None:
        """Append what the step wants durable."""
        self._appending = step
        self._do(takes, partial(self._persist, step))

    def carry_out(self, request: ReadChunk | StoreChunk) -> None:
        """Read or store a part of a snapshot."""
        work = partial(self._read, request) if isinstance(request, ReadChunk) else partial(self._store, request)
        self._do(self._host.fsync, work)

    def write(self, order: SnapshotOrder) -> None:
        """Write a snapshot of our own, step by step; appends go on in between."""
        job = self._vault.write_snapshot(order, 0)
        self._do(self._host.fsync, partial(self._write, order, job))

    def _do(self, takes: Duration, work: Callable[[], None]) -> None:
        self._host.world.after(takes, partial(self._now, work))

    def _now(self, work: Callable[[], None]) -> None:
        if not self._over:
            self._host.when_awake(partial(self._host.at_disk, work))

    def _persist(self, step: Step) -> None:
        if self._over:
            return
        self._appending = None
        self._vault.append(step.records)
        next(self._vault.tend(), None)
        self._replica.persisted(step.number, self._host.clock.now())
        self._host.send(step.gated)
        self._host.pump()

    def _read(self, request: ReadChunk) -> None:
        chunk = self._vault.read_chunk(request)
        if chunk is None:
            self._replica.snapshot_gone(request.to)
        else:
            self._host.send((Letter(request.to, chunk),))
        self._host.pump()

    def _store(self, request: StoreChunk) -> None:
        now = self._host.clock.now()
        try:
            new = self._vault.load_fetched(Loader()) if self._vault.store_chunk(request) else None
        except CorruptData as error:
            self._host.world.trace(f"{self._host.place} rejects a snapshot: {error}")
            self._replica.snapshot_rejected(now)
        else:
            if new is None:
                self._replica.chunk_stored(request.slot, now)
            else:
                self._vault.install()
                self._host.world.trace(f"{self._host.place} installs a snapshot at slot {new.slot}")
                self._replica.snapshot_installed(new.slot, new.size, new.configuration, new.machine, now)
        self._host.pump()

    def _write(self, order: SnapshotOrder, job: Job) -> None:
        """One step of it. Trouble with a snapshot is none with the log (DESIGN §3 Disk): the replica goes on."""
        size: int | None = None
        try:
            if next(job, self) is not self:
                self._do(self._host.fsync, partial(self._write, order, job))
                return
            size = self._vault.size_of(order.slot)
        except (CorruptData, StorageFailed) as error:
            self._host.world.trace(f"{self._host.place} cannot write a snapshot: {error}")
            self._host.unwritten += 1
        else:
            self._host.world.trace(f"{self._host.place} wrote a snapshot at slot {order.slot}")
        if size is None:
            self._replica.snapshot_failed()
        else:
            self._replica.snapshot_taken(order.slot, size)
        self._host.pump()

    def _recheck(self, job: Job) -> None:
        """Verify the snapshots that the start did not look at, step by step."""
        if next(job, self) is not self:
            self._do(self._host.fsync, partial(self._recheck, job))

    def _warn(self, warning: str) -> None:
        self._host.world.trace(f"{self._host.place} warns: {warning}")
