"""etcd by its gRPC interface, in asyncio: its clients for Python are built on such stubs, and none is faster."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import grpc.aio

from bench.load.client import Client, Driver, Lock, batches
from bench.load.engines import AsyncAct, AsyncEngine
from bench.peers.stubs import etcd_lock_pb2 as locks
from bench.peers.stubs import etcd_pb2 as pb
from bench.peers.stubs.etcd_lock_pb2_grpc import LockStub
from bench.peers.stubs.etcd_pb2_grpc import KVStub, LeaseStub, WatchStub

if TYPE_CHECKING:
    from bench.peers.stubs.etcd_lock_pb2_grpc import LockAsyncStub
    from bench.peers.stubs.etcd_pb2_grpc import KVAsyncStub, LeaseAsyncStub, WatchAsyncStub

    _WatchStream = grpc.aio.StreamStreamCall[pb.WatchRequest, pb.WatchResponse]

LEASE = 120
"""Seconds that a client's lease has: longer than any run, so that no load has to keep it alive."""
CALL_LIMIT = 2.0
"""Seconds after which a user would give up a call to a member that has stopped."""
TRANSACTION_LIMIT = 128
"""Operations in a transaction, by default."""
LOADERS = 8
OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 500))


class EtcdClient:
    """A connection to one member, and a lease for its locks."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.aio.insecure_channel(endpoint, options=OPTIONS)
        self._store: KVAsyncStub = KVStub(self._channel)
        self._leases: LeaseAsyncStub = LeaseStub(self._channel)
        self._locks: LockAsyncStub = LockStub(self._channel)
        self._watches: WatchAsyncStub = WatchStub(self._channel)
        self._lease = 0
        self._stream: _WatchStream | None = None
        self._listener: asyncio.Task[None] | None = None
        self._creating: deque[tuple[asyncio.Future[None], Callable[[], object]]] = deque()

    async def writer(self, name: str, value: bytes) -> AsyncAct:
        """See `Client`."""
        request = pb.PutRequest(key=_key(name), value=value)
        return lambda: self._store.Put(request, timeout=CALL_LIMIT)

    async def reader(self, name: str) -> AsyncAct:
        """See `Client`: linearizable is its default."""
        request = pb.RangeRequest(key=_key(name))
        return lambda: self._store.Range(request, timeout=CALL_LIMIT)

    async def near_reader(self, name: str) -> AsyncAct:
        """See `Client`: serializable, so it may be stale."""
        request = pb.RangeRequest(key=_key(name), serializable=True)
        return lambda: self._store.Range(request)

    async def lock(self, name: str) -> Lock[AsyncAct]:
        """See `Client`: by the lock service."""
        if not self._lease:
            self._lease = (await self._leases.LeaseGrant(pb.LeaseGrantRequest(TTL=LEASE))).ID
        wanted = locks.LockRequest(name=b"/locks/" + name.encode(), lease=self._lease)
        held = [b""]

        async def acquire() -> None:
            held[0] = (await self._locks.Lock(wanted)).key

        async def release() -> None:
            await self._locks.Unlock(locks.UnlockRequest(key=held[0]))

        async def cycle() -> None:
            await acquire()
            await release()

        return Lock(acquire, release, cycle)

    async def watch(self, name: str, told: Callable[[], object]) -> None:
        """See `Client`: all watches of a connection share a stream, as etcd's own client has it."""
        if self._stream is None:
            self._stream = self._watches.Watch()
            self._listener = asyncio.create_task(self._listen(self._stream))
        created = asyncio.get_running_loop().create_future()
        self._creating.append((created, told))
        await self._stream.write(pb.WatchRequest(create_request=pb.WatchCreateRequest(key=_key(name))))
        await created

    async def _listen(self, stream: _WatchStream) -> None:
        told: dict[int, Callable[[], object]] = {}
        async for answer in stream:
            if answer.created:
                created, told[answer.watch_id] = self._creating.popleft()
                created.set_result(None)
            elif answer.events:
                told[answer.watch_id]()

    async def fill(self, nodes: int, value: bytes) -> None:
        """See `Client`: transactions; it has no directories."""
        at_once = asyncio.Semaphore(LOADERS)

        async def put(numbers: range) -> None:
            puts = [pb.PutRequest(key=b"/full/%08d" % number, value=value) for number in numbers]
            async with at_once:
                await self._store.Txn(pb.TxnRequest(success=[pb.RequestOp(request_put=each) for each in puts]))

        await asyncio.gather(*(put(numbers) for numbers in batches(range(nodes), TRANSACTION_LIMIT)))

    async def renew(self) -> None:
        """See `Client`: its watches last."""

    async def close(self) -> None:
        """See `Client`."""
        if self._listener is not None:
            self._listener.cancel()
        await self._channel.close()


def _key(name: str) -> bytes:
    return b"/bench/" + name.encode()


async def connect(endpoints: Sequence[str]) -> Client[AsyncAct]:
    """A connection to the first endpoint."""
    return EtcdClient(endpoints[0])


DRIVER = Driver(connect, AsyncEngine())
