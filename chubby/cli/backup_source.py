"""Taking a snapshot out of a running cell, over the Export call of one replica."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import grpc.aio

from chubby.cli.asking import ask_all
from chubby.cli.stopping import Stop
from chubby.errors import DeadlineExceeded, NoQuorum
from chubby.storage.snapshot_format import SnapshotParser
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.channels import CHANNEL_OPTIONS
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.status import error_of_rpc

if TYPE_CHECKING:
    _Export = grpc.aio.UnaryStreamCall[pb.ExportRequest, pb.Chunk]


class Source:
    """One replica of a running cell, the master if there is one; within a with-statement."""

    address: str
    """Where it is."""
    status: CellStatus
    """What it said of itself."""
    is_master: bool

    def __init__(self, addresses: Sequence[str], timeout: float, stop: Stop) -> None:
        """Each wait has `timeout` seconds, and ends when `stop` is asked for: all that is here then raises Ended."""
        self._addresses = addresses
        self._timeout = timeout
        self._stop = stop
        self._end = contextlib.ExitStack()

    def __enter__(self) -> Source:
        """Ask all of the addresses and the members they name, choose one and connect.

        Raises NoQuorum if none answers.
        """
        with contextlib.ExitStack() as end:
            self._runner = end.enter_context(asyncio.Runner())
            answers, errors = self._stop.run(self._runner, ask_all(self._addresses, self._timeout))
            if not answers:
                reasons = "; ".join(f"{address}: {reason}" for address, reason in errors.items())
                raise NoQuorum(f"no replica of the cell answers ({reasons})")
            self.address, self.status = max(sorted(answers.items()), key=lambda answer: _rank(answer[1]))
            self.is_master = _rank(self.status)[0]
            self._end = end.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._end.close()

    def snapshot(self, progress: Callable[[int], None]) -> Iterator[bytes]:
        """The bytes of a snapshot file, verified as they pass; `progress` is told how many came each time.

        Raises CorruptData, at the latest at the end; DeadlineExceeded if nothing comes for `timeout` seconds; and
        whatever the replica says.
        """
        parser = SnapshotParser(self.address)
        for data in self._chunks():
            progress(len(data))
            for _ in parser.feed(data):
                pass
            yield data
        parser.finish()

    def _chunks(self) -> Iterator[bytes]:
        """What comes, each portion within the timeout. The time our caller takes between them does not count."""
        channel, call = self._stop.run(self._runner, self._connect())
        try:
            while (chunk := self._stop.run(self._runner, self._next(call))) is not None:
                yield chunk.data
        except grpc.aio.AioRpcError as error:
            raise error_of_rpc(error) from error
        finally:
            self._runner.run(channel.close())

    async def _connect(self) -> tuple[grpc.aio.Channel, _Export]:
        channel = grpc.aio.insecure_channel(self.address, options=CHANNEL_OPTIONS)
        return channel, CellStub(channel).Export(pb.ExportRequest())

    async def _next(self, call: _Export) -> pb.Chunk | None:
        try:
            async with asyncio.timeout(self._timeout):
                chunk = await call.read()
        except TimeoutError:
            raise DeadlineExceeded(f"{self.address} has sent nothing for {self._timeout:g} s") from None
        return chunk if isinstance(chunk, pb.Chunk) else None


def _rank(status: CellStatus) -> tuple[bool, int]:
    """The master under a live lease is best, then whoever is furthest."""
    return status.master == status.replica and status.lease_left > 0, status.applied
