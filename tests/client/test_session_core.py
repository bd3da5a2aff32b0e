"""The session's core, frame by frame: opening, leases, KeepAlive, resuming, jeopardy, the end (DESIGN §5, §6)."""

from __future__ import annotations

import pytest

from chubby.client.keep_alive import SILENCE
from chubby.client.state import SessionState
from chubby.client.stream import PATIENCE
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    Call,
    Close,
    CreateMode,
    GetContentsAndStat,
    GetLockInfo,
    GetStat,
    Open,
    SetContents,
)
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.results import Contents, Done, StatResult
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    CloseSession,
    HandleClaim,
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Push,
    Redirect,
    Refused,
    Reply,
    Resume,
    Resumed,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, DRIFT, GRACE, LEASE, OURS, OURS_CACHE, Script, stat

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


class TestLeases:
    """Counted from our own send; never moved back."""

    def test_the_session_lease_counts_from_the_send_of_the_greeting(self) -> None:
        """DESIGN §5: send + lease × (1−ε)/(1+ε), however late the answer."""
        script = Script()
        script.connect()
        asked = script.now
        script.after(2)
        script.receive(opened())
        assert script.core._tenure.until == asked + OURS

    def test_a_keep_alive_extends_from_its_own_send(self) -> None:
        """Not from the answer's arrival."""
        script = Script().established()
        script.run(6)
        (frame,) = script.sent(KeepAlive)
        asked = script.now
        script.after(1.5)
        script.receive(KeepAliveReply(frame.number, LEASE, 0))
        assert script.core._tenure.until - asked == pytest.approx(OURS, abs=SECOND // 5)

    def test_a_late_answer_to_an_old_question_moves_nothing_back(self) -> None:
        """The paper §2.8."""
        script = Script().established()
        script.run(6)
        before = script.core._tenure.until
        script.receive(KeepAliveReply(1, SECOND, 0))
        assert script.core._tenure.until == before

    def test_an_answer_to_nothing_we_asked_changes_nothing(self) -> None:
        """Nor does one without a question."""
        script = Script().established()
        before = script.core._tenure.until
        script.receive(KeepAliveReply(3, 60 * SECOND, 60 * SECOND))
        assert script.core._tenure.until == before

    def test_the_cache_lease_counts_from_the_send_of_the_renewing_call(self) -> None:
        """DESIGN §5."""
        script = Script().established()
        handle = script.handle()
        script.after(1)
        number, asked = script.begin(GetStat(handle)), script.now
        script.after(0.5)
        script.answer(number, StatResult(stat()), cacheable=True, cache_lease=CACHE_LEASE)
        assert script.core.cache.lease.deadline == asked + OURS_CACHE

    def test_an_answer_to_a_call_of_an_older_stream_renews_nothing(self) -> None:
        """The master may have granted it before our repeat was even sent."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(GetStat(handle))
        script.after(1).resume()
        before = script.core.cache.lease.deadline
        script.after(1).answer(number, StatResult(stat()), cacheable=True, cache_lease=60 * SECOND)
        assert script.core.cache.lease.deadline == before
        assert len(script.core.cache) == 0, "nor does it fill"
        assert isinstance(script.answers[number], StatResult)

    def test_keep_alives_go_on_for_ever(self) -> None:
        """As long as they are answered, at half of each lease."""
        script = Script().established()
        for round_number in range(1, 20):
            script.run(OURS / 2 / SECOND + 0.01)
            frames = script.sent(KeepAlive)
            assert len(frames) == round_number
            script.receive(KeepAliveReply(frames[-1].number, LEASE, 0))
        assert script.states == []


class TestCaching:
    """Hits, and what makes them end."""

    def reader(self) -> tuple[Script, int]:
        """A session that has read a node."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(GetContentsAndStat(handle))
        script.answer(number, Contents(b"1", stat()), cacheable=True, cache_lease=CACHE_LEASE)
        assert script.core.cached(GetContentsAndStat(handle), script.now) == Contents(b"1", stat())
        return script, handle

    def test_an_answer_not_marked_is_not_kept(self) -> None:
        """A change of it is under way."""
        script = Script().established()
        handle = script.handle()
        script.answer(script.begin(GetContentsAndStat(handle)), Contents(b"1", stat()), cache_lease=CACHE_LEASE)
        assert script.core.cached(GetContentsAndStat(handle), script.now) is None

    def test_the_cache_lease_ends_it(self) -> None:
        """DESIGN §5 "A hit needs both", at the instant of the question."""
        script, handle = self.reader()
        end = script.core.cache.lease.deadline
        assert script.core.cached(GetStat(handle), end - 1) is not None
        assert script.core.cached(GetStat(handle), end) is None

    def test_the_session_lease_ends_it(self) -> None:
        """Though the cache lease be longer."""
        script, handle = self.reader()
        number = script.begin(GetStat(handle))
        script.answer(number, StatResult(stat()), cacheable=True, cache_lease=60 * SECOND)
        end = script.core._tenure.until
        assert script.core.cached(GetStat(handle), end - 1) is not None
        assert script.core.cached(GetStat(handle), end) is None

    def test_an_invalidation_is_carried_out_before_it_is_acknowledged(self) -> None:
        """DESIGN §5 Invalidate first."""
        script, handle = self.reader()
        script.forget().receive(Push(1, (CacheKey("/a", CacheKind.NODE),)))
        assert script.core.cached(GetStat(handle), script.now) is None
        assert script.sent(Acknowledge) == [Acknowledge(1)]

    def test_several_pushes_at_once_are_acknowledged_at_once(self) -> None:
        """All up to the last one."""
        script, _ = self.reader()
        script.forget().receive(Push(1), Push(2), Push(3, everything=True))
        assert script.sent(Acknowledge) == [Acknowledge(3)]
        assert len(script.core.cache) == 0

    def test_an_answer_behind_the_push_is_newer(self) -> None:
        """Replies and pushes share one ordered stream."""
        script, handle = self.reader()
        number = script.begin(GetLockInfo(handle))
        read = script.begin(GetContentsAndStat(handle))
        push = Push(1, (CacheKey("/a", CacheKind.NODE),))
        script.receive(push, Reply(read, Contents(b"2", stat()), True, CACHE_LEASE))
        assert script.core.cached(GetContentsAndStat(handle), script.now) == Contents(b"2", stat())
        assert number not in script.answers

    def test_our_own_change_drops_before_it_is_sent_and_bars_older_answers(self) -> None:
        """DESIGN §5: the writer drops its own copies; its reply refills them only if marked cacheable."""
        script, handle = self.reader()
        read = script.begin(GetContentsAndStat(handle))
        write = script.begin(SetContents(handle, b"2"))
        assert script.core.cached(GetStat(handle), script.now) is None
        script.answer(read, Contents(b"1", stat()), cacheable=True, cache_lease=CACHE_LEASE)
        assert script.core.cached(GetStat(handle), script.now) is None
        script.answer(write, StatResult(stat()), cacheable=False)
        assert script.core.cached(GetStat(handle), script.now) is None
        write = script.begin(SetContents(handle, b"3"))
        script.answer(write, StatResult(stat()), cacheable=True)
        assert script.core.cached(GetContentsAndStat(handle), script.now) == Contents(b"3", stat())

    def test_losing_the_stream_alone_does_not_end_it(self) -> None:
        """The master still waits for us, or for the lease."""
        script, handle = self.reader()
        script.disconnect()
        assert script.core.cached(GetStat(handle), script.now) is not None

    def test_it_is_empty_before_resume_is_sent(self) -> None:
        """DESIGN §5 Fail-over: that is the acknowledgement."""
        script, handle = self.reader()
        script.disconnect()
        script.tick(0.1)
        script.forget().connect()
        assert len(script.sent(Resume)) == 1
        assert script.core.cached(GetStat(handle), script.now) is None
        assert len(script.core.cache) == 0

    def test_a_cache_in_use_keeps_its_lease(self) -> None:
        """KeepAlive.caching, at half of the cache lease."""
        script, handle = self.reader()
        script.run(1.9)
        script.core.cached(GetStat(handle), script.now)
        script.run(0.2)
        (frame,) = script.sent(KeepAlive)
        assert frame.caching
        script.receive(KeepAliveReply(frame.number, LEASE, CACHE_LEASE))
        assert script.core.cached(GetStat(handle), script.now + 3 * SECOND) is not None

    def test_one_that_never_caches_says_so(self) -> None:
        """OpenSession.caching; and nothing is ever kept."""
        script = Script(caching=False)
        script.connect()
        assert script.sent(OpenSession) == [OpenSession(4711, False)]
        script.receive(opened())
        handle = script.handle()
        number = script.begin(GetStat(handle))
        assert not script.sent(CallFrame)[-1].caching
        script.answer(number, StatResult(stat()), cacheable=True, cache_lease=CACHE_LEASE)
        assert script.core.cached(GetStat(handle), script.now) is None

    @pytest.mark.parametrize(
        ("call", "caching"), [(GetStat(1), True), (Open(5, "/x"), True), (GetLockInfo(1), False), (Acquire(1), False)]
    )
    def test_calls_ask_to_be_cacheable_if_they_can_fill(self, call: Call, caching: bool) -> None:
        """CallFrame.caching."""
        script = Script().established()
        script.handle()
        script.forget().begin(call)
        assert script.sent(CallFrame)[-1].caching is caching


class TestResuming:
    """The stream breaks; the session does not."""

    def test_resume_names_everything_a_new_master_must_know(self) -> None:
        """DESIGN §5 Events, Handles."""
        script = Script().established()
        handle = script.handle(events=EventMask.LOCK_ACQUIRED)
        script.receive(Push(1, cursor=123))
        script.disconnect()
        script.tick(0.1)
        script.connect()
        (frame,) = script.sent(Resume)
        claims = (HandleClaim(handle, b"t1", EventMask.LOCK_ACQUIRED),)
        assert frame == Resume(9, b"ticket", 2, 5, 123, claims, ())

    def test_stream_numbers_grow_with_each_attempt(self) -> None:
        """DESIGN §6: the highest wins; older input is dropped."""
        script = Script().established()
        for number in range(2, 6):
            script.disconnect()
            script.tick(3)
            script.connect()
            assert script.sent(Resume)[-1].stream == number
        script.receive(Resumed(6, LEASE, CACHE_LEASE), stream=3)
        script.receive(Push(1, everything=True), stream=4)
        assert not script.core._stream.established

    def test_calls_in_flight_are_sent_again_unchanged_and_in_order(self) -> None:
        """Which is how a repeat is recognised."""
        script = Script().established()
        handle = script.handle()
        numbers = [script.begin(SetContents(handle, b"%d" % index)) for index in range(3)]
        script.answer(numbers[1], StatResult(stat()))
        script.forget().resume()
        frames = script.sent(CallFrame)
        assert [(frame.number, frame.call) for frame in frames] == [
            (numbers[0], SetContents(handle, b"0")),
            (numbers[2], SetContents(handle, b"2")),
        ]
        assert {frame.acknowledged for frame in frames} == {numbers[0] - 1}
        assert not any(frame.caching for frame in frames), "an answer computed before must not fill the emptied cache"

    def test_calls_begun_meanwhile_follow(self) -> None:
        """They wait, and nothing is lost."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        number = script.begin(GetStat(handle))
        assert script.calls() == []
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(5, LEASE, CACHE_LEASE))
        assert [frame.number for frame in script.sent(CallFrame)] == [number]
        assert script.states == []

    def test_lost_handles_are_told_and_refuse(self) -> None:
        """Resumed.lost: each with its reason."""
        script = Script().established()
        handle = script.handle("/a")
        why = Failure(ErrorCode.HANDLE_INVALID, "deleted meanwhile")
        script.resume(lost=((handle, why),))
        assert script.told == [Event(EventKind.HANDLE_INVALID, "/a", instance=1, handle=handle)]
        assert script.answers == {}
        number = script.begin(GetStat(handle))
        assert script.answers[number] == why
        assert script.calls() == []

    def test_a_handle_being_closed_is_not_missed(self) -> None:
        """Its loss is no news to anybody."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(Close(handle))
        script.resume(lost=((handle, Failure(ErrorCode.HANDLE_INVALID, "closed")),))
        assert script.told == []
        script.answer(number, Done())
        assert script.answers[number] == Done()

    def test_silence_is_not_waited_out(self) -> None:
        """DESIGN §6: nothing received by half-lease + 2 s: a fresh connection, seconds before the lease ends."""
        script = Script().established()
        start = script.now
        script.run(6 + SILENCE / SECOND + 0.3)
        assert len(script.connects) == 1
        assert script.now < start + OURS
        assert script.states == []

    def test_a_reply_that_the_replica_is_no_master_sends_the_call_elsewhere(self) -> None:
        """It certainly took no effect; its caller hears nothing of it."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"))
        script.forget().answer(number, Failure(ErrorCode.NOT_MASTER, "not any more"))
        assert len(script.connects) == 1 and number not in script.answers
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        assert [frame.number for frame in script.sent(CallFrame)] == [number]

    def test_a_higher_epoch_is_gone_to_at_once(self) -> None:
        """DESIGN §6: the idle watch tells of a new epoch at once."""
        script = Script().established()
        script.core.located(5, "10.0.0.9:1", script.now)
        script.core.located(4, "10.0.0.9:1", script.now)
        script.core.located(8, "", script.now)
        script.drain()
        assert script.connects == []
        script.core.located(8, "10.0.0.9:1", script.now)
        script.core.located(8, "10.0.0.9:1", script.now)
        script.drain()
        assert [connect.address for connect in script.connects] == ["10.0.0.9:1"]

    def test_the_news_ends_a_pause(self) -> None:
        """No need to sit out the back-off."""
        script = Script().established()
        script.disconnect()
        script.core.located(6, "10.0.0.9:1", script.now)
        script.drain()
        assert [connect.address for connect in script.connects] == ["10.0.0.9:1"]

    @pytest.mark.parametrize("frame", [Push(2), Push(5), SessionOpened(1, b"", 1, 1, 1, 1, 1, 1, 1), Resumed(9, 1, 1)])
    def test_what_makes_no_sense_ends_the_stream_not_the_session(self, frame: Push | SessionOpened | Resumed) -> None:
        """A gap in the pushes might hide an invalidation."""
        script = Script().established()
        script.receive(frame)
        assert script.disconnects == [1]
        assert script.core.state is SessionState.NORMAL
        assert script.sent(Acknowledge) == []

    def test_a_resumed_that_comes_too_late_does_not_count(self) -> None:
        """Its lease, counted from our send, is over already."""
        script = Script().established()
        script.disconnect()
        script.tick(0.1)
        script.connect()
        script.receive(Resumed(5, 0, 0))
        assert not script.core._stream.established
        assert script.disconnects[-1] == 2


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


class TestEvents:
    """Invalidations first, then events, then the acknowledgement."""

    def test_whoever_reads_upon_an_event_reads_what_it_speaks_of(self) -> None:
        """Reading afterwards sees that data or newer (paper §2.5)."""
        script = Script().established()
        handle = script.handle(events=EventMask.CONTENTS_MODIFIED)
        read = script.begin(GetContentsAndStat(handle))
        script.answer(read, Contents(b"1", stat()), cacheable=True, cache_lease=CACHE_LEASE)
        event = Event(EventKind.CONTENTS_MODIFIED, "/a", 101, 1, handle=handle)
        script.forget().receive(Push(1, (CacheKey("/a", CacheKind.NODE),), events=(event,), cursor=101))
        assert script.told == [event]
        assert script.core.cached(GetStat(handle), script.now) is None
        assert isinstance(script.effects[-1].frame if hasattr(script.effects[-1], "frame") else None, Acknowledge)

    def test_handle_invalid_ends_the_handle(self) -> None:
        """Event 4 of the paper: the handle and its lock became invalid."""
        script = Script().established()
        handle = script.handle()
        script.receive(Push(1, events=(Event(EventKind.HANDLE_INVALID, "/a", handle=handle),)))
        answer = script.ask(Acquire(handle))
        assert isinstance(answer, Failure) and answer.code is ErrorCode.HANDLE_INVALID

    def test_nothing_is_told_twice_across_streams(self) -> None:
        """The push arrived, its acknowledgement did not."""
        script = Script().established()
        handle = script.handle(events=EventMask.CONTENTS_MODIFIED)
        events = tuple(Event(EventKind.CONTENTS_MODIFIED, "/a", r, 1, handle=handle) for r in (101, 102))
        script.receive(Push(1, events=events, cursor=102))
        script.resume()
        script.receive(Push(1, events=(*events, Event(EventKind.CONTENTS_MODIFIED, "/a", 103, 1, handle=handle))))
        assert [event.revision for event in script.told] == [101, 102, 103]


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


def test_what_cannot_be_put_into_bytes_fails_alone() -> None:
    """The shell says so; nothing was sent, and the calls behind it go on."""
    script = Script().established()
    handle = script.handle()
    bad, good = script.begin(SetContents(handle, b"x")), script.begin(GetStat(handle))
    failure = Failure(ErrorCode.TOO_LARGE, "too much")
    script.core.unsendable(bad, failure, script.now)
    script.core.unsendable(999, failure, script.now)
    script.drain()
    assert script.answers == {bad: failure}
    script.answer(good, StatResult(stat()))
    assert script.core.desk.flights.acknowledged == good


def test_a_created_node_says_so_in_its_call() -> None:
    """CreateMode travels as it is."""
    script = Script().established()
    script.begin(Open(1, "/new", create=CreateMode.MUST))
    assert script.calls() == [Open(1, "/new", create=CreateMode.MUST)]
