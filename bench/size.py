"""A cell of 100,000 files: loading it, what a file costs, starting it again, writing while a snapshot is written."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import grpc
import msgspec

import chubby.aio
from bench.figures import MEBIBYTE, Figure, seconds
from bench.starting import median_resident
from chubby import Create
from chubby.namespace.machine import Machine
from chubby.storage.snapshot_reader import BytesSource, SnapshotReader
from chubby.types.limits import TRANSACTION_LIMIT
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from tests.integration.cells import Cell, running_cell, wait_for

DIRECTORIES = 100
FILES_IN_EACH = 1_000
CONTENT = 100
"""Bytes in each file."""
LOADERS = 8
WRITERS = 8
SNAPSHOTS = 3
STALL_TARGET = 0.05
SNAPSHOT_LOG = 'snapshot_log_bytes = "8MiB"\n'
"""A snapshot for so much log, so that they can be had in short time."""
FILLER = 200 * 1024


async def load(cell: Cell) -> float:
    """Make all files in transactions as large as may be; returns the seconds that took."""
    async with chubby.aio.connect("/ls/test", addresses=cell.addresses, caching=False, timeout=60) as session:
        await session.transaction(then=[Create(f"/d{number:03}") for number in range(DIRECTORIES)])
        names = iter(
            [
                [f"/d{directory:03}/f{number:04}" for number in range(first, last)]
                for directory in range(DIRECTORIES)
                for first, last in _slices(FILES_IN_EACH, TRANSACTION_LIMIT)
            ]
        )

        async def loader() -> None:
            for batch in names:
                operations = [Create(name, contents=name.encode().ljust(CONTENT, b".")) for name in batch]
                result = await session.transaction(then=operations)
                assert result.succeeded

        began = time.monotonic()
        await asyncio.gather(*(loader() for _ in range(LOADERS)))
        return time.monotonic() - began


def _slices(total: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, total)) for first in range(0, total, size)]


# --------------------------------------------------------------------------------------------------------- memory


def exported(address: str) -> Machine:
    """The machine of a running replica, restored in this process."""
    with grpc.insecure_channel(address) as channel:
        data = b"".join(chunk.data for chunk in CellStub(channel).Export(pb.ExportRequest(), timeout=300))
    return Machine.restore(SnapshotReader(BytesSource(data), "an export").slices())


def deep_size(value: object, seen: set[int]) -> int:
    """Bytes of a value and all it refers to, what is shared counted once; neither tracemalloc nor the collector."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, msgspec.Struct):
        return size + sum(deep_size(part, seen) for part in msgspec.structs.astuple(value))
    if isinstance(value, tuple):
        return size + sum(deep_size(part, seen) for part in value)
    if isinstance(value, dict):
        return size + sum(deep_size(key, seen) + deep_size(part, seen) for key, part in value.items())
    return size


def node_bytes(machine: Machine) -> float:
    """Bytes of one node with its content, in the mean."""
    paths = [f"/d{directory:03}/f{number:04}" for directory in range(DIRECTORIES) for number in range(FILES_IN_EACH)]
    seen: set[int] = set()
    total = sum(deep_size(path, seen) + deep_size(machine.node(path), seen) for path in paths)
    return total / len(paths)


def memory(cell: Cell, before: int) -> Figure:
    """What a node costs: by the processes' memory, and by adding up its objects."""
    count = DIRECTORIES * FILES_IN_EACH
    grown = median_resident(cell) - before
    machine = exported(cell.members[cell.wait_master()][1])
    assert machine.node_count > count
    objects = node_bytes(machine)
    del machine
    gc.collect()
    return Figure(
        "memory of a node",
        f"{grown / count:,.0f} B",
        f"median replica {before / MEBIBYTE:.0f} MiB empty, +{grown / MEBIBYTE:.0f} MiB loaded (history, log tail in)",
        f"{objects:,.0f} B: its objects added up, name and {CONTENT} B of content included",
    )


# ---------------------------------------------------------------------------------------------------------- stalls


class Acknowledgements:
    """When writes were acknowledged to `WRITERS` tasks, in a thread of its own, and when the master wrote snapshots."""

    def __init__(self, cell: Cell) -> None:
        """Not begun."""
        self._cell = cell
        self._ended = threading.Event()
        self.times: list[float] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Acknowledgements:
        """Begin to write."""
        self._thread.start()
        wait_for(lambda: len(self.times) > 100, "the first writes")
        return self

    def __exit__(self, *_: object) -> None:
        """Write no more."""
        self._ended.set()
        self._thread.join()

    async def _run(self) -> None:
        async with chubby.aio.connect("/ls/test", addresses=self._cell.addresses, caching=False) as session:

            async def one(number: int) -> None:
                async with session.open(f"/ls/test/w{number}", create=True) as handle:
                    while not self._ended.is_set():
                        await handle.set_contents(b"small")
                        self.times.append(time.monotonic())

            await asyncio.gather(*(one(number) for number in range(WRITERS)))

    def longest_gap(self, begin: float, end: float) -> float:
        """The longest time without an acknowledgement that touches the span."""
        times = [begin, *(at for at in list(self.times) if begin <= at <= end), end]
        return max(later - earlier for earlier, later in pairwise(times))


def stalls(cell: Cell) -> Figure:
    """The longest gap between acknowledged writes while the master writes a snapshot of everything."""
    folder = cell.data[cell.wait_master()] / "current/snapshots"
    partial = folder / "own.part"
    during, quiet, spans = [], [], []
    with (
        cell.connect(caching=False) as session,
        session.open("/ls/test/filler", create=True) as handle,
        Acknowledgements(cell) as acknowledgements,
    ):
        for _ in range(SNAPSHOTS):
            begin, end = _snapshot(lambda: handle.set_contents(bytes(FILLER)), partial)
            resting = threading.Event()
            resting.wait(1.0 + end - begin)
            during.append(acknowledgements.longest_gap(begin, end))
            quiet.append(acknowledgements.longest_gap(end + 0.5, end + 0.5 + min(end - begin, 0.5)))
            spans.append(end - begin)
    return Figure(
        "stall of writes during a snapshot",
        seconds(max(during)),
        f"longest gap in {len(spans)} snapshots of {seconds(max(spans))}; each: {', '.join(map(seconds, during))}",
        f"target {seconds(STALL_TARGET)}; without a snapshot: {', '.join(map(seconds, quiet))}",
        max(during) < STALL_TARGET,
    )


def _snapshot(fill: Callable[[], object], partial: Path) -> tuple[float, float]:
    """Fill the log until a snapshot is begun, wait until it is done; returns when both happened."""
    while not partial.exists():
        fill()
    begin = time.monotonic()
    pause = threading.Event()
    while partial.exists():
        pause.wait(0.002)
    return begin, time.monotonic()


# ------------------------------------------------------------------------------------------------------- everything


def restart(cell: Cell) -> float:
    """kill -9 of all, start all; seconds to the first read that is answered."""
    cell.kill(*cell.members)
    began = time.monotonic()
    cell.start()
    with cell.connect(timeout=300) as session, session.open("/ls/test/d099/f0999") as handle:
        contents, _ = handle.get_contents_and_stat()
        assert contents.startswith(b"/d099/f0999")
        return time.monotonic() - began


def measure(directory: Path) -> list[Figure]:
    """All figures, on one cell of five."""
    count = DIRECTORIES * FILES_IN_EACH
    with running_cell(directory, extra=SNAPSHOT_LOG) as cell:
        cell.wait_whole()
        before = median_resident(cell)
        cell.kill(*cell.members)
        began = time.monotonic()
        cell.start()
        with cell.connect(timeout=300) as session:
            session.open("/ls/test/empty", create=True)
            empty = time.monotonic() - began
        cell.wait_whole()
        taken = asyncio.run(load(cell))
        cell.wait_whole()
        figures = [
            Figure(
                f"load of {count:,} files",
                seconds(taken),
                f"{count / taken:,.0f} files a second, {TRANSACTION_LIMIT} in a transaction, {LOADERS} at once",
                "the paper's cell held 22,000 files",
            ),
            memory(cell, before),
            stalls(cell),
        ]
        again = restart(cell)
    figures.append(
        Figure("kill -9 of all, start, first read", seconds(again), f"{count:,} files", f"empty: {seconds(empty)}")
    )
    return figures
