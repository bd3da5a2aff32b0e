"""A node that comes and goes: is its presence, and its absence, ever told wrongly? Absence and child lists are cached
like contents (DESIGN §5).
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Close, CreateMode, Delete, Mode, Open, ReadDir
from chubby.types.identity import HandleNumber
from chubby.types.results import Answer, Done, Listing, Opened
from chubby.types.time import SECOND, Duration, Instant
from tests.simulation.checkers import Violation
from tests.simulation.clients import ClientHost
from tests.simulation.world import World

PATIENCE: Duration = 20 * SECOND


class PresenceChecker:
    """What is known of each instance of one name, by true time.

    A node whose creation was acknowledged is there until somebody begins to delete it; one whose deletion was
    acknowledged is gone for ever. Ephemeral ones may go at any time, when their sessions end.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._made: set[int] = set()
        self._lasting: dict[int, Instant] = {}
        self._gone: dict[int, Instant] = {}
        self.sightings = 0
        self.absences = 0

    def created(self, instance: int, ephemeral: bool, ended: Instant) -> None:
        """A creation was acknowledged."""
        if instance in self._made:
            raise Violation(f"instance {instance} of {self._path} was made twice")
        self._made.add(instance)
        if not ephemeral:
            self._lasting[instance] = ended

    def deleting(self, instance: int) -> None:
        """Somebody begins to delete it: from now on it may be missed."""
        self._lasting.pop(instance, None)

    def deleted(self, instance: int, ended: Instant) -> None:
        """A deletion was acknowledged."""
        self._gone.setdefault(instance, ended)

    def seen(self, who: str, instance: int, begun: Instant) -> None:
        """An access that began then was told that this instance is there."""
        self.sightings += 1
        if self._gone.get(instance, begun) < begun:
            raise Violation(f"{who} sees instance {instance} of {self._path} after its deletion was acknowledged")

    def missed(self, who: str, begun: Instant) -> None:
        """An access that began then and ends now was told that nothing is there."""
        self.absences += 1
        for instance, since in self._lasting.items():
            if since < begun:
                raise Violation(f"{who} misses instance {instance} of {self._path}, which is there")


class Gardener:
    """Plants, uproots, looks for and lists one node, on a client that does other things besides."""

    def __init__(self, world: World, client: ClientHost, path: str, checker: PresenceChecker, pace: Duration) -> None:
        self.world = world
        self.client = client
        self.stopped = False
        self._path = path
        self._name = path.rpartition("/")[2]
        self._checker = checker
        self._pace = pace
        self._root: HandleNumber | None = None
        self._plant: tuple[HandleNumber, int] | None = None

    def start(self) -> None:
        """Begin to act."""
        self._next()

    def _next(self) -> None:
        self.world.after(round(self.client.chance.expovariate(1.0) * self._pace), self._act)

    def _act(self) -> None:
        client = self.client
        if self.stopped or not client.alive or client.core.state.final:
            return
        if self.world.now < client.paused_until:
            self.world.at(client.paused_until, self._act)
        elif self._plant is not None:
            self._uproot(*self._plant)
        elif client.chance.random() < 0.3:
            self._plant_one()
        elif client.chance.random() < 0.6:
            self._look()
        else:
            self._list()

    def _plant_one(self) -> None:
        handle = self.client.new_handle()
        ephemeral = self.client.chance.random() < 0.3

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._checker.created(answer.stat.instance, ephemeral, self.world.now)
                self._plant = handle, answer.stat.instance
            self._next()

        call = Open(handle, self._path, Mode.READ | Mode.WRITE, create=CreateMode.MUST, ephemeral=ephemeral)
        self.client.call(call, done, PATIENCE)

    def _uproot(self, handle: HandleNumber, instance: int) -> None:
        self._plant = None
        self._checker.deleting(instance)

        def done(answer: Answer) -> None:
            if isinstance(answer, Done):
                self._checker.deleted(instance, self.world.now)
            self._next()

        self.client.call(Delete(handle), done, PATIENCE)

    def _look(self) -> None:
        begun = self.world.now
        handle = self.client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._checker.seen(self.client.place, answer.stat.instance, begun)
                self.client.call(Close(handle), lambda ended: None, PATIENCE)
            elif isinstance(answer, Failure) and answer.code is ErrorCode.NO_NODE:
                self._checker.missed(self.client.place, begun)
            self._next()

        self.client.call(Open(handle, self._path), done, PATIENCE)

    def _list(self) -> None:
        if self._root is None:
            self._root = self.client.new_handle()
            self.client.call(Open(self._root, "/"), lambda answer: self._next(), PATIENCE)
            return
        begun = self.world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Listing):
                found = [entry.stat.instance for entry in answer.entries if entry.name == self._name]
                for instance in found:
                    self._checker.seen(self.client.place, instance, begun)
                if not found:
                    self._checker.missed(self.client.place, begun)
            self._next()

        self.client.call(ReadDir(self._root), done, PATIENCE)
