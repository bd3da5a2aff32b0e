"""Sequential nodes: the cell gives the names, one counter to a directory. Names are never given twice and grow in real
time; a listing has all that are certainly there and none that are certainly gone (DESIGN §4 Revision, §5).

Clients keep the handles of all that they made, so that those with many handles fail over too.
"""

from __future__ import annotations

from chubby.types.calls import CreateMode, Delete, Mode, Open, ReadDir
from chubby.types.identity import HandleNumber
from chubby.types.results import Answer, Done, Listing, Opened
from chubby.types.time import Instant
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

ROOM = "/r"
STEM = "/r/item-"


class NumberChecker:
    """What is known of each name, by true time."""

    def __init__(self) -> None:
        self._made: dict[str, Instant] = {}
        self._newest: list[tuple[Instant, str]] = []
        self._lasting: dict[str, Instant] = {}
        self._gone: dict[str, Instant] = {}

    def made(self, who: str, name: str, ephemeral: bool, begun: Instant, ended: Instant) -> None:
        """A node was made, and got this name."""
        if name in self._made:
            raise Violation(f"{who} made {name}, which was made before")
        known = max((other for when, other in self._newest if when < begun), default="")
        if name < known:
            raise Violation(f"{who} made {name} after {known} was known")
        self._made[name] = ended
        self._newest.append((ended, name))
        if not ephemeral:
            self._lasting[name] = ended

    def deleting(self, name: str) -> None:
        """Somebody begins to delete it."""
        self._lasting.pop(name, None)

    def deleted(self, name: str, ended: Instant) -> None:
        """Its deletion was acknowledged."""
        self._gone.setdefault(name, ended)

    def listed(self, who: str, names: set[str], begun: Instant) -> None:
        """Somebody who asked then, and is answered now, was told all of these, and no others."""
        for name, ended in self._lasting.items():
            if ended < begun and name not in names:
                raise Violation(f"{who} misses {name} in the listing of {ROOM}")
        for name, gone in self._gone.items():
            if gone < begun and name in names:
                raise Violation(f"{who} sees {name} in the listing of {ROOM} after its deletion was acknowledged")


class Numbers:
    """The room, and what all know of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = NumberChecker()

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Numberer(self, client, tempo)


class Numberer:
    """Makes nodes, lists them, and deletes the oldest of its own."""

    def __init__(self, numbers: Numbers, client: ClientHost, tempo: Tempo) -> None:
        self._world = numbers.world
        self._checker = numbers.checker
        self._client = client
        self._room: HandleNumber | None = None
        self._mine: dict[HandleNumber, str] = {}
        self._turns = Turns(numbers.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        draw = self._client.chance.random()
        if self._room is None:
            self._enter()
        elif draw < 0.35:
            self._make()
        elif draw < 0.6 and self._mine:
            self._delete(next(iter(self._mine)))
        else:
            self._list(self._room)

    def _enter(self) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._room = handle
            self._turns.next()

        self._client.call(Open(handle, ROOM, create=CreateMode.MAY), done, PATIENCE)

    def _make(self) -> None:
        handle, begun = self._client.new_handle(), self._world.now
        ephemeral = self._client.chance.random() < 0.5

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._mine[handle] = answer.path
                self._checker.made(self._client.place, answer.path, ephemeral, begun, self._world.now)
            self._turns.next()

        mode = Mode.READ | Mode.WRITE
        call = Open(handle, STEM, mode, create=CreateMode.MUST, ephemeral=ephemeral, sequential=True)
        self._client.call(call, done, PATIENCE)

    def _delete(self, handle: HandleNumber) -> None:
        path = self._mine.pop(handle)
        self._checker.deleting(path)

        def done(answer: Answer) -> None:
            if isinstance(answer, Done):
                self._checker.deleted(path, self._world.now)
            self._turns.next()

        self._client.call(Delete(handle), done, PATIENCE)

    def _list(self, room: HandleNumber) -> None:
        begun = self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Listing) and not answer.more and self._world.bounded:
                names = {f"{ROOM}/{entry.name}" for entry in answer.entries}
                self._checker.listed(self._client.place, names, begun)
            elif not isinstance(answer, Listing):
                self._room = None
            self._turns.next()

        self._client.call(ReadDir(room), done, PATIENCE)
