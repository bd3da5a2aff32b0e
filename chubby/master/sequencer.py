"""The bytes of a sequencer: one hold period of one lock, vouched for by the cell (DESIGN §4 Token; paper §2.4).

`GetSequencer` makes them, the holder passes them on, and whoever receives them asks `CheckSequencer`. The check digits
say that this cell issued them; whether the hold period lasts is read off the lock at the moment of asking. A hold
period has one mode and one token, so the token decides.
"""

from __future__ import annotations

import msgspec

from chubby.master.check_digits import DIGITS, Purpose, digits, verify
from chubby.types.decoding import MALFORMED
from chubby.types.identity import CellId
from chubby.types.nodes import Sequencer
from chubby.types.transaction import Exists, Guard, TokenIs

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Sequencer)


def seal(keys: tuple[bytes, ...], cell: CellId, sequencer: Sequencer) -> bytes:
    """The opaque bytes, under the current key."""
    said = _ENCODER.encode(sequencer)
    return said + digits(keys[0], Purpose.SEQUENCER, cell, said)


def unseal(data: bytes, keys: tuple[bytes, ...], cell: CellId) -> Sequencer | None:
    """What the bytes mean; None if this cell did not issue them under its current or previous key."""
    said, presented = data[:-DIGITS], data[-DIGITS:]
    if not verify(presented, keys, Purpose.SEQUENCER, cell, said):
        return None
    try:
        return _DECODER.decode(said)
    except MALFORMED:
        return None


def guards_of(sequencer: Sequencer) -> tuple[Guard, ...]:
    """Guards that hold exactly while the hold period lasts."""
    return Exists(sequencer.path, sequencer.instance), TokenIs(sequencer.path, sequencer.token)
