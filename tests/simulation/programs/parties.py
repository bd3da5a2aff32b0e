"""Programs that wait for each other before and after a step: the recipe `Barrier`.

As many parties as the barrier wants, by name; when a party's process is gone another process takes over its name, as
whoever runs such a job sees to it.
"""

from __future__ import annotations

import asyncio

import msgspec

from chubby.client.recipes.barrier import AsyncBarrier
from chubby.client.session import Session
from chubby.errors import AvailabilityError
from chubby.types.time import SECOND, Duration, Instant
from tests.simulation.programs.process import Process
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/barrier"
PARTIES = 2
GRACE: Duration = 120 * SECOND
"""So long after it was last seen a party that died may count as being there."""


class Stay(msgspec.Struct):
    """A party at the barrier: from when it began to enter, until it began to leave or was gone, if it was."""

    begun: Instant
    inside: Instant | None = None
    ended: Instant | None = None


class BarrierChecker:
    """Whoever is let in was together with all others before; whoever is let out leaves nobody behind who was inside."""

    def __init__(self, parties: int) -> None:
        self._stays: dict[str, list[Stay]] = {f"{number}": [] for number in range(parties)}
        self.entered = 0

    def entering(self, party: str, now: Instant) -> Stay:
        """A party begins to enter."""
        stay = Stay(now)
        self._stays[party].append(stay)
        return stay

    def let_in(self, party: str, stay: Stay, now: Instant) -> None:
        """It was let in: since it began, each other party has been there, too."""
        stay.inside = now
        self.entered += 1
        for other, stays in self._stays.items():
            if other != party and not any(each.ended is None or each.ended >= stay.begun for each in stays):
                raise Violation(f"party {party} is let in at {PATH} though party {other} is not there")

    def leaving(self, stay: Stay, now: Instant) -> None:
        """It begins to leave."""
        stay.ended = now

    def gone(self, stay: Stay, now: Instant) -> None:
        """Its process died, or its session may have: what it left may be seen for a while."""
        if stay.ended is None:
            stay.ended = now + GRACE

    def let_out(self, party: str, begun: Instant, inside: frozenset[str]) -> None:
        """It was let out, and had begun to leave then; `inside` are the parties that act upon being inside now."""
        for other, stays in self._stays.items():
            if other == party or other not in inside or not stays:
                continue
            stay = stays[-1]
            if stay.ended is None and stay.inside is not None and stay.inside < begun:
                raise Violation(f"party {party} is let out of {PATH} though party {other} is still inside")


class Parties:
    """The barrier, its parties, and which processes they are now."""

    def __init__(self, world: World) -> None:
        self.checker = BarrierChecker(PARTIES)
        self._world = world
        self._calm = False
        self._who: dict[str, tuple[Process, Session]] = {}
        self._since_calm: set[str] = set()

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Be a party, if one is missing: enter and leave again and again."""
        while (party := self._vacancy()) is None:
            await asyncio.sleep(process.seconds(0, 2))
        self._who[party] = process, session
        try:
            while True:
                await process.rest(tempo)
                await self._round(process, session, party)
        finally:
            if not process.ended:
                del self._who[party]

    def _vacancy(self) -> str | None:
        for number in range(PARTIES):
            name = f"{number}"
            if name not in self._who or self._who[name][0].ended:
                return name
        return None

    async def _round(self, process: Process, session: Session, party: str) -> None:
        checker, world = self.checker, self._world
        barrier = AsyncBarrier(session, PATH, party, PARTIES)
        stay = checker.entering(party, world.now)
        try:
            await barrier.enter(process.seconds(5, 40))
            checker.let_in(party, stay, world.now)
            await asyncio.sleep(process.seconds(0, 1))
        except AvailabilityError:
            if session.certain:
                checker.leaving(stay, world.now)
            else:
                checker.gone(stay, world.now)
            return
        except BaseException:
            checker.gone(stay, world.now)
            raise
        checker.leaving(stay, begun := world.now)
        try:
            await barrier.leave(process.seconds(5, 40))
        except AvailabilityError:
            return
        checker.let_out(party, begun, self._inside())
        if self._calm:
            self._since_calm.add(party)

    def _inside(self) -> frozenset[str]:
        return frozenset(party for party, (process, session) in self._who.items() if process.acts(session))

    def calm(self) -> None:
        """The faults are over."""
        self._calm = True

    def waiting(self, living: list[Process]) -> str:
        """Whether nobody got through, though there are enough for it."""
        if len(living) >= PARTIES and len(self._since_calm) < PARTIES:
            return f"only {len(self._since_calm)} of {PARTIES} parties passed the barrier"
        return ""

    def check(self) -> None:
        """All was judged when it happened."""
