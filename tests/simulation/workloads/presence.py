"""A node that comes and goes: is its presence, and its absence, ever told wrongly? Absence and child lists are cached
like contents (DESIGN §5).
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Close, CreateMode, Delete, Mode, Open, ReadDir
from chubby.types.identity import HandleNumber
from chubby.types.results import Answer, Done, Listing, Opened
from chubby.types.time import Instant
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/e"


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


class Presence:
    """The node, and what is known of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = PresenceChecker(PATH)

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Gardener(self, client, tempo)


class Gardener:
    """Plants, uproots, looks for and lists the node."""

    def __init__(self, presence: Presence, client: ClientHost, tempo: Tempo) -> None:
        self._world = presence.world
        self._checker = presence.checker
        self._looks = self._world.bounded
        """Whether what is seen is judged."""
        self._client = client
        self._root: HandleNumber | None = None
        self._plant: tuple[HandleNumber, int] | None = None
        self._turns = Turns(self._world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        client = self._client
        if self._plant is not None:
            self._uproot(*self._plant)
        elif client.chance.random() < 0.3:
            self._plant_one()
        elif client.chance.random() < 0.6:
            self._look()
        else:
            self._list()

    def _plant_one(self) -> None:
        handle = self._client.new_handle()
        ephemeral = self._client.chance.random() < 0.3

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._checker.created(answer.stat.instance, ephemeral, self._world.now)
                self._plant = handle, answer.stat.instance
            self._turns.next()

        call = Open(handle, PATH, Mode.READ | Mode.WRITE, create=CreateMode.MUST, ephemeral=ephemeral)
        self._client.call(call, done, PATIENCE)

    def _uproot(self, handle: HandleNumber, instance: int) -> None:
        self._plant = None
        self._checker.deleting(instance)

        def done(answer: Answer) -> None:
            if isinstance(answer, Done):
                self._checker.deleted(instance, self._world.now)
            self._turns.next()

        self._client.call(Delete(handle), done, PATIENCE)

    def _look(self) -> None:
        begun = self._world.now
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                if self._looks:
                    self._checker.seen(self._client.place, answer.stat.instance, begun)
                self._client.call(Close(handle), lambda ended: None, PATIENCE)
            elif isinstance(answer, Failure) and answer.code is ErrorCode.NO_NODE and self._looks:
                self._checker.missed(self._client.place, begun)
            self._turns.next()

        self._client.call(Open(handle, PATH), done, PATIENCE)

    def _list(self) -> None:
        if self._root is None:
            self._root = self._client.new_handle()
            self._client.call(Open(self._root, "/"), lambda answer: self._turns.next(), PATIENCE)
            return
        begun = self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Listing) and self._looks:
                found = [entry.stat.instance for entry in answer.entries if entry.name == PATH[1:]]
                for instance in found:
                    self._checker.seen(self._client.place, instance, begun)
                if not found:
                    self._checker.missed(self._client.place, begun)
            self._turns.next()

        self._client.call(ReadDir(self._root), done, PATIENCE)
