"""A cell under a crowd of sessions that do nothing: `python -m bench.crowd [COUNT ...]`, by default 100 to 20,000.

For each count, on a new cell of five with the default configuration: what a session costs the master in memory and
processor time once leases are as long as the crowd makes them, what it adds to the cost of a write, and how long it
takes until all sessions have come to a new master after kill -9 of the old. Sessions have a connection each.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import msgspec
from rich.console import Console

from bench.compare import report
from bench.compare.catalogue import COMPARED, Point, Unit
from bench.compare.contenders import OURS, Contender, Kind
from bench.compare.machine import facts, raise_descriptor_limit
from bench.compare.options import DATA, INTERRUPTED, RESULTS, SESSIONS
from bench.compare.results import Entrant, Results, Topic, gather, now
from bench.compare.runner import GeneratorFailed, Measured, generator, measure
from bench.compare.scratch import scratch
from bench.load.job import Job
from bench.load.sample import Sample
from bench.load.workloads import READY
from bench.peers.cluster import Cluster
from bench.peers.ours import Ours
from bench.peers.resources import busy_seconds, processor_seconds

COUNTS = (100, 1_000, 10_000, 20_000)
IN_ONE_PROCESS = 1_000
"""Sessions of each client process."""
STRETCH = 20.0
"""Seconds until leases have become as long as so many sessions make them."""
IDLE = 20.0
"""Seconds over which the cost of idleness is measured."""
LIFE = 900.0
"""Seconds after which a crowd ends by itself."""
_never = threading.Event()

MEMORY: Final = Topic("sessions_memory", "Memory of a session, at the master", Unit.BYTES, "sessions", ())
IDLENESS: Final = Topic("sessions_idle", "CPU of the master while nobody does anything", Unit.CORES, "sessions", ())
WRITES: Final = Topic("sessions_write", "CPU of a write, by sessions that do nothing", Unit.SECONDS, "sessions", ())
BACK: Final = Topic("sessions_back", "All sessions at the new master, after kill -9", Unit.SECONDS, "sessions", ())
OPENING: Final = Topic("sessions_open", "Opening all sessions, sessions a second", Unit.RATE, "sessions", ())
TOPICS = (MEMORY, IDLENESS, WRITES, OPENING, BACK)


class Crowd:
    """Client processes with so many sessions in all."""

    def __init__(self, stack: ExitStack, cluster: Cluster, count: int) -> None:
        """Start them; they end with the stack."""
        self._parts: list[subprocess.Popen[str]] = []
        endpoints = cluster.endpoints()
        for number, first in enumerate(range(0, count, IN_ONE_PROCESS)):
            size = min(IN_ONE_PROCESS, count - first)
            job = Job("crowd", tuple(endpoints), size, size, LIFE)
            log = cluster.directory / f"crowd-{number}.log"
            self._parts.append(stack.enter_context(generator(OURS, job, log)))

    def wait_ready(self) -> None:
        """Until all sessions are there. Raises GeneratorFailed."""
        for line in self._lines():
            if line.strip() != READY:
                raise GeneratorFailed(f"a crowd said {line!r} before it was there")

    def wait_back(self) -> float:
        """Until all have come to a new master: the instant, by CLOCK_MONOTONIC.

        Raises GeneratorFailed if sessions were lost on the way: then there is no such instant.
        """
        said = [json.loads(line) for line in self._lines()]
        if lost := sum(int(each["lost"]) for each in said):
            raise GeneratorFailed(f"{lost} sessions were lost in the fail-over")
        return max(float(each["back"]) for each in said)

    def _lines(self) -> list[str]:
        """The next line of each process."""
        lines = []
        for part in self._parts:
            stream: IO[str] | None = part.stdout
            assert stream is not None
            line = stream.readline()
            if not line:
                raise GeneratorFailed(f"a crowd ended: exit code {part.wait()}")
            lines.append(line)
        return lines


def of(value: float, operations: int, seconds: float, members: float = 0.0, other: float = 0.0) -> Measured:
    """A figure that is no generator's."""
    return Measured(value, Sample(value, operations, seconds), seconds, members, other)


def measure_crowd(count: int, directory: Path) -> list[tuple[str, Measured]]:
    """All figures for a crowd of that size, by the keys of their topics."""
    with Cluster(Ours(), directory) as cluster, ExitStack() as stack:
        master = cluster.leader()
        before = cluster.resident_bytes(master)
        began = time.monotonic()
        crowd = Crowd(stack, cluster, count)
        crowd.wait_ready()
        opened = time.monotonic() - began
        _never.wait(STRETCH)
        grown = cluster.resident_bytes(master) - before
        idle = idleness(cluster, master)
        written = measure(COMPARED[0], Point("", 10, 10), OURS, cluster)
        struck = time.monotonic()
        cluster.signal(master, signal.SIGKILL)
        found = [
            (MEMORY.key, of(grown / count, count, opened)),
            (IDLENESS.key, idle),
            (WRITES.key, msgspec.structs.replace(written, figure=written.cost)),
            (OPENING.key, of(count / opened, count, opened)),
        ]
        try:
            back = crowd.wait_back() - struck
        except GeneratorFailed as failure:
            print(f"{count:,} sessions: {failure}", file=sys.stderr, flush=True)
            return found
    return [*found, (BACK.key, of(back, count, back))]


def idleness(cluster: Cluster, master: int) -> Measured:
    """What the master takes of a processor while nobody does anything."""
    pid = cluster.pids()[master]
    before = processor_seconds([pid]), cluster.processor_seconds(), busy_seconds()
    _never.wait(IDLE)
    after = processor_seconds([pid]), cluster.processor_seconds(), busy_seconds()
    one, members, busy = ((end - start) / IDLE for start, end in zip(before, after, strict=True))
    return of(one, 1, IDLE, members, busy - members)


def run(counts: Sequence[int], data: Path, rounds: int = 1) -> Results:
    """Measure all counts, round by round."""
    raise_descriptor_limit()
    began, found = now(), []
    with scratch(data) as directory:
        machine = facts(directory)
        for number in range(rounds):
            for count in counts:
                for key, measured in measure_crowd(count, directory / f"{count}-{number}"):
                    found.append((key, f"{count:,}", OURS.key, measured))
                    print(f"{count:,} sessions, {key}: {measured.figure:.4g}", file=sys.stderr, flush=True)
    points = tuple(f"{count:,}" for count in counts)
    topics = tuple(msgspec.structs.replace(topic, points=points) for topic in TOPICS)
    return Results(began, "python -m bench.crowd", machine, topics, (entrant(OURS),), gather(found))


def entrant(contender: Contender) -> Entrant:
    """Ours."""
    return Entrant(contender.key, contender.title, contender.system, Kind.OURS, Ours().version())


def main(arguments: Sequence[str]) -> int:
    """Measure, print, save beside the results of the comparison; returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description="A cell under a crowd of sessions.")
    parser.add_argument("counts", nargs="*", type=int, metavar="COUNT", help=f"sessions; by default {COUNTS}")
    parser.add_argument("--rounds", type=int, default=1, help="times that all is measured (%(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="where members keep their data (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS.with_name(SESSIONS), help="for figures (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        results = run(options.counts or COUNTS, options.data.resolve(), options.rounds)
    except KeyboardInterrupt:
        return INTERRUPTED
    report.show(results, Console(width=150))
    results.save(options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
