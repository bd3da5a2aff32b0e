"""Opening a session for a command, with the real client behind `ports.CellSession`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from chubby import paths
from chubby.cli.options import Connection
from chubby.cli.ports import CellSession
from chubby.cli.running import Signals, run


@contextlib.asynccontextmanager
async def open_session(connection: Connection, cell: str | None) -> AsyncIterator[CellSession]:
    """A session with `cell` (default: that of --cell), closed at the end of the block. Raises ChubbyError.

    It does not cache: what a command reads it reads once, and a cache would make others wait for it.
    """
    from chubby.cli.client_session import connect

    cell = cell or connection.cell or paths.LOCAL_CELL
    async with connect(connection, cell) as session:
        yield session


def with_session(connection: Connection, cell: str | None, main: Callable[[CellSession], Awaitable[int]]) -> int:
    """Run `main` with a session; its exit code."""

    async def run_it(_signals: Signals) -> int:
        async with open_session(connection, cell) as session:
            return await main(session)

    return run(run_it)
