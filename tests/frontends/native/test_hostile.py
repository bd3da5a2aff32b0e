"""Clients that break the protocol, say nothing, read nothing, or are no clients: each harms itself alone."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack, closing

import grpc.aio
import pytest

from chubby.errors import DeadlineExceeded, ErrorCode, Overloaded
from chubby.frontends.native import NativeSettings
from chubby.types.calls import GetStat
from chubby.types.nodes import AclNames, NodeKind, Stat
from chubby.types.results import Contents, Done, Transacted
from chubby.types.stream import (
    CallFrame,
    ClientFrame,
    CloseSession,
    KeepAlive,
    OpenSession,
    Refused,
    Reply,
    Resume,
    ServerFrame,
)
from chubby.types.time import MILLISECOND, SECOND
from chubby.types.transaction import OperationResult, TransactionResult
from chubby.wire.codec import pack_client, unpack_server
from chubby.wire.limits import CLIENT_PACKET_BYTES
from tests.frontends.native.conftest import PATIENCE, Service, serving, until
from tests.frontends.native.door import OPENED, FakeDoor, friendly

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 1, 1, 1, 1, 1, 1, AclNames("r", "w", "c"))
LARGE = 300_000


async def raw_stream(service: Service) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    """A session stream that carries whatever bytes one likes."""
    session: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = service.channel().stream_stream(
        "/chubby.v1.Cell/Session"
    )
    return session()


async def refusal(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> tuple[ErrorCode, str]:
    """What the stream was refused with, which must be its last word."""
    async with asyncio.timeout(PATIENCE):
        data = await call.read()
        assert isinstance(data, bytes)
        (frame,) = unpack_server(data)
        assert isinstance(frame, Refused)
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK
    return frame.failure.code, frame.failure.message


async def still_serves(service: Service) -> None:
    """A newcomer gets a session and an answer."""
    caller = await service.opened()
    await caller.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await caller.receive() == Reply(1, Done(1))
    await caller.send(CloseSession())
    assert await caller.verdict() is None


BAD_BEGINNINGS: dict[str, bytes] = {
    "another frame": pack_client([KeepAlive(1, True)]),
    "a call": pack_client([CallFrame(1, 0, 0, GetStat(1))]),
    "no frame": b"",
    "an empty frame": b"\x0a\x00",
    "no packet": b"GET / HTTP/1.1\r\n\r\n",
    "random bytes": os.urandom(1000),
    "two beginnings": pack_client([OpenSession(1), OpenSession(2)]),
    "another beginning later": pack_client([OpenSession(1), KeepAlive(1, True), Resume(1, b"", 1, 1, 1)]),
}


@pytest.mark.parametrize("what", BAD_BEGINNINGS)
async def test_a_bad_first_packet_is_refused(service: Service, what: str) -> None:
    """The first frame, and no other, is OpenSession or Resume; the door never hears of such a stream."""
    call = await raw_stream(service)
    await call.write(BAD_BEGINNINGS[what])
    code, message = await refusal(call)
    assert code is ErrorCode.BAD_ARGUMENT and message
    assert service.door.streams == {}
    assert service.frontend.statistics().bad_packets == 1
    await still_serves(service)


BAD_PACKETS: dict[str, bytes] = {
    "no packet": b"\xff\xff\xff\xff",
    "an empty frame": b"\x0a\x00",
    "a good and a bad frame": pack_client([KeepAlive(1, True)]) + b"\x0a\x00",
    "another beginning": pack_client([OpenSession(2)]),
    "a number too small": b"\x0a\x0d\x1a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("what", BAD_PACKETS)
async def test_a_bad_packet_ends_its_stream(service: Service, what: str) -> None:
    """Refused with BAD_ARGUMENT, counted, detached; not a frame of the packet reaches the door, no one else notices."""
    healthy = await service.opened()
    call = await raw_stream(service)
    await call.write(pack_client([OpenSession(1)]))
    async with asyncio.timeout(PATIENCE):
        assert await call.read() != b""
    await call.write(BAD_PACKETS[what])
    code, _ = await refusal(call)
    assert code is ErrorCode.BAD_ARGUMENT
    assert service.door.detached == [2]
    assert service.door.streams[2].received == [OpenSession(1)]
    assert service.frontend.statistics().bad_packets == 1
    await healthy.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await healthy.receive() == Reply(1, Done(1))


async def test_replies_under_way_precede_the_refusal(service: Service) -> None:
    """What the good packets earned is still sent, in order, before the last word."""
    call = await raw_stream(service)
    for data in (pack_client([OpenSession(1), CallFrame(1, 0, 0, GetStat(1))]), b"\xff"):
        await call.write(data)
    frames: list[ServerFrame] = []
    async with asyncio.timeout(PATIENCE):
        while isinstance(packet := await call.read(), bytes):
            frames += unpack_server(packet)
    assert frames[:2] == [OPENED, Reply(1, Done(1))]
    assert isinstance(frames[2], Refused) and len(frames) == 3


async def test_a_packet_longer_than_the_limit_ends_its_stream(service: Service) -> None:
    """gRPC itself refuses it, before it is all here; the door is told, the server lives on."""
    caller = await service.opened()
    call = await raw_stream(service)
    await call.write(pack_client([OpenSession(1)]))
    async with asyncio.timeout(PATIENCE):
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call.write(bytes(CLIENT_PACKET_BYTES + 1))
            while isinstance(await call.read(), bytes):
                pass
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await until(lambda: service.door.detached == [2])
    await caller.send(CloseSession())
    assert await caller.verdict() is None


async def test_a_packet_at_the_limit_is_received(service: Service) -> None:
    """The longest frame an encoder lets pass arrives."""
    caller = await service.opened()
    filler = [CallFrame(number, 0, 0, GetStat(1)) for number in range(9_000)]
    await caller.send(*filler)
    assert len(await caller.take(9_000)) == 9_000


async def test_a_silent_stream_is_let_go() -> None:
    """It has so long to say who it is; then it is gone, and the door has never heard of it."""
    async with serving(settings=NativeSettings(handshake=100 * MILLISECOND)) as service:
        caller = service.caller()
        verdict = await caller.verdict()
        assert isinstance(verdict, DeadlineExceeded) and verdict.code.retryable
        assert service.door.streams == {}
        statistics = service.frontend.statistics()
        assert (statistics.silent, statistics.handshakes, statistics.streams) == (1, 0, 0)


async def test_a_stream_that_spoke_may_be_silent() -> None:
    """The handshake's timeout is over with the first packet: sessions idle between keep-alives.

    Long enough here that a busy machine makes the first packet in time; the silent one outlasts it all the same.
    """
    async with serving(settings=NativeSettings(handshake=4 * SECOND)) as service:
        caller, silent = await service.opened(), service.caller()
        assert isinstance(await silent.verdict(), DeadlineExceeded)
        await caller.send(CallFrame(1, 0, 0, GetStat(1)))
        assert await caller.receive() == Reply(1, Done(1))


async def test_a_stream_closed_without_a_word_ends_well(service: Service) -> None:
    """Nothing was asked, nothing is wrong."""
    caller = service.caller()
    await caller.call.done_writing()
    assert await caller.verdict() is None
    assert service.door.streams == {} and service.frontend.statistics().handshakes == 0


async def test_half_open_streams_and_connections_do_not_disturb() -> None:
    """Five hundred streams that say nothing and as many sockets that never speak HTTP/2: sessions go on as before."""
    crowd = 500
    with ExitStack() as sockets:
        async with serving() as service:
            for _ in range(crowd):
                connection = sockets.enter_context(closing(socket.socket()))
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", service.port))
            channels = [service.channel() for _ in range(10)]
            silent = [service.caller(channels[number % 10]) for number in range(crowd)]
            await until(lambda: service.frontend.statistics().handshakes == crowd)
            for _ in range(20):
                await still_serves(service)
            assert len(service.door.streams) == 20
            for caller in silent:
                caller.call.cancel()
            await until(lambda: service.frontend.statistics().handshakes == 0)
            await still_serves(service)


async def test_a_connection_that_never_speaks_is_closed() -> None:
    """Before HTTP/2 has begun there is no stream to count: the connection itself has the same time to speak."""
    async with serving(settings=NativeSettings(handshake=200 * MILLISECOND)) as service:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            while await reader.read(1000):
                pass
            writer.close()
            await writer.wait_closed()
        assert service.frontend.statistics().streams == 0


async def test_beyond_the_limit_of_streams_newcomers_are_turned_away() -> None:
    """OVERLOADED, at once and retryable; those who are in stay, and a place that becomes free is given again."""
    async with serving(settings=NativeSettings(streams=2)) as service:
        first, second = await service.opened(), await service.opened()
        verdict = await service.caller().verdict()
        assert isinstance(verdict, Overloaded)
        assert service.frontend.statistics().turned_away == 1
        await second.send(CloseSession())
        assert await second.receive() is not None and await second.verdict() is None
        await until(lambda: service.frontend.statistics().streams == 1)
        await still_serves(service)
        await first.send(CallFrame(1, 0, 0, GetStat(1)))
        assert await first.receive() == Reply(1, Done(1))


async def test_beyond_the_limit_of_handshakes_newcomers_are_turned_away() -> None:
    """Silent streams take places of their own kind only: sessions that exist do not notice."""
    async with serving(settings=NativeSettings(handshakes=3, handshake=60 * SECOND)) as service:
        caller = await service.opened()
        silent = [service.caller() for _ in range(3)]
        await until(lambda: service.frontend.statistics().handshakes == 3)
        assert isinstance(await service.caller().verdict(), Overloaded)
        await caller.send(CallFrame(1, 0, 0, GetStat(1)))
        assert await caller.receive() == Reply(1, Done(1))
        silent[0].call.cancel()
        await until(lambda: service.frontend.statistics().handshakes == 2)
        await still_serves(service)


GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "random bytes": os.urandom(10_000),
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the beginning of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "half a preface": b"PRI * HTTP/2.0\r\n",
    "a preface and random frames": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(10_000),
    "a preface and a huge frame": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    "zeros": bytes(100_000),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_on_the_port_does_no_harm(service: Service, what: str) -> None:
    """Whatever a raw socket sends: the server lives, and whoever has a session keeps it."""
    caller = await service.opened()
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(GARBAGE[what])
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        assert isinstance(reader, asyncio.StreamReader)
    await caller.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await caller.receive() == Reply(1, Done(1))
    await still_serves(service)


async def pumped(service: Service, stream: int) -> int:
    """Deliver large replies to a stream until the front end has had enough of it; returns how many."""
    delivered = 0
    async with asyncio.timeout(PATIENCE):
        while stream not in service.door.cut:
            service.door.streams[stream].deliver((Reply(delivered, Contents(bytes(LARGE), STAT)),))
            delivered += 1
            await asyncio.sleep(0)
    return delivered


async def test_a_client_that_does_not_read_is_cut(service: Service) -> None:
    """Beyond the bound it is cut and the door told `congested`, once; its memory is free, its neighbour served."""
    slow, healthy = await service.opened(), await service.opened()
    delivered = await pumped(service, 1)
    assert delivered * LARGE > NativeSettings().outbox_bytes
    assert (service.door.cut, service.door.detached) == ([1], [])
    statistics = service.frontend.statistics()
    assert (statistics.congested, statistics.waiting_bytes) == (1, 0)
    service.door.streams[1].deliver((Reply(0, Contents(bytes(LARGE), STAT)),))
    assert service.frontend.statistics().waiting_bytes == 0
    await healthy.send(CallFrame(1, 0, 0, GetStat(1)))
    assert await healthy.receive() == Reply(1, Done(1))
    # When it reads at last: what the network held, in order and whole, then why there is no more.
    verdict = await slow.verdict()
    assert isinstance(verdict, Overloaded) and "does not read" in str(verdict)
    assert sum(slow.packets) < 1 + delivered


async def test_a_client_that_reads_nothing_at_all_is_cut() -> None:
    """The very first write never finishes: interrupted, the stream still ends, with a reason and nowhere in limbo."""
    piece = OperationResult("/a", None, bytes(1024 * 1024))
    huge = Reply(1, Transacted(TransactionResult(True, 1, (piece,) * 40)))

    async with serving(FakeDoor(lambda frame: (huge,))) as service:
        caller = service.caller()
        await caller.send(OpenSession(1))
        await until(lambda: len(service.door.streams) == 1 and service.door.streams[1].received != [])
        await until(lambda: service.frontend.statistics().waiting_bytes == 0)
        # The first is being written, the second waits, let in by an empty outbox; the third is too much.
        for _ in range(2):
            service.door.streams[1].deliver((huge,))
        await until(lambda: service.door.cut == [1])
        verdict = await caller.verdict()
        assert isinstance(verdict, Overloaded) and caller.packets == [1]
        assert service.frontend.statistics().packets_out == 0


async def test_a_client_that_is_cut_may_simply_go(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """It never reads, it hangs up: nothing is left of it, nothing is logged as an error."""
    slow = await service.opened()
    await pumped(service, 1)
    slow.call.cancel()
    await until(lambda: service.frontend.statistics().streams == 0)
    await still_serves(service)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_bound_is_what_the_settings_say() -> None:
    """A small outbox cuts early; a client that reads never meets it, however much it is sent."""
    async with serving(settings=NativeSettings(outbox_bytes=2 * LARGE)) as service:
        caller = await service.opened()
        for number in range(100):
            service.door.streams[1].deliver((Reply(number, Contents(bytes(LARGE), STAT)),))
            assert await caller.receive() == Reply(number, Contents(bytes(LARGE), STAT))
        for number in range(4):
            service.door.streams[1].deliver((Reply(number, Contents(bytes(LARGE), STAT)),))
        await until(lambda: service.door.cut == [1])


async def test_last_words_that_nobody_reads_are_dropped() -> None:
    """A stream that ends while its client does not read ends all the same, soon, and not as if all were well."""

    def flood(frame: ClientFrame) -> Sequence[ServerFrame]:
        if isinstance(frame, CloseSession):
            return [Reply(number, Contents(bytes(LARGE), STAT)) for number in range(100)]
        return friendly(frame)

    settings = NativeSettings(outbox_bytes=1 << 30, farewell=200 * MILLISECOND)
    async with serving(FakeDoor(flood), settings) as service:
        caller = await service.opened()
        await caller.send(CloseSession())
        await until(lambda: len(service.door.streams[1].received) == 2)
        await until(lambda: service.frontend.statistics().waiting_bytes == 0)
        verdict = await caller.verdict()
        assert isinstance(verdict, Overloaded) and "not read in time" in str(verdict)


async def test_streams_that_come_and_go_leave_nothing(service: Service) -> None:
    """A hundred cancelled streams: each attached and detached once, no task and no byte is left."""
    before = len(asyncio.all_tasks())
    for _ in range(100):
        caller = await service.opened()
        caller.call.cancel()
    await until(lambda: len(service.door.detached) == 100)
    assert sorted(service.door.detached) == list(range(1, 101))
    await until(lambda: service.frontend.statistics().streams == 0)
    await until(lambda: len(asyncio.all_tasks()) <= before + 5)
    assert service.frontend.statistics().waiting_bytes == 0
