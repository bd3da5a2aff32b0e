"""The work, once for all clients."""

from __future__ import annotations

import asyncio
import resource
import statistics
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from bench.load.client import Client, Driver
from bench.load.job import Job
from bench.load.sample import Record, Sample

A = TypeVar("A")
C = TypeVar("C")

SETTLE = 2.0
"""Seconds in which waiters come to stand in line, and watches are set anew."""
READY = "ready"
"""What a generator says when it begins to measure: then a fault may strike, and others' use of processors counts."""


async def connected(driver: Driver[A], job: Job, stack: AsyncExitStack) -> list[Client[A]]:
    """As many clients as the job wants, each at the next endpoint in turn; closed with the stack."""
    clients = []
    for number in range(job.connections):
        first = number % len(job.endpoints)
        client = await driver.connect(job.endpoints[first:] + job.endpoints[:first])
        stack.push_async_callback(client.close)
        clients.append(client)
    if job.nodes:
        await clients[0].fill(job.nodes, job.value)
    return clients


def spread(clients: Sequence[C], count: int) -> list[C]:
    """Which client each of so many acts goes through."""
    return [clients[number % len(clients)] for number in range(count)]


async def measured(driver: Driver[A], job: Job, acts: Sequence[A]) -> Sample:
    """The rate of a closed loop, and what processors it took."""
    await driver.engine.repeat(acts, job.warm)
    begin()
    before = own_processor_seconds()
    record = await driver.engine.repeat(acts, job.seconds)
    sample = record.rate()
    return replace(sample, processor=(own_processor_seconds() - before) / sample.seconds)


def own_processor_seconds() -> float:
    """Of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def writes(driver: Driver[A], job: Job) -> Sample:
    """Each act writes a node of its own."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        acts = [await c.writer(f"w{n:04}", job.value) for n, c in enumerate(spread(clients, job.in_flight))]
        return await measured(driver, job, acts)


async def reads(driver: Driver[A], job: Job) -> Sample:
    """Each act reads a node of its own, linearizably."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        await filled(driver, clients, job, "r")
        acts = [await c.reader(f"r{n:04}") for n, c in enumerate(spread(clients, job.in_flight))]
        return await measured(driver, job, acts)


async def near_reads(driver: Driver[A], job: Job) -> Sample:
    """Each act reads a node of its own in the cheapest way."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        await filled(driver, clients, job, "n")
        acts = [await c.near_reader(f"n{n:04}") for n, c in enumerate(spread(clients, job.in_flight))]
        return await measured(driver, job, acts)


async def filled(driver: Driver[A], clients: Sequence[Client[A]], job: Job, prefix: str) -> None:
    """Write the nodes that will be read."""
    places = enumerate(spread(clients, job.in_flight))
    await driver.engine.once([await c.writer(f"{prefix}{n:04}", job.value) for n, c in places])


async def lock_cycles(driver: Driver[A], job: Job) -> Sample:
    """Each client takes and gives back a lock of its own."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        locks = [await c.lock(f"l{n:04}") for n, c in enumerate(spread(clients, job.in_flight))]
        return await measured(driver, job, [lock.cycle for lock in locks])


async def contended_lock(driver: Driver[A], job: Job) -> Sample:
    """One lock goes through all who wait for it in line: hand-overs a second, in the median of several rounds."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        holder, *waiters = [await client.lock("contended") for client in clients]
        rates = []
        begin()
        for _ in range(job.rounds):
            await driver.engine.once([holder.acquire])
            waiting = asyncio.create_task(driver.engine.once([waiter.cycle for waiter in waiters]))
            await asyncio.sleep(SETTLE)
            released = perf_counter()
            await driver.engine.once([holder.release])
            await waiting
            rates.append(len(waiters) / (perf_counter() - released))
        return Sample(statistics.median(rates), len(waiters) * job.rounds, job.rounds * SETTLE)


class Roll:
    """Counts who was told, in whatever thread."""

    def __init__(self, watchers: int) -> None:
        self._watchers = watchers
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._told = 0
        self.last = 0.0
        self.all = asyncio.Event()

    def call(self) -> None:
        """One more was told."""
        with self._lock:
            self._told += 1
            if self._told < self._watchers:
                return
            self._told = 0
            self.last = perf_counter()
        self._loop.call_soon_threadsafe(self.all.set)


async def fan_out(driver: Driver[A], job: Job) -> Sample:
    """One write, so many watchers over so many connections: seconds from the write until the last was told."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        write = await clients[0].writer("watched", job.value)
        await driver.engine.once([write])
        roll = Roll(job.in_flight)
        for client in spread(clients, job.in_flight):
            await client.watch("watched", roll.call)
        begin()
        record = Record()
        for _ in range(job.rounds + 1):
            await asyncio.sleep(SETTLE)
            roll.all.clear()
            record.began.append(perf_counter())
            await driver.engine.once([write])
            await asyncio.wait_for(roll.all.wait(), 60)
            record.ended.append(roll.last)
            for client in clients:
                await client.renew()
        del record.began[0], record.ended[0]
        took = [end - begin for begin, end in zip(record.began, record.ended, strict=True)]
        return record.sample(statistics.median(took), sum(took))


async def fail_over(driver: Driver[A], job: Job) -> Sample:
    """Writers without a pause while something happens: the longest time in which no write was acknowledged."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        acts = [await c.writer(f"f{n:04}", job.value) for n, c in enumerate(spread(clients, job.in_flight))]
        await driver.engine.repeat(acts, job.warm)
        begin()
        return (await driver.engine.repeat(acts, job.seconds)).gap()


async def outage(driver: Driver[A], job: Job) -> Sample:
    """Readers without a pause while something happens: the longest time in which no read was answered."""
    async with AsyncExitStack() as stack:
        clients = await connected(driver, job, stack)
        await filled(driver, clients, job, "o")
        acts = [await c.reader(f"o{n:04}") for n, c in enumerate(spread(clients, job.in_flight))]
        await driver.engine.repeat(acts, job.warm)
        begin()
        return (await driver.engine.repeat(acts, job.seconds)).gap()


async def fill(driver: Driver[A], job: Job) -> Sample:
    """Have the nodes of the job: nodes made a second."""
    async with AsyncExitStack() as stack:
        began = perf_counter()
        await connected(driver, job, stack)
        span = perf_counter() - began
        begin()
        return Sample(job.nodes / span, job.nodes, span)


Workload = Callable[[Driver[A], Job], Awaitable[Sample]]


async def work(driver: Driver[A], job: Job) -> Sample:
    """Do the job. Raises KeyError if there is no such workload."""
    known: dict[str, Workload[A]] = {
        "writes": writes,
        "reads": reads,
        "near_reads": near_reads,
        "lock_cycles": lock_cycles,
        "contended_lock": contended_lock,
        "fan_out": fan_out,
        "fail_over": fail_over,
        "outage": outage,
        "fill": fill,
    }
    return await known[job.workload](driver, job)


def begin() -> None:
    """Say that what is measured begins."""
    print(READY, flush=True)


def say(sample: Sample) -> None:
    """Print it, as the last thing."""
    print(msgspec.json.encode(sample).decode(), flush=True)
