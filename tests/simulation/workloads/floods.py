"""Clients that begin a thousand calls at once, more than a master answers unacknowledged: the last ones wait in the
client until the first are answered (DESIGN §4 Sessions with a reply table; `chubby.client.in_flight`).

A flood looks at names that are not there and reads files, then asks a great deal of something else, and then makes and
writes what it looked at. So whatever its own cache learns from the first answers is about to be changed by calls that
have not left yet. What it sees is judged by its history, and its cache by `checkers.coherence`.
"""

from __future__ import annotations

from functools import partial

from chubby.errors import Failure
from chubby.types.calls import Call, CheckSequencer, Close, CreateMode, GetContentsAndStat, Mode, Open, SetContents
from chubby.types.identity import HandleNumber
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.results import Answer, Opened
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.world import World

FILES = ("/f0", "/f1", "/f2")
NAMES = 3
"""So many names of its own each flood makes."""
MOST = 3
"""Floods in a run: each costs as much as ten seconds of other calls."""
OFTEN = 0.1
"""How often, when it is its turn, a client does not read or write one file but begins a flood."""


class Floods:
    """How many there were; `answered` counts those whose calls were all answered."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.begun = 0
        self.answered = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Flooder(self, client, tempo)


class Flooder:
    """One client's part in it."""

    def __init__(self, floods: Floods, client: ClientHost, tempo: Tempo) -> None:
        self._floods = floods
        self._client = client
        self._files: dict[str, HandleNumber] = {}
        self._serial = 0
        self._turns = Turns(floods.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        chance = self._client.chance
        path = chance.choice(FILES)
        if path not in self._files:
            self._open(path)
        elif self._floods.begun < MOST and chance.random() < OFTEN:
            self._flood()
        elif chance.random() < 0.6:
            self._make(GetContentsAndStat(self._files[path]), path)
        else:
            self._make(SetContents(self._files[path], self._mark()), path)

    def _mark(self) -> bytes:
        self._serial += 1
        return f"{self._client.place}~{self._serial}".encode()

    def _open(self, path: str) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._files[path] = handle
            self._turns.next()

        self._client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _make(self, call: Call, path: str) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, Failure):
                self._files.pop(path, None)
            self._turns.next()

        self._client.call(call, done, PATIENCE)

    def _flood(self) -> None:
        """All of it at once."""
        client, floods = self._client, self._floods
        floods.begun += 1
        calls = self._calls()
        left = len(calls)

        def done(call: Call, answer: Answer) -> None:
            nonlocal left
            left -= 1
            if isinstance(call, Open) and isinstance(answer, Opened):
                client.call(Close(call.handle), lambda closed: None, PATIENCE)
            if not left:
                floods.answered += 1
                self._turns.next()

        for each in calls:
            client.call(each, partial(done, each), PATIENCE)

    def _calls(self) -> list[Call]:
        client = self._client
        names = [f"/f-{client.place}-{self._floods.begun}-{number}" for number in range(NAMES)]
        looks: list[Call] = [Open(client.new_handle(), name) for name in names]
        looks += [GetContentsAndStat(handle) for handle in self._files.values()]
        questions: list[Call] = [CheckSequencer(b"whatever")] * client.chance.randint(
            REPLY_TABLE_LIMIT // 2, REPLY_TABLE_LIMIT + 100
        )
        changes: list[Call] = [
            Open(client.new_handle(), name, Mode.READ | Mode.WRITE, create=CreateMode.MAY) for name in names
        ]
        changes += [SetContents(handle, self._mark()) for handle in self._files.values()]
        return looks + questions + changes
