"""The session's core, frame by frame: the stream breaks, the session does not (DESIGN §5 Events, §6)."""

from __future__ import annotations

import pytest

from chubby.client.keep_alive import SILENCE
from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Acquire, Close, GetContentsAndStat, GetStat, SetContents
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.results import Contents, Done, StatResult
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    HandleClaim,
    Push,
    Resume,
    Resumed,
    SessionOpened,
)
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, LEASE, OURS, Script, stat


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
