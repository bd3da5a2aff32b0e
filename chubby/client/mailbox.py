"""Where events wait for whoever wants them: an iterator on a loop, a thread, or a callback (DESIGN §5 Events, §6).

A mailbox is bounded. If nobody reads and it overflows, what waits is replaced by one RESYNC event: never a silent gap,
never unbounded memory. Callbacks run in one worker thread per session, in the order in which their events came, and
never on the loop: a slow callback delays other callbacks, and nothing else.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from chubby.errors import ChubbyError
from chubby.types.events import Event, EventKind

logger = logging.getLogger(__name__)

MAILBOX_LIMIT: Final = 10_000
"""Events that may wait in one mailbox."""

T = TypeVar("T")


class Consumer(Protocol):
    """Who is to be woken when something came."""

    def __call__(self) -> None:
        """Something can be taken from the mailbox, or it was closed. Called on the session's loop; must not block."""


class Mailbox(Generic[T]):
    """Events (or states) of one handle, watch or session, oldest first.

    Filled and closed on the session's loop; `take` may be called from one other thread, since a deque's ends are safe.
    `overflow` stands in for everything that waited when the bound was passed; without it, the oldest go.
    """

    def __init__(self, overflow: T | None = None, limit: int = MAILBOX_LIMIT) -> None:
        self._waiting: deque[T] = deque()
        self._overflow = overflow
        self._limit = limit
        self._consumers: list[Consumer] = []
        self.closed = False
        self.error: ChubbyError | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T) -> None:
        """Let `item` wait."""
        if self.closed:
            return
        if len(self._waiting) >= self._limit:
            if self._overflow is not None:
                self._waiting.clear()
                self._waiting.append(self._overflow)
            else:
                self._waiting.popleft()
        self._waiting.append(item)
        self._wake()

    def take(self) -> T | None:
        """The oldest, or None if nothing waits."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def close(self, error: ChubbyError | None = None) -> None:
        """Nothing more will come, because of `error` if there is one. What waits may still be taken. Idempotent."""
        if not self.closed:
            self.closed, self.error = True, error
            self._wake()

    def subscribe(self, consumer: Consumer) -> Callable[[], None]:
        """Have `consumer` called when there is something to take; gives what undoes it."""
        self._consumers.append(consumer)
        if self._waiting or self.closed:
            consumer()

        def undo() -> None:
            if consumer in self._consumers:
                self._consumers.remove(consumer)

        return undo

    def _wake(self) -> None:
        for consumer in self._consumers:
            consumer()


def event_mailbox(path: str, handle: int = 0, watch: int = 0) -> Mailbox[Event]:
    """A mailbox of events that overflows into RESYNC."""
    return Mailbox(Event(EventKind.RESYNC, path, handle=handle, watch=watch))


class CallbackWorker:
    """The thread in which a session's callbacks run, started by the first of them."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._counting = threading.Lock()

    def deliver(self, mailbox: Mailbox[T], callback: Callable[[T], object]) -> Callable[[], None]:
        """Have everything that comes into `mailbox` handed to `callback`; gives what ends that.

        As many jobs wait as items do: the mailbox's bound bounds both.
        """
        waiting = 0

        def one() -> None:
            nonlocal waiting
            with self._counting:
                waiting -= 1
            item = mailbox.take()
            if item is not None:
                callback(item)

        def wake() -> None:
            nonlocal waiting
            with self._counting:
                more = len(mailbox) - waiting
                waiting += max(more, 0)
            for _ in range(more):
                self._submit(one)

        return mailbox.subscribe(wake)

    def _submit(self, job: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="chubby-callbacks", daemon=True)
            self._thread.start()
        self._queue.put(job)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception("a callback failed; the next ones are called all the same")

    def close(self) -> None:
        """End the thread once what waits has run; does not wait for it. Idempotent."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread = None
