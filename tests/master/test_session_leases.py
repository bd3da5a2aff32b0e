"""Sessions of the master, continued (DESIGN §5 "Three leases")."""

from __future__ import annotations

from chubby.errors import ErrorCode
from chubby.namespace.commands import CloseSession as CloseSessionCommand
from chubby.types.calls import Acquire, GetStat, SetContents
from chubby.types.results import StatResult
from chubby.types.stream import (
    CloseSession,
    KeepAlive,
    SessionClosed,
)
from chubby.types.time import SECOND
from tests.master.cell import Cell, Client, code_of
from tests.master.opening import refusal

# ---------------------------------------------------------------------------------------------------------- leases


def test_a_shorter_cache_lease_takes_nothing_away_from_a_longer_one() -> None:
    """The load has fallen and leases are shorter now: the client still counts on the one that it was given."""
    cell = Cell()
    client = cell.client()
    session = cell.master._sessions[client.session]
    session.renew_cache(12 * SECOND, cell.now)
    assert session.renew_cache(4 * SECOND, cell.now + SECOND) == 4 * SECOND
    assert session.cache_until == cell.now + 12 * SECOND


# ---------------------------------------------------------------------------------------------------------- Resume


def test_an_older_stream_number_is_dropped() -> None:
    """A Resume that was overtaken by a newer one ends without a word."""
    cell = Cell()
    client = cell.client()
    client.stream_number = 5
    client.resume()
    older = Client(cell)
    older.session, older.ticket, older.stream_number = client.session, client.ticket, 5
    older.resume()
    assert older.resumed is None and older.end is None and older.stream in cell.ended
    assert client.keep_alive() is not None


def test_the_stream_before_is_ended() -> None:
    """One session, one stream."""
    cell = Cell()
    client = cell.client()
    before = client.stream
    client.resume()
    assert before in cell.ended and client.resumed is not None


def test_a_ticket_is_one_principals() -> None:
    """DESIGN §5: Resume with a forged ticket is refused, SESSION_UNKNOWN; a stolen one helps nobody."""
    cell = Cell()
    alice = cell.client("alice")
    mallory = Client(cell, "mallory")
    mallory.session, mallory.ticket = alice.session, alice.ticket
    mallory.resume()
    assert refusal(mallory) is ErrorCode.SESSION_UNKNOWN
    assert alice.keep_alive() is not None, "the attempt did not disturb the session"


def test_a_session_that_never_was() -> None:
    """Nothing is known of it by any ticket."""
    cell = Cell()
    client = Client(cell)
    client.session, client.ticket = 999, b"\0" * 16
    client.resume()
    assert refusal(client) is ErrorCode.SESSION_UNKNOWN


def test_a_client_that_has_seen_a_higher_epoch() -> None:
    """We are an old master that has not noticed: we say so and promise nothing."""
    cell = Cell()
    client = cell.client()
    client.epoch = cell.epoch + 5
    client.resume()
    assert client.resumed is None and client.end is not None and type(client.end).__name__ == "Redirect"


def test_resuming_while_the_end_is_on_its_way() -> None:
    """The expiry is decided and cannot be taken back: the client is told as soon as it is certain."""
    cell = Cell()
    client = cell.client()
    client.disconnect()
    cell.applying = False
    cell.advance(12 * SECOND)
    client.resume()
    assert client.end is None and client.resumed is None
    cell.applying = True
    cell.settle()
    client.read()
    assert refusal(client) is ErrorCode.SESSION_EXPIRED


def test_resuming_again_and_again_while_the_end_is_on_its_way() -> None:
    """While replicas disagree an end may take days: the last stream is told, the ones before are forgotten."""
    cell = Cell()
    client = cell.client()
    client.call(Acquire(client.open_handle("/l")))
    client.disconnect()
    cell.master.divided(True, cell.now)
    cell.advance(12 * SECOND)
    for _ in range(50):
        client.resume()
        assert client.end is None and client.resumed is None
        client.disconnect()
    client.resume()
    assert cell.master._sessions[client.session].mourners == [client.stream]
    cell.master.divided(False, cell.now)
    cell.settle()
    client.read()
    assert refusal(client) is ErrorCode.SESSION_EXPIRED


def test_a_bogus_cursor_means_no_more_than_the_present() -> None:
    """A client cannot skip events that have not happened."""
    cell = Cell()
    client = cell.client()
    client.cursor = 1 << 40
    client.resume()
    assert client.resumed is not None
    cell.client("bob").open_handle("/x")
    assert cell.machine.revision < client.cursor


# ------------------------------------------------------------------------------------------------------------ ends


def test_closing_in_good_order() -> None:
    """Locks are released without lock-delay, ephemerals deleted, SessionClosed is the last word."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle = alice.open_handle("/l", ephemeral=True)
    lock = alice.open_handle("/lock")
    alice.call(Acquire(lock, lock_delay=30 * SECOND))
    waiting = bob.start(Acquire(bob.open_handle("/lock")))
    alice.send(CloseSession())
    assert isinstance(alice.end, SessionClosed) and alice.stream in cell.ended and handle
    assert cell.machine.node("/l") is None and cell.machine.delays() == ()
    assert code_of(bob.answer(waiting)) is None and bob.answer(waiting) is not None


def test_what_was_asked_before_the_close_is_answered() -> None:
    """A command that is proposed comes first; one that is not is given up and said to be."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    handle, other = alice.open_handle("/f"), alice.open_handle("/g")
    bob.call(GetStat(bob.open_handle("/g")))
    bob.auto_ack = False
    cell.applying = False
    proposed = alice.start(SetContents(handle, b"x"))
    waiting = alice.start(SetContents(other, b"x"))
    alice.send(CloseSession())
    assert cell.proposed(CloseSessionCommand) == [], "drained first"
    assert code_of(alice.answer(waiting)) is ErrorCode.CANCELLED
    cell.applying = True
    cell.settle()
    assert isinstance(alice.answer(proposed), StatResult) and isinstance(alice.end, SessionClosed)


def test_a_second_close_changes_nothing() -> None:
    """Nor does anything else the client sends after it."""
    cell = Cell()
    alice = cell.client()
    handle = alice.open_handle("/f")
    cell.applying = False
    alice.send(CloseSession())
    alice.send(CloseSession())
    call = alice.start(SetContents(handle, b"x"))
    alice.send(KeepAlive(1, True))
    cell.applying = True
    cell.settle()
    assert len(cell.proposed(CloseSessionCommand)) == 1
    assert isinstance(alice.end, SessionClosed) or alice.read() is not None
    assert alice.answer(call) is None and alice.keep_alives == []


def test_expiry_leaves_lock_delay() -> None:
    """A session that died keeps its locks closed for as long as it asked (paper §2.4)."""
    cell = Cell()
    alice, bob = cell.client(), cell.client("bob")
    alice.call(Acquire(alice.open_handle("/l"), lock_delay=5 * SECOND))
    waiting = bob.start(Acquire(bob.open_handle("/l")))
    alice.disconnect()
    cell.advance(6 * SECOND)
    bob.keep_alive()
    cell.advance(6 * SECOND)
    assert cell.machine.session_count == 1 and bob.answer(waiting) is None
    bob.keep_alive()
    cell.advance(5 * SECOND - 1)
    assert bob.answer(waiting) is None
    cell.advance(1)
    assert bob.answer(waiting) is not None
