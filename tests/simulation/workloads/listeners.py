"""Clients that open handles with event masks, of all kinds, and do what others want to be told of: they change files,
make and delete them, take their locks and let others wait. What they are told is held against the log at the end
(`checkers.handle_events`).
"""

from __future__ import annotations

from chubby.errors import Failure
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    Close,
    CreateMode,
    Delete,
    Mode,
    Open,
    ReadDir,
    Release,
    SetContents,
)
from chubby.types.events import EventMask
from chubby.types.identity import HandleNumber
from chubby.types.nodes import LockMode, LockOwner
from chubby.types.results import Answer, LockGranted, Opened
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.checkers.handle_events import Listening
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.world import World

ROOM, LOCKED, FLEETING = NAMES = ("/h", "/h/a", "/h/b")
"""A directory, and in it a file that stays and is locked, and one that comes and goes; besides, whoever is there has a
file there of its own."""
DELAYS: tuple[Duration, ...] = (0, 0, 300 * MILLISECOND, SECOND)
MOST = 5
"""Handles of one client at a time."""


class Listeners:
    """All handles that were ever opened."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ears: list[Ear] = []

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Listener(self, client, tempo)

    def listening(self) -> list[Listening]:
        """All of them, with what was told to them."""
        return [ear.told() for ear in self.ears]


class Ear:
    """A handle that was opened with a mask."""

    def __init__(self, client: ClientHost, call: Open, opened: Opened) -> None:
        self.client = client
        self.call = call
        self.closed = False
        self.holds = False
        self.busy = False
        """Whether a call about its lock is under way."""
        self._instance = opened.stat.instance
        self._opened = client.world.now

    @property
    def handle(self) -> HandleNumber:
        """Its number."""
        return self.call.handle

    def told(self) -> Listening:
        """All that it was told."""
        client, call = self.client, self.call
        return Listening(
            f"{client.place}/{call.handle}",
            LockOwner(client.core.identity.session, call.handle),
            call.path,
            self._instance,
            call.events,
            self._opened,
            client.followed,
            [pair for pair in zip(client.told, client.events, strict=True) if pair[1].handle == call.handle],
            not self.closed and client.alive and client.core.state.live,
        )


class Listener:
    """One client's part in it."""

    def __init__(self, listeners: Listeners, client: ClientHost, tempo: Tempo) -> None:
        self._listeners = listeners
        self._client = client
        self._ears: list[Ear] = []
        self._here = False
        self._serial = 0
        self._turns = Turns(listeners.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        chance = self._client.chance
        if not self._here and self._ears:
            self._be_here()
            return
        if len(self._ears) < MOST and (not self._ears or chance.random() < 0.3):
            self._open()
            return
        ear = chance.choice(self._ears)
        draw = chance.random()
        if ear.call.path == LOCKED and draw < 0.6:
            self._lock(ear)
        elif ear.call.path == FLEETING and draw < 0.2:
            self._client.call(Delete(ear.handle), lambda answer: self._done(ear, answer), PATIENCE)
        elif ear.call.path == ROOM and draw < 0.5:
            self._client.call(ReadDir(ear.handle), lambda answer: self._done(ear, answer), PATIENCE)
        elif draw < 0.9:
            self._serial += 1
            contents = f"{self._client.place}/{self._serial}".encode()
            self._client.call(SetContents(ear.handle, contents), lambda answer: self._done(ear, answer), PATIENCE)
        else:
            self._close(ear)

    def _be_here(self) -> None:
        """A file of its own, which goes with its session."""

        def done(answer: Answer) -> None:
            self._here = isinstance(answer, Opened)
            self._turns.next()

        client = self._client
        mine = f"{ROOM}/{client.place}"
        client.call(Open(client.new_handle(), mine, create=CreateMode.MAY, ephemeral=True), done, PATIENCE)

    def _open(self) -> None:
        client = self._client
        mask = EventMask(client.chance.randint(1, EventMask.ALL))
        path = client.chance.choice(NAMES)
        call = Open(client.new_handle(), path, Mode.READ | Mode.WRITE, mask, CreateMode.MAY)

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._ears.append(ear := Ear(client, call, answer))
                self._listeners.ears.append(ear)
            self._turns.next()

        client.call(call, done, PATIENCE)

    def _close(self, ear: Ear) -> None:
        ear.closed = True
        self._ears.remove(ear)
        self._client.call(Close(ear.handle), lambda answer: self._turns.next(), PATIENCE)

    def _done(self, ear: Ear, answer: Answer) -> None:
        """A handle that is of no use is let go: it was told so, and its part is over."""
        if isinstance(answer, Failure) and ear in self._ears:
            self._ears.remove(ear)
        self._turns.next()

    def _lock(self, ear: Ear) -> None:
        """Take it, or give it back; others go on meanwhile."""
        client = self._client
        if not ear.busy:
            ear.busy = True
            if ear.holds:
                ear.holds = False
                client.call(Release(ear.handle), lambda answer: self._free(ear), PATIENCE)
            else:
                mode = LockMode.SHARED if client.chance.random() < 0.5 else LockMode.EXCLUSIVE
                patience = round(client.chance.expovariate(1.0) * 3 * SECOND)
                call = Acquire(ear.handle, mode, lock_delay=client.chance.choice(DELAYS))
                client.call(call, lambda answer: self._asked(ear, answer), patience)
        self._turns.next()

    def _asked(self, ear: Ear, answer: Answer) -> None:
        if isinstance(answer, LockGranted):
            ear.holds = True
            self._free(ear)
        elif ear.closed:
            self._free(ear)
        else:
            self._client.call(CancelAcquire(ear.handle), lambda said: self._left(ear, said), PATIENCE)

    def _left(self, ear: Ear, answer: Answer) -> None:
        ear.holds = isinstance(answer, LockGranted)
        self._free(ear)

    def _free(self, ear: Ear) -> None:
        ear.busy = False
