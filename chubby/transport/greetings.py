"""What replicas say to each other before and after messages: the control frames of a link, and reasons to part.

`Hello` must be readable by every release there ever was, or will be: it stays a tagged map, whose fields may be added
with a default and never removed or given another meaning. The three structs are decoded where no message is expected,
so their tags cannot collide with those of messages.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final

import msgspec

from chubby.types.decoding import MALFORMED
from chubby.types.identity import CellId

PROTOCOL_VERSION: Final = 1
"""The version of links and messages this release speaks best."""
OLDEST_VERSION: Final = 1
"""The oldest version this release still speaks: that of its predecessor (a cell upgrades by rolling restart)."""

UNKNOWN_CELL: Final[CellId] = 0
"""The cell of a blank replica, which has yet to learn it."""

_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Reason(enum.IntEnum):
    """Why a link is refused or ended. Numbers are permanent: never reuse one."""

    OTHER = 0
    """A newer release gave a reason that this one does not know."""
    WRONG_CELL = 1
    """The peer belongs to another cell."""
    UNKNOWN_REPLICA = 2
    """The address book does not hold the peer, or no longer."""
    WRONG_REPLICA = 3
    """Another replica answered than the address book promised."""
    SELF = 4
    """The link led back to where it came from: the address book gives a peer this replica's own address."""
    TWIN = 5
    """Another process uses this replica's number: two data directories were configured alike, or one was copied."""
    VERSION = 6
    """No version is spoken on both sides."""
    BOTH_BLANK = 7
    """Neither side knows its cell: nothing to learn here yet, come again later."""
    UNPROVEN = 8
    """The peer's certificate (or whatever proves it) is not that of the replica it says it is."""
    FRAME = 9
    """Bytes that are no frame, or one beyond the limit."""
    GARBAGE = 10
    """A frame that holds no message, or no control frame where one was due."""
    PROTOCOL = 11
    """A control frame out of turn."""
    TIMEOUT = 12
    """The handshake was not finished in time."""
    REPLACED = 13
    """A newer link of the same replica took the place of this one."""
    CROWDED = 14
    """Too many connections have not finished their handshake; this one made room or found none."""
    STALLED = 15
    """What was written did not drain: the peer is gone, or does not read."""
    LOST = 16
    """The connection ended or broke."""
    UNREACHABLE = 17
    """No connection could be made."""
    STOPPED = 18
    """This side is shutting down, or was told another address."""

    @classmethod
    def _missing_(cls, value: object) -> Reason:
        return cls.OTHER


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first frame, both ways: who speaks. A version v with oldest <= v <= version of both sides is spoken.

    `cell` is 0 while the sender is blank. `nonce` is random for each run of the process: it tells a link to oneself
    from one to a twin.
    """

    version: _Number
    oldest: _Number
    cell: _Number
    replica: _Number
    incarnation: _Number
    nonce: _Number


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The dialling side has read the other's Hello and agrees; messages follow."""


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye"):
    """The sender closes the link. It has no answer."""

    reason: Reason


Control = Hello | Welcome | Goodbye

CONTROL_LIMIT: Final = 1024
"""Largest control frame, in bytes: a stranger cannot make a replica hold more than this."""


def encode_control(control: Control) -> bytes:
    """The payload for `control`."""
    return _ENCODER.encode(control)


def decode_control(payload: bytes) -> Control | None:
    """The control frame in `payload`, None for anything else."""
    try:
        return _DECODER.decode(payload)
    except MALFORMED:
        return None


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Control]] = msgspec.msgpack.Decoder(Control)
