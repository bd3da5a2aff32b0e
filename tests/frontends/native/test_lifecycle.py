"""Start, health, reflection, certificates, and the loop a daemon runs on; for the stop see `test_stop`."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
from contextlib import closing

import grpc
import grpc.aio
import msgspec
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1.health_pb2 import HealthCheckRequest as Request
from grpc_health.v1.health_pb2 import HealthCheckResponse as Response
from grpc_reflection.v1alpha import reflection_pb2

from chubby.errors import ConfigError
from chubby.frontends.native import NativeFrontend, NativeSettings
from chubby.frontends.native.settings import channel_arguments
from chubby.frontends.native.stream import MOVES, Context, Phase
from chubby.types.calls import GetStat
from chubby.types.stream import CallFrame, CloseSession, OpenSession
from chubby.types.time import SECOND
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_location
from tests.frontends.native.conftest import PATIENCE, Service, serving
from tests.frontends.native.door import LOCATION, FakeDoor
from tests.frontends.native.test_hostile import still_serves

SERVING = Response.SERVING
NOT_SERVING = Response.NOT_SERVING


async def health(service: Service, name: str) -> int:
    """What a health check of `name` says."""
    check: grpc.aio.UnaryUnaryMultiCallable[Request, Response] = service.channel().unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    return (await check(Request(service=name))).status


@pytest.mark.parametrize("name", ["", "chubby.v1.Cell"])
async def test_health_checks_say_what_the_daemon_says(service: Service, name: str) -> None:
    """The whole server and the service by its name: serving from the start, and as set."""
    assert await health(service, name) == SERVING
    service.frontend.set_serving(False)
    assert await health(service, name) == NOT_SERVING
    service.frontend.set_serving(True)
    assert await health(service, name) == SERVING


async def test_health_of_what_is_not_here_is_not_found(service: Service) -> None:
    """As the health protocol wants it."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await health(service, "etcdserverpb.KV")
    assert failed.value.code() is grpc.StatusCode.NOT_FOUND


async def reflect(
    service: Service, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    """One question to the server about itself."""
    ask: grpc.aio.StreamStreamMultiCallable[
        reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
    ] = service.channel().stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = ask()
    async with asyncio.timeout(PATIENCE):
        await call.write(request)
        response = await call.read()
        await call.done_writing()
    assert isinstance(response, reflection_pb2.ServerReflectionResponse)
    return response


async def test_reflection_lists_the_services(service: Service) -> None:
    """`grpcurl host:port list` shows the cell and its health."""
    response = await reflect(service, reflection_pb2.ServerReflectionRequest(list_services=""))
    names = {listed.name for listed in response.list_services_response.service}
    assert names >= {"chubby.v1.Cell", "grpc.health.v1.Health"}


async def test_reflection_hands_out_the_protocol(service: Service) -> None:
    """With every message, so that a call can be made with nothing but the address."""
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol="chubby.v1.Cell")
    response = await reflect(service, question)
    (data,) = response.file_descriptor_response.file_descriptor_proto
    file = FileDescriptorProto.FromString(data)
    assert file.package == "chubby.v1"
    assert {message.name for message in file.message_type} == set(pb.DESCRIPTOR.message_types_by_name)


async def test_two_servers_on_one_address_are_an_error(service: Service) -> None:
    """Not a lottery: a second daemon with the same configuration must not get every other client."""
    second = NativeFrontend(FakeDoor())
    with pytest.raises(ConfigError, match=f"127.0.0.1:{service.port}"):
        await second.start(f"127.0.0.1:{service.port}")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError):
            await NativeFrontend(FakeDoor()).start(f"127.0.0.1:{taken.getsockname()[1]}")


async def test_an_address_that_is_none_is_an_error() -> None:
    """The text names the address."""
    with pytest.raises(ConfigError, match=r"cannot listen for clients at no\.such\.address"):
        await NativeFrontend(FakeDoor()).start("no.such.address:port")


def watching(service: Service, name: str) -> grpc.aio.UnaryStreamCall[Request, Response]:
    """A watch of the health of `name`."""
    watch: grpc.aio.UnaryStreamMultiCallable[Request, Response] = service.channel().unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    return watch(Request(service=name))


async def told(call: grpc.aio.UnaryStreamCall[Request, Response]) -> int | None:
    """What a watcher hears next; None: nothing more."""
    async with asyncio.timeout(PATIENCE):
        response = await call.read()
    return response.status if isinstance(response, Response) else None


async def test_watchers_hear_of_every_change(service: Service) -> None:
    """Once each, from the current one on; of a service that is not here, that it is not known."""
    watch, stranger = watching(service, "chubby.v1.Cell"), watching(service, "etcdserverpb.KV")
    assert await told(watch) == SERVING
    assert await told(stranger) == Response.SERVICE_UNKNOWN
    service.frontend.set_serving(True)
    service.frontend.set_serving(False)
    assert await told(watch) == NOT_SERVING
    service.frontend.set_serving(True)
    assert await told(watch) == SERVING


async def test_watchers_hear_of_a_stop_and_are_let_go(service: Service) -> None:
    """A load balancer looks elsewhere before the connection closes, and does not use up the grace period."""
    watch = watching(service, "")
    assert await told(watch) == SERVING
    async with asyncio.timeout(PATIENCE):
        await service.frontend.stop(PATIENCE * 2)
    assert await told(watch) == NOT_SERVING
    assert await told(watch) is None
    service.frontend.set_serving(True)


def certificate() -> tuple[bytes, bytes]:
    """A key and a certificate of its own for 127.0.0.1, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, built.public_bytes(serialization.Encoding.PEM)


async def test_certificates_can_prove_who_calls() -> None:
    """With credentials the port speaks TLS, and the seam sees what the connection proved."""
    key, chain = certificate()

    def named(context: Context) -> str:
        (name,) = context.auth_context()["x509_common_name"]
        return name.decode()

    door = FakeDoor()
    frontend = NativeFrontend(door, principal_of=named)
    credentials = grpc.ssl_server_credentials([(key, chain)], chain, require_client_auth=True)
    port = await frontend.start("127.0.0.1:0", credentials)
    try:
        mutual = grpc.ssl_channel_credentials(chain, key, chain)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", mutual) as channel:
            caller = Service(door, frontend, port).caller(channel)
            await caller.send(OpenSession(1))
            assert await caller.receive() is not None
            assert door.streams[1].principal == "alice"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await CellStub(channel).Locate(pb.LocateRequest(), timeout=PATIENCE)
    finally:
        await frontend.stop(1.0)


def test_it_runs_on_uvloop() -> None:
    """DESIGN §7: the loop the daemon runs on."""

    async def scene() -> None:
        async with serving() as service:
            assert decode_location(await CellStub(service.channel()).Locate(pb.LocateRequest())) == LOCATION
            caller = await service.opened()
            await caller.send(*[CallFrame(number, 0, 0, GetStat(1)) for number in range(1000)])
            assert len(await caller.take(1000)) == 1000
            await caller.send(CloseSession())
            assert await caller.receive() is not None and await caller.verdict() is None
            await still_serves(service)

    uvloop.run(scene())


def test_every_phase_has_its_moves() -> None:
    """The table is complete, nothing leads back, and a cut stream goes nowhere."""
    assert set(MOVES) == set(Phase)
    order = list(Phase)
    for phase, following in MOVES.items():
        assert all(order.index(phase) < order.index(later) for later in following)
    assert MOVES[Phase.CUT] == ()


def test_channel_arguments_follow_the_settings() -> None:
    """In gRPC's units, milliseconds; addresses are never shared; what a limit is for is what it says."""
    settings = NativeSettings(handshake=3 * SECOND, ping_interval=7 * SECOND, idle=1)
    arguments = dict(channel_arguments(settings))
    assert arguments["grpc.so_reuseport"] == 0
    assert arguments["grpc.server_handshake_timeout_ms"] == 3000
    assert arguments["grpc.keepalive_time_ms"] == 7000
    assert arguments["grpc.max_connection_idle_ms"] == 1
    assert arguments["grpc.max_concurrent_streams"] >= settings.streams
    assert arguments["grpc.max_receive_message_length"] >= 1024 * 1024


async def test_statistics_are_a_picture(service: Service) -> None:
    """Frozen, complete, and of one moment: what happens later does not change it."""
    before = service.frontend.statistics()
    await service.opened()
    after = service.frontend.statistics()
    assert (before.streams, before.attached) == (0, 0)
    assert (after.streams, after.attached, after.handshakes) == (1, 1, 0)
    assert all(isinstance(value, int) for value in msgspec.structs.astuple(after))
