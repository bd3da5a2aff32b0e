"""Programs that count in a file, under a lock: the recipe `Lock`, with its sequencer bound to the handle that writes.

Reading and writing are two calls, and programs think between them, sometimes for longer than a session lives: a lock
alone could not save such a count. The sequencer does: a write after the lock was lost is refused, however late it is.
Now and then somebody removes the lock's node with all who wait there; nobody may lose a count by that either.
"""

from __future__ import annotations

import asyncio

from chubby.client.handle import Handle
from chubby.client.recipes.lock import AsyncLock, Held
from chubby.client.session import Session
from chubby.errors import AvailabilityError, HandleError, NoNode, SequencerInvalid
from chubby.types.identity import Token
from chubby.types.time import Instant
from tests.simulation.programs.process import Process
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.world import World

LOCK = "/count.lock"
COUNT = "/count"


class CountChecker:
    """No count is lost, none is made twice; tokens of the lock grow, over all nodes that ever bore its name."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.begun = 0
        self._made: set[int] = set()
        self._holders: dict[Token, str] = {}

    def held(self, who: str, token: Token) -> None:
        """Somebody was told that it holds the lock."""
        if token in self._holders:
            raise Violation(f"{who} holds {LOCK} with token {token}, as {self._holders[token]} did")
        self._holders[token] = who

    def read(self, who: str, value: int, acknowledged: int) -> None:
        """Somebody who holds the lock reads `value`; so many counts were acknowledged before it asked."""
        if value < acknowledged:
            raise Violation(f"{who} reads {value} after {acknowledged} counts: {acknowledged - value} are lost")
        if value > self.begun:
            raise Violation(f"{who} reads {value} though only {self.begun} counts were begun")

    def counting(self) -> None:
        """Somebody sends a new value."""
        self.begun += 1

    def counted(self, who: str, value: int) -> None:
        """It was acknowledged."""
        if value in self._made:
            raise Violation(f"{who} counted to {value}, as somebody else did: a count is lost")
        self._made.add(value)
        self.acknowledged += 1


class Counters:
    """The count, and who counts."""

    def __init__(self, world: World) -> None:
        self.checker = CountChecker()
        self.refused = 0
        """Writes after the lock was lost."""
        self._world = world
        self._calm: Instant | None = None
        self._served: set[Process] = set()

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Count, again and again."""
        while True:
            await process.rest(tempo)
            if process.chance.random() < 0.02:
                await self._remove_lock(session)
            delay = process.chance.choice((0.0, 0.0, 0.5))
            lock = AsyncLock(session, LOCK, timeout=process.seconds(1, 20), lock_delay=delay)
            try:
                held = await lock.acquire()
            except (AvailabilityError, HandleError):
                continue
            try:
                self.checker.held(process.place, held.token)
                await self._count(process, session, held)
            except (SequencerInvalid, AvailabilityError):
                self.refused += 1
            finally:
                await lock.release()

    async def _count(self, process: Process, session: Session, held: Held[Handle]) -> None:
        async with session.open(COUNT, create=True) as count:
            await count.set_sequencer(held.sequencer)
            acknowledged = self.checker.acknowledged
            contents, _ = await count.get_contents_and_stat()
            value = int(contents or b"0")
            self.checker.read(process.place, value, acknowledged)
            if process.chance.random() < 0.3:
                await asyncio.sleep(process.seconds(0, 2))
            self.checker.counting()
            await count.set_contents(str(value + 1).encode(), timeout=process.seconds(2, 20))
            self.checker.counted(process.place, value + 1)
            if self._calm is not None:
                self._served.add(process)

    async def _remove_lock(self, session: Session) -> None:
        try:
            async with session.open(LOCK) as node:
                await node.delete()
        except (NoNode, HandleError):
            pass

    def calm(self) -> None:
        """The faults are over."""
        self._calm = self._world.now

    def waiting(self, living: list[Process]) -> str:
        """Whoever has not counted since then."""
        idle = [each.place for each in living if each not in self._served]
        return f"{' '.join(idle)} did not count" if idle else ""

    def check(self) -> None:
        """All was judged when it happened."""
