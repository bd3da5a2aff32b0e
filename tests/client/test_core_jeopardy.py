"""The session's core, frame by frame: NORMAL → JEOPARDY → SAFE | EXPIRED (DESIGN §6; paper §2.8)."""

from __future__ import annotations

import pytest

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Close, GetContentsAndStat, GetStat, Open, SetContents
from chubby.types.events import Event, EventKind
from chubby.types.results import Contents, Done, StatResult
from chubby.types.stream import KeepAlive, KeepAliveReply, Push, Refused, Resumed
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, GRACE, LEASE, OURS, Script, stat

EXPIRED = Failure(ErrorCode.SESSION_EXPIRED, "gone")


class TestJeopardy:
    """The lease runs out: NORMAL → JEOPARDY → SAFE | EXPIRED."""

    def in_jeopardy(self) -> tuple[Script, int]:
        """A session whose master fell silent."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(GetContentsAndStat(handle))
        script.answer(number, Contents(b"1", stat()), cacheable=True, cache_lease=60 * SECOND)
        script.run(OURS / SECOND + 0.01)
        assert script.states == [SessionState.JEOPARDY]
        return script, handle

    def test_it_comes_on_time(self) -> None:
        """pains: the holder learns of the lost lock minutes later. Here a local deadline raises jeopardy."""
        script = Script().established()
        end = script.core._tenure.until
        script.run((end - script.now) / SECOND - 0.001)
        assert script.states == []
        script.run(0.002)
        assert script.states == [SessionState.JEOPARDY]

    def test_the_cache_is_empty_and_off(self) -> None:
        """DESIGN §6."""
        script, handle = self.in_jeopardy()
        assert len(script.core.cache) == 0
        assert script.core.cached(GetStat(handle), script.now) is None
        assert not script.core.certain(script.now)

    def test_calls_block(self) -> None:
        """They neither fail nor are sent."""
        script, handle = self.in_jeopardy()
        number = script.forget().begin(SetContents(handle, b"2"))
        assert script.calls() == [] and script.answers == {}
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        assert script.states == [SessionState.SAFE]
        assert script.calls() == [SetContents(handle, b"2")]
        script.answer(number, StatResult(stat()))
        assert isinstance(script.answers[number], StatResult)

    def test_a_late_answer_on_the_old_stream_does_not_make_it_safe(self) -> None:
        """Only a Resume, sent with an empty cache, does."""
        script = Script().established()
        script.run(6)
        frame = script.sent(KeepAlive)[-1]
        script.after(7)
        script.receive(KeepAliveReply(frame.number, 60 * SECOND, 0), stream=1)
        assert script.states == [SessionState.JEOPARDY]
        assert [connect.stream for connect in script.connects] == [2]

    def test_the_grace_period_counts_from_the_end_of_the_lease(self) -> None:
        """45 s, then EXPIRED; nothing is tried any more."""
        script, _ = self.in_jeopardy()
        end = script.core._tenure.until + GRACE
        script.run((end - script.now) / SECOND - 0.001)
        assert script.states == [SessionState.JEOPARDY]
        script.forget().run(0.002)
        assert script.states == [SessionState.EXPIRED]
        assert script.core.gone
        script.forget().run(300)
        assert script.connects == []

    def test_expired_every_later_call_on_every_handle_fails_and_close_does_not(self) -> None:
        """The suffix rule; Close never fails."""
        script, handle = self.in_jeopardy()
        waiting = script.forget().begin(SetContents(handle, b"2"))
        script.connect()
        script.receive(Refused(EXPIRED))
        assert script.states == [SessionState.EXPIRED]
        told = script.answers[waiting]
        assert isinstance(told, Failure) and told.code is ErrorCode.SESSION_EXPIRED
        for call in (GetStat(handle), SetContents(handle, b""), Open(8, "/b"), GetStat(99)):
            answer = script.ask(call)
            assert isinstance(answer, Failure) and answer.code is ErrorCode.SESSION_EXPIRED
        assert script.ask(Close(handle)) == Done()
        assert script.calls() == []

    @pytest.mark.parametrize("code", [ErrorCode.SESSION_EXPIRED, ErrorCode.SESSION_UNKNOWN])
    def test_the_master_may_say_so_at_any_time(self, code: ErrorCode) -> None:
        """In the middle of a good stream, or as the answer to Resume."""
        script = Script().established()
        script.receive(Refused(Failure(code, "no such session")))
        assert script.states == [SessionState.EXPIRED]
        assert script.core.over is not None and script.core.over.code is ErrorCode.SESSION_EXPIRED

    def test_any_other_refusal_of_a_resume_is_tried_again(self) -> None:
        """For instance an older stream number, or an overloaded master; the grace period bounds it."""
        script = Script().established()
        script.disconnect()
        script.tick(0.2)
        script.connect()
        script.receive(Refused(Failure(ErrorCode.BAD_ARGUMENT, "an older stream")))
        assert script.states == []
        script.run(1)
        assert len(script.connects) >= 2

    @pytest.mark.parametrize("step", ["begin", "receive", "tick", "cancel", "connected", "located"])
    def test_whoever_wakes_first_finds_out_first(self, step: str) -> None:
        """Time before everything: every input first lets pass what is overdue."""
        script = Script().established()
        handle = script.handle()
        script.after(200)
        if step == "begin":
            answer = script.ask(GetStat(handle))
            assert isinstance(answer, Failure) and answer.code is ErrorCode.SESSION_EXPIRED
        elif step == "receive":
            script.receive(Push(1, events=(Event(EventKind.RESYNC),)))
            assert script.told == []
        elif step == "tick":
            script.tick()
        elif step == "cancel":
            script.core.cancel(1, script.now)
        elif step == "connected":
            script.connect()
        else:
            script.core.located(99, "10.0.0.9:1", script.now)
        script.drain()
        assert script.states == [SessionState.JEOPARDY, SessionState.EXPIRED]
        assert not script.core._stream.is_current(script.stream)

    def test_safe_can_be_in_jeopardy_again(self) -> None:
        """Nothing is lost, but nothing is forgiven either."""
        script, _ = self.in_jeopardy()
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        script.run(OURS / SECOND + 0.1)
        assert script.states == [SessionState.JEOPARDY, SessionState.SAFE, SessionState.JEOPARDY]
