"""Clients that do what the others do not: compare and set, delete what others use, share a lock, try for it, and change
two nodes in one transaction. What they see is judged by its history alone (`histories`).
"""

from __future__ import annotations

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
from chubby.types.transaction import GenerationIs, Write
from tests.simulation.clients import PATIENCE, ClientHost
from tests.simulation.tempo import Tempo, Turns
from tests.simulation.world import World

PAIR = ("/x", "/y")
LOCK = "/s"


class Jugglers:
    """The nodes, and how often each of the difficult things worked, for all jugglers of a run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.swaps = 0
        self.mismatches = 0
        self.transactions = 0
        self.failed_guards = 0
        self.deletions = 0
        self.shared = 0
        self.exclusive = 0

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part."""
        Juggler(self, client, tempo)


class Juggler:
    """One client's part in it. One thing at a time; what it knows of generations may be stale, which is the point."""

    def __init__(self, feats: Jugglers, client: ClientHost, tempo: Tempo) -> None:
        self._feats = feats
        self._client = client
        self._handles: dict[str, HandleNumber] = {}
        self._generations: dict[str, int] = {}
        self._holds = False
        self._serial = 0
        self._turns = Turns(feats.world, client, tempo, self._act)
        self._turns.next()

    def _act(self) -> None:
        client = self._client
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
            self._turns.next()

    def _contents(self) -> bytes:
        self._serial += 1
        return f"{self._client.place}:{self._serial}".encode()

    def _open(self, path: str) -> None:
        handle = self._client.new_handle()

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
                self._generations[path] = answer.stat.content_generation
            self._turns.next()

        self._client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

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
            self._turns.next()

        self._client.call(GetContentsAndStat(self._handles[path]), done, PATIENCE)

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
            self._turns.next()

        call = SetContents(self._handles[path], self._contents(), self._generations[path])
        self._client.call(call, done, PATIENCE)

    def _delete(self, path: str) -> None:
        handle = self._handles[path]
        self._forget(path)

        def done(answer: Answer) -> None:
            self._feats.deletions += not isinstance(answer, Failure)
            self._turns.next()

        self._client.call(Delete(handle), done, PATIENCE)

    def _transact(self) -> None:
        guards = tuple(GenerationIs(path, self._generations[path]) for path in PAIR)
        contents = self._contents()

        def done(answer: Answer) -> None:
            for path in PAIR:
                self._generations.pop(path, None)
            if isinstance(answer, Transacted):
                self._feats.transactions += answer.result.succeeded
                self._feats.failed_guards += not answer.result.succeeded
            self._turns.next()

        self._client.call(Transact(guards, tuple(Write(path, contents) for path in PAIR)), done, PATIENCE)

    def _lock(self) -> None:
        handle, chance = self._handles[LOCK], self._client.chance
        if self._holds:
            self._holds = False
            self._client.call(Release(handle), lambda answer: self._turns.next(), PATIENCE)
            return
        mode = LockMode.SHARED if chance.random() < 0.7 else LockMode.EXCLUSIVE

        def done(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self._holds = True
                self._feats.shared += mode is LockMode.SHARED
                self._feats.exclusive += mode is LockMode.EXCLUSIVE
                self._turns.next()
            else:
                self._client.call(CancelAcquire(handle), cancelled, PATIENCE)

        def cancelled(answer: Answer) -> None:
            self._holds = isinstance(answer, LockGranted)
            if not self._holds:
                self._handles.pop(LOCK, None)
            self._turns.next()

        self._client.call(Acquire(handle, mode, wait=chance.random() < 0.5), done, PATIENCE)
