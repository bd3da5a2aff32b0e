"""A generator: `python -m bench.load CLIENT KEY=VALUE ...`, the words as `bench.load.job` has them."""

from __future__ import annotations

import asyncio
import logging
import sys

from bench.load.job import Job
from bench.load.sample import Sample
from bench.load.workloads import say, work

CLIENTS = ("chubby", "etcd", "kazoo-threads", "kazoo-async")


async def run(client: str, job: Job) -> Sample:
    """Do the job by that client; only its libraries are loaded. Raises ValueError if there is no such client."""
    match client:
        case "chubby":
            from bench.load import ours_client, ours_only

            if job.workload in ours_only.WORKLOADS:
                return await ours_only.WORKLOADS[job.workload](job)
            return await work(ours_client.DRIVER, job)
        case "etcd":
            from bench.load import etcd_client

            return await work(etcd_client.DRIVER, job)
        case "kazoo-threads":
            from bench.load import kazoo_client

            return await work(kazoo_client.THREADS, job)
        case "kazoo-async":
            from bench.load import kazoo_client

            return await work(kazoo_client.CALLBACKS, job)
    raise ValueError(f"no client {client}: there are {', '.join(CLIENTS)}")


def main(client: str, *words: str) -> int:
    """Do it and print the sample; returns an exit code."""
    logging.disable(logging.CRITICAL)
    say(asyncio.run(run(client, Job.parse(words))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
