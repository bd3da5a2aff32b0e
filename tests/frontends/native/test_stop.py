"""What a stop of the front end tells whom, what it waits for, and that nothing about it can end the process."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from typing import TypeVar

import grpc
import grpc.aio
import pytest
import uvloop

from chubby.errors import AvailabilityError, NotMaster
from chubby.frontends.native import NativeFrontend, NativeSettings
from chubby.types.results import Contents, Done
from chubby.types.stream import OpenSession, Reply
from chubby.types.time import SECOND
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from tests.frontends.native.conftest import PATIENCE, Service, serving, until
from tests.frontends.native.door import FakeDoor
from tests.frontends.native.test_hostile import STAT, pumped

T = TypeVar("T")


class Slow(FakeDoor):
    """A door whose exports end when they may."""

    def __init__(self) -> None:
        """They may not, yet."""
        super().__init__()
        self.end = asyncio.Event()

    async def export(self) -> AsyncIterator[bytes]:
        """See `Door`."""
        yield b"first"
        await self.end.wait()
        yield b"last"


def assert_free(port: int) -> None:
    """Another server may listen there now."""
    with closing(socket.socket()) as successor:
        successor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        successor.bind(("127.0.0.1", port))


async def test_stop_tells_every_session_and_waits_for_none(service: Service) -> None:
    """What waits is sent, then NOT_MASTER, which is retryable: the client goes elsewhere at once."""
    callers = [await service.opened() for _ in range(10)]
    for stream in service.door.streams.values():
        stream.deliver([Reply(1, Done(1))])
    async with asyncio.timeout(PATIENCE):
        await service.frontend.stop(PATIENCE * 2)
    for caller in callers:
        assert await caller.receive() == Reply(1, Done(1))
        verdict = await caller.verdict()
        assert isinstance(verdict, NotMaster) and verdict.code.retryable
    assert sorted(service.door.detached) == list(range(1, 11))


async def test_stop_right_after_a_first_word_leaves_nothing_in_limbo() -> None:
    """Whatever a stop interrupts, a first write included: every RPC ends at once, none at the end of the grace."""
    for _ in range(20):
        async with serving() as service:
            caller, follower = service.caller(), CellStub(service.channel()).Follow(pb.LocateRequest())
            await caller.send(OpenSession(1))
            async with asyncio.timeout(PATIENCE):
                await follower.read()
                # One that has not arrived when the server stops is refused by gRPC, retryable as well.
                await until(lambda: len(service.door.streams) == 1)
                await service.frontend.stop(PATIENCE * 2)
            # Mostly NotMaster; one whose own write meets the closing socket hears of nothing else, and tries again too.
            assert isinstance(await caller.verdict(), AvailabilityError)


async def test_stop_interrupts_those_who_said_nothing(service: Service) -> None:
    """A silent stream does not use up the grace period."""
    caller = service.caller()
    await until(lambda: service.frontend.statistics().handshakes == 1)
    async with asyncio.timeout(PATIENCE):
        await service.frontend.stop(PATIENCE * 2)
    assert isinstance(await caller.verdict(), NotMaster)
    assert service.frontend.statistics().handshakes == 0


async def test_stop_does_not_wait_for_connections_that_ask_nothing(service: Service) -> None:
    """Sockets that never spoke, and channels without an RPC, do not use up the grace period."""
    await service.opened()
    await service.channel().channel_ready()
    with ExitStack() as sockets:
        for _ in range(20):
            sockets.enter_context(closing(socket.create_connection(("127.0.0.1", service.port))))
        async with asyncio.timeout(PATIENCE):
            await service.frontend.stop(PATIENCE * 2)


async def test_stop_ends_those_who_do_not_read() -> None:
    """They have the grace period, no more."""
    async with serving(settings=NativeSettings(outbox_bytes=1 << 30, farewell=60 * SECOND)) as service:
        await service.opened()
        service.door.streams[1].deliver([Reply(number, Contents(bytes(300_000), STAT)) for number in range(100)])
        async with asyncio.timeout(PATIENCE):
            await service.frontend.stop(0.1)
        assert service.door.detached == [1]
        assert service.frontend.statistics().streams == 0


async def test_stop_lets_an_export_finish(service: Service) -> None:
    """Within the grace period."""
    service.door.slices = [bytes(1000)] * 50
    call = CellStub(service.channel()).Export(pb.ExportRequest())
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await call.read(), pb.Chunk)
        stopping = asyncio.create_task(service.frontend.stop(PATIENCE))
        received = 1
        while isinstance(await call.read(), pb.Chunk):
            received += 1
        assert await call.code() is grpc.StatusCode.OK
        await stopping
    assert received == 50


async def test_stop_ends_those_who_were_cut(service: Service) -> None:
    """A stream that was cut and whose client still reads nothing is gone after the grace period, too."""
    await service.opened()
    await pumped(service, 1)
    async with asyncio.timeout(PATIENCE):
        await service.frontend.stop(0.1)
    assert (service.door.cut, service.door.detached) == ([1], [])
    assert service.frontend.statistics().streams == 0


async def test_stop_may_be_repeated_and_may_come_too_early(service: Service) -> None:
    """Whoever cleans up need not know how far things had come."""
    await NativeFrontend(FakeDoor()).stop(1.0)
    await service.opened()
    await service.frontend.stop(1.0)
    await service.frontend.stop(1.0)
    assert service.door.detached == [1]


async def test_nobody_is_served_after_a_stop(service: Service) -> None:
    """The port is free again."""
    await service.frontend.stop(1.0)
    assert_free(service.port)


async def test_a_stop_goes_on_when_nobody_waits_for_it_any_more() -> None:
    """Who is cancelled leaves no server half stopped; who asks again returns when all is over, not before."""
    door = Slow()
    async with serving(door) as service:
        call = CellStub(service.channel()).Export(pb.ExportRequest())
        async with asyncio.timeout(PATIENCE):
            assert isinstance(await call.read(), pb.Chunk)
            impatient = asyncio.create_task(service.frontend.stop(PATIENCE * 2))
            await asyncio.wait((impatient,), timeout=0.01)
            impatient.cancel()
            await asyncio.wait((impatient,))
            assert impatient.cancelled() and service.frontend.statistics().exports == 1
            patient = asyncio.create_task(service.frontend.stop(0.0))
            await asyncio.wait((patient,), timeout=0.01)
            assert service.frontend.statistics().exports == 1, "the first call's grace counts"
            door.end.set()
            await patient
            assert service.frontend.statistics().exports == 0
            assert_free(service.port)
            assert isinstance(await call.read(), pb.Chunk) and await call.code() is grpc.StatusCode.OK


async def test_stop_survives_a_timer_that_runs_out_at_its_very_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC hears of the end of a timer turns later, and must find its server as it was. If not, this process dies here.

    So of all that waits in gRPC for the end of the server nothing may have a limit: here each limit there is runs out
    in the turn before the end, and is heard of when all others know of the end.
    """
    wait_for = asyncio.wait_for

    async def unlucky(awaited: asyncio.Future[T], limit: float | None) -> T:
        if limit is None or limit == math.inf:
            return await wait_for(awaited, limit)
        await asyncio.wait((awaited,))
        for _ in range(10):
            await asyncio.sleep(0)
        raise TimeoutError

    await service.opened()
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "wait_for", unlucky)
        async with asyncio.timeout(PATIENCE):
            await service.frontend.stop(PATIENCE * 2)
    assert_free(service.port)


def test_a_grace_may_run_out_again_and_again() -> None:
    """The same with real timers, on the loop the daemon runs on: one stop in ten once killed the process."""

    async def scene() -> None:
        for number in range(30):
            async with serving(Slow()) as service:
                call = CellStub(service.channel()).Export(pb.ExportRequest())
                async with asyncio.timeout(PATIENCE):
                    assert isinstance(await call.read(), pb.Chunk)
                    await service.frontend.stop(0.001 + number / 3000)
                assert service.frontend.statistics().exports == 0

    uvloop.run(scene())
