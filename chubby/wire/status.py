"""The one table error code ↔ gRPC status, both ways.

On a session stream a failure is a value and no status is needed. Every other failed RPC, and a session stream turned
away at the door, ends with a gRPC status: the *status* tells software that knows only gRPC how to behave, the name of
the code in the trailing metadata `chubby-error-code` tells our clients exactly what happened, the details carry the
message.

The way back trusts the metadata first. Without it the status came from gRPC itself, or from something that is no
replica, and `FOREIGN` says what that means for a caller: UNAVAILABLE is the connection, hence retryable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Never, TypeVar

import grpc
import grpc.aio

from chubby.errors import (
    AvailabilityError,
    BadArgument,
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

Request = TypeVar("Request")
Response = TypeVar("Response")

ERROR_CODE_KEY: Final = "chubby-error-code"
"""Trailing metadata: the name of the `ErrorCode`."""
DETAILS_LIMIT: Final = 1024
"""Characters of a message that travel in a status; gRPC drops the whole status if its headers grow too long."""

STATUS_OF: Final[Mapping[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.BAD_PATH: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.BAD_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.QUOTA_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.NO_NODE: grpc.StatusCode.NOT_FOUND,
    ErrorCode.NODE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    ErrorCode.NOT_EMPTY: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.GENERATION_MISMATCH: grpc.StatusCode.ABORTED,
    ErrorCode.LOCK_CONFLICT: grpc.StatusCode.ABORTED,
    ErrorCode.LOCK_NOT_HELD: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.SEQUENCER_INVALID: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.HANDLE_INVALID: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.HANDLE_POISONED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.SESSION_EXPIRED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.SESSION_UNKNOWN: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.FORKED_PROCESS: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.NOT_MASTER: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.NO_QUORUM: grpc.StatusCode.UNAVAILABLE,
    ErrorCode.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    # Not DEADLINE_EXCEEDED: generic clients repeat that one.
    ErrorCode.OUTCOME_UNKNOWN: grpc.StatusCode.UNKNOWN,
    ErrorCode.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorCode.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.CONFIG: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.CORRUPT_DATA: grpc.StatusCode.DATA_LOSS,
    ErrorCode.STORAGE_FAILED: grpc.StatusCode.INTERNAL,
    ErrorCode.MEMBERSHIP_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
    ErrorCode.REPLICAS_DISAGREE: grpc.StatusCode.UNAVAILABLE,
}

assert set(STATUS_OF) == set(ErrorCode), "every code has exactly one status"

FOREIGN: Final[Mapping[grpc.StatusCode, type[ChubbyError]]] = {
    grpc.StatusCode.OK: InternalError,
    # By the other side: who cancels an RPC of his own gets no error of it.
    grpc.StatusCode.CANCELLED: AvailabilityError,
    grpc.StatusCode.UNKNOWN: InternalError,
    grpc.StatusCode.INVALID_ARGUMENT: BadArgument,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: ConfigError,
    grpc.StatusCode.ALREADY_EXISTS: InternalError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.FAILED_PRECONDITION: InternalError,
    grpc.StatusCode.ABORTED: AvailabilityError,
    grpc.StatusCode.OUT_OF_RANGE: InternalError,
    # Something answers at that address, but no replica of this protocol.
    grpc.StatusCode.UNIMPLEMENTED: ConfigError,
    grpc.StatusCode.INTERNAL: InternalError,
    grpc.StatusCode.UNAVAILABLE: AvailabilityError,
    grpc.StatusCode.DATA_LOSS: InternalError,
    grpc.StatusCode.UNAUTHENTICATED: PermissionDenied,
}
"""What a status means that carries no code of ours. Locate, Follow, Status and Export change nothing, so even a
deadline promises that nothing happened.
"""

assert set(FOREIGN) == set(grpc.StatusCode), "every status has exactly one meaning"

_CODES: Final = {code.name: code for code in ErrorCode}

CAUSES: Final[Mapping[str, str]] = {
    "connection refused": "connection refused",
    "connection reset": "connection reset",
    "address lookup failed": "no such host",
    "no route to host": "no route to host",
    "network is unreachable": "network unreachable",
    "http1.x server": "an HTTP/1 server answers, no replica",
    "timed out": "no answer in time",
    "deadline exceeded": "no answer in time",
}
"""What gRPC says somewhere in a long text (in small letters), and what that means in two words."""


def trailer(error: ChubbyError) -> tuple[tuple[str, str], ...]:
    """The trailing metadata that names `error`."""
    return ((ERROR_CODE_KEY, error.code.name),)


async def abort(context: grpc.aio.ServicerContext[Request, Response], error: ChubbyError) -> Never:
    """End an RPC of an asyncio server with `error`. Never returns: raises what ends the handler."""
    await context.abort(STATUS_OF[error.code], str(error)[:DETAILS_LIMIT], trailer(error))


def abort_sync(context: grpc.ServicerContext, error: ChubbyError) -> Never:
    """End an RPC of a threaded server with `error`. Never returns: raises what ends the handler."""
    context.set_trailing_metadata(trailer(error))
    context.abort(STATUS_OF[error.code], str(error)[:DETAILS_LIMIT])


def error_of_rpc(error: grpc.RpcError) -> ChubbyError:
    """The typed error behind a failed RPC, of an asyncio or of a threaded channel, ready to be raised."""
    if not isinstance(error, grpc.aio.AioRpcError | grpc.Call):
        return InternalError(f"an RPC failed without a status: {error!r}")
    status = error.code()
    message = error.details() or status.name
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_CODE_KEY and value in _CODES:
            return error_of(Failure(_CODES[value], message))
    return FOREIGN[status](_cause(message) if status in _UNREACHED else message)


_UNREACHED: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def _cause(details: str) -> str:
    """Why there was no answer, in few words: gRPC tells the address, which the reader knows, and its own inner life."""
    said = details.lower()
    known = next((cause for sign, cause in CAUSES.items() if sign in said), None)
    return known or details.rpartition("last error: ")[2]
