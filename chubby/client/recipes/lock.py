"""A named mutex: `with chubby.Lock(session, "/ls/local/locks/nightly") as held:` (paper §2.4).

Error handling
--------------
- *Not granted in time*: DeadlineExceeded; nothing is left in the queue.
- *Jeopardy while held*: the cell cannot be reached and the lease ran out by our clock. Nobody else holds the lock yet
  for certain, but soon somebody may. `held.ensure()` raises SessionExpired from that moment on, until the session is
  safe again; call it before each step that must not be done twice.
- *Session lost*: `held.ensure()` and every other call raise SessionExpired. The lock is gone. If `lock_delay` was
  given, nobody gets it before that has passed.
- *Asleep*: a process stopped for longer than its lease learns of it at its next call. What it sends to others
  before that is what tokens are for: pass `held.sequencer` along and let the resource check it (`fencing.Guard`).
- *Release failed* (no master in time): the context manager closes the handle, which releases too, as does the end
  of the session.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, TypeVar

from chubby.client.handle import Handle
from chubby.client.sequencer import SequencerBytes
from chubby.client.session import Session
from chubby.client.sync import Session as SyncSession
from chubby.client.sync_handle import Handle as SyncHandle
from chubby.errors import SessionExpired
from chubby.types.identity import Token
from chubby.types.nodes import LockMode

H = TypeVar("H", Handle, SyncHandle)
"""A handle, of either face."""


class Held(Generic[H]):
    """A lock that is held. `token` grows with each hold period; `sequencer` proves this one to others.

    `handle` is the one that holds it.
    """

    def __init__(self, session: Session | SyncSession, handle: H, sequencer: SequencerBytes) -> None:
        self.handle: H = handle
        self.sequencer = sequencer
        self._session = session

    @property
    def token(self) -> Token:
        """The fencing number of this hold period."""
        return self.sequencer.token

    @property
    def certain(self) -> bool:
        """Whether the lock is held for certain, now, by our own clock."""
        return self._session.certain

    def ensure(self) -> None:
        """Raise SessionExpired unless the lock is held for certain, now."""
        if self.certain:
            return
        state = self._session.state
        if state.final:
            raise SessionExpired(f"the lock {self.handle.name} is lost: the session is {state.value}")
        # The clock says so before the state does: its change waits for the loop to come round.
        raise SessionExpired(f"the lock {self.handle.name} may be lost: the session lease ran out (jeopardy)")


class AsyncLock:
    """The mutex for asyncio. `acquire` and `release`, or `async with lock as held`. Not reentrant."""

    def __init__(
        self,
        session: Session,
        name: str,
        *,
        mode: LockMode = LockMode.EXCLUSIVE,
        timeout: float | None = None,
        lock_delay: float = 0.0,
    ) -> None:
        self.name = name
        self._session = session
        self._mode = mode
        self._timeout = timeout
        self._lock_delay = lock_delay
        self._handle: Handle | None = None

    async def acquire(self) -> Held[Handle]:
        """Wait for the lock and take it. The node is made if need be; its parent must exist."""
        assert self._handle is None, "this lock is held already; it is not reentrant"
        handle = await self._session.open(self.name, create=True)
        try:
            await handle.acquire(self._mode, timeout=self._timeout, lock_delay=self._lock_delay)
            held = Held(self._session, handle, await handle.get_sequencer())
        except BaseException:
            await handle.close()
            raise
        self._handle = handle
        return held

    async def release(self) -> None:
        """Give the lock back. Never fails: what is lost already is let go too."""
        handle, self._handle = self._handle, None
        if handle is not None:
            await handle.close()

    async def __aenter__(self) -> Held[Handle]:
        return await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()


class Lock:
    """The mutex for ordinary threads. `acquire` and `release`, or `with lock as held`. Not reentrant."""

    def __init__(
        self,
        session: SyncSession,
        name: str,
        *,
        mode: LockMode = LockMode.EXCLUSIVE,
        timeout: float | None = None,
        lock_delay: float = 0.0,
    ) -> None:
        self.name = name
        self._session = session
        self._seam = session._seam
        self._lock = AsyncLock(self._seam.session, name, mode=mode, timeout=timeout, lock_delay=lock_delay)

    def acquire(self) -> Held[SyncHandle]:
        """Wait for the lock and take it. The node is made if need be; its parent must exist."""
        held = self._seam.wait_for(self._lock.acquire())
        return Held(self._session, SyncHandle(self._session, held.handle), held.sequencer)

    def release(self) -> None:
        """Give the lock back. Never fails: what is lost already is let go too."""
        if not self._seam.closed:
            self._seam.wait_for(self._lock.release())

    def __enter__(self) -> Held[SyncHandle]:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.release()
