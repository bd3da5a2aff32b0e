"""A relay between clients and a cell of one replica that counts the calls which go through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from chubby.wire import chubby_pb2 as pb
from chubby.wire.chubby_pb2_grpc import CellStub

SERVICE = "chubby.v1.Cell"
THREADS = 32
"""Each stream occupies one."""


class Relay:
    """`calls` counts by kind all that sessions ask of the master, but for keeping themselves alive."""

    def __init__(self, cell: CellStub) -> None:
        """`cell` is who answers."""
        self.calls: Counter[str] = Counter()
        self.address = ""
        """Where it listens, and what it tells clients that the master's address is."""
        self._cell = cell

    def add_to(self, server: grpc.Server) -> None:
        """Have it answer there."""
        session = grpc.stream_stream_rpc_method_handler(self.session, pb.ClientPacket.FromString, _packed)
        locate = grpc.unary_unary_rpc_method_handler(self.locate, pb.LocateRequest.FromString, _located)
        follow = grpc.unary_stream_rpc_method_handler(self.follow, pb.LocateRequest.FromString, _located)
        for handlers in ({"Session": session}, {"Locate": locate}, {"Follow": follow}):
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    def session(self, packets: Iterator[pb.ClientPacket], context: grpc.ServicerContext) -> Iterator[pb.ServerPacket]:
        """Both ways, packet by packet."""
        stream = self._cell.Session(self._counted(packets))
        context.add_callback(lambda: _cancel(stream))
        yield from stream

    def locate(self, request: pb.LocateRequest, _: grpc.ServicerContext) -> pb.Location:
        """Here."""
        return self._here(self._cell.Locate(request))

    def follow(self, request: pb.LocateRequest, context: grpc.ServicerContext) -> Iterator[pb.Location]:
        """Still here."""
        stream = self._cell.Follow(request)
        context.add_callback(lambda: _cancel(stream))
        yield from map(self._here, stream)

    def _counted(self, packets: Iterator[pb.ClientPacket]) -> Iterator[pb.ClientPacket]:
        for packet in packets:
            for frame in packet.frames:
                if frame.HasField("call"):
                    self.calls[str(frame.call.WhichOneof("call"))] += 1
            yield packet

    def _here(self, location: pb.Location) -> pb.Location:
        location.address = self.address
        del location.replicas[:]
        location.replicas.append(self.address)
        return location


def _packed(packet: pb.ServerPacket) -> bytes:
    return packet.SerializeToString()


def _located(location: pb.Location) -> bytes:
    return location.SerializeToString()


def _cancel(stream: grpc.RpcContext) -> None:
    stream.cancel()


@contextmanager
def relay(address: str) -> Iterator[Relay]:
    """A relay to the replica at `address`."""
    with grpc.insecure_channel(address) as channel:
        made = Relay(CellStub(channel))
        server = grpc.server(ThreadPoolExecutor(THREADS))
        made.add_to(server)
        made.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield made
        finally:
            server.stop(None).wait()
