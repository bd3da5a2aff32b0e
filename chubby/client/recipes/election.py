"""One leader among many: `with chubby.Election(session, "/ls/local/svc/leader", b"10.0.0.7:8080") as leadership:`

The paper's way (§2): candidates compete for the lock of one file; the winner writes who it is into the file, and
everybody else reads it there, from the cache. The token of the leadership fences off its predecessors.

Error handling
--------------
- *Jeopardy*: `leadership.certain` turns false when our own lease runs out, which is before anybody else can be elected.
  Stop acting as leader until it is true again (SAFE), or the session has expired.
- *Session lost*: `await leadership.lost()` returns why; every call raises SessionExpired. Campaign again with a new
  session.
- *Node deleted*: the same, `lost()` returns; the election as such is gone.
- *A leader that died* leaves its value in the file until a successor overwrites it, so `leader()` may name a dead one
  for as long as that takes: a hint where to connect, not a proof. What must be certain is checked with the sequencer.
- *Resigning* empties the file and releases the lock at once; without a master in reach, the lease does it later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from types import TracebackType

from chubby.client.handle import Handle
from chubby.client.recipes.config_watcher import AsyncConfigWatcher
from chubby.client.recipes.lock import Held
from chubby.client.session import Session
from chubby.client.sync import Session as SyncSession
from chubby.client.sync_handle import Handle as SyncHandle
from chubby.errors import ChubbyError, LockNotHeld, SessionExpired
from chubby.types.events import EventKind, EventMask
from chubby.types.transaction import TokenIs, Write

RESIGN = 2.0
"""Seconds that a resigning leader tries to empty the file."""


class AsyncLeadership(Held[Handle]):
    """Being the leader. `token`, `sequencer`, `certain`, `ensure()` as of any held lock."""

    async def lost(self) -> str:
        """Wait until the leadership is over for good; why."""
        try:
            async for event in self.handle.events():
                if event.kind is EventKind.HANDLE_INVALID:
                    return f"{self.handle.name} was deleted"
        except SessionExpired as error:
            return str(error)
        return "resigned"

    async def announce(self, value: bytes, *, timeout: float | None = None) -> None:
        """Write who the leader is, as the leader: LockNotHeld if we are it no more, and nothing is overwritten."""
        path = self.handle.path
        guard, write = TokenIs(path, self.token), Write(path, value)
        result = await self.handle.session.transaction([guard], [write], timeout=timeout)
        if not result.succeeded:
            raise LockNotHeld(f"{self.handle.name}: somebody else was elected since")


class AsyncElection:
    """The election for asyncio. `campaign` and `resign`, or `async with election as leadership`."""

    def __init__(self, session: Session, name: str, value: bytes = b"", *, lock_delay: float = 0.0) -> None:
        self.name = name
        self.value = value
        self._session = session
        self._lock_delay = lock_delay
        self._leadership: AsyncLeadership | None = None

    async def campaign(self, timeout: float | None = None) -> AsyncLeadership:
        """Wait to be elected, then announce our value. Raises DeadlineExceeded after `timeout` seconds in line."""
        assert self._leadership is None, "already elected"
        handle = await self._session.open(self.name, create=True, events=EventMask.HANDLE_INVALID)
        try:
            await handle.acquire(timeout=timeout, lock_delay=self._lock_delay)
            leadership = AsyncLeadership(self._session, handle, await handle.get_sequencer())
            await leadership.announce(self.value)
        except BaseException:
            await handle.close()
            raise
        self._leadership = leadership
        return leadership

    async def resign(self) -> None:
        """Stop being the leader. Never fails."""
        leadership, self._leadership = self._leadership, None
        if leadership is not None:
            with suppress(ChubbyError):
                await leadership.announce(b"", timeout=RESIGN)
            await leadership.handle.close()

    async def leader(self) -> bytes:
        """Who announced itself last; empty: nobody, or it resigned. From the cache when it can."""
        async with AsyncConfigWatcher(self._session, self.name) as watcher:
            return await watcher.read() or b""

    async def leaders(self) -> AsyncIterator[bytes]:
        """Who leads now, and each successor: `async for value in election.leaders()`. Empty while nobody does."""
        async with AsyncConfigWatcher(self._session, self.name) as watcher:
            async for value in watcher:
                yield value or b""

    async def __aenter__(self) -> AsyncLeadership:
        return await self.campaign()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.resign()


class Leadership(Held[SyncHandle]):
    """Being the leader, for ordinary threads. `token`, `sequencer`, `certain`, `ensure()` as of any held lock."""

    def __init__(self, session: SyncSession, leadership: AsyncLeadership) -> None:
        super().__init__(session, SyncHandle(session, leadership.handle), leadership.sequencer)
        self._seam = session._seam
        self._leadership = leadership

    def lost(self, timeout: float | None = None) -> str | None:
        """Wait until the leadership is over for good; why. None if it lasts longer than `timeout` seconds."""
        return self._seam.wait_within(self._leadership.lost, timeout)

    def announce(self, value: bytes, *, timeout: float | None = None) -> None:
        """Write who the leader is, as the leader: LockNotHeld if we are it no more, and nothing is overwritten."""
        self._seam.wait_for(self._leadership.announce(value, timeout=timeout))


class Election:
    """The election for ordinary threads. `campaign` and `resign`, or `with election as leadership`."""

    def __init__(self, session: SyncSession, name: str, value: bytes = b"", *, lock_delay: float = 0.0) -> None:
        self.name = name
        self._session = session
        self._seam = session._seam
        self._election = AsyncElection(self._seam.session, name, value, lock_delay=lock_delay)

    def campaign(self, timeout: float | None = None) -> Leadership:
        """Wait to be elected, then announce our value. Raises DeadlineExceeded after `timeout` seconds in line."""
        return Leadership(self._session, self._seam.wait_for(self._election.campaign(timeout)))

    def resign(self) -> None:
        """Stop being the leader. Never fails."""
        if not self._seam.closed:
            self._seam.wait_for(self._election.resign())

    def leader(self) -> bytes:
        """Who announced itself last; empty: nobody, or it resigned."""
        return self._seam.wait_for(self._election.leader())

    def leaders(self) -> Iterator[bytes]:
        """Who leads now, and each successor: `for value in election.leaders()`. Empty while nobody does."""
        return self._seam.iterate(self._election.leaders())

    def __enter__(self) -> Leadership:
        return self.campaign()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.resign()
