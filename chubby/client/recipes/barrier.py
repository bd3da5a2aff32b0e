"""Wait for each other before and after a step: `with chubby.Barrier(session, "/ls/local/job/barrier", "me", 5): ...`

A double barrier. Everybody who enters makes an ephemeral node below the barrier's; whoever finds all of them there
marks the round as `ready`, and that lets everybody in. Leaving takes one's node away; whoever finds nobody left removes
the mark, and that lets everybody out. The mark, not the count, is what one waits for: a quick one may have left, or
even come back for the next round, before a slow one looked.

Error handling
--------------
- *Not enough came in time*: DeadlineExceeded; one's node is taken away again.
- *A party dies*: its node goes with its session. Before the round is ready the others go on waiting for a replacement;
  afterwards its absence counts as having left.
- *All die*: the mark of their round stays; the next to enter finds it with nobody there, and removes it.
- *Session lost*: SessionExpired; one's node is gone, which the others see as leaving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from chubby import paths
from chubby.client.handle import Handle
from chubby.client.session import Session
from chubby.client.streams import EventStream
from chubby.client.sync import Session as SyncSession
from chubby.errors import DeadlineExceeded
from chubby.types.events import Event, EventMask
from chubby.types.nodes import DirEntry, NodeKind
from chubby.types.transaction import Create, Exists, Remove

_READY = "ready"
_PARTY = "party-"


class AsyncBarrier:
    """One party's view of the barrier, for asyncio. `party` is a name that no other party bears."""

    def __init__(self, session: Session, name: str, party: str, parties: int) -> None:
        assert parties >= 1, "nobody to wait for"
        self.name = name
        self._session = session
        self._own = _PARTY + party
        self._parties = parties
        self._directory: Handle | None = None
        self._node: Handle | None = None
        self._changes: EventStream[Event] | None = None

    async def enter(self, timeout: float | None = None) -> None:
        """Wait until all parties are here. Raises DeadlineExceeded after `timeout` seconds."""
        assert self._directory is None, "entered already"
        self._directory = await self._session.open(
            self.name, create=True, kind=NodeKind.DIRECTORY, events=EventMask.CHILD_CHANGED
        )
        self._changes = self._directory.events()
        try:
            async with asyncio.timeout(timeout):
                await self._until(self._last_round_is_over)
                self._node = await self._directory.open(self._own, create=True, ephemeral=True)
                await self._until(self._everybody_is_here)
        except TimeoutError:
            await self._give_up()
            raise DeadlineExceeded(f"not all {self._parties} parties came to {self.name} in time") from None
        except BaseException:
            await self._give_up()
            raise

    async def leave(self, timeout: float | None = None) -> None:
        """Wait until all parties have left. Raises DeadlineExceeded after `timeout` seconds; ours has left even so."""
        node, self._node = self._node, None
        if node is None:
            return
        await node.close()
        try:
            async with asyncio.timeout(timeout):
                await self._until(self._everybody_has_left)
        except TimeoutError:
            raise DeadlineExceeded(f"not all parties left {self.name} in time") from None
        finally:
            await self._give_up()

    async def _give_up(self) -> None:
        for handle in (self._node, self._directory):
            if handle is not None:
                await handle.close()
        self._node = self._directory = self._changes = None

    async def _until(self, condition: Callable[[list[DirEntry]], Awaitable[bool]]) -> None:
        """Look, and look again at each change of the children, until `condition` holds."""
        assert self._directory is not None and self._changes is not None
        while not await condition(await self._directory.read_dir()):
            await anext(self._changes, None)  # at its end the next look raises why

    async def _last_round_is_over(self, entries: list[DirEntry]) -> bool:
        mark = _mark(entries)
        if mark is None:
            return True
        if _count(entries) == 0:
            await self._unmark(mark)
            return True
        return False

    async def _everybody_is_here(self, entries: list[DirEntry]) -> bool:
        if _mark(entries) is not None:
            return True
        if _count(entries) < self._parties:
            return False
        await self._session.transaction(then=[Create(self._path(_READY), may_exist=True)])
        return True

    async def _everybody_has_left(self, entries: list[DirEntry]) -> bool:
        mark = _mark(entries)
        if mark is not None and _count(entries) == 0:
            await self._unmark(mark)
            return True
        return mark is None

    async def _unmark(self, mark: DirEntry) -> None:
        """Remove the mark, if it is still that of the same round."""
        path = self._path(_READY)
        await self._session.transaction([Exists(path, mark.stat.instance)], [Remove(path)])

    def _path(self, child: str) -> str:
        assert self._directory is not None
        return paths.join(self._directory.path, child)

    async def __aenter__(self) -> AsyncBarrier:
        await self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()


def _mark(entries: list[DirEntry]) -> DirEntry | None:
    return next((entry for entry in entries if entry.name == _READY), None)


def _count(entries: list[DirEntry]) -> int:
    return sum(entry.name.startswith(_PARTY) for entry in entries)


class Barrier:
    """One party's view of the barrier, for ordinary threads. `party` is a name that no other party bears."""

    def __init__(self, session: SyncSession, name: str, party: str, parties: int) -> None:
        self.name = name
        self._seam = session._seam
        self._barrier = AsyncBarrier(self._seam.session, name, party, parties)

    def enter(self, timeout: float | None = None) -> None:
        """Wait until all parties are here. Raises DeadlineExceeded after `timeout` seconds."""
        self._seam.wait_for(self._barrier.enter(timeout))

    def leave(self, timeout: float | None = None) -> None:
        """Wait until all parties have left. Raises DeadlineExceeded after `timeout` seconds; ours has left even so."""
        self._seam.wait_for(self._barrier.leave(timeout))

    def __enter__(self) -> Barrier:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.leave()
