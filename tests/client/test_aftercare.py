"""What calls leave behind, what handles are bound to: no orphaned handle or watch, no unguarded call (DESIGN §6)."""

from __future__ import annotations

import pytest

from chubby.client.call_desk import RETRY
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import (
    Acquire,
    CancelAcquire,
    Close,
    CreateMode,
    GetStat,
    Open,
    Release,
    SetContents,
    SetSequencer,
    Unwatch,
    Watch,
)
from chubby.types.events import Event, EventKind
from chubby.types.results import Answer, Done, LockGranted, Opened, StatResult, Watching
from chubby.types.stream import CallFrame, Push, Resume, Resumed
from chubby.types.time import SECOND
from chubby.wire.codec import pack_client
from chubby.wire.limits import FRAME_CEILING
from tests.client.script import CACHE_LEASE, LEASE, Script, stat

GRANTED = LockGranted(7, 1)


def code(answer: Answer | None) -> ErrorCode | None:
    """Of a failure."""
    return answer.code if isinstance(answer, Failure) else None


def last_number(script: Script) -> int:
    """Of the call sent last."""
    return script.sent(CallFrame)[-1].number


class TestOpensAndWatches:
    """What nobody knows of is undone."""

    def test_an_open_given_up_is_closed_when_it_was_answered(self) -> None:
        """An ephemeral held open by a handle nobody has would never go."""
        script = Script().established()
        number = script.begin(Open(5, "/e", create=CreateMode.MAY, ephemeral=True), timeout=1)
        script.run(1.6)
        assert code(script.answers[number]) is ErrorCode.OUTCOME_UNKNOWN
        script.forget().resume()
        assert script.calls() == [Open(5, "/e", create=CreateMode.MAY, ephemeral=True)], "asked again, to know"
        script.answer(number, Opened(b"t", "/e", True, stat(ephemeral=True)))
        assert script.calls()[-1] == Close(5)
        script.forget().resume()
        assert [claim.handle for claim in script.sent(Resume)[-1].handles] == [5], "the new master must know it too"
        script.answer(last_number(script), Done())
        assert len(script.core.desk.handles) == 0 and len(script.core.desk.flights) == 0

    def test_a_failed_one_leaves_nothing(self) -> None:
        """Nothing to close."""
        script = Script().established()
        number = script.begin(Open(5, "/e"))
        script.core.cancel(number, script.now)
        script.drain()
        script.forget().answer(number, Failure(ErrorCode.NO_NODE, "none"))
        assert script.calls() == [] and len(script.core.desk.flights) == 0

    def test_a_watch_given_up_is_ended(self) -> None:
        """Its events would be pushed for ever."""
        script = Script().established()
        number = script.begin(Watch(1, "/a"))
        script.core.cancel(number, script.now)
        script.drain()
        script.forget().answer(number, Watching(100))
        assert script.calls() == [Unwatch(1)]
        script.answer(last_number(script), Done())
        assert len(script.core.desk.subscriptions) == 0

    def test_a_watch_never_sent_is_forgotten(self) -> None:
        """At once."""
        script = Script().established()
        script.disconnect()
        script.core.cancel(script.begin(Watch(1, "/a")), script.now)
        assert len(script.core.desk.subscriptions) == 0

    def test_a_watch_whose_replay_was_cut_off_is_taken_up_anew(self) -> None:
        """Under a fresh number, and the old one is ended."""
        script = Script().established(revision=500)
        script.answer(script.begin(Watch(1, "/a", since=100)), Watching(100))
        event = Event(EventKind.CREATED, "/a", 150, 1, watch=1)
        script.receive(Push(1, events=(event,)))
        script.core.desk.subscriptions.fresh_number()
        script.forget().resume()
        assert script.sent(Resume)[-1].watches == ()
        assert script.calls() == [Unwatch(1), Watch(2, "/a", False, 149)]
        script.answer(last_number(script), Watching(149))
        script.receive(Push(1, events=(Event(EventKind.DELETED, "/a", 160, 1, watch=2),)))
        assert script.told == [Event(EventKind.DELETED, "/a", 160, 1, watch=1)], "its owner knows it as 1"

    def test_its_owner_is_told_if_that_is_refused(self) -> None:
        """Silence would be a gap."""
        script = Script().established(revision=500)
        script.answer(script.begin(Watch(1, "/a", since=100)), Watching(100))
        script.core.desk.subscriptions.fresh_number()
        script.resume()
        script.answer(last_number(script), Failure(ErrorCode.PERMISSION_DENIED, "not any more"))
        assert script.told == [Event(EventKind.HANDLE_INVALID, "/a", watch=1)]


class TestPoison:
    """The paper §2.6: outstanding and later calls fail, without closing."""

    def test_outstanding_and_later_calls_fail(self) -> None:
        """And a lock waited for is not taken behind one's back."""
        script = Script().established()
        handle, other = script.handle("/a"), script.handle("/b")
        read, acquire = script.begin(GetStat(handle)), script.begin(Acquire(handle))
        untouched = script.begin(GetStat(other))
        script.core.poison(handle, script.now)
        script.drain()
        assert code(script.answers[read]) is ErrorCode.HANDLE_POISONED
        assert code(script.answers[acquire]) is ErrorCode.HANDLE_POISONED
        assert untouched not in script.answers
        assert script.calls()[-1] == CancelAcquire(handle)
        assert code(script.ask(SetContents(handle, b""))) is ErrorCode.HANDLE_POISONED
        script.answer(acquire, GRANTED).answer(acquire + 2, GRANTED)
        assert script.calls()[-1] == Release(handle)

    def test_it_can_still_be_closed(self) -> None:
        """And must be."""
        script = Script().established()
        handle = script.handle()
        script.core.poison(handle, script.now)
        number = script.begin(Close(handle))
        script.answer(number, Done())
        assert script.answers[number] == Done()
        script.core.poison(handle, script.now)
        script.core.poison(99, script.now)


LONG = "/" + "/".join(["p" * 200] * 5)
"""About the longest path there is."""


class TestClaims:
    """Every handle and watch must fit the one frame that presents them all to a new master (DESIGN §5 Resume)."""

    def test_no_more_are_opened_than_a_resume_can_carry(self) -> None:
        """Else the session would live until the next lost stream, and then never come back."""
        script = Script().established()
        for turn in range(3_000):
            call = Open(turn + 1, LONG) if turn % 2 else Watch(script.core.desk.subscriptions.fresh_number(), LONG)
            number = script.begin(call)
            if (told := script.answers_of(number)) is not None:
                assert code(told) is ErrorCode.QUOTA_EXCEEDED
                break
            answer = Opened(b"t" * (len(LONG) + 64), LONG, False, stat()) if turn % 2 else Watching(100)
            script.answer(number, answer)
        assert 1_000 < turn < 3_000
        script.resume()
        resume = script.sent(Resume)[-1]
        assert len(resume.handles) + len(resume.watches) == turn
        assert FRAME_CEILING * 9 // 10 < len(pack_client([resume])) <= FRAME_CEILING

    def test_those_on_their_way_count_and_those_that_are_no_more_do_not(self) -> None:
        """A thousand may be asked for at once; what is refused, closed or never sent makes room."""
        script = Script().established()
        numbers = [script.begin(Open(handle, LONG)) for handle in range(1, 3_001)]
        taken = [number for number in numbers if number not in script.answers]
        assert 1_000 < len(taken) < 3_000
        for number in taken:
            script.answer(number, Failure(ErrorCode.NO_NODE, "gone"))
        assert script.core.desk.handles.claimed == 0
        handle = script.handle(LONG)
        assert 0 < script.core.desk.handles.claimed < 2_000
        script.answer(script.begin(Close(handle)), Done())
        assert script.core.desk.handles.claimed == 0
        script.disconnect()
        script.core.cancel(script.begin(Open(5_000, LONG)), script.now)
        assert script.core.desk.handles.claimed == 0


class TestCloses:
    """Close never fails (paper §2.6)."""

    @pytest.mark.parametrize("refusal", [ErrorCode.OVERLOADED, ErrorCode.REPLICAS_DISAGREE])
    def test_one_that_the_master_cannot_do_now_is_made_again(self, refusal: ErrorCode) -> None:
        """Else a lock would stay held through a handle that nobody has any more."""
        script = Script().established()
        handle = script.handle()
        number = first = script.begin(Close(handle))
        for _ in range(3):
            script.forget().answer(number, Failure(refusal, "not now"))
            assert script.answers == ({first: Done()} if number == first else {}), "the caller does not wait for it"
            assert script.calls() == []
            script.run(RETRY / SECOND)
            assert script.calls() == [Close(handle)]
            number = last_number(script)
        script.forget().answer(number, Done()).run(RETRY / SECOND)
        assert script.calls() == []

    def test_meanwhile_a_new_master_hears_of_the_handle(self) -> None:
        """A Close of a handle that the master has never heard of frees nothing."""
        script = Script().established()
        handle = script.handle()
        script.answer(script.begin(Close(handle)), Failure(ErrorCode.OVERLOADED, "not now"))
        script.forget().resume(epoch=6)
        assert [claim.handle for claim in script.sent(Resume)[-1].handles] == [handle]
        script.run(RETRY / SECOND)
        assert script.calls() == [Close(handle)]
        assert code(script.ask(GetStat(handle))) is ErrorCode.HANDLE_INVALID, "to its user it is closed"
        script.answer(last_number(script), Done())
        assert len(script.core.desk.handles) == 0

    def test_one_that_found_nothing_to_close_is_not(self) -> None:
        """Any other failure is final."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(Close(handle))
        script.forget().answer(number, Failure(ErrorCode.HANDLE_INVALID, "gone")).run(RETRY / SECOND)
        assert script.answers[number] == Done() and script.calls() == []


class TestSequencers:
    """A sequencer bound to a handle is bound again to each new master, before anything else goes through."""

    def bound(self) -> tuple[Script, int]:
        """A handle with a sequencer."""
        script = Script().established()
        handle = script.handle()
        script.answer(script.begin(SetSequencer(handle, b"s")), Done())
        return script.forget(), handle

    def test_nothing_slips_in_before(self) -> None:
        """A call that did would not be guarded."""
        script, handle = self.bound()
        other = script.handle("/b")
        script.disconnect()
        guarded, free = script.begin(SetContents(handle, b"1")), script.begin(SetContents(other, b"1"))
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        assert script.calls() == [SetContents(other, b"1"), SetSequencer(handle, b"s")]
        later = script.begin(GetStat(handle))
        rebind = [frame.number for frame in script.sent(CallFrame) if isinstance(frame.call, SetSequencer)][-1]
        script.forget().answer(rebind, Done())
        assert script.calls() == [SetContents(handle, b"1"), GetStat(handle)]
        assert {guarded, later} <= {frame.number for frame in script.sent(CallFrame)}
        script.answer(free, StatResult(stat()))

    def test_invalid_meanwhile_the_handle_is_of_no_more_use(self) -> None:
        """What its user asked for. What was sent to the old master is in doubt, what was not certainly did nothing."""
        script, handle = self.bound()
        sent = script.begin(SetContents(handle, b"1"))
        script.disconnect()
        unsent = script.begin(SetContents(handle, b"2"))
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        script.answer(last_number(script), Failure(ErrorCode.SEQUENCER_INVALID, "the lock was let go"))
        assert code(script.answers[sent]) is ErrorCode.OUTCOME_UNKNOWN
        assert code(script.answers[unsent]) is ErrorCode.SEQUENCER_INVALID
        assert code(script.ask(GetStat(handle))) is ErrorCode.SEQUENCER_INVALID
        assert [call for call in script.calls() if isinstance(call, SetContents)] == [SetContents(handle, b"1")]

    def test_a_master_lost_in_the_middle_is_followed_by_another(self) -> None:
        """The binding begins again; what waited goes on waiting."""
        script, handle = self.bound()
        script.disconnect()
        script.begin(SetContents(handle, b"1"))
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        script.forget().resume(epoch=7)
        assert script.calls() == [SetSequencer(handle, b"s")]
        script.answer(last_number(script), Done())
        assert script.calls()[-1] == SetContents(handle, b"1")

    def test_closing_does_not_wait(self) -> None:
        """Close never fails, and needs no sequencer."""
        script, handle = self.bound()
        script.disconnect()
        script.tick(0.2)
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        script.forget().begin(Close(handle))
        assert script.calls() == [Close(handle)]

    def test_one_that_was_refused_was_never_bound(self) -> None:
        """Nothing to bind again."""
        script = Script().established()
        handle = script.handle()
        script.answer(script.begin(SetSequencer(handle, b"s")), Failure(ErrorCode.SEQUENCER_INVALID, "none of ours"))
        script.forget().resume(epoch=6)
        assert script.calls() == []


def test_a_handle_the_master_calls_invalid_is_not_asked_about_again() -> None:
    """HANDLE_INVALID is final."""
    script = Script().established()
    handle = script.handle()
    script.answer(script.begin(GetStat(handle)), Failure(ErrorCode.HANDLE_INVALID, "deleted"))
    script.forget()
    assert code(script.ask(GetStat(handle))) is ErrorCode.HANDLE_INVALID
    assert script.calls() == []
