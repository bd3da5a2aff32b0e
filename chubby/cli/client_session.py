"""The real client behind the commands' port (`ports`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TypeVar

import msgspec

from chubby.cli.lock_table import Happening
from chubby.cli.options import Connection, Target
from chubby.cli.supervisor import Turn
from chubby.client.handle import Handle
from chubby.client.session import Session
from chubby.client.session import connect as connect_client
from chubby.client.state import SessionState
from chubby.errors import ChubbyError, NodeExists, SessionExpired
from chubby.paths import full_name
from chubby.types.calls import CreateMode, MemberAction, Mode
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import Incarnation, ReplicaId, Revision
from chubby.types.nodes import DirEntry, LockInfo, LockMode
from chubby.types.results import LockGranted, SequencerResult, SessionInfo
from chubby.types.time import Duration, to_seconds
from chubby.types.transaction import Guard, Operation, TransactionResult

_Named = TypeVar("_Named", Guard, Operation)
_FOR_EVER = 10 * 365 * 86_400.0
"""Seconds: what waiting for ever is to a client whose calls all have a limit."""
RELEASE_LIMIT = 2.0
"""Seconds that giving a lock back may take; what is not given back by then goes with the session."""
_GONE = "the node was deleted"
_EXPIRED = "the session has expired"


@contextlib.asynccontextmanager
async def connect(connection: Connection, cell: str) -> AsyncIterator[ClientSession]:
    """A session with `cell` that does not cache; each call has the connection's timeout. Raises ChubbyError."""
    found = connection.find(cell)
    async with connect_client(
        full_name(cell, "/"),
        addresses=found.addresses,
        timeout=connection.timeout,
        call_timeout=connection.timeout,
        caching=False,
    ) as session:
        yield ClientSession(session)


class ClientSession:
    """Implements `ports.CellSession`. The client is told full names: a path may itself begin with /ls."""

    def __init__(self, session: Session) -> None:
        """Around an open session."""
        self._session = session

    async def transact(
        self, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """See `ports.CellSession`."""
        full = self._full
        return await self._session.transaction(full(guards), full(then), full(otherwise))

    async def children(self, path: str) -> list[DirEntry]:
        """See `ports.CellSession`."""
        async with self._session.open(self._name(path), mode=Mode.READ) as handle:
            return await handle.read_dir()

    async def locks(self) -> list[LockInfo]:
        """See `ports.CellSession`."""
        return await self._session.locks()

    async def sessions(self) -> list[SessionInfo]:
        """See `ports.CellSession`."""
        return await self._session.sessions()

    async def check_sequencer(self, sequencer: bytes) -> SequencerResult:
        """See `ports.CellSession`."""
        found = await self._session.check_sequencer(sequencer)
        return SequencerResult(found, found.path, found.mode, found.generation, found.token)

    async def step_down(self, successor: ReplicaId) -> None:
        """See `ports.CellSession`."""
        await self._session.step_down(successor)

    async def change_members(
        self, action: MemberAction, replica: ReplicaId, peer: str, client: str, incarnation: Incarnation | None
    ) -> None:
        """See `ports.CellSession`."""
        await self._session.change_members(action, replica, peer, client, incarnation=incarnation)

    async def watch(self, path: str, since: Revision | None) -> AsyncGenerator[Event, None]:
        """See `ports.CellSession`."""
        async with self._session.watch(self._name(path), recursive=True, since_revision=since) as changes:
            async for event in changes:
                yield event

    async def keep(self, path: str, contents: bytes, must_create: bool) -> KeptNode:
        """See `ports.CellSession`. Raises NodeExists too if a permanent node bears the name."""
        handle = await self._session.open(
            self._name(path),
            create=CreateMode.MUST if must_create else CreateMode.MAY,
            ephemeral=True,
            contents=contents,
            events=EventMask.HANDLE_INVALID,
        )
        if not handle.created:
            if not (await handle.get_stat()).ephemeral:
                raise NodeExists(f"{path} is there already, and not ephemeral")
            await handle.set_contents(contents)
        return KeptNode(self._session, handle)

    async def acquire(self, path: str, mode: LockMode, lock_delay: Duration, wait: float | None) -> ClientLock:
        """See `ports.CellSession`."""
        handle = await self._session.open(self._name(path), create=CreateMode.MAY, events=EventMask.HANDLE_INVALID)
        delay = to_seconds(lock_delay)
        if wait == 0:
            granted = await handle.try_acquire(mode, lock_delay=delay)
        else:
            granted = await handle.acquire(mode, timeout=_FOR_EVER if wait is None else wait, lock_delay=delay)
        return ClientLock(self._session, handle, granted, await handle.get_sequencer())

    def _full(self, parts: Sequence[_Named]) -> list[_Named]:
        return [msgspec.structs.replace(part, path=self._name(part.path)) for part in parts]

    def _name(self, path: str) -> str:
        return Target(self._session.cell, path).name


class KeptNode:
    """Implements `ports.EphemeralNode`."""

    def __init__(self, session: Session, handle: Handle) -> None:
        """Around an open handle that wants HANDLE_INVALID."""
        self._session = session
        self._handle = handle

    async def lost(self) -> str:
        """See `ports.EphemeralNode`."""
        try:
            async for event in self._handle.events():
                if event.kind is EventKind.HANDLE_INVALID:
                    return _GONE
        except SessionExpired as error:
            return str(error)
        return _EXPIRED

    async def close(self) -> None:
        """See `ports.EphemeralNode`."""
        with contextlib.suppress(ChubbyError):
            await self._handle.close()


class ClientLock:
    """Implements `ports.HeldLock`: two helpers listen, to the session and to the handle, until it is released."""

    def __init__(self, session: Session, handle: Handle, granted: LockGranted, sequencer: bytes) -> None:
        """`handle` holds the lock and wants HANDLE_INVALID."""
        self.token = granted.token
        self.sequencer = bytes(sequencer)
        self._session = session
        self._handle = handle
        self._turns: asyncio.Queue[Turn] = asyncio.Queue()
        self._listening = [asyncio.create_task(self._listen_to_session()), asyncio.create_task(self._listen_to_node())]

    async def set_contents(self, contents: bytes) -> None:
        """See `ports.HeldLock`."""
        await self._handle.set_contents(contents)

    def lease_left(self) -> Duration:
        """See `ports.HeldLock`."""
        return self._session.statistics().session_lease_left

    async def next_turn(self) -> Turn:
        """See `ports.HeldLock`."""
        return await self._turns.get()

    async def release(self) -> None:
        """See `ports.HeldLock`."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        await self._handle.release(timeout=RELEASE_LIMIT)

    async def _listen_to_session(self) -> None:
        """Jeopardy and its end. Safe is only what a master has confirmed of this very hold period."""
        why = _EXPIRED
        try:
            async for state in self._session.states():
                if state is SessionState.JEOPARDY:
                    self._tell(Happening.JEOPARDY)
                elif state is SessionState.SAFE:
                    if (await self._handle.get_sequencer()).token != self.token:
                        why = "it was held by another meanwhile"
                        break
                    self._tell(Happening.SAFE)
        except ChubbyError as error:
            why = str(error)
        self._tell(Happening.LOST, why)

    async def _listen_to_node(self) -> None:
        why = _EXPIRED
        try:
            async for event in self._handle.events():
                if event.kind is EventKind.HANDLE_INVALID:
                    why = _GONE
                    break
        except ChubbyError as error:
            why = str(error)
        self._tell(Happening.LOST, why)

    def _tell(self, happening: Happening, reason: str = "") -> None:
        self._turns.put_nowait(Turn(happening, reason))
