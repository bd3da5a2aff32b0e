"""How long writers wait when a master dies, hands over, or dies together with a client that caches.

A *gap* is the time between two acknowledgements that one client sees which writes without a pause: the last one before
the signal is sent, and the next one. All times are those of the default configuration.
"""

from __future__ import annotations

import signal
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import chubby
from bench.figures import Figure, seconds, timed
from chubby.types import limits
from chubby.types.time import to_seconds
from tests.integration.cells import Cell, running_cell
from tests.integration.programs import Program

TRIES = 10
TRIES_WITH_A_DEAD_READER = 5
KILL_TARGET = 1.5
"""Seconds: the master lease (1 s), an election, and a client that was told by the replica it watches."""
TERM_TARGET = 0.3
"""Seconds: a hand-over needs no lease to run out."""
WARM = 30
"""Writes before each signal."""
FILE = "/ls/test/gap"


def gap(handle: chubby.Handle, cell: Cell, number: signal.Signals, reader: Program | None = None) -> float:
    """Seconds without an acknowledgement after `number` to the master (and SIGKILL to `reader`)."""
    master = cell.wait_master()
    acknowledged = time.monotonic()
    for value in range(WARM):
        handle.set_contents(str(value).encode())
        acknowledged = time.monotonic()
    cell.signal(master, number)
    if reader is not None:
        reader.signal(signal.SIGKILL)
    handle.set_contents(b"after")
    found = time.monotonic() - acknowledged
    cell.processes.pop(master).wait()
    cell.heal()
    return found


def ordinary(handle: chubby.Handle) -> float:
    """The median time of one write after another, in seconds."""
    times = []
    for value in range(200):
        began = time.monotonic()
        handle.set_contents(str(value).encode())
        times.append(time.monotonic() - began)
    return statistics.median(times)


def dead_reader(cell: Cell, handle: chubby.Handle) -> float:
    """The gap when a client that caches the file dies with the master.

    It is killed while it holds a fresh copy and a fresh cache lease: the worst that can happen.
    """
    with ExitStack() as stack:
        reader = stack.enter_context(Program("cache", ",".join(cell.addresses), FILE))
        reader.answer()
        return gap(handle, cell, signal.SIGKILL, reader)


def measure(directory: Path) -> list[Figure]:
    """All gaps, on one cell of five."""
    cache_lease = to_seconds(limits.CACHE_LEASE)
    with running_cell(directory, extra="") as cell:
        cell.wait_whole()
        with cell.connect(caching=False) as session, session.open(FILE, create=True) as handle:
            base = ordinary(handle)
            killed = [gap(handle, cell, signal.SIGKILL) for _ in range(TRIES)]
            ended = [gap(handle, cell, signal.SIGTERM) for _ in range(TRIES)]
            read = [dead_reader(cell, handle) for _ in range(TRIES_WITH_A_DEAD_READER)]
    bound = statistics.median(killed) + cache_lease * 1.01
    return [
        Figure("one write after another", seconds(base), "median of 200", "what a gap is made of without any signal"),
        timed("gap after kill -9 of the master", killed, KILL_TARGET, f"target: {KILL_TARGET} s"),
        timed("gap after SIGTERM of the master", ended, TERM_TARGET, f"target: {TERM_TARGET} s"),
        Figure(
            "the same, a caching reader killed with it",
            seconds(max(read)),
            f"worst of {len(read)}, best {seconds(min(read))}",
            f"gap without it + cache lease {cache_lease:.0f} s = {seconds(bound)}",
            max(read) <= bound + 0.5,
        ),
    ]
