"""A value everybody follows: `for value in chubby.ConfigWatcher(session, "/ls/local/config/limits"): ...`

The value is the content of one node, None while there is none. A watch says that something changed; the value is then
read, so that what one gets is always the newest: of two quick changes one may see only the second, never an older
value after a newer one.

Error handling
--------------
- *Fail-over, lost connection*: nothing to do. The watch is resumed; changes made meanwhile are told, or RESYNC is, and
  in either case the value is read anew.
- *Jeopardy*: reads wait. The last value seen remains the best one knows.
- *A reading that fails* (no master within the session's `call_timeout`) or is cancelled: the iteration raises, and may
  be gone on with: the change that it was to tell of is read then.
- *Session lost*: the iteration raises SessionExpired. Go on with the last value, and follow again with a new session.
- *Undecodable value*: `decode` raising ends the iteration with that error; decode defensively, a bad write must not
  take the readers down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar, cast, overload

from chubby.client.handle import Handle
from chubby.client.seam import step
from chubby.client.session import Session
from chubby.client.sync import Session as SyncSession
from chubby.client.watch import Watch
from chubby.errors import HandleInvalid, NoNode
from chubby.types.calls import Mode

T = TypeVar("T")


class AsyncConfigWatcher(AsyncIterator[T | None], Generic[T]):
    """The follower for asyncio: `async with AsyncConfigWatcher(...) as watcher: async for value in watcher: ...`

    The first value is the present one. `decode` makes a value of the content.
    """

    @overload
    def __init__(self: AsyncConfigWatcher[bytes], session: Session, name: str) -> None: ...

    @overload
    def __init__(self, session: Session, name: str, decode: Callable[[bytes], T]) -> None: ...

    def __init__(self, session: Session, name: str, decode: Callable[[bytes], T] | None = None) -> None:
        self.name = name
        self._session = session
        self._decode = cast("Callable[[bytes], T]", decode or bytes)
        self._handle: Handle | None = None
        self._watch: Watch | None = None
        self._unread = True
        self._told = False
        self._seen: bytes | None = None

    async def read(self) -> T | None:
        """The value as of now, from the cache when it can; None if the node is not there."""
        contents = await self._contents()
        return None if contents is None else self._decode(contents)

    async def _contents(self) -> bytes | None:
        """The content of whatever node bears the name now."""
        if self._handle is not None:
            try:
                return (await self._handle.get_contents_and_stat())[0]
            except HandleInvalid:
                await self._let_go()
        try:
            self._handle = await self._session.open(self.name, mode=Mode.READ)
            return (await self._handle.get_contents_and_stat())[0]
        except (NoNode, HandleInvalid):
            await self._let_go()
            return None

    async def _let_go(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            await handle.close()

    async def __anext__(self) -> T | None:
        if self._watch is None:
            self._watch = await self._session.watch(self.name)
        while True:
            await self._news(self._watch)
            contents = await self._contents()
            self._unread = False
            if not self._told or contents != self._seen:
                self._told, self._seen = True, contents
                return None if contents is None else self._decode(contents)

    async def _news(self, watch: Watch) -> None:
        """Wait for a change, unless there was one that no reading has answered yet: the last may have failed."""
        if not self._unread:
            await anext(watch)
            self._unread = True
        watch._drop_waiting()  # one reading answers for all that is known to have happened before it

    async def close(self) -> None:
        """Stop following. Idempotent."""
        watch, self._watch = self._watch, None
        self._unread, self._told = True, False
        if watch is not None:
            await watch.close()
        await self._let_go()

    async def __aenter__(self) -> AsyncConfigWatcher[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class ConfigWatcher(Iterator[T | None], Generic[T]):
    """The follower for ordinary threads: `with ConfigWatcher(...) as watcher: for value in watcher: ...`"""

    @overload
    def __init__(self: ConfigWatcher[bytes], session: SyncSession, name: str) -> None: ...

    @overload
    def __init__(self, session: SyncSession, name: str, decode: Callable[[bytes], T]) -> None: ...

    def __init__(self, session: SyncSession, name: str, decode: Callable[[bytes], T] | None = None) -> None:
        self.name = name
        self._seam = session._seam
        function = cast("Callable[[bytes], T]", decode or bytes)
        self._watcher: AsyncConfigWatcher[T] = AsyncConfigWatcher(self._seam.session, name, function)

    def read(self) -> T | None:
        """The value as of now, from the cache when it can; None if the node is not there."""
        return self._seam.wait_for(self._watcher.read())

    def __next__(self) -> T | None:
        found = self._seam.wait_for(step(self._watcher))
        if not found:
            raise StopIteration
        return found[0]

    def close(self) -> None:
        """Stop following. Idempotent."""
        if not self._seam.closed:
            self._seam.wait_for(self._watcher.close())

    def __enter__(self) -> ConfigWatcher[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._seam.ours:
            self.close()
