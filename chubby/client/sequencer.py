"""Sequencers in the user's hands: opaque bytes to pass on, their meaning attached (paper §2.4; DESIGN §4 Token)."""

from __future__ import annotations

from typing import Final

import msgspec

from chubby.errors import SequencerInvalid
from chubby.types.decoding import MALFORMED
from chubby.types.identity import Token
from chubby.types.nodes import LockMode, Sequencer
from chubby.types.results import SequencerResult


class SequencerBytes(bytes):
    """The bytes of a sequencer, and what they mean.

    Pass the bytes on with each request to the resource that the lock protects. `token` is the fencing number: one for
    each hold period, growing for ever, cell-wide. `path` is inside the cell.
    """

    path: str
    mode: LockMode
    generation: int
    token: Token

    @classmethod
    def of(cls, result: SequencerResult) -> SequencerBytes:
        """The sequencer that the master answered with."""
        made = cls(result.sequencer)
        made.path, made.mode = result.path, result.mode
        made.generation, made.token = result.generation, result.token
        return made


_DIGITS: Final = 16
_DECODER = msgspec.msgpack.Decoder(Sequencer)


def meaning_of(sequencer: bytes) -> Sequencer:
    """What the bytes of a sequencer say, without asking the cell. Raises SequencerInvalid if they say nothing.

    They are the meaning in MessagePack, then check digits that only the cell can verify: whoever made these bytes up
    could make them say anything. For those who trust their callers, and want to know which of two came later.
    """
    try:
        return _DECODER.decode(sequencer[:-_DIGITS])
    except MALFORMED:
        raise SequencerInvalid("these bytes are no sequencer") from None
