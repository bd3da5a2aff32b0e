"""The door from ordinary threads to the one background loop (DESIGN §6 "the synchronous façade complete and small").

All synchronous sessions of a process share one daemon thread with one loop; it starts with the first session and ends
with the last. A thread that waits can be interrupted (Ctrl-C): what it waited for is then cancelled, on the loop.

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
from typing import Any, Protocol, TypeVar

from chubby.errors import ForkedProcess

T = TypeVar("T")

_JOIN = 5.0
"""Seconds that the last session's close waits for the thread to end."""


class Closable(Protocol):
    """A session, as far as the end of the process is concerned."""

    def close(self, timeout: float = ...) -> None:
        """End it."""


class Portal:
    """A loop in a thread of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.users = 0
        self._ready = threading.Event()
        self.loop = asyncio.new_event_loop()
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
        left = asyncio.all_tasks() - {asyncio.current_task()}
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
        """Have `action` done on the loop, soon."""
        self.check()
        self.loop.call_soon_threadsafe(action)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for it; interrupted, cancel it."""
        try:
            self.check()
        except BaseException:
            coroutine.close()
            raise
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return self.wait(future, future.cancel)

    def wait(self, future: Future[T], give_up: Callable[[], object]) -> T:
        """Wait for `future`; interrupted, have `give_up` called and raise the interruption."""
        try:
            return future.result()
        except BaseException:
            if not future.done():
                give_up()
            raise

    def end(self) -> None:
        """Stop the loop and wait for its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_JOIN)


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
