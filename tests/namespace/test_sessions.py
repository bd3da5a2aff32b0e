"""Sessions and their reply tables (DESIGN §4 Sessions; paper §2.8)."""

from __future__ import annotations

import pytest

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import (
    AcquireLock,
    CloseSession,
    ExpireSession,
    OpenSession,
    ReleaseLock,
    Request,
    Transaction,
)
from chubby.namespace.outcomes import Applied, LockAnswer, SessionMade
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.transaction import Absent, Create, Read, Write
from tests.namespace.cell import EXCLUSIVE, HELD, NONE, WAITING, Cell, code_of, result_of, standing_of


@pytest.fixture
def cell() -> Cell:
    """A cell with the sessions 1 and 2 and a node `/a`."""
    cell = Cell()
    assert (cell.session(), cell.session()) == (1, 2)
    cell.create(2, "/a")
    return cell


COUNT = Transaction((Absent("/made"),), (Create("/made"),), (Write("/made", b"again"),))
"""Does something else each time it is carried out."""


def test_ids_are_never_used_again(cell: Cell) -> None:
    """Also not after the session ended, in whichever way."""
    ids = []
    for end in (CloseSession, ExpireSession):
        ids.append(cell.session())
        cell.do(end(ids[-1]))
    ids.append(cell.session())
    assert ids == [3, 4, 5]
    assert list(cell.machine.session_ids()) == [1, 2, 5]


def test_the_nonce_finds_the_session_again(cell: Cell) -> None:
    """An OpenSession repeated after a lost reply makes no second session; another principal's nonce is another's."""
    first = cell.do(OpenSession(7, "ann", caching=True))
    again = cell.do(OpenSession(7, "ann", caching=False))
    assert again.reply == first.reply == SessionMade(3)
    assert (first.repeated, again.repeated) == (False, True)
    assert (first.session, again.session) == (3, 3)
    assert cell.do(OpenSession(7, "bob", caching=True)).reply == SessionMade(4)
    cell.do(CloseSession(3))
    assert cell.do(OpenSession(7, "ann", caching=True)).reply == SessionMade(5)


def test_what_a_session_is(cell: Cell) -> None:
    """The view tells what was given at the beginning and what it has now."""
    cell.do(OpenSession(99, "carol", caching=False))
    cell.create(3, "/e", ephemeral=True)
    cell.acquire(3, "/a")
    cell.request(3, Transaction(), acknowledged=2)
    view = cell.machine.session(3)
    assert view is not None
    assert (view.id, view.principal, view.caching, view.nonce) == (3, "carol", False, 99)
    assert (view.locks, view.ephemerals, view.acknowledged) == (1, 1, 2)
    assert cell.machine.session(4) is None


@pytest.mark.parametrize("end", [CloseSession, ExpireSession])
def test_the_end_of_a_session(cell: Cell, end: type[CloseSession | ExpireSession]) -> None:
    """Everything of it is gone; the master is told; a second end is void."""
    cell.request(1, COUNT)
    outcome = cell.do(end(1))
    assert (outcome.ended_sessions, outcome.session, outcome.reply) == ((1,), 1, Applied(cell.machine.revision))
    assert cell.machine.session(1) is None
    assert cell.machine.reply(1, 1) is None
    assert cell.machine.acknowledged(1) == 0
    again = cell.do(end(1))
    assert (again.void, code_of(again), again.ended_sessions) == (True, ErrorCode.SESSION_EXPIRED, ())


@pytest.mark.parametrize("session", [0, -1, 3, 1 << 63])
def test_requests_of_unknown_and_ended_sessions_are_void(cell: Cell, session: int) -> None:
    """SESSION_EXPIRED, and nothing happens."""
    cell.do(CloseSession(1))
    digest = cell.machine.digest()
    for dead in (1, session):
        outcome = cell.do(Request(dead, 1, 0, COUNT))
        assert (outcome.void, code_of(outcome)) == (True, ErrorCode.SESSION_EXPIRED)
        assert (outcome.session, outcome.number) == (dead, 1)
    assert not cell.has("/made")
    assert cell.machine.digest() != digest, "only the slot went on"


def test_a_repeated_request_is_answered_not_repeated(cell: Cell) -> None:
    """The very reply of the first time, marked as repeated; nothing happens, whatever the number carries now."""
    first = cell.request(1, COUNT, number=5)
    again = cell.request(1, COUNT, number=5)
    assert (again.reply, again.repeated, again.changes) == (first.reply, True, ())
    other = cell.request(1, Transaction((), (Write("/a", b"x"),)), number=5)
    assert (other.reply, other.repeated) == (first.reply, True)
    assert cell.node("/made").contents == b""
    assert cell.machine.reply(1, 5) == first.reply
    assert not first.repeated


def test_failures_are_remembered_like_any_reply(cell: Cell) -> None:
    """A call that failed stays failed, though it would succeed now: its client may have been told already."""
    first = cell.request(1, Transaction((), (Create("/p/q"),)), number=1)
    bad = cell.request(1, ReleaseLock(0, "/a", 1), number=2)
    cell.create(2, "/p")
    assert cell.request(1, Transaction((), (Create("/p/q"),)), number=1).reply == first.reply
    assert cell.request(1, ReleaseLock(0, "/a", 1), number=2).reply == bad.reply
    assert not cell.has("/p/q")


def test_numbers_may_come_in_any_order(cell: Cell) -> None:
    """Calls in flight overtake each other; each is carried out once."""
    for number in (3, 1, 2):
        assert not cell.request(1, Transaction((), (Write("/a", b"%d" % number),)), number=number).repeated
    assert cell.node("/a").stat.content_generation == 4


def test_acknowledged_replies_are_forgotten(cell: Cell) -> None:
    """What is acknowledged is pruned by whatever request says so; the rest stays."""
    for number in range(1, 6):
        cell.request(1, Transaction(), number=number)
    cell.request(1, Transaction(), number=6, acknowledged=3)
    assert [cell.machine.reply(1, number) is not None for number in range(1, 7)] == [False] * 3 + [True] * 3
    assert cell.machine.acknowledged(1) == 3
    cell.request(1, Transaction(), number=7, acknowledged=1)
    assert cell.machine.acknowledged(1) == 3, "an older acknowledgement takes nothing back"


def test_numbers_at_or_below_the_acknowledged_are_void(cell: Cell) -> None:
    """A late copy of an answered call, or of one given up, takes no effect."""
    cell.request(1, Transaction(), number=9, acknowledged=6)
    for number in (6, 1, 0, -5):
        outcome = cell.request(1, COUNT, number=number)
        assert (outcome.void, code_of(outcome)) == (True, ErrorCode.CANCELLED)
    assert not cell.has("/made")
    assert not cell.request(1, COUNT, number=7).void


def test_a_request_that_acknowledges_itself_is_void(cell: Cell) -> None:
    """And what it acknowledges counts."""
    outcome = cell.request(1, COUNT, number=4, acknowledged=4)
    assert (outcome.void, cell.machine.acknowledged(1)) == (True, 4)


def test_a_repeat_that_acknowledges_more(cell: Cell) -> None:
    """Its own reply is still there, those below are pruned."""
    for number in (1, 2, 3):
        cell.request(1, Transaction(), number=number)
    outcome = cell.request(1, Transaction(), number=3, acknowledged=2)
    assert outcome.repeated
    assert cell.machine.reply(1, 2) is None
    assert cell.machine.reply(1, 3) is not None


def test_acknowledging_far_ahead_is_cheap_and_final(cell: Cell) -> None:
    """A client may acknowledge any number; the work is bounded by what is stored."""
    cell.request(1, Transaction(), number=1)
    cell.request(1, Transaction(), number=1 << 63, acknowledged=(1 << 63) - 1)
    assert cell.machine.acknowledged(1) == (1 << 63) - 1
    assert cell.request(1, COUNT, number=5).void


def test_the_reply_table_has_a_limit(cell: Cell) -> None:
    """1,024 unacknowledged results; one more is void with OVERLOADED and may be sent again after an acknowledgement."""
    for number in range(1, REPLY_TABLE_LIMIT + 1):
        cell.request(1, Transaction((), (Read("/"),)), number=number)
    outcome = cell.request(1, COUNT, number=REPLY_TABLE_LIMIT + 1)
    assert (outcome.void, code_of(outcome)) == (True, ErrorCode.OVERLOADED)
    assert ErrorCode.OVERLOADED.retryable
    assert not cell.has("/made")
    assert cell.request(1, Transaction(), number=REPLY_TABLE_LIMIT).repeated, "repeats need no room"
    assert not cell.request(2, Transaction()).void, "another session has its own"
    assert not cell.request(1, COUNT, number=REPLY_TABLE_LIMIT + 1, acknowledged=1).void
    assert cell.has("/made")


def test_a_waiting_acquire_is_answered_as_it_stands(cell: Cell) -> None:
    """The only result that is not final: a repeat is told whether the lock came meanwhile, never a stale "waiting"."""
    instance = cell.instance("/a")
    cell.acquire(2, "/a")
    ask = AcquireLock(1, "/a", instance, EXCLUSIVE, True, 0)
    assert standing_of(cell.request(1, ask, number=1)) is WAITING
    repeat = cell.request(1, ask, number=1)
    assert (standing_of(repeat), repeat.repeated) == (WAITING, True)
    cell.release(2, "/a")
    granted = LockAnswer(HELD, token=2, generation=2)
    assert cell.machine.reply(1, 1) == granted
    repeat = cell.request(1, ask, number=1)
    assert (repeat.reply, repeat.repeated, repeat.grants) == (granted, True, ())
    cell.release(1, "/a")
    assert cell.request(1, ask, number=1).reply == LockAnswer(NONE), "granted and given back since"


def test_a_waiting_acquire_whose_node_went_is_invalid(cell: Cell) -> None:
    """DESIGN §4: Delete answers waiters with HANDLE_INVALID, also those that ask again afterwards."""
    cell.acquire(2, "/a")
    ask = AcquireLock(1, "/a", cell.instance("/a"), EXCLUSIVE, True, 0)
    cell.request(1, ask, number=1)
    cell.remove(2, "/a")
    cell.create(2, "/a")
    for reply in (cell.request(1, ask, number=1).reply, cell.machine.reply(1, 1)):
        assert isinstance(reply, Failure)
        assert reply.code is ErrorCode.HANDLE_INVALID


def test_an_acquire_granted_at_once_is_a_final_result(cell: Cell) -> None:
    """It was answered with its token; the repeat says the same, though the lock was released since."""
    ask = AcquireLock(1, "/a", cell.instance("/a"), EXCLUSIVE, True, 0)
    first = cell.request(1, ask, number=1)
    cell.release(1, "/a")
    assert cell.request(1, ask, number=1).reply == first.reply
    assert cell.machine.lock_count == 0


def test_results_name_their_call(cell: Cell) -> None:
    """The outcome carries session and number, so that any master can answer whoever asked."""
    outcome = cell.request(1, COUNT, number=12)
    assert (outcome.session, outcome.number, outcome.slot) == (1, 12, cell.machine.applied)
    assert outcome.epoch == cell.machine.epoch
    assert result_of(outcome).revision == cell.machine.revision
