"""The asyncio shell of one session core: clock, network, timer and futures (DESIGN §2 "Pure means sans-IO").

After every input the driver drains the core's effects. Frames of one turn of the loop leave together. A call costs one
future and no task; one timer serves all deadlines. The clock is CLOCK_BOOTTIME, which counts through suspend; the
loop's own clock only decides when to look at it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from chubby.client.cache import NodeEntry
from chubby.client.cache_rules import node_of
from chubby.client.dependant import Dependant, Drop
from chubby.client.effects import Complete, Connect, Deliver, Disconnect, Effect, Relay, Send, StateChanged
from chubby.client.locator import Locator
from chubby.client.mailbox import CallbackWorker, Mailbox, event_mailbox
from chubby.client.network import Link, Network
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.errors import ChubbyError, ErrorCode, Failure, ForkedProcess, error_of
from chubby.types.calls import Call
from chubby.types.events import Event
from chubby.types.identity import CallNumber, Epoch, HandleNumber, StreamNumber, WatchNumber
from chubby.types.results import Answer, Result
from chubby.types.stream import CallFrame, ClientFrame, ServerFrame
from chubby.types.time import NEVER, Instant, from_seconds, to_seconds

logger = logging.getLogger(__name__)

_LONGEST_TIMER: Final = 3600.0

boot_clock: Final[Callable[[], Instant]] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""Now, on CLOCK_BOOTTIME."""


class Waiter(Protocol):
    """What a caller waits on: an asyncio future on the loop, or a concurrent one from another thread."""

    def done(self) -> bool:
        """Whether it has its result, or was given up."""

    def set_result(self, result: Answer, /) -> None:
        """Give it the answer."""


class Driver:
    """Runs one session. Everything but `cached` and `near` happens on the loop that `start` was called on."""

    def __init__(
        self,
        network: Network,
        addresses: Sequence[str],
        *,
        cell: str = "",
        caching: bool = True,
        drop: Drop | None = None,
        clock: Callable[[], Instant] = boot_clock,
        jitter: Callable[[], float] = random.random,
        nonce: int | None = None,
    ) -> None:
        """`clock`, `jitter` and `nonce` (None: drawn here) are all that is taken from the machine beside the network: a
        simulation brings its own, and has the same run twice.
        """
        nonce = secrets.randbits(62) + 1 if nonce is None else nonce
        self.core = SessionCore(nonce, jitter, caching=caching, relays=drop is not None)
        self._near = partial(node_of, self.core.cache, self.core.desk.handles)
        self._dependant = None if drop is None else Dependant(drop, self._dropped)
        self.clock = clock
        self.network = network
        self.locator = Locator(network, addresses, self._located, jitter)
        self.worker = CallbackWorker()
        self._cell = cell
        self.handle_mail: dict[HandleNumber, Mailbox[Event]] = {}
        self.watch_mail: dict[WatchNumber, Mailbox[Event]] = {}
        self._state_mail: weakref.WeakKeyDictionary[Mailbox[SessionState], None] = weakref.WeakKeyDictionary()
        self._pid = os.getpid()
        self._waiters: dict[CallNumber, Waiter] = {}
        self._outgoing: list[ClientFrame] = []
        self._flushing = False
        self._link: Link | None = None
        self._stream: StreamNumber = 0
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Instant = NEVER
        self._changed = asyncio.Event()

    # ------------------------------------------------------------------------------------------------ open, close

    async def start(self, timeout: float | None) -> None:
        """Open the session. Raises ChubbyError if there is none within `timeout` seconds."""
        now = self.clock()
        self.core.start(now, NEVER if timeout is None else now + from_seconds(timeout))
        self._drain()
        try:
            while self.core.state is SessionState.OPENING:
                self._changed.clear()
                await self._changed.wait()
        except BaseException:
            await self.close(0.0)
            raise
        if self.core.over is not None:
            failure = self._explained(self.core.over)
            await self.close(0.0)
            raise error_of(failure)
        self.locator.follow()

    async def close(self, timeout: float) -> None:
        """End the session in good order; the cell has `timeout` seconds to take note. Idempotent."""
        self.core.close(self.clock())
        self._drain()
        try:
            async with asyncio.timeout(timeout):
                while not self.core.gone:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            logger.info("the cell did not confirm the end of session %d in time", self.core.identity.session)
        finally:
            await self._release()

    async def _release(self) -> None:
        """Let go of everything; calls that come later are refused, and lead to nothing."""
        self.core.abandon()
        self._drain()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connecting is not None:
            self._connecting.cancel()
        self._flush()
        self._drop_link()
        self._close_mail()
        self.worker.close()
        if self._dependant is not None:
            await self._dependant.close()
        await self.locator.close()
        await self.network.close()

    def _close_mail(self) -> None:
        for mailbox in (*self.handle_mail.values(), *self.watch_mail.values()):
            mailbox.close(self._ended())
        for listener in list(self._state_mail):
            listener.close()

    def _ended(self) -> ChubbyError | None:
        """What readers of events are told at the end: why, unless the owner closed the session."""
        if self.core.over is None or self.core.state is SessionState.CLOSED:
            return None
        return error_of(self.core.over)

    def listen(self) -> Mailbox[SessionState]:
        """A mailbox of one's own for the session's states, the present one first; it lasts as long as one keeps it."""
        mailbox: Mailbox[SessionState] = Mailbox()
        mailbox.put(self.core.state)
        if self.core.state.final:
            mailbox.close()
        self._state_mail[mailbox] = None
        return mailbox

    # ------------------------------------------------------------------------------------------------------- calls

    def mailbox(self, handle: HandleNumber, path: str) -> Mailbox[Event]:
        """Where the events of `handle` wait; closed, if it is or the session has ended."""
        mailbox = self.handle_mail.get(handle)
        if mailbox is None:
            mailbox = event_mailbox(path, handle=handle)
            if self.core.over is not None:
                mailbox.close(self._ended())
            elif self.core.desk.handles.get(handle) is None:
                mailbox.close()
            else:
                self.handle_mail[handle] = mailbox
        return mailbox

    def check_process(self) -> None:
        """Raise ForkedProcess in a child of the process that opened the session."""
        if os.getpid() != self._pid:
            raise ForkedProcess(
                f"this session belongs to process {self._pid}, and this is a fork of it: open a session of your own"
            )

    def cached(self, call: Call) -> Answer | None:
        """The answer to `call` if the cache has it; from any thread, without waiting."""
        if os.getpid() != self._pid:
            self.check_process()
        return self.core.cached(call, self.clock())

    def near(self, handle: HandleNumber) -> NodeEntry | None:
        """What the cache knows of the node of `handle`, if a read may be answered from that; from any thread, without
        waiting. (The same as `cached`, without a call and an answer: most reads end here.)
        """
        if os.getpid() != self._pid:
            self.check_process()
        return self._near(handle, self.clock())

    def begin(self, call: Call, timeout: float | None, waiter: Waiter) -> CallNumber:
        """Begin a call whose answer goes to `waiter`, within `timeout` seconds."""
        self.check_process()
        now = self.clock()
        number = self.core.begin(call, now, NEVER if timeout is None else now + from_seconds(timeout))
        self._waiters[number] = waiter
        self._drain()
        return number

    async def call(self, call: Call, timeout: float | None = None) -> Result:
        """Make a call. Raises the ChubbyError it fails with; cancelled, it leaves nothing behind."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        number = self.begin(call, timeout, future)
        try:
            answer = await future
        except asyncio.CancelledError:
            self.cancel(number)
            raise
        if isinstance(answer, Failure):
            raise error_of(answer)
        return answer

    def cancel(self, number: CallNumber) -> None:
        """Nobody waits for call `number` any more."""
        if self._waiters.pop(number, None) is not None:
            self.core.cancel(number, self.clock())
            self._drain()

    def poison(self, handle: HandleNumber) -> None:
        """See `SessionCore.poison`."""
        self.check_process()
        self.core.poison(handle, self.clock())
        self._drain()

    def _explained(self, failure: Failure) -> Failure:
        """A failure to find the master, with what each replica said."""
        if failure.code is not ErrorCode.NO_QUORUM:
            return failure
        cell = self.locator.cell or self._cell
        return Failure(failure.code, f"{failure.message} (cell {cell}; {self.locator.describe()})")

    # ----------------------------------------------------------------------------------------------------- effects

    def _drain(self) -> None:
        for effect in self.core.effects():
            self._execute(effect)
        wake = self.core.wake_at()
        if wake < self._timer_at:
            self._set_timer(wake)

    def _execute(self, effect: Effect) -> None:
        if isinstance(effect, Send):
            self._send(effect)
        elif isinstance(effect, Complete):
            self._complete(effect)
        elif isinstance(effect, Deliver):
            self._deliver(effect.event)
        elif isinstance(effect, Connect):
            self._connect(effect)
        elif isinstance(effect, Disconnect):
            if effect.stream == self._stream:
                self._flush()
                self._drop_link()
            self._changed.set()
        elif isinstance(effect, Relay):
            assert self._dependant is not None, "only a session that relays asks for it"
            self._dependant.put(effect)
        else:
            self._state_changed(effect)

    def _send(self, effect: Send) -> None:
        if effect.stream != self._stream:
            return
        self._outgoing.append(effect.frame)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        frames, self._outgoing = self._outgoing, []
        if self._link is None or not frames:
            return
        refused = self._link.send(frames)
        for frame, failure in refused:
            assert isinstance(frame, CallFrame), f"the protocol carries every frame of our own: {failure.message}"
            self.core.unsendable(frame.number, failure, self.clock())
        if refused:
            self._drain()

    def _complete(self, effect: Complete) -> None:
        waiter = self._waiters.pop(effect.number, None)
        if waiter is not None and not waiter.done():
            answer = effect.answer
            waiter.set_result(self._explained(answer) if isinstance(answer, Failure) else answer)

    def _deliver(self, event: Event) -> None:
        if event.handle:
            mailbox = self.handle_mail.get(event.handle)
        elif event.watch:
            mailbox = self.watch_mail.get(event.watch)
        else:
            for each in (*self.handle_mail.values(), *self.watch_mail.values()):
                each.put(event)
            return
        if mailbox is not None:
            mailbox.put(event)

    def _dropped(self, place: int) -> None:
        self.core.relayed(place, self.clock())
        self._drain()

    def _state_changed(self, effect: StateChanged) -> None:
        for listener in list(self._state_mail):
            listener.put(effect.state)
        self._changed.set()
        if effect.state is SessionState.JEOPARDY:
            logger.warning("session %d is in jeopardy: its lease ran out", self.core.identity.session)
        elif effect.state is SessionState.SAFE:
            logger.info("session %d is safe: nothing was lost", self.core.identity.session)
        elif effect.state is SessionState.EXPIRED:
            why = effect.failure.message if effect.failure else ""
            logger.error("session %d has expired: %s", self.core.identity.session, why)
            self._close_mail()

    # ----------------------------------------------------------------------------------------------------- network

    def _connect(self, effect: Connect) -> None:
        self._drop_link()
        self._stream = effect.stream
        if self._connecting is not None:
            self._connecting.cancel()
        self._connecting = asyncio.create_task(self._open_link(effect.stream, effect.address))

    async def _open_link(self, stream: StreamNumber, address: str) -> None:
        link: Link | None = None
        try:
            address = address or await self.locator.find()
            if address:
                link = await self.network.connect(
                    address,
                    lambda frames: self._received(stream, frames),
                    lambda reason: self._lost(stream, reason),
                )
        except ChubbyError as error:
            logger.debug("no stream to %s: %s", address, error)
            self.locator.failed(address, error)
        if stream != self._stream:
            if link is not None:
                link.close()
            return
        self._link = link
        if link is None:
            self.core.disconnected(stream, self.clock())
        else:
            self.core.connected(stream, self.clock())
        self._drain()

    def _received(self, stream: StreamNumber, frames: Sequence[ServerFrame]) -> None:
        self.core.received(stream, frames, self.clock())
        self._drain()

    def _lost(self, stream: StreamNumber, reason: str) -> None:
        logger.debug("stream %d is lost: %s", stream, reason)
        self.core.disconnected(stream, self.clock())
        self._drain()

    def _located(self, epoch: Epoch, address: str) -> None:
        self.core.located(epoch, address, self.clock())
        self._drain()

    def _drop_link(self) -> None:
        link, self._link = self._link, None
        self._outgoing.clear()
        self._stream = 0
        if link is not None:
            link.close()

    # ------------------------------------------------------------------------------------------------------- timer

    def _set_timer(self, wake: Instant) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = min(max(to_seconds(wake - self.clock()), 0.0), _LONGEST_TIMER)
        self._timer_at = wake
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, NEVER
        self.core.tick(self.clock())
        self._drain()
