"""A cell without network: the production machine behind the commands' port, and a clock that stands still."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from chubby.cli.options import Connection
from chubby.cli.ports import CellSession
from chubby.cli.supervisor import Turn
from chubby.errors import ChubbyError, Failure, LockConflict, NoNode, SequencerInvalid, error_of
from chubby.namespace.commands import (
    AcquireLock,
    Action,
    BeginEpoch,
    Body,
    Command,
    LeaseCaps,
    Limits,
    OpenSession,
    ReleaseLock,
    Request,
    Transaction,
)
from chubby.namespace.machine import Genesis, Machine
from chubby.namespace.outcomes import LockAnswer, LockStanding, Reply, SessionMade, Transacted
from chubby.types.calls import MemberAction
from chubby.types.events import Event
from chubby.types.identity import Incarnation, ReplicaId, Revision, SessionId
from chubby.types.nodes import DirEntry, LockInfo, LockMode
from chubby.types.results import SequencerResult, SessionInfo
from chubby.types.time import SECOND, Duration
from chubby.types.transaction import Create, Guard, Operation, TransactionResult, Write

MILLENNIUM = 946_684_800_000
"""Wall time of everything: 2000-01-01T00:00:00Z."""


class FakeCell:
    """One cell; every command line opens a session with it. `events` and `asked` are in the hands of the test."""

    def __init__(self) -> None:
        """A new cell named local."""
        genesis = Genesis(7, "local", ("root",), Limits(), LeaseCaps(), b"k" * 32, 0)
        self.machine = Machine.genesis(genesis)
        self.events: list[Event] = []
        self.turns: asyncio.Queue[Turn] | None = None
        self.asked: list[tuple[object, ...]] = []
        self.opened: list[tuple[Connection, str | None]] = []
        self.open_now = 0
        self.failure: ChubbyError | None = None
        self.transactions = 0
        self._slot = 0
        self._number = 0
        self.apply(BeginEpoch(1))

    @contextlib.asynccontextmanager
    async def open_session(self, connection: Connection, cell: str | None) -> AsyncIterator[CellSession]:
        """Stands in for `chubby.cli.session.open_session`."""
        if self.failure is not None:
            raise self.failure
        self.opened.append((connection, cell))
        made = self.apply(OpenSession(len(self.opened), "tester", False))
        assert isinstance(made, SessionMade)
        self.open_now += 1
        try:
            yield FakeSession(self, made.session)
        finally:
            self.open_now -= 1

    def apply(self, body: Body) -> Reply:
        """Let the machine do it."""
        self._slot += 1
        epoch = self._slot if isinstance(body, BeginEpoch) else self.machine.epoch
        outcome = self.machine.apply(self._slot, Command(epoch, self._slot, MILLENNIUM, body))
        assert not outcome.void, outcome
        return outcome.reply

    def request(self, session: SessionId, action: Action) -> Reply:
        """Let the machine do it for a session; raises its failure."""
        self._number += 1
        reply = self.apply(Request(session, self._number, self._number - 1, action))
        if isinstance(reply, Failure):
            raise error_of(reply)
        return reply

    def hold(self, path: str, mode: LockMode = LockMode.EXCLUSIVE) -> SessionId:
        """Let another session ask for a lock, with a lock-delay of 2 s; its number."""
        made = self.apply(OpenSession(1000 + self.machine.session_count, "holder", False))
        node = self.machine.node(path)
        assert isinstance(made, SessionMade) and node is not None
        self.request(made.session, AcquireLock(1, path, node.instance, mode, True, 2 * SECOND))
        return made.session

    def contents(self, path: str) -> bytes | None:
        """What the node holds; None if there is none."""
        node = self.machine.node(path)
        return node.contents if node is not None else None

    def put(self, path: str, contents: bytes = b"", *more: str) -> None:
        """Make a node, and others."""
        made = self.apply(OpenSession(1 << 40, "tester", False))
        assert isinstance(made, SessionMade)
        operations = tuple(Create(each, contents) for each in (path, *more))
        reply = self.request(made.session, Transaction((), operations))
        assert isinstance(reply, Transacted) and reply.result.failure is None, reply


class FakeSession:
    """A session with a `FakeCell`; a `ports.CellSession`."""

    def __init__(self, cell: FakeCell, number: SessionId) -> None:
        """See `FakeCell.open_session`."""
        self._cell = cell
        self._number = number

    async def transact(
        self, guards: Sequence[Guard], then: Sequence[Operation], otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """The machine's own transaction."""
        self._cell.transactions += 1
        reply = self._cell.request(self._number, Transaction(tuple(guards), tuple(then), tuple(otherwise)))
        assert isinstance(reply, Transacted)
        if reply.result.failure is not None:
            error = error_of(reply.result.failure)
            error.add_note(f"operation {reply.result.failed_operation} of the transaction; nothing changed")
            raise error
        return reply.result

    async def children(self, path: str) -> list[DirEntry]:
        """All children."""
        if self._cell.machine.node(path) is None:
            raise NoNode(f"{path} is not there")
        entries: list[DirEntry] = []
        more = True
        while more:
            page, more = self._cell.machine.children(path, entries[-1].name if entries else "", 2)
            entries += page
        return entries

    async def locks(self) -> list[LockInfo]:
        """All locks."""
        return list(self._cell.machine.locks("", 1000)[0])

    async def sessions(self) -> list[SessionInfo]:
        """All sessions, as if each had half its lease left."""
        views = self._cell.machine.sessions(0, 1000)[0]
        return [SessionInfo(view.id, view.principal, 6 * SECOND, True, 1, 0, 0, 0) for view in views]

    async def check_sequencer(self, sequencer: bytes) -> SequencerResult:
        """Valid ones are `token:PATH`."""
        token, _, path = sequencer.decode().partition(":")
        info = self._cell.machine.lock(path)
        if info is None or info.mode is None or str(info.token) != token:
            raise SequencerInvalid("the hold period is over")
        return SequencerResult(sequencer, path, info.mode, info.generation, info.token)

    async def step_down(self, successor: ReplicaId) -> None:
        """Noted."""
        self._cell.asked.append(("step_down", successor))

    async def change_members(
        self, action: MemberAction, replica: ReplicaId, peer: str, client: str, incarnation: Incarnation | None
    ) -> None:
        """Noted."""
        self._cell.asked.append((action, replica, peer, client, incarnation))

    async def watch(self, path: str, since: Revision | None) -> AsyncGenerator[Event, None]:
        """The events of the test, then silence."""
        self._cell.asked.append(("watch", path, since))
        for event in self._cell.events:
            yield event
        await asyncio.Event().wait()

    async def keep(self, path: str, contents: bytes, must_create: bool) -> FakeNode:
        """An ephemeral node that somebody deletes at once."""
        await self.transact((), [Create(path, contents, ephemeral=True, may_exist=not must_create)])
        return FakeNode(self._cell, path)

    async def acquire(self, path: str, mode: LockMode, lock_delay: Duration, wait: float | None) -> FakeLock:
        """The machine's lock; one that is not free is a conflict."""
        self._cell.asked.append(("acquire", path, mode, lock_delay, wait))
        await self.transact((), [Create(path, may_exist=True)])
        node = self._cell.machine.node(path)
        assert node is not None
        reply = self._cell.request(self._number, AcquireLock(1, path, node.instance, mode, False, lock_delay))
        if not isinstance(reply, LockAnswer) or reply.standing is not LockStanding.HELD:
            raise LockConflict(f"{path} is held")
        return FakeLock(self._cell, self._number, path, node.instance, reply.token)


class FakeNode:
    """An ephemeral node that is lost at once."""

    def __init__(self, cell: FakeCell, path: str) -> None:
        """See `FakeSession.keep`."""
        self._cell = cell
        self.path = path

    async def lost(self) -> str:
        """At once."""
        return "the node was deleted"

    async def close(self) -> None:
        """Noted."""
        self._cell.asked.append(("close", self.path))


class FakeLock:
    """A lock of the machine; a `ports.HeldLock`."""

    def __init__(self, cell: FakeCell, session: SessionId, path: str, instance: int, token: int) -> None:
        """See `FakeSession.acquire`."""
        self.token = token
        self.sequencer = f"{token}:{path}".encode()
        self._cell, self._session, self._path, self._instance = cell, session, path, instance
        self._turns: asyncio.Queue[Turn] = asyncio.Queue()
        cell.turns = self._turns

    async def set_contents(self, contents: bytes) -> None:
        """Write the node."""
        self._cell.request(self._session, Transaction((), (Write(self._path, contents),)))

    def lease_left(self) -> Duration:
        """Plenty."""
        return SECOND

    async def next_turn(self) -> Turn:
        """As the test says."""
        return await self._turns.get()

    async def release(self) -> None:
        """Give it back."""
        self._cell.request(self._session, ReleaseLock(1, self._path, self._instance))
