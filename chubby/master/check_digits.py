"""Check digits: what makes tickets and sequencers unforgeable (DESIGN §5 Handles; paper §2.3).

Keyed BLAKE2b over (purpose, cell, parts), 16 bytes. The key comes from the log, so every master of the cell makes and
accepts the same digits; after a rotation those made with the previous key still count. The purpose is hashed as
BLAKE2b's personalisation: digits made for one purpose mean nothing for another. The cell's number is hashed along, so
that nothing of a cell is accepted by the one restored from its backup.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from typing import Final

import msgspec

from chubby.types.identity import CellId

DIGITS: Final = 16
"""How many bytes check digits take."""

_ENCODER = msgspec.msgpack.Encoder()


class Purpose(enum.Enum):
    """What digits vouch for."""

    SESSION = b"chubby.session"
    HANDLE = b"chubby.handle"
    SEQUENCER = b"chubby.sequencer"


def digits(key: bytes, purpose: Purpose, cell: CellId, *parts: int | bytes) -> bytes:
    """The check digits of `parts` under one key."""
    assert key, "without a key anybody could make check digits"
    message = _ENCODER.encode((cell, parts))
    return hashlib.blake2b(message, key=key[:64], person=purpose.value, digest_size=DIGITS).digest()


def verify(presented: bytes, keys: tuple[bytes, ...], purpose: Purpose, cell: CellId, *parts: int | bytes) -> bool:
    """Whether `presented` are the digits of `parts` under one of `keys`, compared in constant time."""
    return any(key and hmac.compare_digest(presented, digits(key, purpose, cell, *parts)) for key in keys)
