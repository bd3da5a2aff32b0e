"""The synchronous face of a session: `with chubby.connect("/ls/local") as session` (DESIGN §6).

A call that the cache answers crosses no thread and takes no lock: it reads the clock, compares one number, looks one
entry up. Every other call is begun on the background loop, and the thread waits for its answer; interrupted while it
waits (Ctrl-C in `acquire`), the call is cancelled and leaves nothing behind. Threads may share a session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from chubby.client import operations, portal
from chubby.client import session as asynchronous
from chubby.client.driver import Driver
from chubby.client.network import Network
from chubby.client.opening import OpenOptions
from chubby.client.operations import Steps
from chubby.client.ready import Ready
from chubby.client.sequencer import SequencerBytes
from chubby.client.session import CLOSE_TIMEOUT, OPEN_TIMEOUT
from chubby.client.state import SessionState
from chubby.client.statistics import Statistics
from chubby.client.sync_events import Events, Watch
from chubby.client.sync_handle import Handle
from chubby.errors import ChubbyError, Failure, SessionExpired, error_of
from chubby.types.calls import Call, MemberAction
from chubby.types.identity import CallNumber, ReplicaId, Revision, SessionId
from chubby.types.nodes import LockInfo
from chubby.types.results import Answer, Result, SessionInfo
from chubby.types.status import CellStatus
from chubby.types.transaction import Guard, Operation, TransactionResult

if TYPE_CHECKING:
    import grpc

T = TypeVar("T")
R = TypeVar("R", bound=AbstractAsyncContextManager[Any])


class _Begun:
    """A call under way: the future its answer goes to, and its number once it has one."""

    __slots__ = ("future", "number")

    def __init__(self) -> None:
        self.future: Future[Answer] = Future()
        self.number: CallNumber = 0

    def begin(self, driver: Driver, call: Call, timeout: float | None) -> None:
        """On the loop: begin the call, unless the caller has gone already."""
        if self.future.cancelled():
            return
        try:
            self.number = driver.begin(call, timeout, self.future)
        except ChubbyError as error:
            self.future.set_exception(error)

    def give_up(self, driver: Driver) -> None:
        """On the loop: the caller has gone."""
        self.future.cancel()
        if self.number:
            driver.cancel(self.number)


class Session:
    """One session with one cell, for ordinary threads: see `chubby.aio.Session`, which this is in every other respect.

    Used in a child of the process that opened it, everything raises ForkedProcess.
    """

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, asynchronous.Session]]) -> None:
        self.closed = False
        self._portal = portal.enter(self)
        try:
            self.asynchronous = self._portal.run(opening())
        except BaseException:
            self.closed = True
            portal.leave(self._portal, self)
            raise
        self.names = self.asynchronous.names
        self.cached = self.asynchronous.driver.cached
        self.call_timeout = self.asynchronous.call_timeout

    def __repr__(self) -> str:
        return repr(self.asynchronous)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --------------------------------------------------------------------------------------------------- threading

    def check_process(self) -> None:
        """Raise ForkedProcess in a child of the process that opened the session."""
        self._portal.check()

    def on_loop(self, action: Callable[[], T]) -> T:
        """Have `action` done on the session's loop, and wait for what it gives."""

        async def act() -> T:
            return action()

        return self.wait_for(act())

    def on_loop_undoable(self, action: Callable[[], Callable[[], None]]) -> Callable[[], None]:
        """The same for an action that gives what undoes it; that, too, is then done on the loop."""
        undo = self.on_loop(action)
        return lambda: self._portal.post(undo)

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the session's loop, and wait for it; interrupted, it is cancelled."""
        if self.closed:
            coroutine.close()
            self.check_process()
            raise SessionExpired("the session was closed by its owner")
        return self._portal.run(coroutine)

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items of an asynchronous iterator of this session, one blocking step after the other."""

        async def step() -> tuple[T, ...]:
            async for item in items:
                return (item,)
            return ()

        while found := self.wait_for(step()):
            yield found[0]

    def run(self, steps: Steps[T], timeout: float | None = None, patient: bool = False) -> T:
        """Run one operation, each of its calls within `timeout` seconds.

        None: the session's `call_timeout`, or for ever if the operation is `patient` by nature.
        """
        limit = self.call_timeout if timeout is None and not patient else timeout
        try:
            call = next(steps)
            while True:
                try:
                    result = self._answer(call, limit)
                except ChubbyError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _answer(self, call: Call, timeout: float | None) -> Result:
        answer = self.cached(call)
        if answer is None:
            if self.closed:
                raise SessionExpired("the session was closed by its owner")
            driver, begun = self.asynchronous.driver, _Begun()
            self._portal.post(lambda: begun.begin(driver, call, timeout))
            answer = self._portal.wait(begun.future, lambda: self._portal.post(lambda: begun.give_up(driver)))
        if isinstance(answer, Failure):
            raise error_of(answer)
        return answer

    # ------------------------------------------------------------------------------------------------------- about

    @property
    def id(self) -> SessionId:
        """The number of the session in its cell."""
        return self.asynchronous.id

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self.asynchronous.cell

    @property
    def state(self) -> SessionState:
        """Where the session stands, as of its last news."""
        return self.asynchronous.state

    @property
    def certain(self) -> bool:
        """Whether the session lease lasts by our own clock, now: then every lock of the session is still held."""
        return self.asynchronous.certain

    def statistics(self) -> Statistics:
        """A picture of now."""
        return self.on_loop(self.asynchronous.statistics)

    def states(self) -> Events[SessionState]:
        """The states the session goes through, the present one first: `for state in session.states()`."""
        return Events(self, self.asynchronous.driver.listen)

    def on_state(self, callback: Callable[[SessionState], object]) -> Callable[[], None]:
        """Have `callback` called with the present and each new state, in the callback thread; gives what ends that."""
        return self.on_loop_undoable(lambda: self.asynchronous.on_state(callback))

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """End the session: locks are released, ephemeral nodes deleted. Idempotent."""
        self.check_process()
        if self.closed:
            return
        self.closed = True
        try:
            self._portal.run(self.asynchronous.close(timeout))
        finally:
            portal.leave(self._portal, self)

    # ------------------------------------------------------------------------------------------------------- calls

    def open(self, name: str, **options: Unpack[OpenOptions]) -> Handle:
        """Open a node by its full name (or path). `chubby.client.opening.OpenOptions` says what the options mean.

        Raises NoNode if the node, or the parent of one to be made, is not there; PermissionDenied; NodeExists.
        """
        return self.open_below(self.names.base, name, options)

    def open_below(self, base: str, name: str, options: OpenOptions) -> Handle:
        """The same, relative to the path `base`."""
        return Handle(self, self.wait_for(_entered(self.asynchronous.open_below(base, name, options))))

    def transaction(
        self,
        guards: Sequence[Guard] = (),
        then: Sequence[Operation] = (),
        otherwise: Sequence[Operation] = (),
        *,
        timeout: float | None = None,
    ) -> TransactionResult:
        """`if all guards hold: then, else: otherwise`, atomically; `.succeeded` says which branch ran.

        Raises why, if an operation of that branch failed: then nothing changed.
        """
        return self.run(operations.transaction(self.names, guards, then, otherwise), timeout)

    def watch(
        self,
        name: str,
        *,
        recursive: bool = False,
        since_revision: Revision | None = None,
        timeout: float | None = None,
    ) -> Watch:
        """Be told of every change of a node, recursive: of its whole subtree, from now on or after `since_revision`."""
        ready = self.asynchronous.watch(name, recursive=recursive, since_revision=since_revision, timeout=timeout)
        return Watch(self, self.wait_for(_entered(ready)))

    def check_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> SequencerBytes:
        """What `sequencer` means if its hold period lasts, else SequencerInvalid."""
        return self.run(operations.check_sequencer(sequencer), timeout)

    # ------------------------------------------------------------------------------------------------ for operators

    def locks(self, *, timeout: float | None = None) -> list[LockInfo]:
        """All locks that are held, delayed or waited for, in path order."""
        return self.run(operations.list_locks(), timeout)

    def sessions(self, *, timeout: float | None = None) -> list[SessionInfo]:
        """All sessions of the cell."""
        return self.run(operations.list_sessions(), timeout)

    def status(self, address: str | None = None) -> CellStatus:
        """A replica's view of the cell: the master's, if one is known, or that of the replica at `address`."""
        return self.wait_for(self.asynchronous.status(address))

    def step_down(self, successor: ReplicaId = 0, *, timeout: float | None = None) -> None:
        """Have the master hand over in good order, to `successor` if that replica is fit."""
        self.run(operations.step_down(successor), timeout)

    def change_members(
        self,
        action: MemberAction,
        replica: ReplicaId,
        peer_address: str = "",
        client_address: str = "",
        *,
        timeout: float | None = None,
    ) -> None:
        """Add, remove or replace one replica. Raises MembershipRefused where that would endanger the quorum."""
        self.wait_for(self.asynchronous.change_members(action, replica, peer_address, client_address, timeout=timeout))


async def _entered(ready: Ready[R]) -> R:
    return await ready


def connect(
    target: str = "/ls/local",
    *,
    addresses: Sequence[str] = (),
    config: str | Path | None = None,
    timeout: float | None = OPEN_TIMEOUT,
    call_timeout: float | None = None,
    caching: bool = True,
    credentials: grpc.ChannelCredentials | None = None,
    network: Callable[[], Network] | None = None,
) -> Session:
    """Open a session with the cell that `target` names; everything as in `chubby.aio.connect`.

    `network` makes another network than gRPC's, on the loop that will use it.
    """

    async def opening() -> asynchronous.Session:
        return await asynchronous.connect(
            target,
            addresses=addresses,
            config=config,
            timeout=timeout,
            call_timeout=call_timeout,
            caching=caching,
            credentials=credentials,
            network=None if network is None else network(),
        )

    return Session(opening)
