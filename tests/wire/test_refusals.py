"""What cannot be meant is refused: decoding never crashes, and accepts nothing by silence.

The systematic tests take packets that leave nothing out, find every place in them by the protocol's own description,
and spoil one place at a time: a number made negative, an enumeration or a flag set beyond its members, a part or a
oneof taken away. Each must make the whole packet BadArgument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chubby.errors import BadArgument, TooLarge
from chubby.types.calls import Open, SetContents, Transact
from chubby.types.stream import CallFrame, ClientFrame, KeepAlive, OpenSession, ServerFrame
from chubby.types.transaction import Remove
from chubby.wire import chubby_pb2 as pb
from chubby.wire.codec import (
    decode_client,
    decode_server,
    encode_client,
    encode_server,
    pack_client,
    pack_server,
    unpack_client,
    unpack_server,
)
from chubby.wire.limits import PACKET_FRAMES, TRANSACTION_CEILING
from tests.wire.samples import complete, of

modestly = settings(max_examples=150)

SIGNED: Final = {"Stat.created_ms", "Stat.modified_ms", "SessionInfo.lease_left"}
"""Numbers that may be negative; no other may."""
FLAGS: Final = {"Open.mode", "Open.events", "HandleClaim.events"}
"""Numbers that are unions of flags."""
OPTIONAL_PARTS: Final = {"Open.acl", "Create.acl", "OperationResult.stat", "TransactionResult.failure"}
"""Messages that need not be there; all others must."""

Spoiler = Callable[[Message], None]


def client_packets() -> list[pb.ClientPacket]:
    """One packet for each complete frame of the client."""
    return [encode_client([frame]) for frame in complete(ClientFrame) if isinstance(frame, ClientFrame)]


def server_packets() -> list[pb.ServerPacket]:
    """One packet for each complete frame of the master."""
    return [encode_server([frame]) for frame in complete(ServerFrame) if isinstance(frame, ServerFrame)]


def name_of(field: FieldDescriptor) -> str:
    """`Message.field`."""
    assert field.containing_type is not None
    return f"{field.containing_type.name}.{field.name}"


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map of attributes, which has no parts of its own."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def inner(message: Message, field: FieldDescriptor) -> list[Message]:
    """The messages behind a field, as many as are set."""
    values = [value for known, value in message.ListFields() if known.name == field.name]
    return list(values[0]) if values and field.is_repeated else values


def spoilt(message: Message) -> Iterator[tuple[str, Message]]:
    """Copies of `message`, each spoilt in one place, and the name of the place."""
    for place, path, spoil in places(message, ()):
        copy = type(message)()
        copy.CopyFrom(message)
        target: Message = copy
        for field, index in path:
            target = inner(target, field)[index]
        spoil(target)
        yield place, copy


Path = tuple[tuple[FieldDescriptor, int], ...]


def places(message: Message, path: Path) -> Iterator[tuple[str, Path, Spoiler]]:
    """Every place in `message` that can be spoilt: its name, the way to it, and what spoils it."""
    descriptor = message.DESCRIPTOR
    assert isinstance(descriptor, Descriptor)
    for oneof in real_oneofs(descriptor):
        yield f"{descriptor.name}.{oneof.name}", path, clearing(message.WhichOneof(oneof.name))
    for field in descriptor.fields:
        if (spoil := spoiler(field)) is not None:
            yield name_of(field), path, spoil
        if field.message_type is not None and not is_map(field):
            for index, part in enumerate(inner(message, field)):
                yield from places(part, (*path, (field, index)))


def real_oneofs(descriptor: Descriptor) -> list[OneofDescriptor]:
    """The oneofs, without those that protobuf makes up for optional fields."""
    return [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]


def spoiler(field: FieldDescriptor) -> Spoiler | None:
    """What spoils a field of a message, if anything can."""
    name = name_of(field)
    if field.enum_type is not None:
        return setting(field.name, 999)
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64 and name not in SIGNED:
        return setting(field.name, -1)
    if name in FLAGS:
        return setting(field.name, 1 << 20)
    part = field.message_type is not None and not field.is_repeated and field.containing_oneof is None
    return clearing(field.name) if part and name not in OPTIONAL_PARTS else None


def all_places(packet: Descriptor) -> set[str]:
    """Every place the protocol's description knows below a packet, whatever the samples hold."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting: list[Descriptor] = [packet]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name not in seen:
            seen.add(descriptor.full_name)
            found |= {f"{descriptor.name}.{oneof.name}" for oneof in real_oneofs(descriptor)}
            found |= {name_of(field) for field in descriptor.fields if spoiler(field) is not None}
            waiting += [field.message_type for field in descriptor.fields if field.message_type and not is_map(field)]
    return found


def setting(field: str, value: int) -> Spoiler:
    """Set a number."""
    return lambda message: setattr(message, field, value)


def clearing(field: str | None) -> Spoiler:
    """Take a field away."""
    assert field is not None, "complete values have every oneof set"
    return lambda message: message.ClearField(field)


def test_every_spoilt_place_of_a_client_packet_is_refused() -> None:
    """Unknown oneof, enum or flag out of range, negative number, missing part: BadArgument, never a crash."""
    seen = set()
    for packet in client_packets():
        decode_client(packet)
        for place, bad in spoilt(packet):
            assert isinstance(bad, pb.ClientPacket)
            with pytest.raises(BadArgument):
                decode_client(bad)
            seen.add(place)
    assert seen == all_places(pb.ClientPacket.DESCRIPTOR)
    assert seen >= {*FLAGS, "ClientFrame.frame", "CallFrame.call", "Guard.guard", "SetAcl.acl", "WriteAcl.acl"}
    assert seen >= {"Acquire.mode", "CallFrame.patience", "Resume.stream", "Watch.since", "ChangeMembers.action"}


def test_every_spoilt_place_of_a_server_packet_is_refused() -> None:
    """The same for what a client reads: a client in front of a broken master must not crash either."""
    seen = set()
    for packet in server_packets():
        decode_server(packet)
        for place, bad in spoilt(packet):
            assert isinstance(bad, pb.ServerPacket)
            with pytest.raises(BadArgument):
                decode_server(bad)
            seen.add(place)
    assert seen >= {"ServerFrame.frame", "Reply.answer", "Event.kind", "CacheKey.kind", "Failure.code", "Stat.acl"}
    assert seen >= {"LockInfo.mode", "LockWaiter.owner", "LostHandle.failure", "Refused.failure", "Transacted.result"}
    assert seen == all_places(pb.ServerPacket.DESCRIPTOR)


@modestly
@given(st.binary(max_size=200))
@example(b"")
@example(b"\x0a\x00")
@example(b"\x0a\xff\xff\xff\xff\x0f")
def test_arbitrary_bytes_are_frames_or_bad_arguments(data: bytes) -> None:
    """Bytes from anywhere: a list of frames, or BadArgument; and a list of frames can be sent on as it is."""
    try:
        sent = unpack_client(data)
        assert unpack_client(pack_client(sent)) == sent
    except BadArgument:
        pass
    try:
        answered = unpack_server(data)
        assert unpack_server(pack_server(answered)) == answered
    except BadArgument:
        pass


@modestly
@given(of(ClientFrame), st.data())
def test_damaged_packets_are_frames_or_bad_arguments(frame: ClientFrame, data: st.DataObject) -> None:
    """A packet with one byte changed is still frames that can be sent on, or BadArgument."""
    packet = bytearray(pack_client([frame]))
    position = data.draw(st.integers(0, len(packet) - 1))
    packet[position] = data.draw(st.integers(0, 255))
    try:
        frames = unpack_client(bytes(packet))
    except BadArgument:
        return
    assert unpack_client(pack_client(frames)) == frames


def test_a_packet_is_refused_as_a_whole() -> None:
    """One bad frame, and none of the packet is handed on."""
    packet = encode_client([KeepAlive(1, True), KeepAlive(2, True)])
    packet.frames.add()
    with pytest.raises(BadArgument, match=r"ClientFrame\.frame"):
        decode_client(packet)


def test_unknown_fields_are_skipped() -> None:
    """The protocol grows by fields: what a newer peer adds to a known message does no harm."""
    data = pack_client([KeepAlive(1, True)])
    assert data[:2] == b"\x0a\x06"
    grown = b"\x0a" + bytes([data[1] + 3, data[2], data[3] + 3]) + data[4:] + b"\xf8\x07\x01"
    assert unpack_client(grown) == [KeepAlive(1, True)]


OVERSIZED: Final[dict[str, Callable[[pb.CallFrame], None]]] = {
    "content": lambda call: setattr(call.set_contents, "contents", bytes(1024 * 1024 + 1)),
    "initial content": lambda call: setattr(call.open, "contents", bytes(1024 * 1024 + 1)),
    "guard": lambda call: setattr(call.transact.guards.add().content, "contents", bytes(1024 * 1024 + 1)),
    "operation": lambda call: setattr(call.transact.then.add().write, "contents", bytes(1024 * 1024 + 1)),
    "path": lambda call: setattr(call.open, "path", "p" * 4097),
    "name": lambda call: setattr(call.read_dir, "after", "n" * 4097),
    "address": lambda call: call.change_members.MergeFrom(
        pb.ChangeMembers(action=pb.MEMBER_ACTION_ADD, peer_address="a" * 4097)
    ),
    "acl name": lambda call: setattr(call.set_acl.acl, "read", "a" * 4097),
    "attributes": lambda call: call.set_attributes.attributes.update({"name": bytes(64 * 1024)}),
    "sequencer": lambda call: setattr(call.check_sequencer, "sequencer", bytes(8193)),
}


@pytest.mark.parametrize("what", OVERSIZED)
def test_what_passes_a_ceiling_is_refused(what: str) -> None:
    """The protocol's ceilings hold for decoders: beyond them it is no call but an attack, or a mistake."""
    packet = pb.ClientPacket()
    OVERSIZED[what](packet.frames.add().call)
    with pytest.raises(BadArgument, match="the protocol carries"):
        decode_client(packet)


def test_what_reaches_a_ceiling_is_carried() -> None:
    """The largest content, and the largest transaction of it, fit; the cell's own limit answers, not the codec."""
    frames: list[ClientFrame] = [
        CallFrame(1, 0, 0, SetContents(1, bytes(1024 * 1024))),
        CallFrame(2, 0, 0, Open(1, "/" + "p" * 4095, attributes={"n" * 1024: bytes(63 * 1024)})),
        CallFrame(3, 0, 0, Transact(then=(Remove("/a"),) * TRANSACTION_CEILING)),
    ]
    assert unpack_client(pack_client(frames)) == frames


def test_too_many_parts_and_frames_are_refused() -> None:
    """Counts are bounded like sizes, on both sides."""
    transaction = Transact(then=(Remove("/a"),) * (TRANSACTION_CEILING + 1))
    with pytest.raises(TooLarge):
        encode_client([CallFrame(1, 0, 0, transaction)])
    with pytest.raises(TooLarge):
        encode_client([KeepAlive(1, False)] * (PACKET_FRAMES + 1))
    packet = pb.ClientPacket(frames=[pb.ClientFrame(close_session=pb.CloseSession())] * (PACKET_FRAMES + 1))
    with pytest.raises(BadArgument, match="a packet carries"):
        decode_client(packet)
    answer = pb.ServerPacket(frames=[pb.ServerFrame(session_closed=pb.SessionClosed())] * (PACKET_FRAMES + 1))
    with pytest.raises(BadArgument, match="a packet carries"):
        decode_server(answer)
    call = pb.ClientPacket()
    for _ in range(TRANSACTION_CEILING + 1):
        call.frames.add() if not call.frames else None
        call.frames[0].call.transact.then.add().remove.path = "/a"
    with pytest.raises(BadArgument, match="guards and operations"):
        decode_client(call)


def test_bytes_that_are_no_packet_say_so() -> None:
    """Both ways, with the length that was received."""
    with pytest.raises(BadArgument, match="3 bytes that are no packet"):
        unpack_client(b"GET")
    with pytest.raises(BadArgument, match="3 bytes that are no packet"):
        unpack_server(b"GET")


def test_text_that_is_not_utf8_is_refused() -> None:
    """A path is text: bytes that are none do not get in by the side door of the decoder."""
    good = pack_client([CallFrame(1, 0, 0, Open(1, "abcd"))])
    assert good.count(b"abcd") == 1
    with pytest.raises(BadArgument):
        unpack_client(good.replace(b"abcd", b"ab\xff\xfe"))


def test_an_empty_session_frame_is_meant() -> None:
    """Zero is a value: frames whose fields are all zero are frames."""
    frames: list[ClientFrame] = [OpenSession(0, False), KeepAlive(0, False)]
    assert unpack_client(pack_client(frames)) == frames


def test_clocks_that_bound_nothing_are_refused() -> None:
    """A client divides by what the master says of clocks: a whole million parts would make every lease nothing."""
    packet = pb.ServerPacket()
    packet.frames.add().session_opened.drift_ppm = 999_999
    assert decode_server(packet)
    packet.frames[0].session_opened.drift_ppm = 1_000_000
    with pytest.raises(BadArgument, match="drift_ppm is 1000000; it is less than 1000000"):
        decode_server(packet)
