"""Acquires given up: no ghost in a queue, and no lock lost in silence (DESIGN §6; paper §2.4)."""

from __future__ import annotations

import pytest

from chubby.client.call_desk import CANCEL_GRACE, RETRY
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Acquire, CancelAcquire, Close, GetStat, Release
from chubby.types.results import Answer, Done, LockGranted, StatResult
from chubby.types.stream import CallFrame, Resumed
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

    def test_a_second_one_that_was_never_sent_does_not_keep_the_first_ones_grant(self) -> None:
        """Both given up while no master was in reach: the grant that the first one finds in the end is nobody's."""
        script, handle, number = self.waiting()
        script.disconnect()
        script.core.cancel(number, script.now)
        again = script.begin(Acquire(handle))
        script.core.cancel(again, script.now)
        script.forget().tick(0.2)
        script.connect()
        script.receive(Resumed(5, LEASE, CACHE_LEASE))
        cancel = next(frame.number for frame in script.sent(CallFrame) if isinstance(frame.call, CancelAcquire))
        script.answer(number, GRANTED).answer(cancel, GRANTED)
        assert script.calls()[-1] == Release(handle)

    def test_nor_does_one_that_was_given_up_after_the_grant_was_known(self) -> None:
        """It waits unsent when the first one's cancel finds the lock granted, then goes away."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        for _ in range(1024):
            script.begin(GetStat(handle))
        again = script.begin(Acquire(handle))
        script.forget().answer(number + 1, GRANTED)
        assert Release(handle) not in script.calls()
        script.core.cancel(again, script.now)
        script.drain()
        for frame in script.sent(CallFrame):
            script.answer(frame.number, StatResult(stat()))
        script.answer(number, GRANTED)
        for waiting in range(number + 2, again):
            script.answer(waiting, StatResult(stat()))
        assert script.calls().count(Release(handle)) == 1

    @pytest.mark.parametrize("why", [OVERLOADED, Failure(ErrorCode.DEADLINE_EXCEEDED, "too late")])
    def test_a_second_one_that_fails_leaves_no_grant_behind(self, why: Failure) -> None:
        """It was to be told of the grant, and was told something else: now the grant is nobody's."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        again = script.begin(Acquire(handle, wait=False))
        script.forget().answer(number + 1, GRANTED)
        assert script.calls() == []
        script.answer(again, why)
        assert script.answers == {again: why} and script.calls() == [Release(handle)]

    def test_a_release_of_ones_own_settles_it(self) -> None:
        """What the caller gave back is not given back once more, behind a later acquire."""
        script, handle, number = self.waiting()
        script.core.cancel(number, script.now)
        script.drain()
        again = script.begin(Acquire(handle))
        script.forget().answer(number + 1, GRANTED).answer(again, GRANTED)
        script.answer(script.begin(Release(handle)), Done())
        third = script.begin(Acquire(handle, wait=False))
        script.forget().answer(third, OVERLOADED)
        assert script.calls() == []

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

    def test_a_try_shares_no_place(self) -> None:
        """It does not wait: an acquire out of time beside it is taken back, or it would wait for ever for nobody."""
        script, handle, number = self.waiting(timeout=3)
        script.after(2.9)
        attempt = script.begin(Acquire(handle, wait=False))
        script.forget().run(0.2)
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(attempt, Failure(ErrorCode.LOCK_CONFLICT, "held")).answer(last_number(script), Done())
        assert code(script.answers[number]) is ErrorCode.DEADLINE_EXCEEDED
        script.answer(number, CANCELLED)
        assert len(script.core.desk.flights) == 0

    def test_nor_does_one_that_is_being_taken_back(self) -> None:
        """Its cancel stands in line before the other's acquire, which comes back into the queue behind it."""
        script, handle, first = self.waiting(timeout=1)
        script.run(1.01)
        second = script.begin(Acquire(handle), timeout=0.5)
        script.run(0.51)
        assert [call for call in script.calls() if isinstance(call, CancelAcquire)] == [CancelAcquire(handle)] * 2
        script.answer(first, CANCELLED).answer(second, CANCELLED)
        assert {code(script.answers[number]) for number in (first, second)} == {ErrorCode.DEADLINE_EXCEEDED}

    def test_when_the_one_that_shared_a_place_fails_the_place_is_given_up(self) -> None:
        """The first left its place to the second; the second never came to stand in it."""
        script, handle, first = self.waiting()
        second = script.begin(Acquire(handle))
        script.forget().core.cancel(first, script.now)
        script.drain()
        assert script.calls() == []
        script.answer(second, OVERLOADED)
        assert script.answers == {second: OVERLOADED} and script.calls() == [CancelAcquire(handle)]
        script.answer(last_number(script), Done()).answer(first, CANCELLED)
        assert len(script.core.desk.flights) == 0

    def test_nor_does_it_stay_for_one_that_was_never_sent(self) -> None:
        """The window was full; the second was given up before it was sent, after the first had left it its place."""
        script, handle, first = self.waiting()
        for _ in range(1024):
            script.begin(GetStat(handle))
        second = script.begin(Acquire(handle))
        for number in (first, second):
            script.core.cancel(number, script.now)
            script.drain()
        script.forget()
        for number in range(first + 1, second):
            script.answer(number, StatResult(stat()))
        assert [call for call in script.calls() if not isinstance(call, GetStat)] == [CancelAcquire(handle)]

    def test_granted_to_one_given_up_when_nobody_shares_its_place_any_more(self) -> None:
        """The grant overtakes the cancel that the second's failure began: it is released once, not twice."""
        script, handle, first = self.waiting()
        second = script.begin(Acquire(handle))
        script.core.cancel(first, script.now)
        script.drain()
        script.forget().answer(second, OVERLOADED).answer(first, GRANTED)
        assert script.calls() == [CancelAcquire(handle)]
        script.answer(last_number(script), GRANTED)
        assert script.calls() == [CancelAcquire(handle), Release(handle)]

    def test_granted_to_one_given_up_before_the_other_fails(self) -> None:
        """The same the other way round: the answer to the one given up says that the lock is there."""
        script, handle, first = self.waiting()
        second = script.begin(Acquire(handle))
        script.core.cancel(first, script.now)
        script.drain()
        script.forget().answer(first, GRANTED)
        assert script.calls() == []
        script.answer(second, OVERLOADED)
        assert script.calls() == [Release(handle)]

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

    def test_a_repeat_refused_for_want_of_room_is_repeated_later(self) -> None:
        """Its place in the queue is not lost, and its caller hears nothing of it."""
        script, handle, number = self.waiting()
        for _ in range(600):
            script.answer(script.begin(GetStat(handle)), StatResult(stat()))
        again = [frame.number for frame in script.sent(CallFrame) if isinstance(frame.call, Acquire)]
        assert len(again) == 2 and again[0] == number
        script.forget().answer(again[1], OVERLOADED)
        assert script.answers == {} and script.calls() == []
        script.run(RETRY / SECOND)
        assert [(frame.number, frame.call) for frame in script.sent(CallFrame)] == [(again[1], Acquire(handle))]
        script.answer(again[1], GRANTED)
        assert script.answers == {number: GRANTED}
