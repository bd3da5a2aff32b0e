"""Clients that watch: a node, or a whole tree, from now on or from a revision they have seen; and change what others
watch. What they are told is compared with the log at the end (`checkers.events`).
"""

from __future__ import annotations

from chubby.types.calls import CreateMode, Delete, Mode, Open, SetAttributes, SetContents, Unwatch, Watch
from chubby.types.identity import HandleNumber, Revision, WatchNumber
from chubby.types.results import Answer, Opened, Watching
from tests.simulation.checkers.events import Watched
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.world import World

TREE = "/w"
NAMES = ("/w", "/w/a", "/w/b", "/w/a/c")
MOST = 4
"""Watches of one client at a time."""
BEFORE = 20
"""So many revisions back a watch may begin."""


class Watchers:
    """All watches of a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watches: list[Subscription] = []
        self.newest: Revision = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Watcher(self, client, tempo)

    def watched(self) -> list[Watched]:
        """All watches that began, with what was told to them."""
        return [watch.told() for watch in self.watches]


class Subscription:
    """One watch that began."""

    def __init__(self, client: ClientHost, call: Watch, floor: Revision) -> None:
        self.client = client
        self.call = call
        self.ended = False
        self._floor = floor

    def told(self) -> Watched:
        """All of it."""
        client, call = self.client, self.call
        events = [event for event in client.events if event.watch == call.watch]
        whole = not self.ended and client.alive and client.core.state.live
        return Watched(f"{client.place}/{call.watch}", call.path, call.recursive, self._floor, events, whole)


class Watcher:
    """Watches, and makes something to be seen."""

    def __init__(self, watchers: Watchers, client: ClientHost, tempo: Tempo) -> None:
        self._watchers = watchers
        self._client = client
        self._handles: dict[str, HandleNumber] = {}
        self._running: dict[WatchNumber, Subscription] = {}
        self._serial = 0
        self._turns = Turns(watchers.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        draw = self._client.chance.random()
        if draw < 0.15 and len(self._running) < MOST:
            self._watch()
        elif draw < 0.2 and self._running:
            self._unwatch()
        else:
            path = self._client.chance.choice(NAMES)
            if path in self._handles:
                self._change(path, self._handles[path])
            else:
                self._open(path)

    def _watch(self) -> None:
        client, watchers = self._client, self._watchers
        since = max(0, watchers.newest - client.chance.randrange(BEFORE)) if client.chance.random() < 0.3 else None
        path = client.chance.choice(("/", *NAMES))
        call = Watch(client.core.desk.subscriptions.fresh_number(), path, client.chance.random() < 0.5, since)

        def done(answer: Answer) -> None:
            if isinstance(answer, Watching):
                watch = Subscription(client, call, answer.revision)
                watchers.watches.append(watch)
                watchers.newest = max(watchers.newest, answer.revision)
                self._running[call.watch] = watch
            self._turns.next()

        client.call(call, done, PATIENCE)

    def _unwatch(self) -> None:
        number = self._client.chance.choice(tuple(self._running))
        self._running.pop(number).ended = True
        self._client.call(Unwatch(number), lambda answer: self._turns.next(), PATIENCE)

    def _open(self, path: str) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
            self._turns.next()

        mode = Mode.READ | Mode.WRITE
        call = Open(handle, path, mode, create=CreateMode.MAY, ephemeral=self._client.chance.random() < 0.1)
        self._client.call(call, done, PATIENCE)

    def _change(self, path: str, handle: HandleNumber) -> None:
        self._serial += 1
        mark = f"{self._client.place}/{self._serial}".encode()
        draw = self._client.chance.random()

        def done(answer: Answer) -> None:
            if not isinstance(answer, Opened):
                self._handles.pop(path, None) if draw < 0.15 else None
            self._turns.next()

        if draw < 0.15:
            self._client.call(Delete(handle), done, PATIENCE)
        elif draw < 0.6:
            self._client.call(SetContents(handle, mark), done, PATIENCE)
        else:
            self._client.call(SetAttributes(handle, {"mark": mark[:32]}), done, PATIENCE)
