"""The synchronous face of a session: `with chubby.connect("/ls/local") as session` (DESIGN §6).

A call that the cache answers crosses no thread and takes no lock: it reads the clock, compares one number, looks one
entry up. Every other call is begun on the background loop, and the thread waits for its answer; interrupted while it
waits (Ctrl-C in `acquire`), the call is cancelled and leaves nothing behind. Threads may share a session.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from chubby.client import operations
from chubby.client import session as asynchronous
from chubby.client.cache import NodeEntry
from chubby.client.dependant import Drop
from chubby.client.network import Network
from chubby.client.opening import OpenOptions
from chubby.client.ready import Ready
from chubby.client.seam import Seam
from chubby.client.sequencer import SequencerBytes
from chubby.client.session import CLOSE_TIMEOUT, OPEN_TIMEOUT
from chubby.client.state import SessionState
from chubby.client.statistics import Statistics
from chubby.client.sync_events import Events, Watch
from chubby.client.sync_handle import Handle
from chubby.types.calls import MemberAction
from chubby.types.identity import Incarnation, ReplicaId, Revision, SessionId
from chubby.types.nodes import LockInfo
from chubby.types.results import SessionInfo
from chubby.types.status import CellStatus
from chubby.types.transaction import Guard, Operation, TransactionResult

if TYPE_CHECKING:
    import grpc

R = TypeVar("R", bound=AbstractAsyncContextManager[Any])


class Session:
    """One session with one cell, for ordinary threads: see `chubby.aio.Session`, which this is in every other respect.

    Used in a child of the process that opened it, everything raises ForkedProcess; a `with` block that such a child
    leaves is left in silence, for the session, its handles and locks are the parent's.
    """

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, asynchronous.Session]]) -> None:
        self._seam = Seam(self, opening)
        self._session = self._seam.session

    def __repr__(self) -> str:
        return repr(self._session)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.close()

    # ------------------------------------------------------------------------------------------------------- about

    @property
    def id(self) -> SessionId:
        """The number of the session in its cell."""
        return self._session.id

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self._session.cell

    @property
    def state(self) -> SessionState:
        """Where the session stands, as of its last news."""
        return self._session.state

    @property
    def certain(self) -> bool:
        """Whether the session lease lasts by our own clock, now: then every lock of the session is still held."""
        return self._session.certain

    @property
    def call_timeout(self) -> float | None:
        """Seconds that a call has which names no `timeout`; None: until it is answered or the session is lost."""
        return self._session.call_timeout

    @call_timeout.setter
    def call_timeout(self, seconds: float | None) -> None:
        """For the calls from now on."""
        self._session.call_timeout = seconds

    def statistics(self) -> Statistics:
        """A picture of now."""
        return self._seam.on_loop(self._session.statistics)

    def states(self) -> Events[SessionState]:
        """The states the session goes through, the present one first: `for state in session.states()`."""
        return Events(self._seam, self._seam.driver.listen)

    def on_state(self, callback: Callable[[SessionState], object]) -> Callable[[], None]:
        """Have `callback` called with the present and each new state, in the callback thread; gives what ends that."""
        return self._seam.on_loop_undoable(lambda: self._session.on_state(callback))

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """End the session: locks are released, ephemeral nodes deleted. Idempotent."""
        self._seam.end(timeout)

    # ------------------------------------------------------------------------------------------------------- calls

    def open(self, name: str, **options: Unpack[OpenOptions]) -> Handle:
        """Open a node by its full name (or path). `chubby.client.opening.OpenOptions` says what the options mean.

        Raises NoNode if the node, or the parent of one to be made, is not there; PermissionDenied; NodeExists.
        """
        return self._open_below(self._session._names.base, name, options)

    def _open_below(self, base: str, name: str, options: OpenOptions) -> Handle:
        """The same, relative to the path `base`."""
        return Handle(self, self._seam.wait_for(_entered(self._session._open_below(base, name, options))))

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
        return self._seam.run(operations.transaction(self._session._names, guards, then, otherwise), timeout)

    def watch(
        self,
        name: str,
        *,
        recursive: bool = False,
        since_revision: Revision | None = None,
        timeout: float | None = None,
    ) -> Watch:
        """Be told of every change of a node, recursive: of its whole subtree, from now on or after `since_revision`."""
        ready = self._session.watch(name, recursive=recursive, since_revision=since_revision, timeout=timeout)
        return Watch(self._seam, self._seam.wait_for(_entered(ready)))

    def cached(self, name: str) -> NodeEntry | None:
        """What the cache knows of `name`, without a call and without waiting: current as of now. None: nothing.

        An entry whose `stat` is None says that there is no such node; one without `contents`, that only they are not
        known.
        """
        return self._session.cached(name)

    def check_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> SequencerBytes:
        """What `sequencer` means if its hold period lasts, else SequencerInvalid."""
        return self._seam.run(operations.check_sequencer(sequencer), timeout)

    # ------------------------------------------------------------------------------------------------ for operators

    def locks(self, *, timeout: float | None = None) -> list[LockInfo]:
        """All locks that are held, delayed or waited for, in path order."""
        return self._seam.run(operations.list_locks(), timeout)

    def sessions(self, *, timeout: float | None = None) -> list[SessionInfo]:
        """All sessions of the cell."""
        return self._seam.run(operations.list_sessions(), timeout)

    def status(self, address: str | None = None) -> CellStatus:
        """A replica's view of the cell: the master's, if one is known, or that of the replica at `address`."""
        return self._seam.wait_for(self._session.status(address))

    def step_down(self, successor: ReplicaId = 0, *, timeout: float | None = None) -> None:
        """Have the master hand over in good order, to `successor` if that replica is fit."""
        self._seam.run(operations.step_down(successor), timeout)

    def change_members(
        self,
        action: MemberAction,
        replica: ReplicaId,
        peer_address: str = "",
        client_address: str = "",
        *,
        incarnation: Incarnation | None = None,
        timeout: float | None = None,
    ) -> None:
        """Add, remove or replace one replica. Raises MembershipRefused where that would endanger the quorum.

        `incarnation`, as `status().replicas` tells it, is that of the replica to be removed or replaced: then the same
        call may be made again after OutcomeUnknown, and never strikes the one that came in its place. None: whichever
        is there.
        """
        self._seam.wait_for(
            self._session.change_members(
                action, replica, peer_address, client_address, incarnation=incarnation, timeout=timeout
            )
        )


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
    dependant: Drop | None = None,
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
            dependant=dependant,
            credentials=credentials,
            network=None if network is None else network(),
        )

    return Session(opening)
