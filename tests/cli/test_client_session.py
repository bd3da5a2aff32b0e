"""What a held lock tells its supervisor, from what the client says of session and node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from chubby.cli.client_session import RELEASE_LIMIT, ClientLock
from chubby.cli.lock_table import Happening
from chubby.cli.supervisor import Turn
from chubby.client.handle import Handle
from chubby.client.sequencer import SequencerBytes
from chubby.client.session import Session
from chubby.client.state import SessionState
from chubby.errors import ChubbyError, LockNotHeld, SessionExpired
from chubby.types.events import Event, EventKind
from chubby.types.nodes import LockMode
from chubby.types.results import LockGranted, SequencerResult

TOKEN = 17
Stream = asyncio.Queue["SessionState | Event | ChubbyError | None"]


async def drained(queue: Stream) -> AsyncIterator[SessionState | Event]:
    """A stream from a queue; None ends it, an error is raised."""
    while (item := await queue.get()) is not None:
        if isinstance(item, ChubbyError):
            raise item
        yield item


class StandIn:
    """Session and handle in one: what `ClientLock` uses of both."""

    def __init__(self) -> None:
        """Holding the lock."""
        self.said: Stream = asyncio.Queue()
        self.happened: Stream = asyncio.Queue()
        self.token = TOKEN
        self.trouble: ChubbyError | None = None
        self.released: float | None = None
        """How long that may take."""

    def states(self) -> AsyncIterator[SessionState | Event]:
        """Of the session."""
        return drained(self.said)

    def events(self) -> AsyncIterator[SessionState | Event]:
        """Of the handle."""
        return drained(self.happened)

    async def get_sequencer(self) -> SequencerBytes:
        """Of the handle."""
        if self.trouble is not None:
            raise self.trouble
        return SequencerBytes.of(SequencerResult(b"s", "/a", LockMode.EXCLUSIVE, 1, self.token))

    async def release(self, *, timeout: float | None = None) -> None:
        """Of the handle."""
        self.released = timeout


@pytest.fixture
async def held() -> AsyncIterator[tuple[StandIn, ClientLock]]:
    """A lock that is held."""
    stand_in = StandIn()
    lock = ClientLock(cast(Session, stand_in), cast(Handle, stand_in), LockGranted(TOKEN, 1), b"s")
    yield stand_in, lock
    await lock.release()
    assert stand_in.released == RELEASE_LIMIT, "without a cell one does not wait for long to let go"


Held = tuple[StandIn, ClientLock]


async def turn(lock: ClientLock) -> Turn:
    """The next."""
    return await asyncio.wait_for(lock.next_turn(), 10)


async def test_jeopardy_and_a_safe_end(held: Held) -> None:
    """DESIGN §6: safe means nothing was lost; a master has confirmed this hold period."""
    stand_in, lock = held
    for state in (SessionState.NORMAL, SessionState.JEOPARDY, SessionState.SAFE):
        stand_in.said.put_nowait(state)
    assert await turn(lock) == Turn(Happening.JEOPARDY)
    assert await turn(lock) == Turn(Happening.SAFE)


async def test_a_session_that_survives_without_the_lock(held: Held) -> None:
    """Safe for the session is not safe for the command: another token is another hold period."""
    stand_in, lock = held
    stand_in.token = TOKEN + 1
    stand_in.said.put_nowait(SessionState.SAFE)
    assert await turn(lock) == Turn(Happening.LOST, "it was held by another meanwhile")


@pytest.mark.parametrize("trouble", [LockNotHeld("not held"), SessionExpired("expired")])
async def test_a_confirmation_that_fails_is_a_loss(held: Held, trouble: ChubbyError) -> None:
    """With the reason."""
    stand_in, lock = held
    stand_in.trouble = trouble
    stand_in.said.put_nowait(SessionState.SAFE)
    assert await turn(lock) == Turn(Happening.LOST, str(trouble))


async def test_the_end_of_the_session_is_a_loss(held: Held) -> None:
    """The stream of states ends."""
    stand_in, lock = held
    stand_in.said.put_nowait(SessionState.EXPIRED)
    stand_in.said.put_nowait(None)
    assert await turn(lock) == Turn(Happening.LOST, "the session has expired")


async def test_a_deleted_node_is_a_loss(held: Held) -> None:
    """DESIGN §4: its waiters and holders get HANDLE_INVALID; other events say nothing."""
    stand_in, lock = held
    stand_in.happened.put_nowait(Event(EventKind.MASTER_FAILED_OVER))
    stand_in.happened.put_nowait(Event(EventKind.HANDLE_INVALID, "/a", handle=1))
    assert await turn(lock) == Turn(Happening.LOST, "the node was deleted")


async def test_an_error_of_the_stream_is_a_loss(held: Held) -> None:
    """Who cannot hear any more must not believe that all is well."""
    stand_in, lock = held
    stand_in.happened.put_nowait(SessionExpired("it has expired"))
    assert await turn(lock) == Turn(Happening.LOST, "it has expired")
