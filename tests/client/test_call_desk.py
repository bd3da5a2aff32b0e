"""Calls given up: no ghost in a queue, no orphaned handle, no lock lost, the truth about deadlines (DESIGN §4, §6)."""

from __future__ import annotations

import pytest

from chubby.client.call_desk import CANCEL_GRACE, RETRY, VERDICT_GRACE
from chubby.client.in_flight import WAITING_LIMIT
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
from tests.client.script import CACHE_LEASE, LEASE, Script, stat

GRANTED = LockGranted(7, 1)
CANCELLED = Failure(ErrorCode.CANCELLED, "cancelled")
OVERLOADED = Failure(ErrorCode.OVERLOADED, "not now")


def code(answer: Answer | None) -> ErrorCode | None:
    """Of a failure."""
    return answer.code if isinstance(answer, Failure) else None


def last_number(script: Script) -> int:
    """Of the call sent last."""
    return script.sent(CallFrame)[-1].number


class TestDeadlines:
    """What a caller out of time is told, when, and what happens then."""

    def test_the_master_is_told_how_long_one_waits(self) -> None:
        """CallFrame.patience, counted anew when the call is repeated."""
        script = Script().established()
        handle = script.handle()
        script.begin(GetStat(handle), timeout=5)
        script.begin(GetStat(handle))
        script.after(2).resume()
        frames = script.sent(CallFrame)
        assert [round(frame.patience / SECOND, 1) for frame in frames] == [5.0, 0.0, 2.8, 0.0]

    def test_the_masters_own_word_is_waited_for_a_little(self) -> None:
        """It knows for certain whether the call was proposed."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"), timeout=2)
        script.run(2.2)
        assert number not in script.answers
        certain = Failure(ErrorCode.DEADLINE_EXCEEDED, "not proposed")
        script.answer(number, certain)
        assert script.answers[number] == certain

    @pytest.mark.parametrize(
        ("change", "told"), [(True, ErrorCode.OUTCOME_UNKNOWN), (False, ErrorCode.DEADLINE_EXCEEDED)]
    )
    def test_without_it_a_change_is_in_doubt_and_a_read_is_not(self, change: bool, told: ErrorCode) -> None:
        """DESIGN §4: until either is certain the error says outcome unknown."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1") if change else GetStat(handle), timeout=2)
        script.run(2 + VERDICT_GRACE / SECOND + 0.01)
        assert code(script.answers[number]) is told

    def test_without_a_stream_there_is_nothing_to_wait_for(self) -> None:
        """Nobody will say anything."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"), timeout=2)
        script.disconnect()
        script.run(2.01)
        assert code(script.answers[number]) is ErrorCode.OUTCOME_UNKNOWN

    def test_never_sent_for_want_of_a_master(self) -> None:
        """pains: an error from the coordinator demotes a healthy primary; this one says that nothing happened."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        number = script.after(1).begin(SetContents(handle, b"1"), timeout=2)
        script.run(2.01)
        answer = script.answers[number]
        assert code(answer) is ErrorCode.NO_QUORUM

    def test_never_sent_though_a_master_was_there(self) -> None:
        """The master was lost only after the call had begun to wait in line."""
        script = Script().established()
        handle = script.handle()
        for _ in range(1024):
            script.begin(SetContents(handle, b"1"))
        number = script.begin(GetStat(handle), timeout=2)
        script.run(2.01)
        assert code(script.answers[number]) is ErrorCode.DEADLINE_EXCEEDED

    def test_the_answer_to_a_call_given_up_is_nobodys(self) -> None:
        """It is told once; and its number counts as answered when the answer comes."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"), timeout=1)
        script.run(2)
        script.forget().answer(number, StatResult(stat()))
        assert script.answers == {}
        assert script.core.desk.flights.acknowledged == number

    def test_a_change_in_doubt_is_not_repeated(self) -> None:
        """After a Resume its number is acknowledged: if it was not proposed yet, it never will be."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"), timeout=1)
        script.run(2)
        script.forget().resume()
        assert script.calls() == []
        script.begin(GetStat(handle))
        assert script.sent(CallFrame)[-1].acknowledged == number

    def test_a_jeopardy_does_not_stop_the_clock_of_a_caller(self) -> None:
        """It blocks, but no longer than it said."""
        script = Script().established()
        handle = script.handle()
        script.run(13)
        number = script.begin(GetStat(handle), timeout=3)
        script.run(3.1)
        assert code(script.answers[number]) is ErrorCode.NO_QUORUM

    def test_too_many_that_wait_are_told(self) -> None:
        """A bounded queue, and a typed error."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        for _ in range(WAITING_LIMIT):
            script.begin(GetStat(handle))
        assert code(script.ask(GetStat(handle))) is ErrorCode.OVERLOADED


class TestAcquires:
    """pains: a failed acquire leaves an orphan in the queue. Here cancel is idempotent."""

    def waiting(self, timeout: float | None = None) -> tuple[Script, int, int]:
        """A handle that waits for its lock; the handle, the call."""
        script = Script().established()
        handle = script.handle()
        return script, handle, script.begin(Acquire(handle), timeout)

    def test_a_waiting_acquire_has_no_deadline_at_the_master(self) -> None:
        """It is taken back by us, not by the master's clock."""
        script, _, _ = self.waiting(timeout=5)
        assert script.sent(CallFrame)[-1].patience == 0
        script.begin(Acquire(1, wait=False), timeout=5)
        assert script.sent(CallFrame)[-1].patience == 5 * SECOND

    def test_cancelled_it_leaves_the_queue(self) -> None:
        """CancelAcquire; the caller hears nothing more."""
        script, handle, number = self.waiting()
        script.forget().core.cancel(number, script.now)
        script.core.cancel(number, script.now)
        script.drain()
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(number, CANCELLED).answer(number + 1, Done())
        assert script.answers == {}
        assert script.calls() == [CancelAcquire(handle)]
        assert len(script.core.desk.flights) == 0

    @pytest.mark.parametrize("acquire_answered_first", [True, False])
    def test_granted_meanwhile_it_is_released(self, acquire_answered_first: bool) -> None:
        """No ghost holder either, in whichever order the answers come."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        script.forget()
        if acquire_answered_first:
            script.answer(number, GRANTED)
            assert script.calls() == []
        script.answer(number + 1, GRANTED)
        assert script.calls() == [Release(handle)]
        script.answer(number + 2, Done()).answer(number, GRANTED)
        assert script.answers == {}
        assert len(script.core.desk.flights) == 0

    def test_never_sent_nothing_is_to_be_taken_back(self) -> None:
        """The master has never heard of it."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        script.core.cancel(script.begin(Acquire(handle)), script.now)
        script.forget().tick(0.2)
        script.connect()
        script.receive(Resumed(5, LEASE, CACHE_LEASE))
        assert script.calls() == []

    def test_out_of_time_it_is_taken_back_then_told(self) -> None:
        """DEADLINE_EXCEEDED promises that it took no effect, and is said once that is so."""
        script, handle, number = self.waiting(timeout=3)
        script.run(3.01)
        assert script.calls()[-1] == CancelAcquire(handle) and number not in script.answers
        script.answer(last_number(script), Done())
        assert code(script.answers[number]) is ErrorCode.DEADLINE_EXCEEDED
        script.answer(number, CANCELLED)
        assert len(script.core.desk.flights) == 0

    def test_its_own_answer_that_it_was_cancelled_says_the_same(self) -> None:
        """Either may come first."""
        script, _, number = self.waiting(timeout=3)
        script.run(3.01)
        script.answer(number, CANCELLED)
        assert code(script.answers[number]) is ErrorCode.DEADLINE_EXCEEDED

    @pytest.mark.parametrize("by_cancel", [True, False])
    def test_out_of_time_but_granted_is_success(self, by_cancel: bool) -> None:
        """For a timeout, report success: the lock is there."""
        script, _, number = self.waiting(timeout=3)
        script.run(3.01)
        cancel = last_number(script)
        script.answer(cancel if by_cancel else number, GRANTED)
        assert script.answers[number] == GRANTED
        script.forget().answer(number if by_cancel else cancel, GRANTED)
        assert script.calls() == [] and script.answers == {}

    def test_in_doubt_it_is_taken_back_all_the_same(self) -> None:
        """The caller was told OUTCOME_UNKNOWN; what it got in the end is released."""
        script, handle, number = self.waiting(timeout=3)
        script.run(3 + CANCEL_GRACE / SECOND + 0.01)
        assert code(script.answers[number]) is ErrorCode.OUTCOME_UNKNOWN
        cancel = last_number(script)
        script.forget().answer(cancel, GRANTED)
        assert script.calls() == [Release(handle)]

    def test_the_cancel_survives_a_lost_stream(self) -> None:
        """The acquire is not repeated; its cancel is."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        script.forget().resume(epoch=6)
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(last_number(script), GRANTED)
        assert script.calls() == [CancelAcquire(handle), Release(handle)]

    def test_an_overloaded_master_is_asked_again_after_a_while(self) -> None:
        """Aftercare is never given up, and never hammers."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        script.forget().answer(number + 1, OVERLOADED)
        assert script.calls() == []
        script.run(RETRY / SECOND)
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(last_number(script), Done()).answer(number, CANCELLED)
        assert len(script.core.desk.flights) == 0

    def test_asked_for_again_the_lock_is_not_released_behind_ones_back(self) -> None:
        """The second acquire finds the grant of the first; releasing it would lose a lock in silence."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        again = script.begin(Acquire(handle))
        script.forget().answer(number + 1, GRANTED)
        assert script.calls() == []
        script.answer(again, GRANTED)
        assert script.answers == {again: GRANTED}

    def test_a_lock_held_all_along_is_not_released_either(self) -> None:
        """A second acquire of a lock that one holds is answered by that hold; given up, it takes nothing away."""
        script, handle, number = self.waiting()
        script.answer(number, GRANTED)
        again = script.begin(Acquire(handle))
        script.core.cancel(again, script.now)
        script.drain()
        cancel = last_number(script)
        script.forget().answer(again, GRANTED).answer(cancel, GRANTED)
        assert script.calls() == []

    def test_but_one_that_was_given_back_is(self) -> None:
        """Held, released, asked for again, given up: now nobody wants it."""
        script, handle, number = self.waiting()
        script.answer(number, GRANTED)
        script.answer(script.begin(Release(handle)), Done())
        again = script.begin(Acquire(handle))
        script.core.cancel(again, script.now)
        script.drain()
        script.forget().answer(again + 1, GRANTED)
        assert script.calls() == [Release(handle)]

    def test_several_acquires_of_one_handle_share_a_place(self) -> None:
        """Only the last of them to leave gives it up."""
        script, handle, first = self.waiting()
        second = script.begin(Acquire(handle), timeout=3)
        script.forget().core.cancel(first, script.now)
        script.drain()
        assert script.calls() == []
        script.run(3.01)
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(last_number(script), Done())
        assert code(script.answers[second]) is ErrorCode.DEADLINE_EXCEEDED

    def test_one_of_several_out_of_time_is_told_at_once(self) -> None:
        """The other goes on waiting in the place of both."""
        script, _, first = self.waiting()
        second = script.begin(Acquire(1), timeout=3)
        script.forget().run(3.01)
        assert code(script.answers[second]) is ErrorCode.DEADLINE_EXCEEDED
        assert script.calls() == []
        script.answer(first, GRANTED).answer(second, GRANTED)
        assert script.answers[first] == GRANTED

    def test_closing_needs_no_release(self) -> None:
        """Close lets go of everything."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        script.begin(Close(handle))
        script.forget().answer(number + 1, GRANTED)
        assert script.calls() == []


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


def test_a_window_full_of_answers_moves_on() -> None:
    """Thousands of calls at once, a few answered at a time: everything is sent once, and answered once."""
    script = Script().established()
    handle = script.handle()
    numbers = [script.begin(GetStat(handle)) for _ in range(3000)]
    for number in numbers:
        script.answer(number, StatResult(stat()))
    assert [frame.number for frame in script.sent(CallFrame)] == numbers
    assert list(script.answers) == numbers
