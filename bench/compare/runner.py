"""One generator on one cluster."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from bench.compare.catalogue import Point, Work
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
    """A sample and what processors it took meanwhile, in cores: `members` all of the cluster, `other` whatever had
    nothing to do with it.
    """

    sample: Sample
    members: float
    other: float

    @property
    def cost(self) -> float:
        """Processor seconds of members and generator for one operation."""
        return (self.members + self.sample.processor) * self.sample.seconds / max(1, self.sample.operations)


def job_of(work: Work, point: Point, contender: Contender, cluster: Cluster) -> Job:
    """What the generator is told."""
    endpoints = cluster.endpoints()
    asked = endpoints[-1:] if contender.placement is Placement.LEADER else endpoints
    return Job(
        work.workload,
        tuple(asked),
        point.in_flight,
        point.connections,
        point.seconds,
        contender.warm,
        size=point.size,
        rounds=point.rounds,
    )


def measure(work: Work, point: Point, contender: Contender, cluster: Cluster) -> Measured:
    """Run the generator, strike if the work wants it, and leave the cluster whole. Raises GeneratorFailed."""
    job = job_of(work, point, contender, cluster)
    with generator(contender, job, cluster.directory / "generator.log") as process:
        assert process.stdout is not None
        before = cluster.processor_seconds(), busy_seconds()
        lines = []
        for line in process.stdout:
            if line.strip() == READY:
                before = cluster.processor_seconds(), busy_seconds()
                struck = strike(work, cluster)
            else:
                lines.append(line)
        after = cluster.processor_seconds(), busy_seconds()
        code = process.wait(PATIENCE)
    if code != 0 or not lines:
        said = (cluster.directory / "generator.log").read_text(errors="replace")[-LAST_WORDS:]
        raise GeneratorFailed(f"{' '.join(contender.command)} {' '.join(job.arguments())}: exit code {code}\n{said}")
    sample = msgspec.json.decode(lines[-1], type=Sample)
    if work.strikes is not None:
        cluster.revive(struck)
    members, busy = ((end - begin) / sample.seconds for begin, end in zip(before, after, strict=True))
    return Measured(sample, members, max(0.0, busy - members - sample.processor))


def strike(work: Work, cluster: Cluster) -> int:
    """Send the leader the signal that the work wants; gives who was struck, 0 if nobody."""
    if work.strikes is None:
        return 0
    leader = cluster.leader()
    cluster.signal(leader, work.strikes)
    return leader


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
