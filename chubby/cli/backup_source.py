"""Taking a snapshot out of a running cell, over the Export call of one replica."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import grpc

from chubby.errors import NoQuorum
from chubby.types.status import CellStatus
from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub
from chubby.wire.codec_status import decode_status
from chubby.wire.status import error_of_rpc

ASK_LIMIT = 5.0
"""Seconds a replica has to say where it stands."""


class Source:
    """One replica of a running cell, the master if there is one."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Asks all of `addresses`. Raises NoQuorum if none answers."""
        self._channel: grpc.Channel | None = None
        best: tuple[tuple[bool, int], str, CellStatus] | None = None
        for address in addresses:
            status = _status_of(address)
            if status is None:
                continue
            rank = (status.master == status.replica and status.lease_left > 0, status.applied)
            if best is None or rank > best[0]:
                best = (rank, address, status)
        if best is None:
            raise NoQuorum(f"no replica answers at {', '.join(addresses)}")
        (self.is_master, _), self.address, self.status = best

    def __enter__(self) -> Source:
        """Connect."""
        self._channel = grpc.insecure_channel(self.address)
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        if self._channel is not None:
            self._channel.close()

    def snapshot(self, progress: Callable[[int], None]) -> Iterator[bytes]:
        """The bytes of a snapshot file; `progress` is told how many came each time."""
        assert self._channel is not None, "within a with-statement"
        try:
            for chunk in CellStub(self._channel).Export(pb.ExportRequest()):
                progress(len(chunk.data))
                yield chunk.data
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error


def _status_of(address: str) -> CellStatus | None:
    with grpc.insecure_channel(address) as channel:
        try:
            return decode_status(CellStub(channel).Status(pb.StatusRequest(), timeout=ASK_LIMIT))
        except grpc.RpcError:
            return None
