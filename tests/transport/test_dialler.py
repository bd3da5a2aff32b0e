"""A dialler never gives up, whatever the loop does with its attempts."""

from __future__ import annotations

import asyncio
import time

from chubby.transport.settings import Timing
from chubby.types.time import MILLISECOND
from tests.transport.conftest import Run
from tests.transport.meshes import Node, book_of, started, until, works

HURRIED = Timing(
    connect=30 * MILLISECOND, backoff_shortest=MILLISECOND, backoff_longest=5 * MILLISECOND, dead=300 * MILLISECOND
)


def stall(seconds: float) -> None:
    """Keep the loop from turning, as SIGSTOP does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_an_attempt_that_succeeds_and_runs_out_of_time_in_one_turn(run: Run) -> None:
    """A process that was stopped finds its connection made and the time for it up: uvloop has closed the connection by
    then, and refuses to write the goodbye. The dialler dials again.
    """

    async def scenario() -> None:
        book = book_of(2)
        one, other = Node(1, book, timing=HURRIED), Node(2, book)
        async with started(other):
            loop = asyncio.get_running_loop()
            stalls = 0

            def hold_up() -> None:
                nonlocal stalls
                if stalls < 10:
                    stalls += 1
                    stall(0.04)
                    loop.call_soon(hold_up)

            async with started(one):
                loop.call_soon(hold_up)
                await until(lambda: stalls == 10)
                await works(one, other)

    run(scenario())
