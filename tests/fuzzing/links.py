"""Replica links: whoever can connect to a replica's peer port can say anything (`chubby.transport`).

`link_stream` is one side of a link as the loop drives it: `Link`, its decoder, its handshake, and an inbox that decodes
messages as `Inbox` does. The program's steps are bytes, frames whose checksum is right, and the frames of a handshake,
so that what lies behind the checksum and behind the handshake is reached. `link_message` is what lies in one frame.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from chubby.paxos.configuration import Configuration, Member
from chubby.paxos.messages import NO_BALLOT, NOOP, Accept, Entries, Entry, Message, configuration_value
from chubby.replica.links import DigestReport, LinkMessage
from chubby.transport.codec import Codec, CodecError
from chubby.transport.framing import FRAME_LIMIT, HEADER_BYTES, encode_frame
from chubby.transport.greetings import CONTROL_LIMIT, Goodbye, Hello, Reason, Welcome
from chubby.transport.links import Link
from tests.fuzzing.program import Program, block
from tests.fuzzing.target import KIB, Target
from tests.transport.meshes import control, hello
from tests.transport.paper import Diary, Scene
from tests.wire.samples import complete

CODEC: Final[Codec[LinkMessage]] = Codec(msgspec.msgpack.Decoder(LinkMessage))
MEMBERS: Final = (Member(1, 11, "a:1", "a:2"), Member(2, 22, "b:1", "b:2"))


def messages() -> list[LinkMessage]:
    """One of each kind at least, with nothing left out; and a configuration on its way."""
    made = [value for kind in (Message, DigestReport) for value in complete(kind)]
    found = msgspec.convert(made, list[LinkMessage], from_attributes=True)
    value = configuration_value(Configuration(MEMBERS[:1], MEMBERS[1:]))
    found += [msgspec.structs.replace(message, value=value) for message in found if isinstance(message, Accept)]
    return found


GREETINGS: Final = (hello(), hello(cell=0), hello(replica=3), control(Welcome()), control(Goodbye(Reason.STOPPED)))
ENCODED: Final = [CODEC.encode(message) for message in messages()]


class Listening(Diary):
    """An owner that does with payloads what an inbox does."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = 0

    def link_established(self, link: Link, peer: Hello, joining: bool) -> None:
        """It is told once, before anything is received."""
        assert not self.entries, "a link is made once"
        super().link_established(link, peer, joining)

    def link_received(self, link: Link, payloads: Sequence[bytes]) -> None:
        """Decode them all, or end the link."""
        assert self.entries and not link.over, "messages come over a link that is made"
        for payload in payloads:
            try:
                CODEC.decode(payload)
            except CodecError:
                link.dismiss(Reason.GARBAGE)
                return
            self.messages += 1

    def link_parted(self, link: Link, reason: Reason, by_peer: bool) -> None:
        """It is told once."""
        assert all(entry[0] != "parted" for entry in self.entries if isinstance(entry, tuple)), "a link parts once"
        super().link_parted(link, reason, by_peer)


class Conversation:
    """One side of a link, and what was said to it."""

    def __init__(self, dialled: bool) -> None:
        """Connected. To be made within a running loop."""
        self.scene = Scene(2 if dialled else None)
        self.owner = Listening()
        self.link = self.scene.link
        self.link._owner = self.owner
        self.scene.connect()

    def say(self, data: bytes) -> None:
        """The other side says `data`, in one piece."""
        held = self.link._decoder.pending
        limit = CONTROL_LIMIT if not self.owner.entries and not self._greeted else FRAME_LIMIT
        self.link.data_received(data)
        pending = self.link._decoder.pending
        assert self.link.over or pending <= HEADER_BYTES + limit, "no more is held than one frame"
        assert pending <= held + len(data), "no more is held than was said"

    @property
    def _greeted(self) -> bool:
        return self.link._handshake.state.value == "confirming"

    def end(self) -> None:
        """The connection breaks, whatever was said."""
        self.scene.paper.gone()
        assert self.link.over
        assert self.scene.surroundings.links == set(), "nothing is kept of a link that is gone"


STEPS: Final = ("bytes", "frame", "greeting", "message")


def converse(data: bytes) -> None:
    """A program: who dialled, then what is said, each step in one piece or joined to the next."""

    async def scenario() -> None:
        program = Program(data)
        conversation = Conversation(dialled=bool(program.number() & 1))
        said = b""
        while program and not conversation.link.over:
            step = program.number()
            said += _said(STEPS[step % len(STEPS)], program)
            if step < 128:
                conversation.say(said)
                said = b""
        conversation.end()

    asyncio.run(scenario())


def _said(step: str, program: Program) -> bytes:
    match step:
        case "frame":
            payload = program.block()
            return encode_frame(payload) if payload else bytes(8)
        case "greeting":
            return program.one_of(GREETINGS)
        case "message":
            return encode_frame(program.one_of(ENCODED))
        case _:
            return program.block()


def decode(payload: bytes) -> None:
    """A message, which is encoded again as the same; or refused."""
    message = CODEC.decode(payload)
    assert CODEC.decode(CODEC.encode(message)) == message, "what was understood can be said"


def _conversations() -> list[bytes]:
    accepted = bytes((0, 2, 0, 2, 3))
    everything = b"".join(bytes((3, index)) for index in range(len(ENCODED)))
    return [
        accepted + everything,
        bytes((1, 2, 0, 2, 3)),
        bytes((0, 2 + 128, 0, 2 + 128, 3, 3, 0)),
        bytes((0, 2, 1, 2, 3, 2, 4)),
        bytes((0, 0)) + block(b"GET / HTTP/1.1\r\n\r\n"),
        accepted + bytes((1,)) + block(ENCODED[0]) + bytes((0,)) + block(encode_frame(ENCODED[1])[:11]),
        accepted + bytes((0,)) + block(struct.pack(">II", FRAME_LIMIT + 1, 0)),
        bytes((0, 1)) + block(msgspec.msgpack.encode({"type": "hello", "version": 1})),
    ]


def _nested(size: int) -> bytes:
    return b"\x82\xa4type\x01\xa1x" + b"\x91" * size


def _many_entries(size: int) -> bytes:
    """A message whose smallest parts are as many as fit."""
    entry = Entry(1, NO_BALLOT, NOOP)
    return CODEC.encode(Entries((entry,) * (size // len(msgspec.msgpack.encode(entry))), 1))


def _announced(size: int) -> bytes:
    """A message that says it has more entries than there are bytes in the world."""
    return CODEC.encode(Entries((), 1)).replace(b"entries\x90", b"entries\xdd\xff\xff\xff\xff")


def _unknown(size: int) -> bytes:
    """A message of a newer release, with very many fields."""
    head = CODEC.encode(Entries((), 1))
    assert head[0] == 0x80 + 3, "a map of three"
    count = size // 3
    return b"\xdf" + (3 + count).to_bytes(4, "big") + head[1:] + b"\xa1x\x01" * count


BOMBS: Final = {
    "nested without end": _nested,
    "announced and missing": _announced,
    "very many entries": _many_entries,
    "very many unknown fields": _unknown,
}

TARGETS: Final = (
    Target(
        name="link_stream",
        door="a connection to a replica's peer port: frames, handshake, messages",
        feed=converse,
        samples=_conversations,
        bombs={"announced and missing": lambda size: bytes((0, 0)) + block(b"\0\0\4\0" + bytes(900))},
        longest=16 * KIB,
    ),
    Target(
        name="link_message",
        door="one frame's payload from another replica: `transport.codec.Codec.decode`",
        feed=decode,
        refusals=(CodecError,),
        samples=lambda: ENCODED,
        bombs=BOMBS,
    ),
)
