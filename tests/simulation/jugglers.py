"""Clients that do what the others do not: compare and set, delete what others use, share a lock, try for it, and change
two nodes in one transaction. What they see is judged by its history alone (`histories`).
"""

from __future__ import annotations

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CreateMode,
    Delete,
    GetContentsAndStat,
    Mode,
    Open,
    Release,
    SetContents,
    Transact,
)
from chubby.types.identity import HandleNumber
from chubby.types.nodes import LockMode
from chubby.types.results import Answer, Contents, LockGranted, Opened, StatResult, Transacted
from chubby.types.time import SECOND, Duration
from chubby.types.transaction import GenerationIs, Write
from tests.simulation.clients import ClientHost
from tests.simulation.world import World

PATIENCE: Duration = 20 * SECOND
PAIR = ("/x", "/y")
LOCK = "/s"


class Feats:
    """How often each of the difficult things worked, for all jugglers of a run."""

    def __init__(self) -> None:
        self.swaps = 0
        self.mismatches = 0
        self.transactions = 0
        self.failed_guards = 0
        self.deletions = 0
        self.shared = 0
        self.exclusive = 0


class Juggler:
    """One client's part in it. One thing at a time; what it knows of generations may be stale, which is the point."""

    def __init__(self, world: World, client: ClientHost, feats: Feats, pace: Duration) -> None:
        self.world = world
        self.client = client
        self._feats = feats
        self._pace = pace
        self._handles: dict[str, HandleNumber] = {}
        self._generations: dict[str, int] = {}
        self._holds = False
        self._serial = 0

    def start(self) -> None:
        """Begin to act."""
        self._next()

    def _next(self) -> None:
        self.world.after(round(self.client.chance.expovariate(1.0) * self._pace), self._act)

    def _act(self) -> None:
        client = self.client
        if not client.alive or client.core.state.final:
            return
        if self.world.now < client.paused_until or client.core.state is SessionState.OPENING:
            self.world.at(max(client.paused_until, self.world.now + SECOND), self._act)
            return
        path = client.chance.choice((*PAIR, LOCK))
        if path not in self._handles:
            self._open(path)
        elif path == LOCK:
            self._lock()
        else:
            self._juggle(path, client.chance.random())

    def _juggle(self, path: str, draw: float) -> None:
        if path not in self._generations or draw < 0.4:
            self._read(path)
        elif draw < 0.7:
            self._swap(path)
        elif draw < 0.75:
            self._delete(path)
        elif all(each in self._generations for each in PAIR):
            self._transact()
        else:
            self._next()

    def _contents(self) -> bytes:
        self._serial += 1
        return f"{self.client.place}:{self._serial}".encode()

    def _open(self, path: str) -> None:
        handle = self.client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
                self._generations[path] = answer.stat.content_generation
            self._next()

        self.client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _forget(self, path: str) -> None:
        """The handle may be the trouble."""
        self._handles.pop(path, None)
        self._generations.pop(path, None)

    def _read(self, path: str) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, Contents):
                self._generations[path] = answer.stat.content_generation
            else:
                self._forget(path)
            self._next()

        self.client.call(GetContentsAndStat(self._handles[path]), done, PATIENCE)

    def _swap(self, path: str) -> None:
        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self._feats.swaps += 1
                self._generations[path] = answer.stat.content_generation
            elif isinstance(answer, Failure) and answer.code is ErrorCode.GENERATION_MISMATCH:
                self._feats.mismatches += 1
                self._generations.pop(path, None)
            else:
                self._forget(path)
            self._next()

        call = SetContents(self._handles[path], self._contents(), self._generations[path])
        self.client.call(call, done, PATIENCE)

    def _delete(self, path: str) -> None:
        handle = self._handles[path]
        self._forget(path)

        def done(answer: Answer) -> None:
            self._feats.deletions += not isinstance(answer, Failure)
            self._next()

        self.client.call(Delete(handle), done, PATIENCE)

    def _transact(self) -> None:
        guards = tuple(GenerationIs(path, self._generations[path]) for path in PAIR)
        contents = self._contents()

        def done(answer: Answer) -> None:
            for path in PAIR:
                self._generations.pop(path, None)
            if isinstance(answer, Transacted):
                self._feats.transactions += answer.result.succeeded
                self._feats.failed_guards += not answer.result.succeeded
            self._next()

        self.client.call(Transact(guards, tuple(Write(path, contents) for path in PAIR)), done, PATIENCE)

    def _lock(self) -> None:
        handle, chance = self._handles[LOCK], self.client.chance
        if self._holds:
            self._holds = False
            self.client.call(Release(handle), lambda answer: self._next(), PATIENCE)
            return
        mode = LockMode.SHARED if chance.random() < 0.7 else LockMode.EXCLUSIVE

        def done(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self._holds = True
                self._feats.shared += mode is LockMode.SHARED
                self._feats.exclusive += mode is LockMode.EXCLUSIVE
                self._next()
            else:
                self.client.call(CancelAcquire(handle), cancelled, PATIENCE)

        def cancelled(answer: Answer) -> None:
            self._holds = isinstance(answer, LockGranted)
            if not self._holds:
                self._handles.pop(LOCK, None)
            self._next()

        self.client.call(Acquire(handle, mode, wait=chance.random() < 0.5), done, PATIENCE)
