"""A loop on virtual time: order, time, ends, and that nothing is forgiven."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.simulation.violation import Violation
from tests.simulation.virtual_loop import VirtualLoop, virtual_loop


class Machine:
    """A clock, and a loop that runs whenever it asks to."""

    def __init__(self, pace: Callable[[], Duration] = lambda: 0) -> None:
        self.now: Instant = 5 * SECOND
        self.due: list[Instant] = []
        self.loop: VirtualLoop = virtual_loop(lambda: self.now, self.due.append, pace)
        self.turns = 0

    def run(self, most: int = 1000) -> None:
        """Let time pass until the loop asks for nothing any more."""
        while self.due and self.turns < most:
            self.now = max(self.now, min(self.due))
            self.due.clear()
            self.turns += 1
            self.loop.run()

    def finish(self, program: Coroutine[Any, Any, Any]) -> None:
        """Run one program to its end."""
        task = self.loop.create_task(program)
        self.run()
        task.result()


@pytest.fixture
def machine() -> Machine:
    """An idle one."""
    return Machine()


def test_what_is_ready_runs_first_in_first_out(machine: Machine) -> None:
    """Also what becomes ready meanwhile, behind what was ready before."""
    told: list[int] = []

    def first() -> None:
        told.append(1)
        machine.loop.call_soon(told.append, 3)

    machine.loop.call_soon(first)
    machine.loop.call_soon(told.append, 2)
    machine.run()
    assert told == [1, 2, 3] and machine.now == 5 * SECOND, "no time has passed"


def test_sleeping_takes_virtual_time_alone(machine: Machine) -> None:
    """A day passes at once; the loop asks to be woken when it is due, never before."""
    ends: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        ends.append(asyncio.get_running_loop().time())

    async def program() -> None:
        await asyncio.gather(sleep(86_400.0), sleep(0.25), sleep(0.0))

    machine.finish(program())
    assert ends[0] == 5.0 and 5.25 <= ends[1] < 5.2500001 and 86_405.0 <= ends[2] < 86_405.0001


def test_timers_of_one_instant_run_in_the_order_of_their_making(machine: Machine) -> None:
    """Whatever the heap does."""
    told: list[int] = []
    for number in range(50):
        machine.loop.call_at(7.0, told.append, number)
    machine.loop.call_at(6.0, told.append, -1)
    machine.run()
    assert told == [-1, *range(50)]


def test_a_cancelled_timer_wakes_nobody(machine: Machine) -> None:
    """It is dropped when it comes to the front."""
    machine.loop.call_later(1.0, lambda: None).cancel()
    machine.loop.call_soon(lambda: None)
    machine.due.clear()
    machine.loop.run()
    assert machine.due == []


def test_timeouts_and_queues_and_events_are_asyncios_own(machine: Machine) -> None:
    """What production code uses works here as it does there."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    found: list[object] = []

    async def consume() -> None:
        found.append(await queue.get())
        try:
            async with asyncio.timeout(3.0):
                await queue.get()
        except TimeoutError:
            found.append("too late")
        done, waiting = await asyncio.wait((asyncio.ensure_future(asyncio.sleep(1)),), timeout=0.5)
        found.append((len(done), len(waiting)))
        for task in waiting:
            task.cancel()

    machine.loop.call_later(1.0, queue.put_nowait, 4)
    machine.finish(consume())
    assert found == [4, "too late", (0, 1)]


def test_a_busy_machine_lets_time_pass_between_rounds() -> None:
    """What became ready waits for the next round, and something else may come between."""
    machine = Machine(pace=lambda: 2 * MILLISECOND)
    instants: list[Instant] = []

    async def program() -> None:
        for _ in range(3):
            instants.append(machine.now)
            await asyncio.sleep(0)

    machine.finish(program())
    assert [each - instants[0] for each in instants] == [0, 2 * MILLISECOND, 4 * MILLISECOND]


def test_a_failing_callback_fails_the_process(machine: Machine) -> None:
    """Asyncio would log it; here it ends the seed."""
    machine.loop.call_soon(lambda: 1 // 0)
    with pytest.raises(Violation, match="ZeroDivisionError"):
        machine.run()


def test_an_exception_that_nobody_took_is_found_at_the_end(machine: Machine) -> None:
    """Whether or not the collector has been round; one that was taken is fine."""

    async def fail() -> None:
        raise KeyError("lost")

    async def take() -> None:
        with pytest.raises(KeyError):
            await asyncio.ensure_future(fail())

    machine.finish(take())
    machine.loop.check_at_end()
    task = machine.loop.create_task(fail(), name="orphan")
    machine.run()
    with pytest.raises(Violation, match="orphan failed, and nobody heard"):
        machine.loop.check_at_end()
    assert isinstance(task.exception(), KeyError)


def test_a_loop_without_end_is_found(machine: Machine) -> None:
    """Something is always ready and no time passes."""

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    machine.loop.create_task(spin())
    with pytest.raises(Violation, match="spins"):
        machine.run()
    machine.loop.kill()


def test_an_abandoned_iteration_is_ended(machine: Machine) -> None:
    """As asyncio's own loop does when nobody goes on with it."""
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1)
            ended.append("ended")

    async def first() -> None:
        async for _ in numbers():
            break

    machine.finish(first())
    assert ended == ["ended"]


def test_a_killed_process_is_unwound_and_runs_no_more(machine: Machine) -> None:
    """Its coroutines are gone, also those that want to do something first; nothing is left to be collected later."""
    told: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            told.append("unwound")
            await asyncio.sleep(1000)
            told.append("never")

    machine.loop.create_task(stubborn(), name="stubborn")
    machine.loop.create_task(asyncio.sleep(0))
    machine.due.clear()
    machine.loop.run()
    assert machine.loop.pending() == ["stubborn"]
    machine.due.clear()
    machine.loop.kill()
    gc.collect()
    assert told == ["unwound"] and machine.loop.pending() == []
    assert machine.loop.is_closed() and machine.due == [], "it asks for nothing any more"


def test_what_fails_in_a_process_that_is_gone_concerns_nobody(machine: Machine) -> None:
    """It could not have said so."""

    async def fail_at_the_end() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            raise ValueError("too late")

    machine.loop.create_task(fail_at_the_end())
    machine.due.clear()
    machine.loop.run()
    machine.loop.kill()
    machine.loop.check_at_end()


def test_threads_and_sockets_are_refused(machine: Machine) -> None:
    """Production code that needs them does not belong on this loop, and says so."""

    async def program() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(NotImplementedError):
            loop.run_in_executor(None, print)
        with pytest.raises(NotImplementedError):
            loop.call_soon_threadsafe(print)
        with pytest.raises(NotImplementedError):
            await loop.create_connection(asyncio.Protocol, "127.0.0.1", 1)

    machine.finish(program())


def test_another_loop_may_be_running_around_it(machine: Machine) -> None:
    """A turn gives back what it found."""

    async def outer() -> None:
        around = asyncio.get_running_loop()
        machine.loop.call_soon(lambda: None)
        machine.run()
        assert asyncio.get_running_loop() is around

    asyncio.run(outer())
