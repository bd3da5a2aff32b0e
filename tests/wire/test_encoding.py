"""An encoder refuses what its peer would refuse: a caller's mistake is his own error, not the end of his stream."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.errors import BadArgument, InternalError, TooLarge
from chubby.types.calls import Acquire, Call, ListSessions, Open, ReadDir, SetContents, SetSequencer, Transact, Watch
from chubby.types.nodes import AclNames
from chubby.types.results import Done
from chubby.types.stream import CallFrame, ClientFrame, HandleClaim, KeepAlive, Push, Reply, Resume
from chubby.types.transaction import Create, Exists, Write
from chubby.wire.codec import encode_client, encode_server, pack_client
from chubby.wire.limits import CLIENT_PACKET_BYTES, FRAME_CEILING

NEGATIVE: list[Call] = [
    Open(-1, "/a"),
    SetContents(1, b"", generation=-1),
    Acquire(1, lock_delay=-1),
    ReadDir(1, limit=-1),
    Watch(1, "/a", since=-1),
    ListSessions(after=-1),
    Transact(guards=(Exists("/a", instance=-1),)),
]


@pytest.mark.parametrize("call", NEGATIVE, ids=lambda call: type(call).__name__)
def test_negative_numbers_are_bad_arguments(call: Call) -> None:
    """Nothing on the wire is negative where the protocol says so, and the caller hears of it first."""
    with pytest.raises(BadArgument, match="is negative: -1"):
        encode_client([CallFrame(1, 0, 0, call)])


@pytest.mark.parametrize("frame", [CallFrame(1, 0, -1, ReadDir(1)), KeepAlive(-1, True), Resume(1, b"", 1, 1, -1)])
def test_negative_numbers_of_frames_are_bad_arguments(frame: ClientFrame) -> None:
    """The same for the frames themselves."""
    with pytest.raises(BadArgument, match="negative"):
        encode_client([frame])


def test_numbers_beyond_63_bits_are_bad_arguments() -> None:
    """An integer of Python has no end; one of the wire has."""
    with pytest.raises(BadArgument, match="does not fit"):
        encode_client([CallFrame(1 << 63, 0, 0, ReadDir(1))])


def test_text_without_an_encoding_is_a_bad_argument() -> None:
    """Half a surrogate pair, as os.fsdecode makes them, is no text that others could read."""
    with pytest.raises(BadArgument, match="does not fit"):
        encode_client([CallFrame(1, 0, 0, Open(1, "/a\udcff"))])


def test_values_of_another_type_are_bad_arguments() -> None:
    """A caller who passes text for bytes is told so."""
    with pytest.raises(BadArgument, match="does not fit"):
        encode_client([CallFrame(1, 0, 0, SetContents(1, cast("bytes", "text")))])


def test_frames_of_the_other_direction_are_bad_arguments() -> None:
    """A table carries its union and nothing else."""
    with pytest.raises(BadArgument, match="cannot carry a Push"):
        encode_client([cast("ClientFrame", Push(1))])
    with pytest.raises(BadArgument, match="cannot carry a Done"):
        encode_client([CallFrame(1, 0, 0, cast("Call", Done()))])


TOO_LARGE: list[Call] = [
    SetContents(1, bytes(1024 * 1024 + 1)),
    Open(1, "/a", contents=bytes(1024 * 1024 + 1)),
    Open(1, "p" * 4097),
    Open(1, "/a", acl=AclNames("r", "w", "c" * 4097)),
    Open(1, "/a", attributes={"a": bytes(65 * 1024)}),
    SetSequencer(1, bytes(8193)),
    Transact(then=(Create("/a", bytes(1024 * 1024 + 1)),)),
    Transact(then=(Write("/a", bytes(600 * 1024)),) * 3),
]


@pytest.mark.parametrize("call", TOO_LARGE, ids=lambda call: type(call).__name__)
def test_what_passes_a_ceiling_is_too_large(call: Call) -> None:
    """TooLarge is what a cell with a lower limit would have answered; sending it would have ended the stream."""
    with pytest.raises(TooLarge, match="the protocol carries"):
        encode_client([CallFrame(1, 0, 0, call)])


def test_a_resume_of_too_many_handles_is_too_large() -> None:
    """A Resume is one frame, and fits one packet or is refused by the encoder."""
    claims = tuple(HandleClaim(number, bytes(1000), Open(1, "").events) for number in range(1600))
    with pytest.raises(TooLarge, match="handles and watches"):
        encode_client([Resume(1, b"", 1, 1, 1, claims)])


@settings(max_examples=30)
@given(st.integers(0, 1024 * 1024), st.integers(0, 60 * 1024))
def test_no_frame_passes_the_size_of_a_packet(content: int, attributes: int) -> None:
    """Whatever the encoder lets pass, the server's gRPC receives: frames at their ceilings fit a packet."""
    call = Open(1, "/" + "ä" * 4000, contents=bytes(content), attributes={"a": bytes(attributes)})
    assert len(pack_client([CallFrame(1, 0, 0, call)])) <= FRAME_CEILING < CLIENT_PACKET_BYTES


def test_what_a_master_cannot_encode_is_its_own_bug() -> None:
    """InternalError, not an exception from deep within protobuf: the front end cuts one stream and lives on."""
    with pytest.raises(InternalError, match="does not fit"):
        encode_server([Reply(1 << 63, Done())])
    with pytest.raises(InternalError, match="does not fit"):
        encode_server([Push(1)] * 10_001)
