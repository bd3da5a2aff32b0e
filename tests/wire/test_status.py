"""The one table error code ↔ gRPC status, alone and over real servers, asyncio and threaded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from typing import TypeAlias

import grpc
import grpc.aio
import pytest

from chubby.errors import (
    AvailabilityError,
    ChubbyError,
    ConfigError,
    DeadlineExceeded,
    ErrorCode,
    Failure,
    InternalError,
    Overloaded,
    PermissionDenied,
    error_of,
)
from chubby.wire.status import (
    DETAILS_LIMIT,
    ERROR_CODE_KEY,
    FOREIGN,
    STATUS_OF,
    abort,
    abort_sync,
    error_of_rpc,
    trailer,
)

RETRIED_BY_GENERIC_CLIENTS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_status_that_is_an_error(code: ErrorCode) -> None:
    """One table, complete, and no failure looks like success."""
    assert STATUS_OF[code] is not grpc.StatusCode.OK


@pytest.mark.parametrize("code", [code for code in ErrorCode if code.retryable])
def test_what_is_retryable_looks_so_to_others(code: ErrorCode) -> None:
    """Software that knows only gRPC repeats what may be repeated ..."""
    assert STATUS_OF[code] in RETRIED_BY_GENERIC_CLIENTS


def test_an_unknown_outcome_does_not_look_retryable() -> None:
    """... and not what may have taken effect."""
    assert STATUS_OF[ErrorCode.OUTCOME_UNKNOWN] not in RETRIED_BY_GENERIC_CLIENTS


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_comes_back_as_its_class(code: ErrorCode) -> None:
    """The metadata names the code; status and details alone would not tell NOT_EMPTY from LOCK_NOT_HELD."""
    sent = error_of(Failure(code, "why"))
    failed = grpc.aio.AioRpcError(STATUS_OF[code], None, grpc.aio.Metadata(*trailer(sent)), "why")
    received = error_of_rpc(failed)
    assert type(received) is type(sent)
    assert (received.code, str(received)) == (code, "why")


@pytest.mark.parametrize("status", grpc.StatusCode)
def test_every_status_without_a_code_means_something(status: grpc.StatusCode) -> None:
    """What comes from gRPC itself, or from something that is no replica, is typed too."""
    received = error_of_rpc(grpc.aio.AioRpcError(status, None, None, None))
    assert type(received) is FOREIGN[status]
    assert str(received) == status.name


def test_unavailable_without_a_code_is_retryable() -> None:
    """The connection failed: the cell, not the call, is the trouble."""
    received = error_of_rpc(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, None, "connection refused"))
    assert isinstance(received, AvailabilityError)
    assert received.code.retryable
    assert str(received) == "connection refused"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.UNAUTHENTICATED, PermissionDenied),
        (grpc.StatusCode.UNIMPLEMENTED, ConfigError),
        (grpc.StatusCode.UNKNOWN, InternalError),
    ],
)
def test_what_foreign_statuses_mean(status: grpc.StatusCode, meaning: type[ChubbyError]) -> None:
    """The cases a caller meets: late, too many, not admitted, not a replica, a bug."""
    assert FOREIGN[status] is meaning


@pytest.mark.parametrize(
    ("details", "cause"),
    [
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote "
            "host: Connection refused",
            "connection refused",
        ),
        (
            "errors resolving db:7001: [field:hostname lookup error:address lookup failed for db:7001: Domain name "
            "not found]",
            "no such host",
        ),
        (
            "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: connection attempt timed out "
            "before receiving SETTINGS frame",
            "no answer in time",
        ),
        (
            "failed to connect to all addresses; last error: UNAVAILABLE: ipv4:127.0.0.1:1: recvmsg:Connection reset "
            "by peer (104)",
            "connection reset",
        ),
        (
            "failed to connect to all addresses; last error: INTERNAL: ipv4:127.0.0.1:1: Failed parsing HTTP/2 "
            "(Expected SETTINGS frame as the first frame, got frame type 80) (Trying to connect an http1.x server)",
            "an HTTP/1 server answers, no replica",
        ),
        ("failed to connect to all addresses; last error: something new", "something new"),
        ("Socket closed", "Socket closed"),
    ],
)
def test_grpcs_own_words_are_shortened_to_the_cause(details: str, cause: str) -> None:
    """They stand in an error once for each replica, beside its address."""
    received = error_of_rpc(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), None, details))
    assert str(received) == cause


def test_the_words_of_a_replica_are_not() -> None:
    """What it says with a code of its own is meant as it stands."""
    text = "replica 3 saw its connection refused"
    metadata = grpc.aio.Metadata((ERROR_CODE_KEY, "NO_QUORUM"))
    received = error_of_rpc(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, metadata, text))
    assert str(received) == text
    foreign = grpc.aio.AioRpcError(grpc.StatusCode.PERMISSION_DENIED, None, None, "by the proxy: connection refused")
    assert str(error_of_rpc(foreign)) == "by the proxy: connection refused"


def test_a_code_of_a_later_release_falls_back_on_the_status() -> None:
    """A name this release does not know is not trusted, and not fatal."""
    metadata = grpc.aio.Metadata((ERROR_CODE_KEY, "OUT_OF_CHEESE"))
    received = error_of_rpc(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, None, metadata, "later"))
    assert isinstance(received, AvailabilityError)


def test_an_rpc_error_without_a_status_is_a_bug() -> None:
    """A bare RpcError, as interceptors raise them, is typed like all others."""
    assert isinstance(error_of_rpc(grpc.RpcError("bare")), InternalError)


Handlers: TypeAlias = "dict[str, grpc.RpcMethodHandler[bytes, bytes]]"


async def _failing(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    await abort(context, error_of(Failure(ErrorCode[request.decode()], "wärum\n" + "x" * 5000)))


async def test_every_code_crosses_an_asyncio_server() -> None:
    """abort and error_of_rpc are inverse over a real connection; a long message arrives shortened, not as a failure."""
    server = grpc.aio.server()
    handlers: Handlers = {"Fail": grpc.unary_unary_rpc_method_handler(_failing)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            fail: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/t.T/Fail")
            for code in ErrorCode:
                with pytest.raises(grpc.aio.AioRpcError) as failed:
                    await fail(code.name.encode())
                assert failed.value.code() is STATUS_OF[code]
                received = error_of_rpc(failed.value)
                assert received.code is code
                assert str(received) == ("wärum\n" + "x" * 5000)[:DETAILS_LIMIT]
    finally:
        await server.stop(None)


def _failing_in_a_thread(request: bytes, context: grpc.ServicerContext) -> bytes:
    abort_sync(context, error_of(Failure(ErrorCode[request.decode()], "why")))


@contextmanager
def threaded_server() -> Iterator[int]:
    """A threaded server whose one method fails as it is asked to; yields its port."""
    with futures.ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        handlers: Handlers = {"Fail": grpc.unary_unary_rpc_method_handler(_failing_in_a_thread)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


def test_every_code_crosses_a_threaded_server() -> None:
    """abort_sync and error_of_rpc are inverse, too: the same table serves both stacks."""
    with threaded_server() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        fail: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/t.T/Fail")
        for code in ErrorCode:
            with pytest.raises(grpc.RpcError) as failed:
                fail(code.name.encode())
            received = error_of_rpc(failed.value)
            assert (received.code, str(received)) == (code, "why")


async def test_a_port_where_nobody_listens_is_retryable() -> None:
    """What a client meets while a replica is down."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{taken.getsockname()[1]}") as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/t.T/Fail")
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call(b"")
    assert error_of_rpc(failed.value).code.retryable
