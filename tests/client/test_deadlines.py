"""What a caller out of time is told, when, and that it is the truth (DESIGN §4; `chubby.errors`)."""

from __future__ import annotations

import pytest

from chubby.client.call_desk import VERDICT_GRACE
from chubby.client.in_flight import WAITING_LIMIT
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Call, Close, GetStat, SetContents, Unwatch
from chubby.types.results import Answer, StatResult
from chubby.types.stream import CallFrame, Resumed
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, LEASE, Script, stat


def code(answer: Answer | None) -> ErrorCode | None:
    """Of a failure."""
    return answer.code if isinstance(answer, Failure) else None


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

    @pytest.mark.parametrize("by_deadline", [True, False])
    def test_nor_one_given_up_while_no_stream_stood(self, by_deadline: bool) -> None:
        """The same: it was sent on the stream before, and need not be sent on the next."""
        script = Script().established()
        handle = script.handle()
        number = script.begin(SetContents(handle, b"1"), timeout=1 if by_deadline else None)
        script.disconnect()
        if by_deadline:
            script.run(1.01)
        else:
            script.core.cancel(number, script.now)
        script.forget()
        while not script.connects:
            script.tick(0.1)
        script.connect()
        script.receive(Resumed(6, LEASE, CACHE_LEASE))
        script.begin(GetStat(handle))
        assert script.calls() == [GetStat(handle)]
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

    @pytest.mark.parametrize("call", [Close(1), Unwatch(1)])
    def test_what_lets_go_is_taken_though_too_many_wait(self, call: Call) -> None:
        """Refused, a handle that nobody has any more would stay open, and its lock held."""
        script = Script().established()
        handle = script.handle()
        script.disconnect()
        for _ in range(WAITING_LIMIT):
            script.begin(GetStat(handle))
        assert script.ask(call) is None
        waiting = len(script.core.desk.flights)
        assert waiting == WAITING_LIMIT + 1


def test_a_window_full_of_answers_moves_on() -> None:
    """Thousands of calls at once, a few answered at a time: everything is sent once, and answered once."""
    script = Script().established()
    handle = script.handle()
    numbers = [script.begin(GetStat(handle)) for _ in range(3000)]
    for number in numbers:
        script.answer(number, StatResult(stat()))
    assert [frame.number for frame in script.sent(CallFrame)] == numbers
    assert list(script.answers) == numbers
