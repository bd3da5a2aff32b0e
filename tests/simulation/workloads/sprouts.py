"""Files that become directories: is a node's kind ever told wrongly? It is cached like contents, and changes with the
node's first child (DESIGN §4 Node, §5 Invalidate first).
"""

from __future__ import annotations

from chubby.types.calls import CreateMode, GetStat, Open, ReadDir
from chubby.types.identity import HandleNumber
from chubby.types.nodes import NodeKind
from chubby.types.results import Answer, Listing, Opened, StatResult
from chubby.types.time import NEVER, Instant
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World


class KindChecker:
    """What is known of one node that begins as a file and is never deleted, by true time.

    It is a file until somebody begins to make a child of it, and a directory for ever once such a child was
    acknowledged. In between it may be either.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._begun: Instant = NEVER
        self._ended: Instant = NEVER

    def sprouting(self, begun: Instant) -> None:
        """Somebody begins to make a child."""
        self._begun = min(self._begun, begun)

    def sprouted(self, ended: Instant) -> None:
        """A child was acknowledged."""
        self._ended = min(self._ended, ended)

    def seen(self, who: str, kind: NodeKind, begun: Instant, ended: Instant) -> None:
        """An access from `begun` to `ended` was told that the node is of this kind."""
        if kind is NodeKind.FILE and self._ended < begun:
            raise Violation(f"{who} sees a file at {self._path}, which has a child")
        if kind is NodeKind.DIRECTORY and ended < self._begun:
            raise Violation(f"{who} sees a directory at {self._path}, of which nobody has made one")


class Sprouts:
    """The trees that all look at: the one that has no child yet, and the ones before it.

    `files` and `cached_files` count how often something was seen to be a file, and how often in a cache.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.checkers: dict[str, KindChecker] = {}
        self.number = 0
        self.files = 0
        self.cached_files = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Sprouter(self, client, tempo)

    def tree(self, number: int) -> tuple[str, KindChecker]:
        """The path of that tree, and its checker."""
        path = f"/t{number}"
        return path, self.checkers.setdefault(path, KindChecker(path))

    def over(self, number: int) -> None:
        """That tree has a child: on to the next."""
        self.number = max(self.number, number + 1)

    def seen(self, who: str, path: str, kind: NodeKind, begun: Instant) -> None:
        """An access that began then and ends now was told that this tree is of this kind."""
        if self.world.bounded:
            self.checkers[path].seen(who, kind, begun, self.world.now)
        if kind is NodeKind.FILE:
            self.files += 1
            self.cached_files += self.world.now == begun


class Sprouter:
    """Looks at trees, one by one and in a listing, and now and then makes one sprout."""

    def __init__(self, sprouts: Sprouts, client: ClientHost, tempo: Tempo) -> None:
        self._world = sprouts.world
        self._sprouts = sprouts
        self._client = client
        self._root: HandleNumber | None = None
        self._handles: dict[str, HandleNumber] = {}
        self._turns = Turns(self._world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        client = self._client
        number = max(0, self._sprouts.number - client.chance.randrange(2))
        path, _ = self._sprouts.tree(number)
        if path not in self._handles:
            self._open(path)
        elif client.chance.random() < 0.1:
            self._sprout(number)
        elif client.chance.random() < 0.7:
            self._look(path)
        else:
            self._list()

    def _open(self, path: str) -> None:
        handle, begun = self._client.new_handle(), self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
                self._sprouts.seen(self._client.place, path, answer.stat.kind, begun)
            self._turns.next()

        self._client.call(Open(handle, path, create=CreateMode.MAY), done, PATIENCE)

    def _sprout(self, number: int) -> None:
        path, checker = self._sprouts.tree(number)
        checker.sprouting(self._world.now)

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                checker.sprouted(self._world.now)
                self._sprouts.over(number)
            self._turns.next()

        call = Open(self._client.new_handle(), f"{path}/{self._client.place}", create=CreateMode.MAY)
        self._client.call(call, done, PATIENCE)

    def _look(self, path: str) -> None:
        begun = self._world.now

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._sprouts.seen(self._client.place, path, answer.stat.kind, begun)
            else:
                del self._handles[path]
            self._turns.next()

        self._client.call(GetStat(self._handles[path]), done, PATIENCE)

    def _list(self) -> None:
        if self._root is None:
            self._root = self._client.new_handle()
            self._client.call(Open(self._root, "/"), lambda answer: self._turns.next(), PATIENCE)
            return
        begun = self._world.now

        def done(answer: Answer) -> None:
            for entry in answer.entries if isinstance(answer, Listing) else ():
                if f"/{entry.name}" in self._sprouts.checkers:
                    self._sprouts.seen(self._client.place, f"/{entry.name}", entry.stat.kind, begun)
            self._turns.next()

        self._client.call(ReadDir(self._root), done, PATIENCE)
