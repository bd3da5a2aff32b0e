"""Scenarios run under both event loops, and leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

import pytest
import uvloop

from tests.transport.meshes import descriptors, until

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


class Run(Protocol):
    """Runs a scenario. `complaints` is how many errors it makes the loop's exception handler see."""

    def __call__(self, scenario: Coroutine[object, object, None], complaints: int = 0) -> None:
        """To its end."""


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """A loop for one test. Afterwards there must be no task, no descriptor and no unexpected error left."""
    factory = LOOPS[request.param]
    complaints: list[dict[str, Any]] = []

    async def guarded(scenario: Coroutine[object, object, None]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        warm = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)  # libuv keeps one descriptor from here on
        warm.close()
        await warm.wait_closed()
        before = descriptors()
        async with asyncio.timeout(60):
            await scenario
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await until(lambda: descriptors() == before)

    def go(scenario: Coroutine[object, object, None], complaints_expected: int = 0) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(guarded(scenario))
        gc.collect()
        assert len(complaints) == complaints_expected, complaints

    yield lambda scenario, complaints=0: go(scenario, complaints)
