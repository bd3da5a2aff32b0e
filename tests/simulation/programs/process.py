"""A process that runs programs as users write them: an asyncio loop on a simulated client's machine, and production
sessions over the simulated network.

It shares the fate of the machine it runs on: its clock, its links, its pauses; when the client dies, it dies with it,
and nothing that it has not sent yet is ever sent. When the client's own session has ended the process is told to end
as well, in good order. Its own sessions are others, with ends of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from chubby.client.driver import Driver
from chubby.client.names import Names
from chubby.client.session import Session, begin
from chubby.client.state import SessionState
from chubby.config.load import CellAddresses
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant, to_seconds
from tests.simulation.clients import ClientHost
from tests.simulation.programs.wire import ProgramLink, ProgramNetwork
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.virtual_loop import virtual_loop
from tests.simulation.world import Timer

OPEN_TIMEOUT = 30.0
"""Seconds that a program tries to open a session before it says so, and tries again."""
LONGEST_REST: Duration = 6 * SECOND
"""Between two things that a program does."""
BUSY: Duration = 2 * MILLISECOND
"""How long at most a busy machine lets a process wait for the processor."""

logging.getLogger("chubby").addHandler(logging.NullHandler())


class Process:
    """See the module."""

    def __init__(self, client: ClientHost) -> None:
        self.client = client
        self.world = client.world
        self.place = client.place
        self.clock = client.clock
        self.chance = client.world.stream(f"{client.place}/programs")
        self.loop = virtual_loop(self.clock.now, self._wake, self._pace)
        self.network = client.network
        self.links: dict[ProgramLink, None] = {}
        """Its streams that stand."""
        self.ended = False
        """Whether nothing runs here any more."""
        self._caching = self.chance.random() < 0.8
        self._busy = self.chance.choice((0.0, 0.0, 0.1))
        self._timer: Timer | None = None
        self._due: Instant = 0
        self._main: asyncio.Task[None] | None = None
        client.on_crash.append(self.kill)
        client.on_state.append(self._on_state)

    def start(self, main: Callable[[Process], Coroutine[Any, Any, None]]) -> None:
        """Begin to run."""
        self._main = self.loop.create_task(main(self), name=f"main of {self.place}")
        self._main.add_done_callback(self._finished)

    @property
    def awake(self) -> bool:
        """Whether it runs now: there, and not stopped."""
        return not self.ended and self.world.now >= self.client.paused_until

    def acts(self, session: Session) -> bool:
        """Whether it acts now upon what it holds with this session: it is awake, and its session lease runs."""
        return self.awake and session.certain

    def trace(self, line: str) -> None:
        """Note what a program does."""
        if not self.ended:
            self.world.trace(f"{self.place} {line}")

    async def rest(self, tempo: Tempo) -> None:
        """Let time pass until the next thing is to be done."""
        due = min(tempo.next(self.chance, self.world.now), self.world.now + LONGEST_REST)
        await asyncio.sleep(to_seconds(due - self.world.now))

    def seconds(self, low: float, high: float) -> float:
        """Some time between the two."""
        return self.chance.uniform(low, high)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A session, as `chubby.aio.connect` makes it, over the simulated network."""
        addresses = tuple(self.client.hosts)
        driver = Driver(
            ProgramNetwork(self),
            addresses,
            caching=self._caching,
            clock=self.clock.now,
            jitter=self.chance.random,
            nonce=self.chance.getrandbits(62) + 1,
        )
        found = CellAddresses("local", addresses, "the simulation")
        async with await begin(driver, Names("/ls/local"), found, OPEN_TIMEOUT, None) as session:
            self.trace("has a session for programs")
            yield session

    # ------------------------------------------------------------------------------------------------ of the machine

    def deliver(self, action: Callable[[], object]) -> None:
        """Something arrived for this process, which takes it when it runs."""
        if not self.ended:
            self.loop.call_soon(action)

    def _pace(self) -> Duration:
        return round(self.chance.random() * BUSY) if self._busy and self.chance.random() < self._busy else 0

    def _wake(self, due: Instant) -> None:
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self.world.after(self.clock.true_delay(max(due - self.clock.now(), 0)), self._turn)

    def _turn(self) -> None:
        self._timer = None
        if self.ended:
            return
        if self.world.now < self.client.paused_until:
            self._due = self.clock.now()
            self._timer = self.world.at(self.client.paused_until, self._turn)
        else:
            self.loop.run()

    def end(self) -> None:
        """Tell it to end, in good order (SIGTERM)."""
        if self._main is not None and not self.ended:
            self._main.cancel()

    def kill(self) -> None:
        """kill -9: it is gone, and says nothing to anybody."""
        if not self.ended:
            self._bury()

    def _on_state(self, state: SessionState) -> None:
        if state.final:
            self.end()

    def _finished(self, main: asyncio.Task[None]) -> None:
        """The program has ended: by itself, which none does, or told to."""
        if not self.ended:
            self.trace("ends its programs")
            self.world.after(self._busy_until_done(), self._end)

    def _busy_until_done(self) -> Duration:
        return SECOND if self._busy else 0

    def _end(self) -> None:
        """It ended in good order: then nothing is left behind."""
        if not self.ended:
            self.loop.check_at_end()
            if left := self.loop.pending():
                raise Violation(f"programs of {self.place} ended and left behind {', '.join(left)}")
            self._bury()

    def _bury(self) -> None:
        """Nothing of it remains; the system resets its connections."""
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
        for link in list(self.links):
            link.close()
        self.loop.kill()


async def together(*programs: Coroutine[Any, Any, None]) -> None:
    """Run all of them until one fails, or this is cancelled; raises what the first of them failed with."""
    tasks = [asyncio.ensure_future(each) for each in programs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError)]
    for error in sorted(errors, key=lambda each: not isinstance(each, AssertionError)):
        raise error
