"""What is encoded is what is decoded: every frame, call, answer, event, guard and operation there is."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.types.calls import Call, SetAttributes
from chubby.types.events import Event
from chubby.types.results import Answer
from chubby.types.status import CellStatus, Location
from chubby.types.stream import CallFrame, ClientFrame, Push, Reply, ServerFrame
from chubby.types.transaction import Guard, Operation
from chubby.wire import chubby_pb2 as pb
from chubby.wire.choice import Choice
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
from chubby.wire.codec_calls import CALLS
from chubby.wire.codec_client import CLIENT_FRAMES
from chubby.wire.codec_results import ANSWERS
from chubby.wire.codec_server import SERVER_FRAMES
from chubby.wire.codec_status import decode_location, decode_status, encode_location, encode_status
from chubby.wire.codec_transaction import GUARDS, OPERATIONS
from tests.wire.samples import complete, of, structs

modestly = settings(max_examples=40)


@pytest.mark.parametrize("kind", get_args(ClientFrame))
@modestly
@given(data=st.data())
def test_every_frame_of_the_client_survives(kind: type, data: st.DataObject) -> None:
    """DESIGN §6: struct → bytes → struct is the identity for each frame of the client."""
    frame = data.draw(of(kind))
    assert isinstance(frame, ClientFrame)
    assert unpack_client(pack_client([frame])) == [frame]


@pytest.mark.parametrize("kind", get_args(ServerFrame))
@modestly
@given(data=st.data())
def test_every_frame_of_the_master_survives(kind: type, data: st.DataObject) -> None:
    """DESIGN §6: struct → bytes → struct is the identity for each frame of the master."""
    frame = data.draw(of(kind))
    assert isinstance(frame, ServerFrame)
    assert unpack_server(pack_server([frame])) == [frame]


@pytest.mark.parametrize("kind", get_args(Call))
@modestly
@given(data=st.data())
def test_every_call_survives(kind: type, data: st.DataObject) -> None:
    """DESIGN §6: each of the calls the paper names, and ours."""
    call = data.draw(of(kind))
    frame = CallFrame(2, 1, 0, msgspec.convert(call, kind))
    assert unpack_client(pack_client([frame])) == [frame]


@pytest.mark.parametrize("kind", get_args(Answer))
@modestly
@given(data=st.data())
def test_every_answer_survives(kind: type, data: st.DataObject) -> None:
    """DESIGN §6: each result, and Failure."""
    answer = data.draw(of(kind))
    frame = Reply(2, msgspec.convert(answer, kind))
    assert unpack_server(pack_server([frame])) == [frame]


@modestly
@given(st.lists(of(ClientFrame), max_size=20), st.lists(of(ServerFrame), max_size=20))
def test_packets_keep_their_order(sent: list[ClientFrame], answered: list[ServerFrame]) -> None:
    """DESIGN §5: a reply never overtakes an invalidation, so a packet keeps the order of its frames."""
    assert decode_client(encode_client(sent)) == sent
    assert decode_server(encode_server(answered)) == answered


@modestly
@given(st.lists(of(ServerFrame), max_size=5), st.lists(of(ServerFrame), max_size=5))
def test_packets_concatenate(earlier: list[ServerFrame], later: list[ServerFrame]) -> None:
    """The bytes of two packets, one after the other, are the bytes of one: what packing stands on."""
    assert unpack_server(pack_server(earlier) + pack_server(later)) == earlier + later


@modestly
@given(of(Location), of(CellStatus))
def test_locations_and_statuses_survive(location: Location, status: CellStatus) -> None:
    """Through bytes, with None and zero kept apart."""
    assert decode_location(pb.Location.FromString(encode_location(location).SerializeToString())) == location
    assert decode_status(pb.CellStatus.FromString(encode_status(status).SerializeToString())) == status


def test_complete_values_survive() -> None:
    """Values that leave nothing out: every optional part, every alternative, at least once, found or not by chance."""
    sent = [frame for frame in complete(ClientFrame) if isinstance(frame, ClientFrame)]
    answered = [frame for frame in complete(ServerFrame) if isinstance(frame, ServerFrame)]
    assert {type(frame.call) for frame in sent if isinstance(frame, CallFrame)} == set(get_args(Call))
    assert {type(frame.answer) for frame in answered if isinstance(frame, Reply)} == set(get_args(Answer))
    assert any(frame.events for frame in answered if isinstance(frame, Push))
    assert unpack_client(pack_client(sent)) == sent
    assert unpack_server(pack_server(answered)) == answered


def test_attributes_arrive_in_order_of_their_names() -> None:
    """DESIGN §2: what follows from a call has one order, however the sender's map was ordered."""
    forward, backward = {"a": b"1", "b": b"2", "c": b""}, {"c": b"", "b": b"2", "a": b"1"}
    for attributes in (forward, backward):
        (frame,) = unpack_client(pack_client([CallFrame(1, 0, 0, SetAttributes(1, attributes))]))
        assert isinstance(frame, CallFrame) and isinstance(frame.call, SetAttributes)
        assert list(frame.call.attributes) == ["a", "b", "c"]


TABLES = [
    (CLIENT_FRAMES, ClientFrame),
    (SERVER_FRAMES, ServerFrame),
    (CALLS, Call),
    (ANSWERS, Answer),
    (GUARDS, Guard),
    (OPERATIONS, Operation),
]


@pytest.mark.parametrize(("table", "union"), TABLES)
def test_every_member_of_every_union_is_in_its_table(table: Choice[Message, object], union: object) -> None:
    """A call nobody can send is no call."""
    assert table.kinds == set(get_args(union))


def test_the_samples_see_every_struct() -> None:
    """The strategies are made from the types: whatever a frame can hold is reached, events and statuses included."""
    reached = {*structs(ClientFrame), *structs(ServerFrame)}
    for union in (ClientFrame, ServerFrame, Call, Answer, Guard, Operation):
        assert reached >= set(get_args(union))
    assert Event in reached
