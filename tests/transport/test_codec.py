"""Payloads mean one union of messages, given from above; an object is encoded once per turn (DESIGN §3, §7)."""

from __future__ import annotations

import gc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.paxos.configuration import Member
from chubby.paxos.messages import Ballot, Commit, Entries, Entry, Join, Message, Prepare, Promise, Value, ValueKind
from chubby.transport.codec import Codec, CodecError, FrameCache
from chubby.transport.framing import FrameDecoder, FrameError


class DigestReport(msgspec.Struct, frozen=True, tag=100):
    """A kind of message that a higher room adds beside those of Paxos."""

    slot: int
    digest: bytes


LinkMessage = Message | DigestReport
"""What a shell gives the transport: transport itself names no message."""

CODEC: Codec[LinkMessage] = Codec(msgspec.msgpack.Decoder(LinkMessage))

ballots = st.builds(Ballot, st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 2**63 - 1))
values = st.builds(Value, st.sampled_from(ValueKind), st.lists(st.binary(max_size=20), max_size=3).map(tuple))
entries = st.lists(st.builds(Entry, st.integers(0, 2**40), ballots, values), max_size=4).map(tuple)
messages: st.SearchStrategy[LinkMessage] = st.one_of(
    st.builds(Prepare, ballots, st.integers(0, 2**40)),
    st.builds(Promise, ballots, st.integers(0, 2**63 - 1), st.integers(0, 2**40), entries),
    st.builds(Commit, ballots, st.integers(0, 2**40)),
    st.builds(Entries, entries, st.integers(0, 2**40)),
    st.builds(Join, st.builds(Member, st.integers(1, 9), st.integers(0, 2**63 - 1), st.text(), st.text())),
    st.builds(DigestReport, st.integers(0, 2**40), st.binary(max_size=32)),
)

COMMIT = Commit(Ballot(3, 1, 77), 12)


@given(messages)
def test_a_message_comes_back_as_it_was(message: LinkMessage) -> None:
    """Whichever of the union, those of higher rooms included."""
    assert CODEC.decode(CODEC.encode(message)) == message


@given(messages)
def test_a_truncated_message_is_none(message: LinkMessage) -> None:
    """Not a shorter message, not another exception."""
    payload = CODEC.encode(message)
    with pytest.raises(CodecError):
        CODEC.decode(payload[:-1])


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_codec_errors_only(garbage: bytes) -> None:
    """Garbage closes a link; it never crashes a replica."""
    try:
        CODEC.decode(garbage)
    except CodecError as error:
        assert str(len(garbage)) in str(error)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode({"type": 999}),
        msgspec.msgpack.encode({"type": 8, "ballot": "high", "chosen": 1}),
        msgspec.msgpack.encode({"type": 100, "slot": 1}),
        b"\x82\xa4type\x08\xa2\xff\xff\x00",
        b"\x83\xa4type\x08\xa1x" + b"\x91" * 100_000,
        msgspec.msgpack.encode([1, 2, 3]),
    ],
    ids=["nothing", "no opcode", "unknown tag", "wrong type", "field missing", "no UTF-8", "bottomless", "no map"],
)
def test_hostile_payloads(payload: bytes) -> None:
    """Each way in which a decoder can be made to stumble."""
    with pytest.raises(CodecError):
        CODEC.decode(payload)


def test_neighbouring_releases_understand_each_other() -> None:
    """DESIGN §3: a cell upgrades by rolling restart. Unknown fields are ignored."""
    payload = msgspec.msgpack.encode({"type": 8, "ballot": [3, 1, 77], "chosen": 12, "invented_later": [1, 2]})
    assert CODEC.decode(payload) == COMMIT


def test_a_narrower_union_refuses_what_it_does_not_know() -> None:
    """The set of types is the argument's, and only that."""
    narrow: Codec[Commit] = Codec(msgspec.msgpack.Decoder(Commit))
    assert narrow.decode(CODEC.encode(COMMIT)) == COMMIT
    with pytest.raises(CodecError):
        narrow.decode(CODEC.encode(DigestReport(1, b"x")))


def test_an_encoder_of_ones_own_is_used() -> None:
    """For types that msgspec does not know by itself."""

    def as_text(value: object) -> str:
        return f"<{value}>"

    codec: Codec[object] = Codec(msgspec.msgpack.Decoder(object), msgspec.msgpack.Encoder(enc_hook=as_text))
    assert codec.decode(codec.encode(1 + 2j)) == "<(1+2j)>"


def payload_in(frame: bytes) -> bytes:
    """The payload of a frame."""
    (payload,) = FrameDecoder().feed(frame)
    return payload


def test_one_object_is_encoded_once() -> None:
    """The Accept that goes to four peers."""
    cache = FrameCache(CODEC)
    frames = [cache.frame(COMMIT) for _ in range(4)]
    assert cache.encoded == 1
    assert all(frame is frames[0] for frame in frames)
    assert CODEC.decode(payload_in(frames[0])) == COMMIT


def test_several_objects_in_turns_are_encoded_once_each() -> None:
    """In whichever order the core hands them out: by peer or by message."""
    cache = FrameCache(CODEC)
    several = [Commit(Ballot(3, 1, 77), slot) for slot in range(10)]
    for _ in range(4):
        for message in several:
            assert CODEC.decode(payload_in(cache.frame(message))) == message
    assert cache.encoded == 10


def test_a_cleared_cache_encodes_anew() -> None:
    """It lives from drain to drain and holds nothing longer."""
    cache = FrameCache(CODEC)
    cache.frame(COMMIT)
    cache.clear()
    cache.frame(COMMIT)
    assert cache.encoded == 2


def test_identities_are_not_mixed_up_when_objects_die() -> None:
    """The cache keeps a message alive, so its identity is not given to the next one."""
    cache = FrameCache(CODEC)
    for slot in range(2000):
        assert CODEC.decode(payload_in(cache.frame(Commit(Ballot(3, 1, 77), slot)))) == Commit(Ballot(3, 1, 77), slot)
        gc.collect(0)
    assert cache.encoded == 2000


def test_an_oversized_message_is_refused_each_time() -> None:
    """And leaves nothing in the cache."""
    cache = FrameCache(CODEC, limit=100)
    for _ in range(2):
        with pytest.raises(FrameError):
            cache.frame(DigestReport(1, bytes(101)))
    assert cache.encoded == 0
