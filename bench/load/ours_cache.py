"""Reads that a session answers itself: as tight as a program can ask, for each is shorter than two looks at a clock."""

from __future__ import annotations

import asyncio
from time import perf_counter

import chubby
import chubby.aio
from bench.load.job import Job
from bench.load.ours_client import ROOT
from bench.load.sample import Sample
from bench.load.workloads import begin, own_processor_seconds

BURST = 10_000
"""Reads between two looks at the clock."""
NAME = f"{ROOT}/cached"


class Meter:
    """Counts bursts until the time is over."""

    def __init__(self, job: Job) -> None:
        self._warm = perf_counter() + job.warm
        self._seconds = job.seconds
        self._began = self._processor = 0.0
        self._bursts = 0

    def goes_on(self) -> bool:
        """Called before each burst: whether there is to be one."""
        now = perf_counter()
        if not self._began:
            if now < self._warm:
                return True
            begin()
            self._began, self._processor = perf_counter(), own_processor_seconds()
            return True
        self._bursts += 1
        return now < self._began + self._seconds

    def sample(self) -> Sample:
        """Reads a second."""
        span = perf_counter() - self._began
        reads = self._bursts * BURST
        used = own_processor_seconds() - self._processor
        return Sample(reads / span, reads, span, processor=used / span)


async def cached_reads(job: Job) -> Sample:
    """One task of an asyncio program reads one node over and over."""
    async with (
        chubby.aio.connect(ROOT, addresses=job.endpoints) as session,
        session.open(NAME, create=True) as handle,
    ):
        await handle.set_contents(job.value)
        await handle.get_contents_and_stat()
        meter = Meter(job)
        while meter.goes_on():
            for _ in range(BURST):
                await handle.get_contents_and_stat()
            await asyncio.sleep(0)
        return meter.sample()


def read_in_thread(job: Job) -> Sample:
    """One thread of an ordinary program does."""
    with chubby.connect(ROOT, addresses=job.endpoints) as session, session.open(NAME, create=True) as handle:
        handle.set_contents(job.value)
        handle.get_contents_and_stat()
        meter = Meter(job)
        while meter.goes_on():
            for _ in range(BURST):
                handle.get_contents_and_stat()
        return meter.sample()


async def cached_reads_sync(job: Job) -> Sample:
    """See `read_in_thread`."""
    return await asyncio.to_thread(read_in_thread, job)
