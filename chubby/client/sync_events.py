"""Events and states for ordinary threads: blocking iterators over a mailbox, and the synchronous face of a watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from chubby.client.mailbox import Mailbox
from chubby.client.seam import Seam
from chubby.client.waiting import SLICE
from chubby.client.watch import Watch as AsyncWatch
from chubby.types.events import Event
from chubby.types.identity import Revision

T = TypeVar("T")


class Events(Iterator[T], Generic[T]):
    """What comes into one mailbox, in order: `for event in events`, or `events.get(timeout=1.0)`.

    Iteration ends when the handle or watch is closed, and raises SessionExpired when the session has expired.
    """

    def __init__(self, seam: Seam, mailbox: Callable[[], Mailbox[T]]) -> None:
        self._seam = seam
        self._came = threading.Event()
        self._mailbox: Mailbox[T] = seam.on_loop(lambda: self._subscribe(mailbox()))

    def _subscribe(self, mailbox: Mailbox[T]) -> Mailbox[T]:
        mailbox.subscribe(self._came.set)
        return mailbox

    def get(self, timeout: float | None = None) -> T | None:
        """The next one; None if none comes within `timeout` seconds, or none will come any more."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            self._seam.check_process()
            self._came.clear()
            item = self._mailbox.take()
            if item is not None:
                return item
            if self._mailbox.closed:
                if self._mailbox.error is not None:
                    raise self._mailbox.error
                return None
            left = SLICE if until is None else until - time.monotonic()
            if left <= 0:
                return None
            self._came.wait(min(left, SLICE))

    def __next__(self) -> T:
        item = self.get()
        if item is None:
            raise StopIteration
        return item


class Watch(Events[Event]):
    """Every change of a node or subtree, in order, from `revision` on: `for event in watch`. See `chubby.aio`."""

    def __init__(self, seam: Seam, watch: AsyncWatch) -> None:
        super().__init__(seam, lambda: watch._mailbox)
        self.path = watch.path
        self.revision: Revision = watch.revision
        self._watch = watch

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.close()

    def on_event(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Have `callback` called with each event, in a thread of its own and in order; gives what ends that."""
        return self._seam.on_loop_undoable(lambda: self._watch.on_event(callback))

    def close(self) -> None:
        """End the watch. Idempotent, harmless once the session is lost."""
        if not self._seam.closed:
            self._seam.wait_for(self._watch.close())
