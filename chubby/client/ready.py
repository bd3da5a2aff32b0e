"""Things that one may await or enter: `x = await session.open(...)`, `async with session.open(...) as x`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

R = TypeVar("R", bound=AbstractAsyncContextManager[Any])


class Ready(Generic[R]):
    """Made when awaited or entered, closed when left."""

    def __init__(self, make: Callable[[], Awaitable[R]]) -> None:
        self._make = make
        self._made: R | None = None

    def __await__(self) -> Generator[Any, None, R]:
        return self._make().__await__()

    async def __aenter__(self) -> R:
        self._made = await self._make()
        return self._made

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._made is not None:
            await self._made.__aexit__(kind, error, trace)
