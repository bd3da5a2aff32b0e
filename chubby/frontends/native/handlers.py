"""From a method to the handler that gRPC runs: decoded here, counted, and known until its last word is sent.

gRPC's own answer to a request that is no message is a traceback in the log and a status without meaning, as often as
anybody likes to send one. So decoding never raises here: what cannot be decoded is counted and refused in words. And
gRPC waits for the one request of an RPC without any limit, unseen; a hundred thousand of those and nobody gets in any
more. So to gRPC every request is a stream (on the wire there is no difference), of which the first message is due soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Never, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from chubby.errors import BadArgument, DeadlineExceeded
from chubby.frontends.native.statistics import Counters
from chubby.types.time import Duration, to_seconds
from chubby.wire.status import abort

Request = TypeVar("Request")
Response = TypeVar("Response")
AnyContext = TypeVar("AnyContext", bound="grpc.aio.ServicerContext[Any, Any]")


class Handlers:
    """Makes the handlers of one server. `rpcs` are the tasks of the RPCs under way, gRPC's last word included."""

    def __init__(self, counters: Counters, patience: Duration) -> None:
        """`counters` are told of what cannot be decoded, and of those who ask nothing for as long as `patience`."""
        self._patience = patience
        self.rpcs: set[asyncio.Task[object]] = set()
        self._counters = counters

    def unary(
        self,
        handler: Callable[[Request, AnyContext], Awaitable[Response]],
        decode: Callable[[bytes], Request],
        encode: Callable[[Response], bytes],
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """One request, one response."""
        return grpc.stream_unary_rpc_method_handler(self.tracked(self._asked(handler)), _lenient(decode), encode)

    def serving(
        self,
        handler: Callable[[Request, AnyContext], Awaitable[None]],
        decode: Callable[[bytes], Request],
        encode: Callable[[Response], bytes],
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """One request, and responses that the handler writes to its context."""
        return grpc.stream_stream_rpc_method_handler(self.tracked(self._asked(handler)), _lenient(decode), encode)

    def conversing(
        self,
        handler: Callable[[AsyncIterator[Request], AnyContext], Awaitable[None]],
        decode: Callable[[bytes], Request],
        encode: Callable[[Response], bytes],
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Requests one after the other, and responses that the handler writes to its context."""

        async def converse(requests: AsyncIterable[Request | None], context: AnyContext) -> None:
            async def whole() -> AsyncIterator[Request]:
                async for request in requests:
                    yield await self._refuse(context) if request is None else request

            await handler(whole(), context)

        return grpc.stream_stream_rpc_method_handler(self.tracked(converse), _lenient(decode), encode)

    def tracked(
        self, handler: Callable[[Request, AnyContext], Awaitable[Response]]
    ) -> Callable[[Request, AnyContext], Awaitable[Response]]:
        """The handler, in `rpcs` while it runs."""

        async def tracked(request: Request, context: AnyContext) -> Response:
            task = asyncio.current_task()
            assert task is not None, "gRPC runs each RPC in a task"
            self.rpcs.add(task)
            task.add_done_callback(self.rpcs.discard)
            return await handler(request, context)

        return tracked

    def _asked(
        self, handler: Callable[[Request, AnyContext], Awaitable[Response]]
    ) -> Callable[[AsyncIterable[Request | None], AnyContext], Awaitable[Response]]:
        """The handler, spared callers that ask nothing, and requests that are no messages."""

        async def asked(requests: AsyncIterable[Request | None], context: AnyContext) -> Response:
            try:
                async with asyncio.timeout(to_seconds(self._patience)):
                    request = await anext(aiter(requests), None)
            except TimeoutError:
                self._counters.silent += 1
                await abort(context, DeadlineExceeded("the request did not come in time"))
            return await handler(await self._refuse(context) if request is None else request, context)

        return asked

    async def _refuse(self, context: AnyContext) -> Never:
        self._counters.bad_packets += 1
        await abort(context, BadArgument("the request is no message of this protocol"))


def _lenient(decode: Callable[[bytes], Request]) -> Callable[[bytes], Request | None]:
    """`decode`, which raises; but None for what it cannot decode."""

    def decoded(data: bytes) -> Request | None:
        try:
            return decode(data)
        except DecodeError:
            return None

    return decoded
