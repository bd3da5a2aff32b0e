"""What replicas send each other, as bytes: nobody shares an object with another machine, and what is sent to many is
made into bytes once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from chubby.replica.links import LinkMessage
from chubby.replica.step import Letter
from chubby.types.identity import ReplicaId

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[LinkMessage] = msgspec.msgpack.Decoder(LinkMessage)


def packed(letters: Iterable[Letter]) -> Iterator[tuple[ReplicaId, bytes]]:
    """To whom each goes, and as what."""
    encoded: dict[int, bytes] = {}
    for letter in letters:
        data = encoded.get(id(letter.message))
        if data is None:
            data = encoded[id(letter.message)] = _ENCODER.encode(letter.message)
        yield letter.to, data


def unpacked(data: bytes) -> LinkMessage:
    """What arrived."""
    return _DECODER.decode(data)
