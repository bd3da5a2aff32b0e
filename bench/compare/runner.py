"""One generator on one cluster."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import IO

import msgspec
from msgspec.structs import replace

from bench.compare.catalogue import Measure, Point, Victims, Work
from bench.compare.contenders import Contender, Placement
from bench.load.job import Job
from bench.load.sample import Sample
from bench.load.workloads import READY
from bench.peers.cluster import Cluster
from bench.peers.resources import busy_seconds
from tests.integration.cells import ROOT, bound

PATIENCE = 300.0
"""Seconds that a generator may take to end by itself."""
LAST_WORDS = 2000
"""Characters that are shown of what a generator said before it failed."""


class GeneratorFailed(Exception):
    """A generator ended without a sample; the message has its last words."""


class Measured(msgspec.Struct, frozen=True):
    """The figure of a work, the sample it comes from, and what processors were used while it was measured.

    That took `elapsed` seconds; `members` are the cores of all the cluster (too few if one was killed meanwhile),
    `other` those of whatever had nothing to do with it.
    """

    figure: float
    sample: Sample
    elapsed: float
    members: float
    other: float

    @property
    def cost(self) -> float:
        """Processor seconds of members and generator for one operation."""
        spent = self.members * self.elapsed + self.sample.processor * self.sample.seconds
        return spent / max(1, self.sample.operations)


class Clocks(msgspec.Struct, frozen=True):
    """Readings of one instant: the real time, what the members used of processors so far, and everybody."""

    instant: float
    members: float
    everybody: float

    @classmethod
    def read(cls, cluster: Cluster) -> Clocks:
        """Now."""
        return cls(perf_counter(), cluster.processor_seconds(), busy_seconds())

    def measured(self, sample: Sample, until: Clocks) -> Measured:
        """What a sample came to between these instants."""
        elapsed = until.instant - self.instant
        members = max(0.0, until.members - self.members)
        other = until.everybody - self.everybody - members - sample.processor * sample.seconds
        return Measured(sample.value, sample, elapsed, members / elapsed, max(0.0, other / elapsed))


def job_of(work: Work, point: Point, contender: Contender, endpoints: Sequence[str]) -> Job:
    """What the generator is told; the last of the endpoints is the leader's."""
    asked = endpoints[-1:] if contender.placement is Placement.LEADER else endpoints
    return Job(
        work.workload,
        tuple(asked),
        point.in_flight,
        point.connections,
        point.seconds,
        contender.warm,
        point.size,
        point.rounds,
        point.nodes,
        point.depth,
    )


def measure(work: Work, point: Point, contender: Contender, cluster: Cluster) -> Measured:
    """Run the generator, strike if the work wants it, and leave the cluster whole. Raises GeneratorFailed."""
    job = job_of(work, point, contender, cluster.endpoints())
    log = cluster.directory / "generator.log"
    grown = -cluster.median_resident()
    struck = 0
    with generator(contender, job, log) as process:
        assert process.stdout is not None
        before = after = Clocks.read(cluster)
        said = ""
        for line in process.stdout:
            if line.strip() == READY:
                before = Clocks.read(cluster)
                struck = strike(work, cluster)
            else:
                said, after = line, Clocks.read(cluster)
        code = process.wait(PATIENCE)
    if code != 0 or not said:
        last = log.read_text(errors="replace")[-LAST_WORDS:]
        raise GeneratorFailed(f"{' '.join(contender.command)} {' '.join(job.arguments())}: exit code {code}\n{last}")
    sample = msgspec.json.decode(said, type=Sample)
    grown += cluster.median_resident()
    if struck:
        cluster.revive(struck)
    found = before.measured(sample, after)
    match work.measure:
        case Measure.GENERATOR:
            return found
        case Measure.COST:
            return replace(found, figure=found.cost)
        case Measure.MEMORY:
            return replace(found, figure=grown / point.nodes)


def strike(work: Work, cluster: Cluster) -> int:
    """Do to the victims what the work wants; gives who has to be revived, 0 if nobody."""
    match work.victims:
        case Victims.NOBODY:
            return 0
        case Victims.LEADER:
            leader = cluster.leader()
            cluster.signal(leader, work.strikes)
            return leader
        case Victims.ALL:
            cluster.kill()
            cluster.start()
            return 0


@contextmanager
def generator(contender: Contender, job: Job, log: Path) -> Iterator[subprocess.Popen[str]]:
    """The process, which ends with this one and with the context."""
    errors: IO[str]
    with log.open("w") as errors:
        process = subprocess.Popen(
            bound(*contender.command, *job.arguments()),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
