"""A value everybody follows: `for value in chubby.ConfigWatcher(session, "/ls/local/config/limits"): ...`

The value is the content of one node, None while there is none. A watch says that something changed; the value is then
read, so that what one gets is always the newest: of two quick changes one may see only the second, never an older
value after a newer one.

Error handling
--------------
- *Fail-over, lost connection*: nothing to do. The watch is resumed; changes made meanwhile are told, or RESYNC is, and
  in either case the value is read anew.
- *Jeopardy*: reads wait. The last value seen remains the best one knows.
- *Session lost*: the iteration raises SessionExpired. Go on with the last value, and follow again with a new session.
- *Undecodable value*: `decode` raising ends the iteration with that error; decode defensively, a bad write must not
  take the readers down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar, cast, overload

from chubby.client.handle import Handle
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
            self._seen = await self._contents()
        else:
            await self._next_change(self._watch)
        return None if self._seen is None else self._decode(self._seen)

    async def _next_change(self, watch: Watch) -> None:
        """Wait until the content is another one than was last seen."""
        while True:
            await watch.__anext__()
            while watch.mailbox.take() is not None:
                pass  # one reading answers for all that is known to have happened before it
            contents = await self._contents()
            if contents != self._seen:
                self._seen = contents
                return

    async def close(self) -> None:
        """Stop following. Idempotent."""
        watch, self._watch = self._watch, None
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
        self._session = session
        function = cast("Callable[[bytes], T]", decode or bytes)
        self._watcher: AsyncConfigWatcher[T] = AsyncConfigWatcher(session.asynchronous, name, function)
        self._values = session.iterate(self._watcher)

    def read(self) -> T | None:
        """The value as of now, from the cache when it can; None if the node is not there."""
        return self._session.wait_for(self._watcher.read())

    def __next__(self) -> T | None:
        return next(self._values)

    def close(self) -> None:
        """Stop following. Idempotent."""
        if not self._session.closed:
            self._session.wait_for(self._watcher.close())

    def __enter__(self) -> ConfigWatcher[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
