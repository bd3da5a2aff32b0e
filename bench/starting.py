"""From `chubby cell start` to a master, and a port full of connections that say nothing."""

from __future__ import annotations

import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.figures import MEBIBYTE, Figure, seconds, timed
from bench.gaps import ordinary
from tests.integration.cells import Cell, alive, running_cell, wait_for
from tests.integration.programs import Program

TRIES = 3
HALF_OPEN = 10_000
SPARE = 200
"""Descriptors left for everything else."""


def start_once(directory: Path) -> float:
    """Seconds from the command to its word that there is a master; a new cell, formatting included."""
    directory.mkdir()
    cell = Cell(directory, extra="", formatted=False)
    began = time.monotonic()
    with Program("-m", "chubby.cli", "cell", "start", "--config", str(cell.file)) as program:
        while "master is replica" not in program.hear():
            pass
        taken = time.monotonic() - began
        pids = [int(line.split("pid ")[1].split(")")[0]) for line in program.said if "(pid " in line]
        program.process.terminate()
        program.wait()
    wait_for(lambda: not any(map(alive, pids)), "the end of all replicas")
    return taken


def imports_alone() -> float:
    """Seconds that five processes take side by side to load what a replica loads, and nothing else."""
    began = time.monotonic()
    processes = [subprocess.Popen([sys.executable, "-c", "import chubby.daemon.main"]) for _ in range(5)]
    for process in processes:
        process.wait()
    return time.monotonic() - began


def measure_start(directory: Path) -> list[Figure]:
    """Start to master."""
    tries = [start_once(directory / f"try-{number}") for number in range(TRIES)]
    return [timed("cell start to master", tries, None, f"five processes that only import: {seconds(imports_alone())}")]


@contextmanager
def half_open(address: str, count: int) -> Iterator[int]:
    """Connect `count` times and say nothing; gives how many connections came about."""
    host, _, port = address.rpartition(":")
    with ExitStack() as stack:
        made = 0
        for _ in range(count):
            link = stack.enter_context(socket.socket())
            link.settimeout(5)
            try:
                link.connect((host, int(port)))
                made += 1
            except OSError:
                continue
        yield made


def measure_half_open(directory: Path) -> list[Figure]:
    """Ten thousand silent connections to each port of the master: what an honest client feels of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(HALF_OPEN, hard - SPARE)
    figures = []
    with running_cell(directory, extra="") as cell:
        master = cell.wait_whole()
        with cell.connect(caching=False) as session, session.open("/ls/test/crowded", create=True) as handle:
            before = ordinary(handle)
            memory = resident(cell)
            for name, address in zip(("replica", "client"), cell.members[master], strict=True):
                with half_open(address, count) as made:
                    during = ordinary(handle)
                    began = time.monotonic()
                    with cell.connect(timeout=60):
                        joined = time.monotonic() - began
                    grown = resident(cell) - memory
                unmoved = cell.wait_master() == master
                figures.append(
                    Figure(
                        f"{made:,} half-open connections to the {name} port",
                        f"write {seconds(during)}",
                        f"new session {seconds(joined)}, memory +{grown / MEBIBYTE:.0f} MiB, "
                        + ("same master" if unmoved else "ANOTHER MASTER"),
                        f"write without them: {seconds(before)}",
                        made == HALF_OPEN and unmoved,
                    )
                )
            cell.wait_whole()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return figures


def resident(cell: Cell) -> int:
    """Bytes of the master's process."""
    status = wait_for(cell.master_status, "a master")
    return status.resident_bytes


def median_resident(cell: Cell) -> int:
    """Bytes of a typical replica's process."""
    statuses = [cell.status(replica) for replica in cell.members]
    return int(statistics.median(status.resident_bytes for status in statuses if status is not None))
