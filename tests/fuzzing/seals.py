"""Tickets and sequencers: bytes the cell gave away and gets back, from whoever has them by now.

Check digits keep forgers out; behind them decoding must not fail either, for a neighbouring release makes them, too.
`sequencer_meaning` is read by services that never ask the cell, so anybody's bytes arrive there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chubby.client.sequencer import meaning_of
from chubby.errors import SequencerInvalid
from chubby.master.check_digits import Purpose, digits
from chubby.master.sequencer import seal, unseal
from chubby.master.tickets import HandleTicket, is_session_ticket, open_handle, seal_handle, session_ticket
from chubby.types.calls import Mode
from chubby.types.nodes import LockMode, Sequencer
from tests.fuzzing.program import Program
from tests.fuzzing.target import Target

KEYS: Final = (b"current" * 4, b"previous" * 4)
CELL: Final = 77
SESSION: Final = 9
TICKET: Final = HandleTicket(3, "/svc/ä", 17, Mode.READ | Mode.WRITE, 5)
SEQUENCER: Final = Sequencer("/svc/ä", 17, LockMode.EXCLUSIVE, 4, 1 << 40)


def present(data: bytes) -> None:
    """A program: as what it is presented, whether its digits are made right; then the bytes."""
    program = Program(data)
    how = program.number()
    said = program.rest()
    match how % 3:
        case 0:
            given = said if how & 4 else said + digits(KEYS[how & 1], Purpose.HANDLE, CELL, SESSION, said)
            ticket = open_handle(given, KEYS, CELL, SESSION)
            if ticket is not None:
                again = seal_handle(KEYS, CELL, SESSION, ticket)
                assert open_handle(again, KEYS, CELL, SESSION) == ticket, "what was understood can be said"
        case 1:
            given = said if how & 4 else said + digits(KEYS[how & 1], Purpose.SEQUENCER, CELL, said)
            sequencer = unseal(given, KEYS, CELL)
            if sequencer is not None:
                assert unseal(seal(KEYS, CELL, sequencer), KEYS, CELL) == sequencer
        case _:
            is_session_ticket(said, KEYS, CELL, SESSION)


def _presented() -> list[bytes]:
    return [
        b"\0" + msgspec.msgpack.encode(TICKET),
        b"\6" + seal_handle(KEYS, CELL, SESSION, TICKET),
        b"\1" + msgspec.msgpack.encode(SEQUENCER),
        b"\7" + seal(KEYS, CELL, SEQUENCER),
        b"\2" + session_ticket(KEYS, CELL, SESSION),
    ]


def read_meaning(data: bytes) -> None:
    """A sequencer's meaning, read without the cell."""
    meaning = meaning_of(data)
    assert meaning_of(msgspec.msgpack.encode(meaning) + bytes(16)) == meaning


TARGETS: Final = (
    Target(
        name="tickets",
        door="tickets and sequencers presented to a master: `master.tickets`, `master.sequencer`",
        feed=present,
        samples=_presented,
        bombs={"nested without end": lambda size: b"\0\x95\x01\xa1/" + b"\x91" * size},
    ),
    Target(
        name="sequencer_meaning",
        door="a sequencer read by the resource it protects: `client.sequencer.meaning_of`",
        feed=read_meaning,
        refusals=(SequencerInvalid,),
        samples=lambda: [seal(KEYS, CELL, SEQUENCER), msgspec.msgpack.encode(SEQUENCER) + bytes(16)],
        bombs={"nested without end": lambda size: b"\x96\xa1/\x01\x01\x01\x01" + b"\x91" * size},
    ),
)
