"""Session streams as bytes, both ways, and the few other messages of the protocol (`chubby.wire`).

What protobuf makes of the bytes is built outside Python's heap; the bombs show that it stays in proportion, too.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from chubby.errors import BadArgument, TooLarge
from chubby.types.calls import Transact
from chubby.types.status import CellStatus, Location
from chubby.types.stream import CallFrame, ClientFrame, Push, Resume, ServerFrame
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import pack_client, pack_server, unpack_client, unpack_server
from chubby.wire.codec_status import decode_location, decode_status, encode_location, encode_status
from tests.fuzzing.program import Program
from tests.fuzzing.target import KIB, MIB, Target
from tests.wire.samples import complete

CLIENT_FRAMES: Final = [frame for frame in complete(ClientFrame) if isinstance(frame, ClientFrame)]
SERVER_FRAMES: Final = [frame for frame in complete(ServerFrame) if isinstance(frame, ServerFrame)]
TAG: Final = b"\x0a"
"""Of the only field of a packet: `frames`."""


def client_packet(data: bytes) -> None:
    """A packet of a client; what can be meant can be said again."""
    frames = unpack_client(data)
    try:
        packed = pack_client(frames)
    except TooLarge:
        return  # an encoder holds its own user to one ceiling more: that of a whole frame
    assert unpack_client(packed) == frames, "what was understood can be said"


def server_packet(data: bytes) -> None:
    """A packet of a master; what can be meant can be said again."""
    frames = unpack_server(data)
    assert unpack_server(pack_server(frames)) == frames, "what was understood can be said"


def answer_about_cell(data: bytes) -> None:
    """What any replica says of its cell, which a client decodes: `Location`, `CellStatus`."""
    program = Program(data)
    if program.number() & 1:
        location = decode_location(pb.Location.FromString(program.rest()))
        assert decode_location(encode_location(location)) == location
    else:
        status = decode_status(pb.CellStatus.FromString(program.rest()))
        assert decode_status(encode_status(status)) == status


def _about_cell() -> list[bytes]:
    locations = [each for each in complete(Location) if isinstance(each, Location)]
    statuses = [each for each in complete(CellStatus) if isinstance(each, CellStatus)]
    return [b"\1" + encode_location(each).SerializeToString() for each in locations] + [
        b"\0" + encode_status(each).SerializeToString() for each in statuses
    ]


def _length(size: int) -> bytes:
    """A length as protobuf writes it."""
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*out, size))


def _field(number: int, data: bytes) -> bytes:
    """A field that holds bytes."""
    return bytes((number << 3 | 2,)) + _length(len(data)) + data


def _many_frames(size: int) -> bytes:
    return pack_client([CLIENT_FRAMES[-1]])[:4] * (size // 4)


def _many_parts(message: bytes, number: int, smallest: bytes, size: int) -> bytes:
    """A frame (`message`: its number in the oneof) with very many of the smallest part there is."""
    return _field(1, _field(message[0], _field(number, smallest) * (size // (len(smallest) + 2))))


def _nested(size: int) -> bytes:
    data = b""
    for _ in range(min(size // 5, 2000)):
        data = _field(1, data)
    return data


_RESUME: Final = bytes((pb.ClientFrame.DESCRIPTOR.fields_by_name["resume"].number,))
_PUSH: Final = bytes((pb.ServerFrame.DESCRIPTOR.fields_by_name["push"].number,))
_RESUMED: Final = bytes((pb.ServerFrame.DESCRIPTOR.fields_by_name["resumed"].number,))
_HANDLES: Final = pb.Resume.DESCRIPTOR.fields_by_name["handles"].number
_WATCHES: Final = pb.Resume.DESCRIPTOR.fields_by_name["watches"].number
_KEYS: Final = pb.Push.DESCRIPTOR.fields_by_name["invalidate"].number
_EVENTS: Final = pb.Push.DESCRIPTOR.fields_by_name["events"].number

assert {CallFrame, Resume} <= {type(frame) for frame in CLIENT_FRAMES}, "the samples leave nothing out"
assert Push in {type(frame) for frame in SERVER_FRAMES}, "the samples leave nothing out"
assert any(isinstance(frame, CallFrame) and isinstance(frame.call, Transact) for frame in CLIENT_FRAMES)

TARGETS: Final = (
    Target(
        name="client_packet",
        door="a packet on a session stream: `wire.codec.unpack_client`",
        feed=client_packet,
        refusals=(BadArgument,),
        samples=lambda: [pack_client([frame]) for frame in CLIENT_FRAMES] + [pack_client(CLIENT_FRAMES[:4])],
        bombs={
            "very many frames": _many_frames,
            "very many handles": lambda size: _many_parts(_RESUME, _HANDLES, b"", size),
            "very many watches": lambda size: _many_parts(_RESUME, _WATCHES, b"", size),
            "nested without end": _nested,
            "announced and missing": lambda size: TAG + b"\xff\xff\xff\x7f" + bytes(8),
        },
    ),
    Target(
        name="server_packet",
        door="a packet from whoever answers at a replica's address: `wire.codec.unpack_server`",
        feed=server_packet,
        refusals=(BadArgument,),
        samples=lambda: [pack_server([frame]) for frame in SERVER_FRAMES] + [pack_server(SERVER_FRAMES[:4])],
        bombs={
            "very many keys": lambda size: _many_parts(_PUSH, _KEYS, b"\x10\x01", size),
            "very many events": lambda size: _many_parts(_PUSH, _EVENTS, b"\x08\x01", size),
            "nested without end": _nested,
        },
        longest=8 * KIB,
        memory=8 * MIB,
    ),
    Target(
        name="about_cell",
        door="what a replica says of its cell: `wire.codec_status`, behind gRPC's own decoding",
        feed=answer_about_cell,
        refusals=(BadArgument, DecodeError),
        samples=_about_cell,
    ),
)
