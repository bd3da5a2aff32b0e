"""The questions any replica answers: Locate, Follow, Status, Export, through the generated stub others will use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc.aio
import msgspec
import pytest

from chubby.errors import ConfigError, CorruptData, NoQuorum, NotMaster, Overloaded
from chubby.frontends.native import NativeSettings
from chubby.types.status import Location
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_location, decode_status
from chubby.wire.limits import CHUNK_BYTES
from chubby.wire.status import error_of_rpc
from tests.frontends.native.conftest import PATIENCE, Service, serving, until
from tests.frontends.native.door import LOCATION, STATUS

if TYPE_CHECKING:
    from chubby.wire.chubby_pb2_grpc import CellAsyncStub


def stub(service: Service) -> CellAsyncStub:
    """The generated client."""
    return CellStub(service.channel())


def moved(epoch: int) -> Location:
    """Another master."""
    return msgspec.structs.replace(LOCATION, master=2, address="127.0.0.1:7002", epoch=epoch)


async def next_location(call: grpc.aio.UnaryStreamCall[pb.LocateRequest, pb.Location]) -> Location:
    """What a follower hears next."""
    async with asyncio.timeout(PATIENCE):
        message = await call.read()
    assert isinstance(message, pb.Location)
    return decode_location(message)


async def test_locate_answers_who_is_master(service: Service) -> None:
    """DESIGN §6: any replica answers at once."""
    assert decode_location(await stub(service).Locate(pb.LocateRequest())) == LOCATION


async def test_status_answers_this_replicas_view(service: Service) -> None:
    """With what only the master knows absent, not zero."""
    status = decode_status(await stub(service).Status(pb.StatusRequest()))
    assert status == STATUS and status.margin is None


async def test_failures_are_typed(service: Service) -> None:
    """What the door raises arrives as the same class with the same words."""
    service.door.fails = NoQuorum("no majority answered within 5 s")
    cell = stub(service)
    for question in (cell.Locate(pb.LocateRequest()), cell.Status(pb.StatusRequest())):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await question
        received = error_of_rpc(failed.value)
        assert isinstance(received, NoQuorum) and str(received) == "no majority answered within 5 s"


async def test_follow_tells_the_current_location_and_each_later_one(service: Service) -> None:
    """DESIGN §6: the idle watch that tells a client of a new epoch at once."""
    call = stub(service).Follow(pb.LocateRequest())
    assert await next_location(call) == LOCATION
    for epoch in (8, 9, 10):
        await service.door.move(moved(epoch))
        assert await next_location(call) == moved(epoch)
    assert service.frontend.statistics().followers == 1
    call.cancel()
    await until(lambda: service.door.following == 0)
    assert service.frontend.statistics().followers == 0


async def test_a_follower_that_only_waits_is_forgotten_when_it_goes(service: Service) -> None:
    """The generator behind the door is closed, whether the follower goes while waiting or at the very start."""
    for _ in range(20):
        call = stub(service).Follow(pb.LocateRequest())
        await next_location(call)
        call.cancel()
    await until(lambda: service.door.following == 0 and service.frontend.statistics().followers == 0)


async def test_beyond_the_limit_of_followers_newcomers_are_turned_away() -> None:
    """OVERLOADED: there are other replicas to follow."""
    async with serving(settings=NativeSettings(followers=1)) as service:
        first = stub(service).Follow(pb.LocateRequest())
        await next_location(first)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await next_location(stub(service).Follow(pb.LocateRequest()))
        assert isinstance(error_of_rpc(failed.value), Overloaded)
        await service.door.move(moved(8))
        assert await next_location(first) == moved(8)
        first.cancel()


async def test_followers_are_told_that_the_replica_stops(service: Service) -> None:
    """They hear it at once, as retryable, and do not use up the grace period."""
    call = stub(service).Follow(pb.LocateRequest())
    await next_location(call)
    async with asyncio.timeout(PATIENCE):
        await service.frontend.stop(PATIENCE * 2)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await next_location(call)
    received = error_of_rpc(failed.value)
    assert isinstance(received, NotMaster) and received.code.retryable
    assert service.door.following == 0


async def exported(service: Service) -> list[bytes]:
    """All slices of an export."""
    return [chunk.data async for chunk in stub(service).Export(pb.ExportRequest())]


async def test_an_export_arrives_whole_in_small_slices(service: Service) -> None:
    """However the door slices it: no message passes what any client receives by default."""
    service.door.slices = [b"a", bytes(3 * CHUNK_BYTES + 1), b"", b"z" * CHUNK_BYTES]
    slices = await exported(service)
    assert b"".join(slices) == b"".join(service.door.slices)
    assert max(map(len, slices)) == CHUNK_BYTES and len(slices) == 6


async def test_an_export_that_fails_midway_does_not_look_whole(service: Service) -> None:
    """Only a status of OK says complete; anything else is typed."""
    service.door.slices = [b"half"]
    service.door.export_fails = CorruptData("snapshot 7 does not verify")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await exported(service)
    assert isinstance(error_of_rpc(failed.value), CorruptData)
    assert service.frontend.statistics().exports == 0


async def test_exports_are_few_at_a_time() -> None:
    """Each pins a snapshot: the second is turned away while the first is read, and served after it."""
    async with serving(settings=NativeSettings(exports=1)) as service:
        service.door.slices = [bytes(CHUNK_BYTES)] * 200
        first = stub(service).Export(pb.ExportRequest())
        async with asyncio.timeout(PATIENCE):
            await first.read()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await exported(service)
        assert isinstance(error_of_rpc(failed.value), Overloaded)
        first.cancel()
        await until(lambda: service.frontend.statistics().exports == 0)
        service.door.slices = [b"done"]
        assert await exported(service) == [b"done"]


async def test_a_method_nobody_knows_is_no_replica(service: Service) -> None:
    """A client of another protocol, or of a later one, learns that it talks to the wrong server."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = service.channel().unary_unary("/chubby.v2.Cell/Locate")
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(b"")
    assert isinstance(error_of_rpc(failed.value), ConfigError)


async def test_a_question_that_is_no_message_harms_nobody(service: Service) -> None:
    """gRPC answers it; the next question is answered as ever."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = service.channel().unary_unary("/chubby.v1.Cell/Locate")
    with pytest.raises(grpc.aio.AioRpcError):
        await call(b"\xff\xff")
    assert decode_location(await stub(service).Locate(pb.LocateRequest())) == LOCATION
