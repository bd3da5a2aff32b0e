"""The door from ordinary threads to the one background loop (DESIGN §6 "the synchronous façade complete and small").

All synchronous sessions of a process share one daemon thread with one loop; it starts with the first session and ends
with the last. A thread that waits can be interrupted (Ctrl-C) at any moment: its errand is known to it before the loop
hears of it, and is given up, on the loop. It waits in slices, because a signal that arrives just before the thread
falls asleep is noticed by CPython only when it wakes, because a loop that ended meanwhile answers nobody, and to call
the thread's own check (`waiting`).

gRPC tells a loop of the end of everything that was begun there, also of what was cancelled, and cannot be asked whether
something is still to come. So the loop waits a little before it closes, for what ends of its own accord; what comes
later still, which gRPC brings through whatever other loop the process runs, falls on deaf ears (`_Loop`).

A forked child has no such thread. It is recognised by its process id, and told so instead of being left waiting; what
runs at its exit leaves the parent's sessions alone.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, Generic, Protocol, TypeVar, TypeVarTuple, Unpack

from chubby.client.waiting import Patience
from chubby.errors import ForkedProcess, SessionExpired

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_JOIN: Final = 5.0
"""Seconds that the last session's close waits for the thread to end."""
_PARTING: Final = 0.2
"""Seconds that what still runs when the loop ends has to end of its own accord, before it is cancelled."""


class Errand(Protocol[T]):
    """What a thread has done on the loop. Both methods run there, `give_up` never before `begin`, or without it."""

    future: Future[T]

    def begin(self) -> None:
        """Begin; what comes of it goes to `future`."""

    def give_up(self) -> None:
        """Nobody waits for it any more: leave nothing behind."""


class CoroutineErrand(Generic[T]):
    """A coroutine, run as a task."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.future: Future[T] = Future()
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """See `Errand`."""
        self._task = asyncio.ensure_future(self._coroutine)
        self._task.add_done_callback(self._done)

    def give_up(self) -> None:
        """See `Errand`."""
        self.future.cancel()
        if self._task is None:
            self._coroutine.close()
        else:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.future.cancel()
        elif (error := task.exception()) is not None:
            if not self.future.cancelled():
                self.future.set_exception(error)
        elif not self.future.cancelled():
            self.future.set_result(task.result())


class Closable(Protocol):
    """A session, as far as the end of the process is concerned."""

    def close(self, timeout: float = ...) -> None:
        """End it."""


class _Loop(asyncio.SelectorEventLoop):
    """A loop that, once closed, takes no notice of what other threads bring, instead of blaming them.

    It would be gRPC on the loop of the next session that is blamed: it prints that, and leaves what else it has for
    later. Nobody waits for what it brings: whatever ran on this one has ended, or was cancelled.
    """

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As with any loop; closed, give a handle that is cancelled."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:  # closed
            refused = asyncio.Handle(callback, args, self, context)
            refused.cancel()
            return refused


class Portal:
    """A loop in a thread of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.users = 0
        self._ready = threading.Event()
        self.loop = _Loop()
        self._thread = threading.Thread(target=self._run, name="chubby-client", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._ready.set)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self._wind_up())
            self.loop.close()

    async def _wind_up(self) -> None:
        """Whatever still runs belongs to nobody any more."""
        left: set[asyncio.Task[Any]] = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            _, left = await asyncio.wait(left, timeout=_PARTING)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)
        await self.loop.shutdown_asyncgens()

    def check(self) -> None:
        """Raise ForkedProcess in a child of the process that made this, RuntimeError on the loop's own thread."""
        if os.getpid() != self.pid:
            raise ForkedProcess(
                f"this session belongs to process {self.pid}, and this is a fork of it: open a session of your own"
            )
        if threading.current_thread() is self._thread:
            raise RuntimeError("a synchronous call on the loop that would have to carry it out")

    def post(self, action: Callable[[], object]) -> None:
        """Have `action` done on the loop, soon. Raises SessionExpired if the loop has ended with the last session."""
        self.check()
        if self.loop.call_soon_threadsafe(action).cancelled():
            raise _closed()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for it; interrupted, cancel it."""
        try:
            self.check()
        except BaseException:
            coroutine.close()
            raise
        return self.carry_out(CoroutineErrand(coroutine))

    def carry_out(self, errand: Errand[T]) -> T:
        """Have `errand` done on the loop and wait for it; interrupted, have it given up and raise the interruption.

        Raises SessionExpired if the loop has ended with the last session.
        """
        self.check()
        try:
            self.post(errand.begin)
            return self._wait(errand.future)
        except SessionExpired:
            if self.loop.is_closed():
                with suppress(RuntimeError):  # its task, if any, has ended with the loop
                    errand.give_up()
            raise
        except BaseException:
            if not errand.future.done():
                with suppress(SessionExpired):
                    self.post(errand.give_up)
            raise

    def _wait(self, future: Future[T]) -> T:
        patience = Patience()
        while True:
            try:
                return future.result(patience.slice)
            except TimeoutError:
                if future.done():
                    return future.result()
            if self.loop.is_closed():
                raise _closed()
            patience.look_up()

    def end(self) -> None:
        """Stop the loop and wait for its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_JOIN)


def _closed() -> SessionExpired:
    return SessionExpired("the session was closed by its owner")


class _Registry:
    """The portal of each process id, and the sessions still open.

    A child finds its parent's portal here, and knows by the id that it is not its own.
    """

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.portals: dict[int, Portal] = {}
        self.sessions: weakref.WeakSet[Closable] = weakref.WeakSet()

    def forked(self) -> None:
        """In the child: another thread may have held the guard, and will never give it back."""
        self.guard = threading.Lock()
        self.sessions = weakref.WeakSet()

    def close_all(self) -> None:
        """At the end of the process: locks are released now, not when the lease runs out."""
        for session in list(self.sessions):
            session.close(1.0)


_registry = _Registry()
os.register_at_fork(after_in_child=_registry.forked)
atexit.register(_registry.close_all)


def enter(session: Closable) -> Portal:
    """The portal of this process, started if need be, on behalf of `session`."""
    with _registry.guard:
        portal = _registry.portals.get(os.getpid())
        if portal is None:
            portal = _registry.portals[os.getpid()] = Portal()
        portal.users += 1
        _registry.sessions.add(session)
        return portal


def leave(portal: Portal, session: Closable) -> None:
    """`session` is over; the last one to leave ends the thread."""
    with _registry.guard:
        _registry.sessions.discard(session)
        portal.users -= 1
        if portal.users > 0:
            return
        _registry.portals.pop(portal.pid, None)
    portal.end()
