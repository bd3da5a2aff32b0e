"""What clients do: read, write, compare-and-set, lock and unlock a few nodes; and what they tell the checkers of it."""

from __future__ import annotations

import msgspec

from chubby.client.state import SessionState
from chubby.errors import Failure
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    CreateMode,
    GetContentsAndStat,
    Mode,
    Open,
    Release,
    SetContents,
)
from chubby.types.identity import HandleNumber
from chubby.types.results import Answer, Contents, LockGranted, Opened, StatResult
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.checkers import Access, LockChecker, RegisterChecker
from tests.simulation.clients import ClientHost
from tests.simulation.world import World

PATIENCE: Duration = 20 * SECOND


class Counts(msgspec.Struct):
    """How much was done: a run in which nothing succeeds proves nothing."""

    reads: int = 0
    cached: int = 0
    writes: int = 0
    grants: int = 0
    failures: int = 0


class Actor:
    """One client that opens a few nodes and works on them until it is told to stop."""

    def __init__(
        self,
        world: World,
        client: ClientHost,
        registers: dict[str, RegisterChecker],
        locks: dict[str, LockChecker],
        pace: Duration,
        counts: Counts,
    ) -> None:
        self.world = world
        self.client = client
        self.counts = counts
        self.busy = False
        self.stopped = False
        self._registers = registers
        self._locks = locks
        self._pace = pace
        self._handles: dict[str, HandleNumber] = {}
        self._held: set[str] = set()
        self._serial = 0
        client.on_state = self._on_state

    def start(self) -> None:
        """Begin to act."""
        self.world.after(self._pause(), self._act)

    def _pause(self) -> Duration:
        return round(self.client.chance.expovariate(1.0) * self._pace)

    def _on_state(self, state: SessionState) -> None:
        """Safe: nothing was lost. Expired: everything was."""
        if state is SessionState.SAFE:
            for path in sorted(self._held):
                self._locks[path].kept(self.client.place)
        elif state is SessionState.EXPIRED:
            for path in sorted(self._held):
                self._locks[path].left(self.client.place)
            self._held.clear()
            self._handles.clear()

    def _acts(self) -> bool:
        """Whether this client, if it holds a lock, acts upon it now: it is awake, and its session lease runs."""
        client = self.client
        if not client.alive or self.world.now < client.paused_until:
            return False
        statistics = client.core.statistics(client.clock.now())
        return statistics.state.live and statistics.session_lease_left > 0

    def died(self) -> None:
        """The client crashed: what it held it holds no more, as far as it is concerned."""
        for path in sorted(self._held):
            self._locks[path].left(self.client.place)
        self.stopped = True

    def _act(self) -> None:
        client = self.client
        if self.stopped or not client.alive or client.core.state.final:
            return
        if self.world.now < client.paused_until:
            self.world.at(client.paused_until, self._act)
            return
        if self.busy:
            return
        path = client.chance.choice(sorted({*self._registers, *self._locks}))
        if path not in self._handles:
            self._open(path)
        elif path in self._locks:
            self._lock(path)
        elif client.chance.random() < 0.7:
            self._read(path)
        else:
            self._write(path)

    def _next(self) -> None:
        self.busy = False
        self.world.after(self._pause(), self._act)

    def _open(self, path: str) -> None:
        handle = self.client.new_handle()
        self.busy = True

        def done(answer: Answer) -> None:
            if isinstance(answer, Opened):
                self._handles[path] = handle
            else:
                self.counts.failures += 1
            self._next()

        self.client.call(Open(handle, path, Mode.READ | Mode.WRITE, create=CreateMode.MAY), done, PATIENCE)

    def _failed(self, path: str) -> None:
        """Forget the handle: it may be the trouble."""
        self.counts.failures += 1
        if path not in self._held:
            self._handles.pop(path, None)
        self._next()

    def _read(self, path: str) -> None:
        begun = self.world.now
        self.busy = True

        def done(answer: Answer) -> None:
            if isinstance(answer, Contents):
                self.counts.reads += 1
                self.counts.cached += self.world.now == begun
                self._note(path, begun, answer.stat.content_generation, answer.contents, wrote=False)
                self._next()
            else:
                self._failed(path)

        self.client.call(GetContentsAndStat(self._handles[path]), done, PATIENCE)

    def _write(self, path: str) -> None:
        begun = self.world.now
        self.busy = True
        self._serial += 1
        contents = f"{self.client.place}/{self._serial}".encode()

        def done(answer: Answer) -> None:
            if isinstance(answer, StatResult):
                self.counts.writes += 1
                self._note(path, begun, answer.stat.content_generation, contents, wrote=True)
                self._next()
            else:
                self._failed(path)

        self.client.call(SetContents(self._handles[path], contents), done, PATIENCE)

    def _note(self, path: str, begun: int, generation: int, contents: bytes, wrote: bool) -> None:
        access = Access(self.client.place, begun, self.world.now, generation, contents, wrote)
        self._registers[path].add(access)

    def _lock(self, path: str) -> None:
        self.busy = True
        if path in self._held:
            self._held.discard(path)
            self._locks[path].left(self.client.place)
            self.client.call(Release(self._handles[path]), lambda answer: self._next(), PATIENCE)
            return

        def done(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                if self.client.core.state.live:
                    self.counts.grants += 1
                    self._held.add(path)
                    self._locks[path].acquired(self.client.place, answer.token, self._acts)
                self._next()
            elif isinstance(answer, Failure):
                self.counts.failures += 1
                self.client.call(CancelAcquire(self._handles[path]), cancelled, PATIENCE)

        def cancelled(answer: Answer) -> None:
            if isinstance(answer, LockGranted):
                self.client.call(Release(self._handles[path]), lambda ended: self._next(), PATIENCE)
            else:
                self._handles.pop(path, None)
                self._next()

        if path not in self._handles:
            self._next()
            return
        delay = self.client.chance.choice((0, 0, 500 * MILLISECOND))
        self.client.call(Acquire(self._handles[path], lock_delay=delay), done, PATIENCE)
