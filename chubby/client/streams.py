"""Events and session states as asynchronous iterators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from chubby.client.mailbox import CallbackWorker, Mailbox

T = TypeVar("T")


class EventStream(AsyncIterator[T], Generic[T]):
    """What comes into one mailbox, in order: `async for event in stream`.

    It ends when the handle or watch is closed; it raises SessionExpired when the session has expired. Two readers of
    one mailbox share what comes.
    """

    def __init__(self, mailbox: Mailbox[T]) -> None:
        self._mailbox = mailbox
        self._came = asyncio.Event()
        self._unsubscribe = mailbox.subscribe(self._came.set)

    async def __anext__(self) -> T:
        while True:
            self._came.clear()
            item = self._mailbox.take()
            if item is not None:
                return item
            if self._mailbox.closed:
                self._unsubscribe()
                if self._mailbox.error is not None:
                    raise self._mailbox.error
                raise StopAsyncIteration
            await self._came.wait()


def call_back(worker: CallbackWorker, mailbox: Mailbox[T], callback: Callable[[T], object]) -> Callable[[], None]:
    """Have `callback` called, in the session's callback thread, with all that comes; gives what ends that."""
    return worker.deliver(mailbox, callback)
