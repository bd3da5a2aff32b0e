"""Packets: sequences of frames, to and from their messages, and to and from bytes.

Four functions translate structs and messages; four more go the whole way to bytes, for whoever packs by itself:

| structs → message | message → structs | structs → bytes | bytes → structs |
|-------------------|-------------------|-----------------|-----------------|
| `encode_client`   | `decode_client`   | `pack_client`   | `unpack_client` |
| `encode_server`   | `decode_server`   | `pack_server`   | `unpack_server` |

A packet is refused as a whole: if one frame of it cannot be meant, none is handed on.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import DecodeError

from chubby.errors import BadArgument, InternalError, RequestError, TooLarge
from chubby.types.stream import ClientFrame, ServerFrame
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec_client import CLIENT_FRAMES
from chubby.wire.codec_server import SERVER_FRAMES
from chubby.wire.limits import PACKET_FRAMES


def encode_client(frames: Sequence[ClientFrame]) -> pb.ClientPacket:
    """The packet of `frames`, in order; raises BadArgument or TooLarge for what the protocol cannot carry."""
    _within_packet(len(frames))
    packet = pb.ClientPacket()
    add, put = packet.frames.add, CLIENT_FRAMES.put
    try:
        for frame in frames:
            put(add(), frame)
    except (TypeError, ValueError) as error:
        raise BadArgument(f"a value does not fit the protocol: {error}") from error
    return packet


def decode_client(packet: pb.ClientPacket) -> list[ClientFrame]:
    """The frames of `packet`, in order; raises BadArgument if any breaks the protocol."""
    try:
        _within_packet(len(packet.frames))
        take = CLIENT_FRAMES.take
        return [take(frame) for frame in packet.frames]
    except TooLarge as error:
        raise BadArgument(str(error)) from error


def encode_server(frames: Sequence[ServerFrame]) -> pb.ServerPacket:
    """The packet of `frames`, in order; raises InternalError for what the protocol cannot carry: a master's own bug."""
    packet = pb.ServerPacket()
    add, put = packet.frames.add, SERVER_FRAMES.put
    try:
        _within_packet(len(frames))
        for frame in frames:
            put(add(), frame)
    except (TypeError, ValueError, RequestError) as error:
        raise InternalError(f"a value does not fit the protocol: {error}") from error
    return packet


def decode_server(packet: pb.ServerPacket) -> list[ServerFrame]:
    """The frames of `packet`, in order; raises BadArgument if any breaks the protocol."""
    try:
        _within_packet(len(packet.frames))
        take = SERVER_FRAMES.take
        return [take(frame) for frame in packet.frames]
    except TooLarge as error:
        raise BadArgument(str(error)) from error


def pack_client(frames: Sequence[ClientFrame]) -> bytes:
    """`encode_client`, as bytes."""
    return encode_client(frames).SerializeToString()


def unpack_client(data: bytes) -> list[ClientFrame]:
    """`decode_client` of bytes; raises BadArgument also for bytes that are no packet."""
    try:
        packet = pb.ClientPacket.FromString(data)
    except DecodeError as error:
        raise BadArgument(f"{len(data)} bytes that are no packet: {error}") from error
    return decode_client(packet)


def pack_server(frames: Sequence[ServerFrame]) -> bytes:
    """`encode_server`, as bytes."""
    return encode_server(frames).SerializeToString()


def unpack_server(data: bytes) -> list[ServerFrame]:
    """`decode_server` of bytes; raises BadArgument also for bytes that are no packet."""
    try:
        packet = pb.ServerPacket.FromString(data)
    except DecodeError as error:
        raise BadArgument(f"{len(data)} bytes that are no packet: {error}") from error
    return decode_server(packet)


def _within_packet(frames: int) -> None:
    if frames > PACKET_FRAMES:
        raise TooLarge(f"{frames} frames; a packet carries {PACKET_FRAMES}")
