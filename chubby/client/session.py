"""The asyncio face of a session: `async with chubby.aio.connect("/ls/local") as session` (DESIGN §6)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, Unpack

from chubby.client import operations
from chubby.client.cache import NodeEntry
from chubby.client.dependant import Drop
from chubby.client.driver import Driver
from chubby.client.handle import Handle
from chubby.client.mailbox import Mailbox, event_mailbox
from chubby.client.names import Names
from chubby.client.network import Network
from chubby.client.opening import OpenOptions, open_call
from chubby.client.operations import Steps
from chubby.client.ready import Ready
from chubby.client.sequencer import SequencerBytes
from chubby.client.state import SessionState
from chubby.client.statistics import Statistics
from chubby.client.streams import EventStream
from chubby.client.watch import Watch
from chubby.config import CellAddresses, load_cell, resolve
from chubby.errors import ChubbyError, ConfigError, Failure, NoQuorum, error_of
from chubby.paths import LOCAL_CELL
from chubby.types.calls import ChangeMembers, MemberAction
from chubby.types.calls import Watch as WatchCall
from chubby.types.identity import Incarnation, ReplicaId, Revision, SessionId
from chubby.types.nodes import LockInfo
from chubby.types.results import SessionInfo
from chubby.types.status import CellStatus
from chubby.types.transaction import Guard, Operation, TransactionResult

if TYPE_CHECKING:
    import grpc

T = TypeVar("T")

OPEN_TIMEOUT = 30.0
"""Seconds that `connect` tries by default: longer than a fail-over takes."""
CLOSE_TIMEOUT = 2.0
"""Seconds that `close` waits for the cell to take note of the end; the session lease ends it anyway."""


Opening = Ready[Handle]


class Session:
    """One session with one cell. Not for use from other threads than its loop's.

    `state` is where it stands: NORMAL, JEOPARDY (calls wait; locks may or may not be lost), SAFE (nothing was lost) or
    EXPIRED (all is lost, every later call raises SessionExpired).
    """

    call_timeout: float | None = None
    """Seconds that a call has which names no `timeout`; None: until it is answered or the session is lost."""

    def __init__(self, driver: Driver, names: Names, call_timeout: float | None) -> None:
        self._driver = driver
        self._names = names
        self.call_timeout = call_timeout
        self._listeners: list[Mailbox[SessionState]] = []

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.cell}, {self.state.value}>"

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ------------------------------------------------------------------------------------------------------- about

    @property
    def id(self) -> SessionId:
        """The number of the session in its cell."""
        return self._driver.core.identity.session

    @property
    def cell(self) -> str:
        """The name of the cell."""
        return self._names.cell

    @property
    def state(self) -> SessionState:
        """Where the session stands, as of its last news."""
        return self._driver.core.state

    @property
    def certain(self) -> bool:
        """Whether the session lease lasts by our own clock, now: then every lock of the session is still held."""
        return self._driver.core.certain(self._driver.clock())

    def statistics(self) -> Statistics:
        """A picture of now."""
        return self._driver.core.statistics(self._driver.clock())

    def states(self) -> EventStream[SessionState]:
        """The states the session goes through, the present one first: `async for state in session.states()`."""
        return EventStream(self._driver.listen())

    def on_state(self, callback: Callable[[SessionState], object]) -> Callable[[], None]:
        """Have `callback` called with the present and each new state, in the callback thread; gives what ends that."""
        mailbox = self._driver.listen()
        undo = self._driver.worker.deliver(mailbox, callback)
        self._listeners.append(mailbox)

        def end() -> None:
            undo()
            if mailbox in self._listeners:
                self._listeners.remove(mailbox)

        return end

    async def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """End the session: locks are released, ephemeral nodes deleted. The cell has `timeout` seconds to take note."""
        self._driver.check_process()
        await self._driver.close(timeout)

    # ------------------------------------------------------------------------------------------------------- calls

    async def _run(self, steps: Steps[T], timeout: float | None = None, patient: bool = False) -> T:
        """Run one operation, each of its calls within `timeout` seconds.

        None: the session's `call_timeout`, or for ever if the operation is `patient` by nature.
        """
        limit = self.call_timeout if timeout is None and not patient else timeout
        driver = self._driver
        try:
            call = next(steps)
            while True:
                known = driver.cached(call)
                try:
                    if isinstance(known, Failure):
                        raise error_of(known)
                    result = await driver.call(call, limit) if known is None else known
                except ChubbyError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def open(self, name: str, **options: Unpack[OpenOptions]) -> Opening:
        """Open a node by its full name (or path): await it, or enter it. `OpenOptions` says what the options mean.

        Raises NoNode if the node, or the parent of one to be made, is not there; PermissionDenied; NodeExists.
        """
        return self._open_below(self._names.base, name, options)

    def _open_below(self, base: str, name: str, options: OpenOptions) -> Opening:
        """The same, relative to the path `base`."""
        return Ready(lambda: self._open(self._names.path(name, base), options))

    async def _open(self, path: str, options: OpenOptions) -> Handle:
        driver = self._driver
        driver.check_process()
        call = open_call(driver.core.desk.handles.fresh_number(), path, options)
        if call.events:
            driver.handle_mail[call.handle] = event_mailbox(path, handle=call.handle)
        try:
            opened = await self._run(operations.open_node(call), options.get("timeout"))
        except BaseException:
            driver.handle_mail.pop(call.handle, None)
            raise
        return Handle(self, call.handle, call.mode, opened)

    async def transaction(
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
        return await self._run(operations.transaction(self._names, guards, then, otherwise), timeout)

    def watch(
        self,
        name: str,
        *,
        recursive: bool = False,
        since_revision: Revision | None = None,
        timeout: float | None = None,
    ) -> Ready[Watch]:
        """Be told of every change of a node, recursive: of its whole subtree; await it, or enter it.

        From now on, or of those after `since_revision` (of an earlier result, event or watch).
        """
        return Ready(lambda: self._watch(name, recursive, since_revision, timeout))

    async def _watch(self, name: str, recursive: bool, since: Revision | None, timeout: float | None) -> Watch:
        driver, path = self._driver, self._names.path(name)
        driver.check_process()
        number = driver.core.desk.subscriptions.fresh_number()
        mailbox = driver.watch_mail[number] = event_mailbox(path, watch=number)
        try:
            revision = await self._run(operations.watch(WatchCall(number, path, recursive, since)), timeout)
        except BaseException:
            driver.watch_mail.pop(number, None)
            raise
        return Watch(driver, number, path, revision, mailbox)

    def cached(self, name: str) -> NodeEntry | None:
        """What the cache knows of `name`, without a call: current as of now. None: nothing; `open` it to ask the cell.

        An entry whose `stat` is None says that there is no such node; one without `contents`, that only they are not
        known. From any thread.
        """
        driver = self._driver
        driver.check_process()
        return driver.core.cache.node(self._names.path(name), driver.clock())

    async def check_sequencer(self, sequencer: bytes, *, timeout: float | None = None) -> SequencerBytes:
        """What `sequencer` means if its hold period lasts, else SequencerInvalid."""
        return await self._run(operations.check_sequencer(sequencer), timeout)

    # ------------------------------------------------------------------------------------------------ for operators

    async def locks(self, *, timeout: float | None = None) -> list[LockInfo]:
        """All locks that are held, delayed or waited for, in path order."""
        return await self._run(operations.list_locks(), timeout)

    async def sessions(self, *, timeout: float | None = None) -> list[SessionInfo]:
        """All sessions of the cell."""
        return await self._run(operations.list_sessions(), timeout)

    async def status(self, address: str | None = None) -> CellStatus:
        """A replica's view of the cell: the master's, if one is known, or that of the replica at `address`."""
        self._driver.check_process()
        locator = self._driver.locator
        asked = [address] if address else [locator.address, *locator.addresses]
        trouble: list[str] = []
        for replica in dict.fromkeys(filter(None, asked)):
            try:
                return await self._driver.network.status(replica)
            except ChubbyError as error:
                trouble.append(f"{replica}: {error}")
        raise NoQuorum(f"no replica of cell {self.cell} answers: " + "; ".join(trouble))

    async def step_down(self, successor: ReplicaId = 0, *, timeout: float | None = None) -> None:
        """Have the master hand over in good order, to `successor` if that replica is fit."""
        await self._run(operations.step_down(successor), timeout)

    async def change_members(
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
        call = ChangeMembers(action, replica, peer_address, client_address, incarnation)
        await self._run(operations.change_members(call), timeout)


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
    network: Network | None = None,
) -> Ready[Session]:
    """Open a session with the cell that `target` names: await it, or enter it.

    `/ls/local` is the cell of the configuration; a longer name is where relative names begin. The replicas are found by
    `addresses` (host:port, any of the cell's), else by the file `config`, else as `chubby.config` says. `timeout` is
    for opening the session, `call_timeout` for each call that names no other (None: a call waits until it is answered
    or the session is lost, which takes a minute at most without a master). Seconds, both. `caching=False` promises the
    cell that this session never caches. `dependant` is for who keeps a cache of its own of what it reads here: called
    on a thread of its own with each tuple of keys that is to be dropped there (None: everything), before a change of
    them takes effect anywhere.

    Raises NoQuorum if no master was found in time, ConfigError, BadPath.
    """
    return Ready(
        lambda: _connect(
            target, addresses, config, timeout, call_timeout, caching, dependant, network or _default(credentials)
        )
    )


def _default(credentials: grpc.ChannelCredentials | None) -> Network:
    """The real network; gRPC is loaded only now, with the defaults that `chubby` has set for it."""
    from chubby.client.grpc_network import GrpcNetwork

    return GrpcNetwork(credentials)


async def _connect(
    target: str,
    addresses: Sequence[str],
    config: str | Path | None,
    timeout: float | None,
    call_timeout: float | None,
    caching: bool,
    dependant: Drop | None,
    network: Network,
) -> Session:
    names = Names(target)
    found = _resolve(names.asked, addresses, config)
    driver = Driver(network, found.addresses, cell=found.cell, caching=caching, drop=dependant)
    return await begin(driver, names, found, timeout, call_timeout)


async def begin(
    driver: Driver, names: Names, found: CellAddresses, timeout: float | None, call_timeout: float | None
) -> Session:
    """The session of a driver that has not started yet: all of `connect` that comes after its choice of a machine.

    `found` is where the driver's addresses come from. Raises NoQuorum, ConfigError.
    """
    await driver.start(timeout)
    cell = driver.locator.cell or found.cell
    if names.asked not in (LOCAL_CELL, cell):
        await driver.close(CLOSE_TIMEOUT)
        raise ConfigError(f"{found.origin} leads to the cell {cell!r}, not to {names.asked!r}: correct the addresses")
    names.cell = cell
    return Session(driver, names, call_timeout)


def _resolve(cell: str, addresses: Sequence[str], config: str | Path | None) -> CellAddresses:
    if config is not None and not addresses:
        loaded = load_cell(Path(config))
        return CellAddresses(loaded.name, loaded.client_addresses, loaded.source)
    return resolve(cell, os.environ, Path.cwd(), addresses)
