"""The asyncio face of a watch: every change of a node or subtree, in order, none lost (DESIGN §5 Events)."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from chubby.client.driver import Driver
from chubby.client.mailbox import Mailbox
from chubby.client.streams import EventStream
from chubby.types.calls import Unwatch
from chubby.types.events import Event
from chubby.types.identity import Revision, WatchNumber


class Watch(EventStream[Event]):
    """What changes, from `revision` on: `async for event in watch`.

    A RESYNC event says that changes before it are not told (the history did not reach back, or nobody read for too
    long): read again what you rely on. The node need not exist, and may come and go.
    """

    def __init__(
        self, driver: Driver, number: WatchNumber, path: str, revision: Revision, mailbox: Mailbox[Event]
    ) -> None:
        super().__init__(mailbox)
        self._number = number
        self.path = path
        self.revision = revision
        self._driver = driver

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def on_event(self, callback: Callable[[Event], object]) -> Callable[[], None]:
        """Have `callback` called with each event, in a thread of its own and in order; gives what ends that."""
        return self._driver.worker.deliver(self._mailbox, callback)

    def _drop_waiting(self) -> None:
        """Forget what has come and was not taken: for who reads the state next, and needs no history of it."""
        while self._mailbox.take() is not None:
            pass

    async def close(self) -> None:
        """End the watch. Idempotent, harmless once the session is lost."""
        self._driver.check_process()
        if self._driver.watch_mail.pop(self._number, None) is None:
            return
        self._mailbox.close()
        if not self._driver.core.state.final:
            await self._driver.call(Unwatch(self._driver.core.desk.subscriptions.number_of(self._number)))
