"""The background loop of the synchronous face, and what comes when it has ended (DESIGN §6)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator

import grpc.aio
import pytest

from chubby.client.portal import Portal
from chubby.errors import SessionExpired
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub

LOOPS = 20
CALLS = 100


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=CALLS) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


class TestItsEnd:
    """What the loop waits for, what it cancels, and what comes too late."""

    def test_grpc_may_come_after_the_end(self, silent: str, caplog: pytest.LogCaptureFixture) -> None:
        """It tells of each cancelled call some time after, on the next session's loop: the user reads nothing of it.

        What was asked is kept meanwhile, as gRPC would else end its own thread, and drop what it still has to tell.
        """
        kept: list[list[grpc.aio.UnaryUnaryCall[pb.LocateRequest, pb.Location]]] = []

        async def ask_and_give_up() -> None:
            stub = CellStub(grpc.aio.insecure_channel(silent))
            calls = [stub.Locate(pb.LocateRequest(), timeout=60) for _ in range(CALLS)]
            kept.append(calls)
            for _ in range(3):
                await asyncio.sleep(0)  # each call has been handed to gRPC
            for call in calls:
                call.cancel()

        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(LOOPS):
                portal = Portal()
                portal.run(ask_and_give_up())
                portal.end()
        assert len(kept) == LOOPS
        assert [record.getMessage() for record in caplog.records] == []

    def test_what_is_brought_to_a_closed_loop_is_not_done(self) -> None:
        """Whoever else brings it sees a handle that is cancelled; our own threads are told."""
        portal, done = Portal(), list[int]()
        portal.end()
        assert portal.loop.is_closed()
        assert portal.loop.call_soon_threadsafe(done.append, 1).cancelled()
        with pytest.raises(SessionExpired, match="closed by its owner"):
            portal.post(lambda: done.append(2))
        assert done == []

    def test_what_ends_of_its_own_accord_is_let_end(self) -> None:
        """gRPC's own tasks, which take in what it tells of calls that were cancelled."""
        portal, ended, tasks = Portal(), list[str](), list[asyncio.Task[None]]()

        async def end() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)
            ended.append("by itself")

        portal.post(lambda: tasks.append(asyncio.ensure_future(end())))
        portal.end()
        assert ended == ["by itself"]
        assert tasks[0].done() and not tasks[0].cancelled()

    def test_what_does_not_is_cancelled(self) -> None:
        """Whatever still runs belongs to nobody any more."""
        portal, ended, tasks = Portal(), list[str](), list[asyncio.Task[None]]()

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        portal.post(lambda: tasks.append(asyncio.ensure_future(wait())))
        portal.end()
        assert ended == ["cancelled"]
        assert tasks[0].cancelled() and not portal._thread.is_alive()
