"""Programs that offer a service, and others that follow who does: the recipe `ServiceRegistry`.

An entry is there from the moment at which `register` returns, for as long as its process wants it and its session
lives; in the end all who follow see exactly the entries of those that live.
"""

from __future__ import annotations

import asyncio

from chubby.client.recipes.service_registry import AsyncRegistration, AsyncServiceRegistry, Instance
from chubby.client.session import Session
from chubby.errors import AvailabilityError
from chubby.types.time import Instant
from tests.simulation.programs.process import Process, together
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.world import World

ROOT, SERVICE = "/services", "web"


class RollChecker:
    """Who is registered, by true time, and what those who look are told."""

    def __init__(self) -> None:
        self._begun: set[tuple[str, str]] = set()
        self._standing: dict[str, tuple[str, Instant]] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self.sightings = 0

    @property
    def standing(self) -> dict[str, str]:
        """The addresses of all who are registered, by name."""
        return {name: address for name, (address, _) in self._standing.items()}

    def registering(self, name: str, address: str) -> None:
        """Somebody begins to register: from now on it may be seen."""
        self._begun.add((name, address))

    def registered(self, name: str, address: str, now: Instant) -> None:
        """The registry says that it is entered."""
        self._standing[name] = (address, now)

    def leaving(self, name: str) -> None:
        """It takes its entry back, or may have lost it: from now on it may be missed."""
        self._standing.pop(name, None)

    def looked(self, who: str, instances: list[Instance], begun: Instant, stands: dict[str, str]) -> None:
        """Somebody who asked at `begun` is told this; `stands` are those whose sessions live for certain, now."""
        seen = {each.name: each.address for each in instances}
        self.saw(who, instances)
        for name, (address, since) in self._standing.items():
            if since < begun and stands.get(name) == address and seen.get(name) != address:
                raise Violation(f"{who} is told {seen} while {name} is registered at {address}")

    def saw(self, who: str, instances: list[Instance]) -> None:
        """Somebody who follows is told this."""
        self.sightings += len(instances)
        for each in instances:
            if (each.name, each.address) not in self._begun:
                raise Violation(f"{who} is told that {each.name} is at {each.address}, where it never was")
            version = int(each.address.rpartition(":")[2])
            if version < self._versions.get((who, each.name), 0):
                raise Violation(f"{who} is told of {each.address} after a later address of {each.name}")
            self._versions[who, each.name] = version


class Services:
    """The service, those who offer it and those who follow it."""

    def __init__(self, world: World) -> None:
        self.checker = RollChecker()
        self._world = world
        self._calm = False
        self._count = 0
        self._offers: dict[str, tuple[str, Process, Session]] = {}
        self._views: dict[Process, dict[str, str]] = {}

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Offer the service now and then, look for it, and follow it."""
        registry = AsyncServiceRegistry(session, ROOT)
        try:
            await together(
                self._offer(process, session, registry, tempo),
                self._look(process, registry, tempo),
                self._follow(process, session, registry),
            )
        finally:
            self._gone(process)

    def _gone(self, process: Process) -> None:
        if not process.ended:
            self.checker.leaving(process.place)
            self._offers.pop(process.place, None)

    async def _offer(self, process: Process, session: Session, registry: AsyncServiceRegistry, tempo: Tempo) -> None:
        while True:
            await process.rest(tempo)
            self._count += 1
            address = f"{process.place}:{self._count}"
            self.checker.registering(process.place, address)
            registration = await registry.register(SERVICE, process.place, address)
            self._offers[process.place] = address, process, session
            self.checker.registered(process.place, address, self._world.now)
            try:
                await self._serve(process, registration)
            finally:
                self._gone(process)
                await registration.close()

    async def _serve(self, process: Process, registration: AsyncRegistration) -> None:
        """Until it no longer wants to; after the faults, for good."""
        await asyncio.sleep(process.seconds(0, 4))
        await registration.update({"load": str(process.chance.randrange(100)).encode()})
        while self._calm or process.chance.random() < 0.5:
            try:
                async with asyncio.timeout(process.seconds(0, 4)):
                    await registration.lost()
                return
            except TimeoutError:
                pass

    async def _look(self, process: Process, registry: AsyncServiceRegistry, tempo: Tempo) -> None:
        while True:
            await process.rest(tempo)
            begun = self._world.now
            try:
                instances = await registry.instances(SERVICE)
            except AvailabilityError:
                continue
            self.checker.looked(process.place, instances, begun, self._certain())

    def _certain(self) -> dict[str, str]:
        return {name: address for name, (address, process, session) in self._offers.items() if process.acts(session)}

    async def _follow(self, process: Process, session: Session, registry: AsyncServiceRegistry) -> None:
        follower = f"{process.place}/{session.id:x}"
        async for instances in registry.follow(SERVICE):
            self.checker.saw(follower, instances)
            self._views[process] = {each.name: each.address for each in instances}

    def calm(self) -> None:
        """The faults are over."""
        self._calm = True

    def waiting(self, living: list[Process]) -> str:
        """Whoever does not see exactly those that are there."""
        places = {each.place for each in living}
        there = {name: address for name, address in self.checker.standing.items() if name in places}
        if len(there) < len(living):
            return f"only {' '.join(there)} of {' '.join(each.place for each in living)} are registered"
        wrong = [each.place for each in living if self._views.get(each) != there]
        return f"{' '.join(wrong)} do not see who is there" if wrong else ""

    def check(self) -> None:
        """All was judged when it happened."""
