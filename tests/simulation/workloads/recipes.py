"""Programs on recipes, a process of them beside each client (`tests.simulation.programs`). Each run draws some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from chubby.client.session import Session
from chubby.errors import ChubbyError
from tests.simulation.clients import ClientHost
from tests.simulation.programs.counters import Counters
from tests.simulation.programs.leaders import Leaders
from tests.simulation.programs.parties import Parties
from tests.simulation.programs.process import Process, together
from tests.simulation.programs.services import Services
from tests.simulation.programs.settings import Settings
from tests.simulation.tempo import Tempo
from tests.simulation.world import World

MOST = 5
"""So many processes run programs at a time: enough for every recipe, and seeds stay cheap."""
CALLS = 5
"""What a program does at a time takes so many calls, about."""


class Program(Protocol):
    """What processes do together with one recipe."""

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Take part with this session, until it is lost."""

    def calm(self) -> None:
        """The faults are over."""

    def waiting(self, living: list[Process]) -> str:
        """What is still to be seen since then before all these are served, in words; empty: nothing."""

    def check(self) -> None:
        """Judge what can be judged in the end only. Raises Violation."""


PROGRAMS: Final[Mapping[str, Callable[[World], Program]]] = MappingProxyType(
    {"leaders": Leaders, "counters": Counters, "services": Services, "settings": Settings, "parties": Parties}
)


class Recipes:
    """The processes and what they run."""

    def __init__(self, world: World, names: tuple[str, ...] = ()) -> None:
        """`names` are the programs; none: some are drawn."""
        chance = world.stream("recipes")
        drawn = tuple(name for name in PROGRAMS if chance.random() < 0.4) or (chance.choice(tuple(PROGRAMS)),)
        self.programs = {name: PROGRAMS[name](world) for name in names or drawn}
        self.processes: list[Process] = []
        self.sessions = 0
        """How many were opened."""
        self._tempo: dict[Process, Tempo] = {}
        self._over = False
        world.trace(f"programs: {' '.join(self.programs)}")

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """A process runs beside this client from now on, if there are not enough."""
        if self._over or sum(not each.ended for each in self.processes) >= MOST:
            return
        process = Process(client)
        self.processes.append(process)
        self._tempo[process] = Tempo(tempo.pause * CALLS * len(self.programs), tempo.rhythm)
        process.start(self._main)

    async def _main(self, process: Process) -> None:
        """One session after the other, until told to end."""
        while True:
            try:
                async with process.session() as session:
                    self.sessions += 1
                    tempo = self._tempo[process]
                    await together(*(each.run(process, session, tempo) for each in self.programs.values()))
            except ChubbyError as error:
                process.trace(f"loses its session for programs: {type(error).__name__}")
            await asyncio.sleep(process.seconds(0, 1))

    def calm(self) -> None:
        """The faults are over: everybody has to be served again."""
        for program in self.programs.values():
            program.calm()

    def waiting(self) -> str:
        """What is still missing; then all processes end, and until they have that is what is missing."""
        living = [process for process in self.processes if not process.ended]
        if not self._over:
            if missing := "; ".join(filter(None, (each.waiting(living) for each in self.programs.values()))):
                return missing
            self._over = True
            for process in living:
                process.end()
        return f"programs of {' '.join(each.place for each in living)} do not end" if living else ""

    def check(self) -> None:
        """Judge what can be judged in the end only. Raises Violation."""
        for program in self.programs.values():
            program.check()

    def end(self) -> None:
        """The run is over, well or not: nothing of it remains."""
        for process in self.processes:
            process.kill()
