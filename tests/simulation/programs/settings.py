"""Programs that follow a setting, and change it: the recipe `ConfigWatcher`.

Whoever follows sees newer and newer values, in the end the last; whoever reads sees no value older than what was
acknowledged before it asked. Order is that of the cell's revisions, which writers learn with their answers.
"""

from __future__ import annotations

from chubby.client.recipes.config_watcher import AsyncConfigWatcher
from chubby.client.session import Session
from chubby.errors import AvailabilityError, GenerationMismatch, HandleError, NoNode
from chubby.types.identity import Revision
from chubby.types.time import Instant
from tests.simulation.programs.process import Process, together
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/setting"


class ValueChecker:
    """Values by the revisions at which they were written. A value is written once, by one writer."""

    def __init__(self) -> None:
        self._begun: set[bytes] = set()
        self._revisions: dict[bytes, Revision] = {}
        self._followed: dict[str, list[bytes]] = {}
        self._reads: list[tuple[str, Revision, bytes | None]] = []
        self._deletions = 0
        self.newest: Revision = 0
        """Of all that was acknowledged."""

    def writing(self, value: bytes) -> None:
        """Somebody begins to write: from now on it may be seen."""
        self._begun.add(value)

    def wrote(self, value: bytes, revision: Revision) -> None:
        """It was acknowledged."""
        self._revisions[value] = revision
        self.newest = max(self.newest, revision)

    def deleting(self) -> None:
        """Somebody begins to delete the setting: from now on it may be missed."""
        self._deletions += 1

    def revision_of(self, value: bytes | None) -> Revision:
        """0 if nobody was told (yet)."""
        return self._revisions.get(value, 0) if value is not None else 0

    def saw(self, follower: str, value: bytes | None) -> None:
        """Whoever follows is told that this is the value now."""
        self._known(follower, value)
        if value is not None:
            self._followed.setdefault(follower, []).append(value)

    def read(self, who: str, value: bytes | None, floor: Revision) -> None:
        """Somebody read this; `floor` was the newest acknowledged revision when it asked."""
        self._known(who, value)
        self._reads.append((who, floor, value))
        if value is None and floor and not self._deletions:
            raise Violation(f"{who} finds nothing at {PATH} though something was written")

    def _known(self, who: str, value: bytes | None) -> None:
        if value is not None and value not in self._begun:
            raise Violation(f"{who} sees {value!r}, which nobody wrote")

    def check(self) -> None:
        """Judge what was seen, now that all revisions are known."""
        for follower, values in self._followed.items():
            newest: Revision = 0
            for value in values:
                revision = self._revisions.get(value, newest)
                if revision < newest:
                    raise Violation(f"{follower} saw {value!r} of revision {revision} after one of {newest}")
                newest = revision
        for who, floor, found in self._reads:
            revision = self.revision_of(found)
            if revision and revision < floor:
                raise Violation(f"{who} read {found!r} of revision {revision} though {floor} was acknowledged before")


class Settings:
    """The setting, those who change it and those who follow it."""

    def __init__(self, world: World) -> None:
        self.checker = ValueChecker()
        self._world = world
        self._calm: Instant | None = None
        self._count = 0
        self._rested: set[Process] = set()
        self._views: dict[Process, bytes | None] = {}

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Change it now and then, read it, and follow it."""
        await together(
            self._change(process, session, tempo),
            self._read(process, session, tempo),
            self._follow(process, session),
        )

    async def _change(self, process: Process, session: Session, tempo: Tempo) -> None:
        while True:
            await process.rest(tempo)
            if process in self._rested:
                continue
            try:
                if self._calm is None and process.chance.random() < 0.05:
                    await self._delete(session)
                elif self._calm is not None or process.chance.random() < 0.3:
                    await self._write(process, session)
            except (AvailabilityError, HandleError, NoNode, GenerationMismatch):
                pass

    async def _write(self, process: Process, session: Session) -> None:
        final = self._calm is not None
        async with session.open(PATH, create=True) as node:
            stat = await node.get_stat()
            self._count += 1
            value = f"{process.place}/{self._count}".encode()
            self.checker.writing(value)
            generation = process.chance.choice((None, stat.content_generation))
            written = await node.set_contents(value, generation=generation, timeout=process.seconds(2, 20))
            self.checker.wrote(value, written.modified)
            if final:
                self._rested.add(process)

    async def _delete(self, session: Session) -> None:
        async with session.open(PATH) as node:
            self.checker.deleting()
            await node.delete()

    async def _read(self, process: Process, session: Session, tempo: Tempo) -> None:
        async with AsyncConfigWatcher(session, PATH) as watcher:
            while True:
                await process.rest(tempo)
                floor = self.checker.newest
                self.checker.read(process.place, await watcher.read() or None, floor)

    async def _follow(self, process: Process, session: Session) -> None:
        follower = f"{process.place}/{session.id:x}"
        async with AsyncConfigWatcher(session, PATH) as watcher:
            async for value in watcher:
                self.checker.saw(follower, value or None)
                self._views[process] = value

    def calm(self) -> None:
        """The faults are over: each writes once more, then never again."""
        self._calm = self._world.now

    def waiting(self, living: list[Process]) -> str:
        """Whoever does not see the last value."""
        if busy := [each.place for each in living if each not in self._rested]:
            return f"{' '.join(busy)} did not write"
        views = {self._views.get(each) for each in living}
        if len(views) > 1:
            return "not all see the same value"
        # A write whose writer was not told of it may have been the last.
        behind = any(not value or self.checker.revision_of(value) not in (0, self.checker.newest) for value in views)
        return "nobody sees the last value" if behind else ""

    def check(self) -> None:
        """Judge what can be judged in the end only."""
        self.checker.check()
