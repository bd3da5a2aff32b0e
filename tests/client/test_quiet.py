"""A fail-over is the client's business: a program that uses the library finds nothing of it on its standard error.

A program of its own, over real gRPC: what gRPC's C core prints goes past Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio
from chubby import aio
from chubby.client.driver import boot_clock
from tests.client.fake_cell import FakeCell
from tests.client.fake_door import serve

async def main():
    cell = FakeCell()
    first, second = await serve(cell), await serve(cell)
    for server in (first, second):
        server.door.peers = (first.door.address, second.door.address)
        server.door.master_address = first.door.address
    async with aio.connect("/ls/local", addresses=[first.door.address]) as session:
        handle = await session.open("/a", create=True)
        await first.stop()
        cell.fail_over(boot_clock())
        second.door.master_address = second.door.address
        second.door.announce()
        await handle.set_contents(b"after", timeout=30)
    await second.stop()

for _ in range(6):
    asyncio.run(main())
"""
"""Several fail-overs: without our defaults gRPC prints its line at most of them, though not at each."""


def run(program: str) -> str:
    """Run a program; what it wrote to its standard error."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=100, check=True)
    return done.stderr


def test_a_fail_over_prints_nothing() -> None:
    """See `chubby`, gRPC's surroundings."""
    assert run(PROGRAM) == ""
