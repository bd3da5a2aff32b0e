"""Work on a cell of ours that shows how its cost grows: with the width and the depth of directories, with sessions."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from time import monotonic, perf_counter

import chubby.aio
from bench.load.job import Job
from bench.load.ours_client import DRIVER, ROOT, OurClient, connect
from bench.load.sample import Sample
from bench.load.workloads import begin, measured

OPENING = 50
"""Sessions that a crowd opens at a time."""
POLL = 0.05
"""Seconds between two looks at the sessions of a crowd."""


async def clients_of(job: Job, stack: AsyncExitStack) -> list[OurClient]:
    """As many sessions as the job wants."""
    clients = []
    for _ in range(job.connections):
        client = await connect(job.endpoints)
        stack.push_async_callback(client.close)
        clients.append(client)
    return clients


async def wide(job: Job) -> Sample:
    """Each act makes and deletes a node in a directory of `nodes` children."""
    async with AsyncExitStack() as stack:
        clients = await clients_of(job, stack)
        path = f"/wide-{job.nodes}"
        await clients[0].directory(path, job.nodes)
        places = [(clients[number % len(clients)], f"c{number}") for number in range(job.in_flight)]
        return await measured(DRIVER, job, [await client.child_maker(path, name) for client, name in places])


async def deep(job: Job) -> Sample:
    """Each act opens a node below `depth` directories and closes it: what every access to a name has to go through."""
    async with AsyncExitStack() as stack:
        clients = await clients_of(job, stack)
        lowest = await clients[0].deep(job.depth)
        acts = [client.opener(lowest) for client in clients]
        return await measured(DRIVER, job, [acts[number % len(acts)] for number in range(job.in_flight)])


async def crowd(job: Job) -> Sample:
    """So many sessions that do nothing: `ready` when all are there, and a line `{"back": instant, "lost": number}`
    each time that all which were not lost have come to a new master, by CLOCK_MONOTONIC. Ends after `seconds`.
    """
    async with AsyncExitStack() as stack:
        at_once = asyncio.Semaphore(OPENING)
        began = perf_counter()

        async def one() -> chubby.aio.Session:
            async with at_once:
                session = await chubby.aio.connect(ROOT, addresses=job.endpoints, timeout=300)
            stack.push_async_callback(session.close)
            return session

        sessions = await asyncio.gather(*(one() for _ in range(job.connections)))
        opened = perf_counter() - began
        begin()
        end = perf_counter() + job.seconds
        epoch = max(session.statistics().epoch for session in sessions)
        while perf_counter() < end:
            await asyncio.sleep(POLL)
            living = [session.statistics().epoch for session in sessions if not session.state.final]
            if min(living, default=epoch + 1) > epoch:
                epoch = max(living, default=epoch + 1)
                print(json.dumps({"back": monotonic(), "lost": len(sessions) - len(living)}), flush=True)
        lost = sum(session.state.final for session in sessions)
        return Sample(job.connections / opened, job.connections, opened, errors=lost)
