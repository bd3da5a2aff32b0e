"""Check digits, tickets and the bytes of sequencers (DESIGN §5 Handles, §4 Token)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.master import sequencer
from chubby.master.check_digits import DIGITS, Purpose, digits, verify
from chubby.master.tickets import HandleTicket, is_session_ticket, open_handle, seal_handle, session_ticket
from chubby.types.calls import Mode
from chubby.types.nodes import LockMode, Sequencer
from chubby.types.transaction import Exists, TokenIs

KEY, OTHER, OLD = b"k" * 32, b"o" * 32, b"p" * 32
CELL = 77
TICKET = HandleTicket(5, "/svc/leader", 12, Mode.READ | Mode.WRITE, 3)
SEQUENCER = Sequencer("/svc/leader", 12, LockMode.EXCLUSIVE, 4, 99)


def test_digits_depend_on_everything() -> None:
    """Another key, purpose, cell, or part gives other digits."""
    base = digits(KEY, Purpose.SESSION, CELL, 1, b"x")
    assert len(base) == DIGITS
    for other in (
        digits(OTHER, Purpose.SESSION, CELL, 1, b"x"),
        digits(KEY, Purpose.HANDLE, CELL, 1, b"x"),
        digits(KEY, Purpose.SESSION, CELL + 1, 1, b"x"),
        digits(KEY, Purpose.SESSION, CELL, 2, b"x"),
        digits(KEY, Purpose.SESSION, CELL, 1, b"y"),
    ):
        assert other != base


def test_no_key_no_digits() -> None:
    """Without a key anybody could make check digits: none are made, none are accepted."""
    with pytest.raises(AssertionError):
        digits(b"", Purpose.SESSION, CELL, 1)
    assert not verify(b"\0" * DIGITS, (b"",), Purpose.SESSION, CELL, 1)
    assert not verify(b"", (), Purpose.SESSION, CELL, 1)


def test_session_ticket_of_current_and_previous_key() -> None:
    """DESIGN §5: random key from a command, current and previous kept."""
    ticket = session_ticket((OLD,), CELL, 9)
    assert is_session_ticket(ticket, (OLD,), CELL, 9)
    assert is_session_ticket(ticket, (KEY, OLD), CELL, 9)
    assert not is_session_ticket(ticket, (OTHER, KEY), CELL, 9), "two rotations later it is of no use"
    assert not is_session_ticket(ticket, (OLD,), CELL, 10)
    assert not is_session_ticket(ticket, (OLD,), CELL + 1, 9)
    assert session_ticket((KEY, OLD), CELL, 9) == session_ticket((KEY,), CELL, 9), "made with the current key"


def test_handle_ticket_says_what_the_handle_is() -> None:
    """DESIGN §5: MAC over cell, session, instance, mode; the epoch that made it and its mode."""
    data = seal_handle((KEY,), CELL, 8, TICKET)
    assert open_handle(data, (KEY,), CELL, 8) == TICKET
    assert open_handle(data, (OTHER, KEY), CELL, 8) == TICKET
    assert open_handle(data, (KEY,), CELL, 9) is None, "it is one session's"
    assert open_handle(data, (KEY,), CELL + 1, 8) is None, "and one cell's"
    assert open_handle(data, (OTHER,), CELL, 8) is None


@given(st.binary(max_size=80))
def test_forged_handles_are_refused(data: bytes) -> None:
    """No bytes somebody makes up are a ticket, and none raise."""
    assert open_handle(data, (KEY,), CELL, 8) is None
    assert sequencer.unseal(data, (KEY,), CELL) is None


@given(st.integers(0, 200), st.integers(1, 255))
def test_damaged_handles_are_refused(place: int, flip: int) -> None:
    """Not one bit of a ticket may change: neither the path nor the mode it speaks of."""
    data = bytearray(seal_handle((KEY,), CELL, 8, TICKET))
    data[place % len(data)] ^= flip
    assert open_handle(bytes(data), (KEY,), CELL, 8) is None


def test_sequencer_round_trip() -> None:
    """Opaque bytes, valid under the current and the previous key of their own cell alone (paper §2.4)."""
    data = sequencer.seal((KEY,), CELL, SEQUENCER)
    assert sequencer.unseal(data, (KEY,), CELL) == SEQUENCER
    assert sequencer.unseal(data, (OTHER, KEY), CELL) == SEQUENCER
    assert sequencer.unseal(data, (OTHER,), CELL) is None
    assert sequencer.unseal(data, (KEY,), CELL + 1) is None
    assert sequencer.unseal(data[:-1], (KEY,), CELL) is None


def test_sequencer_guards() -> None:
    """What must hold while the hold period lasts: the node, and the token of its lock."""
    assert sequencer.guards_of(SEQUENCER) == (Exists("/svc/leader", 12), TokenIs("/svc/leader", 99))


def test_one_purpose_is_not_another() -> None:
    """A handle ticket is no sequencer, even where the bytes would decode."""
    assert sequencer.unseal(seal_handle((KEY,), CELL, 8, TICKET), (KEY,), CELL) is None
