"""The session's core, frame by frame: how it begins and how its owner ends it (DESIGN §5, §6)."""

from __future__ import annotations

import pytest

from chubby.client.state import SessionState
from chubby.client.stream import PATIENCE
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Close, CreateMode, GetStat, Open
from chubby.types.events import Event, EventKind
from chubby.types.results import Done
from chubby.types.stream import (
    CloseSession,
    OpenSession,
    Push,
    Redirect,
    Refused,
    Resumed,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, DRIFT, GRACE, LEASE, OURS, Script

EXPIRED = Failure(ErrorCode.SESSION_EXPIRED, "gone")


def opened(session_lease: int = LEASE) -> SessionOpened:
    """The master's answer to OpenSession."""
    return SessionOpened(9, b"ticket", 77, 5, session_lease, CACHE_LEASE, GRACE, DRIFT, 100)


class TestOpening:
    """From nothing to NORMAL, or to an error."""

    def test_it_asks_for_a_connection_then_introduces_itself(self) -> None:
        """The first frame of a stream is OpenSession; nothing else is sent before it is answered."""
        script = Script()
        assert [(connect.stream, connect.address) for connect in script.connects] == [(1, "")]
        script.begin(GetStat(1))
        script.connect()
        assert script.sent(OpenSession) == [OpenSession(4711, True)]
        assert script.calls() == []

    def test_opened_it_is_normal_and_knows_the_cell(self) -> None:
        """SessionOpened."""
        script = Script()
        script.connect()
        script.receive(opened())
        assert script.states == [SessionState.NORMAL]
        assert (script.core.identity.session, script.core.identity.cell_id, script.core.identity.epoch) == (9, 77, 5)
        assert script.core.desk.subscriptions.cursor == 100

    def test_calls_begun_before_wait_for_it(self) -> None:
        """They are not lost."""
        script = Script()
        script.begin(Open(1, "/a"))
        script.connect()
        script.receive(opened())
        assert script.calls() == [Open(1, "/a")]

    def test_a_lost_answer_is_asked_for_again_under_the_same_nonce(self) -> None:
        """The repeat finds the session that the first one made."""
        script = Script()
        script.connect()
        script.disconnect()
        script.tick(0.1)
        script.connect()
        assert script.sent(OpenSession) == [OpenSession(4711, True)] * 2
        script.receive(opened(), stream=1)
        assert script.states == [], "older input is dropped"
        script.receive(opened())
        assert script.states == [SessionState.NORMAL]

    def test_out_of_time_it_says_what_was_missing(self) -> None:
        """NoQuorum, and no further connection."""
        script = Script(opening_timeout=2.0)
        script.run(1.9)
        assert script.states == []
        script.run(0.2)
        assert script.states == [SessionState.CLOSED]
        assert script.core.over is not None and script.core.over.code is ErrorCode.NO_QUORUM
        assert script.core.gone
        script.run(60)
        assert len(script.connects) == 1

    def test_out_of_time_it_says_what_the_master_had_against_it(self) -> None:
        """Not that there is none; but what was said before the master was lost does not count any more."""
        full = Failure(ErrorCode.OVERLOADED, "too many sessions")
        script, other = Script(opening_timeout=2.0), Script(opening_timeout=2.0)
        for each in (script, other):
            each.connect()
            each.receive(Refused(full))
            each.tick(0.2)
        other.disconnect()
        for each in (script, other):
            each.run(2.0)
        assert script.core.over is not None and other.core.over is not None
        assert script.core.over.code is ErrorCode.OVERLOADED and "too many sessions" in script.core.over.message
        assert "attempts over 2.0 s" in script.core.over.message
        assert other.core.over.code is ErrorCode.NO_QUORUM and "no master was found" in other.core.over.message

    @pytest.mark.parametrize("code", [ErrorCode.PERMISSION_DENIED, ErrorCode.BAD_ARGUMENT, ErrorCode.QUOTA_EXCEEDED])
    def test_a_final_refusal_is_final(self, code: ErrorCode) -> None:
        """The caller is told at once what the cell has against it."""
        script = Script()
        script.connect()
        script.receive(Refused(Failure(code, "no")))
        assert script.states == [SessionState.CLOSED]
        assert script.core.over == Failure(code, "no")

    @pytest.mark.parametrize("code", [ErrorCode.OVERLOADED, ErrorCode.NOT_MASTER, ErrorCode.NO_QUORUM])
    def test_a_passing_refusal_is_tried_again_after_a_pause(self, code: ErrorCode) -> None:
        """pains: a reconnect storm."""
        script = Script()
        script.connect()
        script.receive(Refused(Failure(code, "later")))
        assert len(script.connects) == 1
        script.tick(0.1)
        assert len(script.connects) == 2

    def test_a_redirect_is_followed_at_once_to_where_it_points(self) -> None:
        """The replica asked was none; it knows who is."""
        script = Script()
        script.connect()
        script.receive(Redirect("10.0.0.2:1", 6))
        assert [(connect.stream, connect.address) for connect in script.connects] == [(1, ""), (2, "10.0.0.2:1")]

    @pytest.mark.parametrize("redirect", [Redirect("", 6), Redirect("10.0.0.2:1", 3)])
    def test_a_redirect_to_nowhere_or_the_past_is_not(self, redirect: Redirect) -> None:
        """Nobody is known, or only one who was master before ours."""
        script = Script().established().forget()
        script.receive(redirect)
        assert script.connects == []
        script.tick(0.1)
        assert [connect.address for connect in script.connects] == [""]

    def test_two_that_name_each_other_do_not_make_us_run(self) -> None:
        """After a few redirects in a row there are pauses."""
        script = Script()
        for _ in range(10):
            script.connect()
            script.receive(Redirect("10.0.0.2:1", 6))
        assert len(script.connects) <= 5

    def test_an_attempt_that_leads_nowhere_is_given_up(self) -> None:
        """Neither a connection that hangs nor a master that does not answer holds us for ever."""
        script = Script()
        script.run(PATIENCE / SECOND + 0.2)
        assert len(script.connects) == 2
        script.connect()
        script.run(2 * PATIENCE / SECOND + 0.5)
        assert len(script.connects) == 3


class TestClosing:
    """The owner ends the session."""

    def test_in_good_order(self) -> None:
        """CloseSession, SessionClosed; calls under way are given up at once."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(GetStat(handle))
        script.core.close(script.now)
        script.drain()
        assert script.states == [SessionState.CLOSED]
        assert number in script.answers
        assert len(script.sent(CloseSession)) == 1 and not script.core.gone
        script.receive(SessionClosed())
        assert script.core.gone and script.disconnects == [1]
        script.core.close(script.now)
        assert script.drain() == []

    def test_without_a_stream_the_cell_is_told_on_the_next(self) -> None:
        """Locks are not left to their lease."""
        script = Script().established()
        script.disconnect()
        script.core.close(script.now)
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(5, LEASE, CACHE_LEASE))
        assert len(script.sent(CloseSession)) == 1
        script.receive(SessionClosed())
        assert script.core.gone

    def test_pushes_meanwhile_do_not_disturb(self) -> None:
        """Nobody is interested any more."""
        script = Script().established()
        script.core.close(script.now)
        script.receive(Push(1, events=(Event(EventKind.RESYNC),)))
        script.receive(SessionClosed())
        assert script.core.gone and script.told == []

    def test_a_session_that_expired_meanwhile_is_as_good_as_closed(self) -> None:
        """The cell has ended it by itself."""
        script = Script().established()
        script.disconnect()
        script.core.close(script.now)
        script.tick(0.2)
        script.connect()
        script.receive(Refused(EXPIRED))
        assert script.core.gone and script.states == [SessionState.CLOSED]

    def test_a_shell_that_stops_before_the_cell_was_told_stops_it_for_good(self) -> None:
        """No further connection, whatever is asked of it later."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        script.core.close(script.now)
        assert not script.core.gone
        script.core.abandon()
        script.core.abandon()
        script.drain()
        assert script.core.gone
        script.forget().after(60)
        assert script.ask(Close(handle)) == Done()
        script.run(60)
        assert script.connects == []

    def test_before_it_was_open_nothing_has_to_be_said(self) -> None:
        """The cell's side of it, if there is one, runs out."""
        script = Script()
        script.core.close(script.now)
        script.drain()
        assert script.core.gone and script.states == [SessionState.CLOSED]

    def test_closed_it_refuses(self) -> None:
        """As if expired; Close of a handle excepted."""
        script = Script().established()
        handle = script.handle()
        script.core.close(script.now)
        answer = script.ask(GetStat(handle))
        assert isinstance(answer, Failure) and "closed" in answer.message
        assert script.ask(Close(handle)) == Done()


def test_statistics_show_where_it_stands() -> None:
    """Immutable, for humans."""
    script = Script().established()
    script.handle()
    script.begin(GetStat(1))
    picture = script.core.statistics(script.now)
    assert (picture.state, picture.session, picture.epoch, picture.streams) == (SessionState.NORMAL, 9, 5, 1)
    assert (picture.calls, picture.handles, picture.watches) == (1, 1, 0)
    assert picture.session_lease_left == OURS
    assert script.core.certain(script.now)
    assert not script.core.certain(script.now + OURS)


def test_a_created_node_says_so_in_its_call() -> None:
    """CreateMode travels as it is."""
    script = Script().established()
    script.begin(Open(1, "/new", create=CreateMode.MUST))
    assert script.calls() == [Open(1, "/new", create=CreateMode.MUST)]
