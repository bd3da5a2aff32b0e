"""Sessions, their streams and their leases (DESIGN §5 Three leases, KeepAlive; §4 Sessions)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode
from chubby.master import EndStream, MasterSettings
from chubby.namespace.commands import ExpireSession, Limits
from chubby.namespace.commands import OpenSession as OpenSessionCommand
from chubby.types.calls import GetStat
from chubby.types.results import StatResult
from chubby.types.stream import (
    Acknowledge,
    CallFrame,
    ClientFrame,
    CloseSession,
    KeepAlive,
    OpenSession,
    Resume,
)
from chubby.types.time import SECOND
from tests.master.cell import Cell, Client
from tests.master.opening import refusal

# ---------------------------------------------------------------------------------------------------- OpenSession


def test_a_session_is_opened_through_the_log() -> None:
    """With the lengths of its leases, counted from the send of OpenSession, and everything the client must know."""
    cell = Cell()
    opened = cell.client().opened
    assert opened is not None
    assert (opened.session_lease, opened.cache_lease, opened.grace_period) == (12 * SECOND, 4 * SECOND, 45 * SECOND)
    assert (opened.cell_id, opened.epoch, opened.drift_ppm) == (77, cell.epoch, 10_000)
    assert len(cell.proposed(OpenSessionCommand)) == 1


def test_a_client_that_never_caches_has_no_cache_lease() -> None:
    """`caching` false promises never to cache."""
    cell = Cell()
    client = cell.client(caching=False)
    assert client.opened is not None and client.opened.cache_lease == 0
    renewed = client.keep_alive(caching=True)
    assert renewed is not None and renewed.cache_lease == 0


def test_a_repeat_after_a_lost_reply_finds_the_same_session() -> None:
    """The nonce names it."""
    cell = Cell()
    first = cell.client()
    again = Client(cell, nonce=first.nonce)
    again.open()
    assert again.session == first.session and cell.machine.session_count == 1
    assert first.stream in cell.ended, "the newest stream is the session's"
    assert isinstance(again.call(GetStat(again.open_handle("/f"))), StatResult)


def test_a_late_open_session_does_not_take_a_resumed_session_over() -> None:
    """DESIGN §6: the highest stream number wins, older input is dropped."""
    cell = Cell()
    client = cell.client()
    client.resume()
    late = Client(cell, nonce=client.nonce)
    late.connect()
    late.send(OpenSession(late.nonce))
    assert late.opened is None and late.stream in cell.ended and late.end is None
    assert client.keep_alive() is not None


def test_the_same_nonce_of_another_principal_is_another_session() -> None:
    """Nobody is let into a session by a lucky number."""
    cell = Cell()
    alice = cell.client("alice")
    mallory = Client(cell, "mallory", nonce=alice.nonce)
    mallory.open()
    assert mallory.session != alice.session


def test_a_session_whose_stream_went_before_it_was_made() -> None:
    """It exists, nobody uses it, its lease runs out."""
    cell = Cell()
    client = Client(cell)
    client.connect()
    cell.applying = False
    client.send(OpenSession(3))
    client.disconnect()
    cell.applying = True
    cell.settle()
    assert cell.machine.session_count == 1
    cell.advance(12 * SECOND)
    assert cell.machine.session_count == 0


def test_the_quota_of_sessions_is_told() -> None:
    """Refused, and why."""
    cell = Cell(limits=Limits(sessions=1))
    cell.client()
    other = Client(cell)
    other.connect()
    other.send(OpenSession(9))
    assert refusal(other) is ErrorCode.QUOTA_EXCEEDED and other.stream in cell.ended


def test_too_many_sessions_being_opened() -> None:
    """Admission control: a storm of new sessions is told to come back."""
    cell = Cell(MasterSettings(replica=1, openings=2))
    cell.applying = False
    clients = [Client(cell) for _ in range(3)]
    for client in clients:
        client.connect()
        client.send(OpenSession(client.nonce))
    assert [refusal(client) for client in clients] == [None, None, ErrorCode.OVERLOADED]
    cell.applying = True
    cell.settle()
    cell.let_read()
    assert clients[0].opened is not None and clients[1].opened is not None
    assert cell.client() is not None


# -------------------------------------------------------------------------------------------------------- protocol


@pytest.mark.parametrize(
    "frame", [KeepAlive(1, True), Acknowledge(1), CloseSession(), CallFrame(1, 0, 0, GetStat(1))], ids=str
)
def test_a_stream_begins_with_a_greeting(frame: ClientFrame) -> None:
    """The first frame is OpenSession or Resume."""
    cell = Cell()
    client = Client(cell)
    client.connect()
    client.send(frame)
    assert refusal(client) is ErrorCode.BAD_ARGUMENT and client.stream in cell.ended


@pytest.mark.parametrize("frame", [OpenSession(1), Resume(1, b"", 9, 0, 0)], ids=["open", "resume"])
def test_a_stream_belongs_to_one_session(frame: ClientFrame) -> None:
    """A second greeting ends the stream; the session lives on without it."""
    cell = Cell()
    client = cell.client()
    client.send(frame)
    assert refusal(client) is ErrorCode.BAD_ARGUMENT
    client.resume()
    assert client.resumed is not None


def test_nothing_is_said_before_the_greeting_is_answered() -> None:
    """A call cannot belong to a session that does not exist yet."""
    cell = Cell()
    cell.applying = False
    client = Client(cell)
    client.connect()
    client.send(OpenSession(1))
    client.send(KeepAlive(1, True))
    assert refusal(client) is ErrorCode.BAD_ARGUMENT


def test_frames_of_an_ended_stream_are_ignored() -> None:
    """Also of one that never was."""
    cell = Cell()
    client = cell.client()
    client.disconnect()
    client.send(KeepAlive(1, True))
    cell.master.receive(999, KeepAlive(1, True), cell.now, cell.lease_until)
    cell.master.detach(999, cell.now)
    cell.settle()
    assert client.keep_alives == [] and not any(isinstance(effect, EndStream) for effect in cell.master.take_effects())


# ---------------------------------------------------------------------------------------------------------- leases


def test_keep_alive_is_answered_at_once_and_extends() -> None:
    """DESIGN §5: sent at half-lease, answered at once; the lease lasts from the answer."""
    cell = Cell()
    client = cell.client()
    for _ in range(5):
        cell.advance(6 * SECOND)
        renewed = client.keep_alive()
        assert renewed is not None and renewed.session_lease == 12 * SECOND
    cell.advance(12 * SECOND - 1)
    assert cell.proposed(ExpireSession) == []
    cell.advance(1)
    assert len(cell.proposed(ExpireSession)) == 1 and cell.machine.session_count == 0
    client.read()
    assert refusal(client) is ErrorCode.SESSION_EXPIRED and client.stream in cell.ended


def test_calls_do_not_extend_the_session_lease() -> None:
    """The lease is advanced by OpenSession, Resume and KeepAlive (paper §2.8)."""
    cell = Cell()
    client = cell.client()
    handle = client.open_handle("/f")
    cell.advance(6 * SECOND)
    client.call(GetStat(handle))
    cell.advance(6 * SECOND)
    assert cell.machine.session_count == 0


def test_a_lease_never_moves_back() -> None:
    """A jittered, shorter lease after a fail-over takes nothing away that a longer one gave."""
    cell = Cell()
    client = cell.client()
    cell.jitter = 0.9
    cell.fail_over()
    begun = cell.now
    client.resume()
    assert client.resumed is not None and client.resumed.session_lease < 12 * SECOND
    cell.advance(12 * SECOND - 1)
    assert cell.machine.session_count == 1
    cell.advance(1)
    assert cell.machine.session_count == 0 and cell.now == begun + 12 * SECOND


def test_a_session_outlives_its_stream() -> None:
    """Sessions stay when the stream drops, for the rest of the lease; Resume takes them up."""
    cell = Cell()
    client = cell.client()
    client.disconnect()
    cell.advance(11 * SECOND)
    client.resume()
    assert client.resumed is not None and client.resumed.epoch == cell.epoch
    cell.advance(11 * SECOND)
    assert cell.machine.session_count == 1


def test_no_lease_is_granted_without_a_live_master_lease() -> None:
    """Another master might count already. The newest KeepAlive waits, and is answered when the lease is live again."""
    cell = Cell()
    client = cell.client()
    cell.live = False
    client.send(KeepAlive(1, True))
    client.send(KeepAlive(2, True))
    assert client.keep_alives == []
    cell.live = True
    cell.tick()
    client.read()
    assert [reply.number for reply in client.keep_alives] == [2]


def test_a_keep_alive_of_an_older_stream_is_not_answered_on_the_next() -> None:
    """The client would count it from a KeepAlive it has not sent."""
    cell = Cell()
    client = cell.client()
    cell.live = False
    client.send(KeepAlive(1, True))
    client.resume()
    cell.live = True
    cell.tick()
    client.read()
    assert client.keep_alives == [] and client.resumed is not None


def test_greetings_wait_for_the_master_lease() -> None:
    """OpenSession and Resume grant leases, too."""
    cell = Cell()
    client = cell.client()
    cell.live = False
    client.resume()
    other = Client(cell)
    other.connect()
    other.send(OpenSession(44))
    assert client.resumed is None and other.opened is None
    cell.live = True
    cell.tick()
    cell.let_read()
    assert client.resumed is not None and other.opened is not None


def test_nobody_expires_without_a_live_master_lease() -> None:
    """DESIGN §5: expiry only while the master lease is live. The session may renew once it is."""
    cell = Cell()
    client = cell.client()
    cell.live = False
    cell.advance(30 * SECOND)
    assert cell.proposed(ExpireSession) == []
    cell.live = True
    assert client.keep_alive() is not None
    cell.advance(SECOND)
    assert cell.proposed(ExpireSession) == []


def test_the_master_does_not_spin_while_it_may_not_expire() -> None:
    """It looks again with every heartbeat, not at once."""
    cell = Cell()
    cell.client()
    cell.live = False
    cell.advance(13 * SECOND)
    assert cell.now < cell.master.wake_at <= cell.now + SECOND


def test_an_expiry_carries_the_epoch() -> None:
    """etcd's stalled leaders revoke all leases; here every expiry is void under another epoch."""
    cell = Cell()
    cell.client().disconnect()
    cell.applying = False
    cell.advance(12 * SECOND)
    expiry = cell.log.popleft()
    assert isinstance(expiry.body, ExpireSession) and expiry.epoch == cell.epoch
    cell.applying = True
    cell.fail_over()
    cell.log.append(expiry)
    cell.settle()
    assert cell.machine.session_count == 1 and cell.outcomes[-1].void


def test_a_stall_extends_every_session() -> None:
    """DESIGN §3: a stall of d extends every session by d; what piled up meanwhile is read first."""
    cell = Cell()
    client = cell.client()
    client.keep_alive()
    cell.now += 20 * SECOND
    cell.master.stalled(20 * SECOND, cell.now)
    cell.tick()
    assert cell.machine.session_count == 1
    cell.advance(12 * SECOND - 1)
    assert cell.machine.session_count == 1
    cell.advance(1)
    assert cell.machine.session_count == 0
