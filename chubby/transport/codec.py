"""What a payload means: msgpack of one union of message types, which the transport is given and never names.

The replica's shell knows the union: the messages of Paxos, and whatever higher rooms add beside them. So a new kind
of message is a line where the shell makes its `Codec`, and none here::

    codec: Codec[LinkMessage] = Codec(msgspec.msgpack.Decoder(LinkMessage))

Members of the union are structs with integer tags, as those of Paxos have (msgspec mixes no kinds of tags); higher
rooms count from 32. A receiver ignores fields it does not know and fills in defaults for missing ones, which lets
neighbouring releases talk (DESIGN §3, rolling restart); a tag it does not know is garbage to it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from chubby.errors import ChubbyError
from chubby.transport.framing import FRAME_LIMIT, encode_frame
from chubby.types.decoding import MALFORMED

M = TypeVar("M")
"""The union of message types of one mesh."""


class CodecError(ChubbyError):
    """A payload that verifies but is no message of the union: another release, or no replica of ours at all."""


class Codec(Generic[M]):
    """Messages to payloads and back. Stateless: one serves all links of a mesh."""

    __slots__ = ("_decode", "_encode")

    def __init__(self, decoder: msgspec.msgpack.Decoder[M], encoder: msgspec.msgpack.Encoder | None = None) -> None:
        """`decoder` knows the union; `encoder` is needed only for types that msgspec does not know by itself."""
        self._decode = decoder.decode
        self._encode = (encoder or msgspec.msgpack.Encoder()).encode

    def encode(self, message: M) -> bytes:
        """The payload for `message`."""
        return self._encode(message)

    def decode(self, payload: bytes) -> M:
        """The message in `payload`. Raises `CodecError` for whatever else is in it."""
        try:
            return self._decode(payload)
        except MALFORMED as error:
            raise CodecError(f"{len(payload)} bytes are no message: {error}") from error


class FrameCache(Generic[M]):
    """Frames of the messages sent since the last drain, by the identity of the message object.

    Accept goes to four peers as one object: it is encoded, checked and copied once. The cache holds the object itself,
    so that no other can get its identity meanwhile; messages are frozen, so the frame stays true.
    """

    __slots__ = ("_codec", "_encoded", "_frames", "_limit")

    def __init__(self, codec: Codec[M], limit: int = FRAME_LIMIT) -> None:
        """`limit` is the largest payload a peer accepts, in bytes."""
        self._codec = codec
        self._limit = limit
        self._frames: dict[int, tuple[M, bytes]] = {}
        self._encoded = 0

    @property
    def encoded(self) -> int:
        """How many messages were encoded so far."""
        return self._encoded

    def frame(self, message: M) -> bytes:
        """The frame for `message`. Raises `FrameError` if it is over the limit."""
        hit = self._frames.get(id(message))
        if hit is not None:
            return hit[1]
        frame = encode_frame(self._codec.encode(message), self._limit)
        self._encoded += 1
        self._frames[id(message)] = (message, frame)
        return frame

    def clear(self) -> None:
        """Forget all frames: what was sent has been handed to the links."""
        self._frames.clear()
