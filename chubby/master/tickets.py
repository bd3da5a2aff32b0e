"""Tickets: what a client presents to be known again, by this master or the next (DESIGN §5 Handles, Fail-over).

A *session ticket* is bare check digits over the session's number. A *handle ticket* says what the handle is (number,
path, instance, mode, and the epoch that made it) and carries check digits over that and the session, which is why a
new master can recreate the handle with nothing in the log, and why ACLs are checked at Open alone. Both are opaque to
clients.
"""

from __future__ import annotations

import msgspec

from chubby.master.check_digits import DIGITS, Purpose, digits, verify
from chubby.types.calls import Mode
from chubby.types.decoding import MALFORMED
from chubby.types.identity import CellId, Epoch, HandleNumber, SessionId


class HandleTicket(msgspec.Struct, frozen=True, array_like=True):
    """What a handle ticket says."""

    handle: HandleNumber
    path: str
    instance: int
    mode: Mode
    epoch: Epoch


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(HandleTicket)


def session_ticket(keys: tuple[bytes, ...], cell: CellId, session: SessionId) -> bytes:
    """The ticket of a session, under the current key."""
    return digits(keys[0], Purpose.SESSION, cell, session)


def is_session_ticket(ticket: bytes, keys: tuple[bytes, ...], cell: CellId, session: SessionId) -> bool:
    """Whether `ticket` was made for this session, under the current or the previous key."""
    return verify(ticket, keys, Purpose.SESSION, cell, session)


def seal_handle(keys: tuple[bytes, ...], cell: CellId, session: SessionId, ticket: HandleTicket) -> bytes:
    """The bytes of a handle ticket, under the current key."""
    said = _ENCODER.encode(ticket)
    return said + digits(keys[0], Purpose.HANDLE, cell, session, said)


def open_handle(data: bytes, keys: tuple[bytes, ...], cell: CellId, session: SessionId) -> HandleTicket | None:
    """What a handle ticket says, if it was made for this session; None if it is forged or damaged."""
    said, presented = data[:-DIGITS], data[-DIGITS:]
    if not verify(presented, keys, Purpose.HANDLE, cell, session, said):
        return None
    try:
        return _DECODER.decode(said)
    except MALFORMED:
        return None
