"""`NativeFrontend`: the gRPC server around one door."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import msgspec
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from chubby.config.addresses import parse_address
from chubby.errors import ChubbyError, ConfigError, NotMaster, Overloaded
from chubby.frontends.native.handlers import Handlers
from chubby.frontends.native.health import Health
from chubby.frontends.native.queries import Queries
from chubby.frontends.native.settings import NativeSettings, channel_arguments
from chubby.frontends.native.statistics import Counters, Statistics
from chubby.frontends.native.stream import Context, SessionStream
from chubby.replica.door import Door
from chubby.wire import chubby_pb2 as pb
from chubby.wire.status import abort

CELL_SERVICE = pb.DESCRIPTOR.services_by_name["Cell"].full_name
"""`chubby.v1.Cell`: for clients, for reflection, for health checks."""

DescribeContext: TypeAlias = grpc.aio.ServicerContext[
    reflection_pb2.ServerReflectionRequest, reflection_pb2.ServerReflectionResponse
]
Describe: TypeAlias = Callable[
    [AsyncIterator[reflection_pb2.ServerReflectionRequest], DescribeContext],
    AsyncIterator[reflection_pb2.ServerReflectionResponse],
]
"""Server reflection: answers to questions about the protocol."""

_SPARE_RPCS = 1000
"""RPCs at once beyond the limits of streams: locations, health checks, reflection."""

_UNTIL_TOLD = math.inf
"""The grace that gRPC's own timer is given. A finite one could run out in the turn of the loop before gRPC hears that
the server is shut down. The call of `Server.stop` that waits with that timer then cancels the RPCs of a server that the
other call has destroyed in between, and the process dies of a null pointer.
"""


def everybody(context: Context) -> str:
    """The principal of every caller, until connections prove who is calling."""
    return "anyone"


class NativeFrontend:
    """Serves one door to native clients. Make it on the loop it will run on; it is started once and stopped once.

    `principal_of` names the caller of a session stream from its connection; what it raises, the caller is told.
    """

    def __init__(
        self,
        door: Door,
        settings: NativeSettings | None = None,
        principal_of: Callable[[Context], str] = everybody,
    ) -> None:
        """A front end around `door` that does not listen yet."""
        self._door = door
        self._settings = settings or NativeSettings()
        self._principal_of = principal_of
        self._counters = Counters()
        self._queries = Queries(door, self._settings, self._counters)
        self._streams: dict[SessionStream, None] = {}
        self._handlers = Handlers(self._counters, self._settings.handshake)
        services = (CELL_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        # Its stubs miss that an asynchronous generator is called without being awaited.
        self._descriptions = cast(Describe, reflection.aio.ReflectionServicer(services).ServerReflectionInfo)
        self._stopped: ChubbyError | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._health = Health(CELL_SERVICE)
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen at `address` (host:port; port 0: any free one) and return the port.

        With `credentials` over TLS. Raises ConfigError if the address cannot be had.
        """
        assert self._server is None, "a front end is started once"
        _check_address(address)
        settings = self._settings
        server = grpc.aio.server(
            options=channel_arguments(settings),
            maximum_concurrent_rpcs=settings.streams + settings.followers + settings.exports + _SPARE_RPCS,
        )
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(CELL_SERVICE, self._cell_handlers()),
                grpc.method_handlers_generic_handler(health.SERVICE_NAME, self._health_handlers()),
                grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, self._reflection_handlers()),
            )
        )
        try:
            if credentials is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen for clients at {address}: {error}") from error
        self._server = server
        await server.start()
        self._health.set(True)
        return port

    def set_serving(self, serving: bool) -> None:
        """What health checks are told, of the whole server and of `chubby.v1.Cell`; true from the start."""
        self._health.set(serving)

    async def stop(self, grace: float) -> None:
        """Stop: sessions and followers are told NOT_MASTER and go elsewhere, exports have `grace` seconds to finish.

        Nothing is accepted any more from the moment of the call. Returns when no RPC is left. Harmless if repeated: the
        first call's grace counts, and each call returns at the end of the one stop there is. Whoever is cancelled while
        waiting here gives up the waiting, not the stop: it goes on to its end.
        """
        if self._server is None:
            return
        if self._stopping is None:
            self._stopped = NotMaster("this replica is stopping")
            for stream in tuple(self._streams):
                stream.stop(self._stopped)
            self._queries.stop(self._stopped)
            self._health.stop()
            self._stopping = asyncio.create_task(self._shut_down(self._server, grace))
        await asyncio.shield(self._stopping)

    async def _shut_down(self, server: grpc.aio.Server, grace: float) -> None:
        draining = asyncio.create_task(server.stop(_UNTIL_TOLD))
        if self._handlers.rpcs:
            await asyncio.wait(self._handlers.rpcs, timeout=grace)
        # When all that was asked is answered, connections on which nothing was asked are no reason to wait.
        await server.stop(None)
        await draining
        if self._handlers.rpcs:
            await asyncio.wait(self._handlers.rpcs)

    def statistics(self) -> Statistics:
        """What has been counted, as of now."""
        return Statistics(
            streams=len(self._streams) - self._counters.handshakes,
            followers=self._queries.followers,
            exports=self._queries.exports,
            waiting_bytes=sum(stream.outbox.size for stream in self._streams),
            **msgspec.structs.asdict(self._counters),
        )

    async def _session(self, requests: object, context: Context) -> None:
        if self._stopped is not None:
            await abort(context, self._stopped)
        settings = self._settings
        if len(self._streams) >= settings.streams or self._counters.handshakes >= settings.handshakes:
            self._counters.turned_away += 1
            await abort(context, Overloaded(f"{len(self._streams)} session streams are open already"))
        try:
            principal = self._principal_of(context)
        except ChubbyError as error:
            await abort(context, error)
        stream = SessionStream(self._door, context, principal, settings, self._counters)
        self._streams[stream] = None
        try:
            await stream.run()
        finally:
            del self._streams[stream]

    async def _describe(
        self, questions: AsyncIterator[reflection_pb2.ServerReflectionRequest], context: DescribeContext
    ) -> None:
        async for answer in self._descriptions(questions, context):
            await context.write(answer)

    def _cell_handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        queries, make = self._queries, self._handlers
        located = pb.Location.SerializeToString
        return {
            # Bytes in, bytes out: the stream decodes and packs by itself.
            "Session": grpc.stream_stream_rpc_method_handler(make.tracked(self._session)),
            "Locate": make.unary(queries.locate, pb.LocateRequest.FromString, located),
            "Follow": make.serving(queries.follow, pb.LocateRequest.FromString, located),
            "Status": make.unary(queries.status, pb.StatusRequest.FromString, pb.CellStatus.SerializeToString),
            "Export": make.serving(queries.export, pb.ExportRequest.FromString, pb.Chunk.SerializeToString),
        }

    def _health_handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        request, response = health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString
        return {
            "Check": self._handlers.unary(self._health.check, request, response),
            "Watch": self._handlers.serving(self._health.watch, request, response),
        }

    def _reflection_handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        request = reflection_pb2.ServerReflectionRequest.FromString
        response = reflection_pb2.ServerReflectionResponse.SerializeToString
        return {"ServerReflectionInfo": self._handlers.conversing(self._describe, request, response)}


def _check_address(address: str) -> None:
    """Raise ConfigError, with the system's reason, if nobody can listen at `address` now; gRPC keeps that to itself.

    Names, and other forms than host:port, are left to gRPC: to look a name up may take long.
    """
    try:
        host, port = parse_address(address)
        (family, kind, protocol, _, where), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (ValueError, socket.gaierror):
        return
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            raise ConfigError(f"cannot listen for clients at {address}: {error.strerror or error}") from error
