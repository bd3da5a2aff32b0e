"""Exclusive locks: taken, held for a while, released, or lost with a session. While a client may act upon holding one,
nobody else is told that it holds it.
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.client.state import SessionState
from chubby.types.calls import Acquire, CancelAcquire, CreateMode, Mode, Open, Release
from chubby.types.identity import HandleNumber, Token
from chubby.types.results import Answer, LockGranted, Opened
from chubby.types.time import MILLISECOND
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/l"


class LockChecker:
    """Mutual exclusion in real time, and tokens that only grow (DESIGN §4, §6).

    A holder *acts* upon its lock only while it is awake and its own session lease runs; one that sleeps, or knows
    of its jeopardy, may lose the lock to somebody else.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._holder: str | None = None
        self._acts: Callable[[], bool] = lambda: False
        self._token: Token = 0

    def acquired(self, client: str, token: Token, acts: Callable[[], bool]) -> None:
        """`client` was told that it holds the lock; `acts` tells at any time whether it acts upon that."""
        if self._holder not in (None, client) and self._acts():
            raise Violation(f"{client} got {self._path} with token {token} while {self._holder} acts upon holding it")
        if token < self._token:
            raise Violation(f"token {token} of {self._path} after {self._token}")
        if self._holder is None and token == self._token:
            raise Violation(f"token {token} of {self._path} for a second hold period")
        self._holder, self._token, self._acts = client, token, acts

    def kept(self, client: str) -> None:
        """`client` was told that it lost nothing in its jeopardy, and had held the lock."""
        if self._holder != client:
            raise Violation(f"{client} is told that it kept {self._path}, which {self._holder} holds")

    def left(self, client: str) -> None:
        """`client` no longer believes to hold it: it asked to release, or is dead."""
        if self._holder == client:
            self._holder = None


class Locks:
    """The lock, and who is known to hold it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = LockChecker(PATH)

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Locker(self, client, tempo)


class Locker:
    """Takes the lock and gives it back."""

    def __init__(self, locks: Locks, client: ClientHost, tempo: Tempo) -> None:
        self._world = locks.world
        self._checker = locks.checker
        self._client = client
        self._handle: HandleNumber | None = None
        self._holds = False
        client.on_state.append(self._on_state)
        client.on_crash.append(self._left)
        self._turns = Turns(self._world, client, tempo, self._act)
        self._turns.next()

    def _on_state(self, state: SessionState) -> None:
        """Safe: nothing was lost. Expired: everything was."""
        if state is SessionState.SAFE and self._holds and self._world.bounded:
            self._checker.kept(self._client.place)
        elif state is SessionState.EXPIRED:
            self._left()

    def _left(self) -> None:
        if self._holds:
            self._holds = False
            self._checker.left(self._client.place)

    def _acts(self) -> bool:
        """Whether this client, if it holds the lock, acts upon it now: it is awake, and its session lease runs."""
        client = self._client
        if not client.alive or self._world.now < client.paused_until:
            return False
        statistics = client.core.statistics(client.clock.now())
        return statistics.state.live and statistics.session_lease_left > 0

    def _act(self) -> None:
        if self._handle is None:
            self._open()
        elif self._holds:
            self._left()
            self._client.call(Release(self._handle), lambda answer: self._turns.next(), PATIENCE)
        else:
            self._acquire(self._handle)

    def _open(self) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handle = handle
            self._turns.next()

        self._client.call(Open(handle, PATH, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _acquire(self, handle: HandleNumber) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                if self._client.core.state.live:
                    self._holds = True
                if self._holds and self._world.bounded:
                    self._checker.acquired(self._client.place, answer.token, self._acts)
                self._turns.next()
            else:
                self._client.call(CancelAcquire(handle), cancelled, PATIENCE)

        def cancelled(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self._client.call(Release(handle), lambda ended: self._turns.next(), PATIENCE)
            else:
                self._handle = None
                self._turns.next()

        delay = self._client.chance.choice((0, 0, 500 * MILLISECOND))
        self._client.call(Acquire(handle, lock_delay=delay), done, PATIENCE)
