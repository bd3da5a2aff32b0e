"""Queues: every client waits for one lock with several handles, leaves the queue in all ways there are, and now and
then ends its session in good order; another client takes its place. Who is granted what, and when, is read from the log
(`checkers.queues`, `checkers.delays`), and whether it was told, at the end (`checkers.grants`).
"""

from __future__ import annotations

import enum

from chubby.types.calls import Acquire, CancelAcquire, Close, CreateMode, Mode, Open, Release
from chubby.types.identity import HandleNumber
from chubby.types.nodes import LockMode
from chubby.types.results import Answer, LockGranted, Opened
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.world import World

PATHS = ("/n", "/n2")
PLACES = 4
"""Handles of one client."""
DELAYS: tuple[Duration, ...] = (0, 0, 300 * MILLISECOND, 3 * SECOND)


class Standing(enum.Enum):
    """Where a handle stands, as its client sees it."""

    IDLE = enum.auto()
    WAITING = enum.auto()
    HOLDING = enum.auto()
    LEAVING = enum.auto()


class Waiters:
    """The locks; `granted` counts what was told, `closed` the sessions that ended in good order."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.granted = 0
        self.closed = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Waiter(self, client, tempo)


class Waiter:
    """Several places in queues. It does not wait for what it waits for, but goes on with another handle."""

    def __init__(self, waiters: Waiters, client: ClientHost, tempo: Tempo) -> None:
        self._waiters = waiters
        self._client = client
        self._places: dict[HandleNumber, Standing] = {}
        self._turns = Turns(waiters.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        chance = self._client.chance
        if chance.random() < 0.005 and self._client.core.state.live:
            self._waiters.closed += 1
            self._client.close()
            return
        if len(self._places) < PLACES and chance.random() < 0.5:
            self._open()
            return
        free = [handle for handle, standing in self._places.items() if standing is not Standing.LEAVING]
        if not free:
            self._turns.next()
            return
        self._go_on(chance.choice(free))

    def _go_on(self, handle: HandleNumber) -> None:
        match self._places[handle]:
            case Standing.IDLE:
                self._acquire(handle)
            case Standing.HOLDING:
                self._places[handle] = Standing.LEAVING
                self._client.call(Release(handle), lambda answer: self._left(handle, answer), PATIENCE)
            case Standing.WAITING if self._client.chance.random() < 0.2:
                self._places[handle] = Standing.LEAVING
                self._client.call(CancelAcquire(handle), lambda answer: self._left(handle, answer), PATIENCE)
            case Standing.WAITING if self._client.chance.random() < 0.1:
                del self._places[handle]
                self._client.call(Close(handle), lambda answer: None, PATIENCE)
        self._turns.next()

    def _open(self) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._places[handle] = Standing.IDLE
            self._turns.next()

        path = self._client.chance.choice(PATHS)
        self._client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _acquire(self, handle: HandleNumber) -> None:
        chance = self._client.chance
        self._places[handle] = Standing.WAITING

        def done(answer: Answer) -> None:
            if handle not in self._places or self._places[handle] is Standing.LEAVING:
                return
            if isinstance(answer, LockGranted):
                self._waiters.granted += 1
                self._places[handle] = Standing.HOLDING
            else:
                self._places[handle] = Standing.LEAVING
                self._client.call(CancelAcquire(handle), lambda said: self._left(handle, said), PATIENCE)

        mode = LockMode.SHARED if chance.random() < 0.3 else LockMode.EXCLUSIVE
        call = Acquire(handle, mode, chance.random() < 0.9, chance.choice(DELAYS))
        patience = None if chance.random() < 0.5 else round(chance.expovariate(1.0) * 5 * SECOND)
        self._client.call(call, done, patience)

    def _left(self, handle: HandleNumber, answer: Answer) -> None:
        """Out of the queue, or not: closing the handle settles it."""
        self._places.pop(handle, None)
        self._client.call(Close(handle), lambda closed: None, PATIENCE)
