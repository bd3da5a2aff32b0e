"""Taking a snapshot out of a running cell, over the Export call of one replica."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence

import grpc

from chubby.cli.asking import ask_all
from chubby.errors import DeadlineExceeded, NoQuorum
from chubby.storage.snapshot_format import SnapshotParser
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.channels import CHANNEL_OPTIONS
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.status import error_of_rpc


class Source:
    """One replica of a running cell, the master if there is one."""

    def __init__(self, addresses: Sequence[str], timeout: float) -> None:
        """Asks all of `addresses` and the members they name; each wait has `timeout` seconds.

        Raises NoQuorum if none answers.
        """
        self._timeout = timeout
        self._channel: grpc.Channel | None = None
        answers, errors = asyncio.run(ask_all(addresses, timeout))
        if not answers:
            reasons = "; ".join(f"{address}: {reason}" for address, reason in errors.items())
            raise NoQuorum(f"no replica of the cell answers ({reasons})")
        self.address, self.status = max(sorted(answers.items()), key=lambda answer: _rank(answer[1]))
        self.is_master = _rank(self.status)[0]

    def __enter__(self) -> Source:
        """Connect."""
        self._channel = grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        if self._channel is not None:
            self._channel.close()

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
        assert self._channel is not None, "within a with-statement"
        call = CellStub(self._channel).Export(pb.ExportRequest())
        chunks = iter(call)
        try:
            while True:
                watch = threading.Timer(self._timeout, call.cancel)
                watch.start()
                try:
                    chunk = next(chunks, None)
                finally:
                    watch.cancel()
                if chunk is None:
                    return
                yield chunk.data
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.CANCELLED:
                raise DeadlineExceeded(f"{self.address} has sent nothing for {self._timeout:g} s") from None
            raise error_of_rpc(error) from error


def _rank(status: CellStatus) -> tuple[bool, int]:
    """The master under a live lease is best, then whoever is furthest."""
    return status.master == status.replica and status.lease_left > 0, status.applied
