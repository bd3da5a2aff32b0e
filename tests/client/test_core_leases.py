"""The session's core, frame by frame: leases, KeepAlive, what is cached and until when (DESIGN §5)."""

from __future__ import annotations

import pytest

from chubby.types.calls import Acquire, Call, GetContentsAndStat, GetLockInfo, GetStat, Open, SetContents
from chubby.types.results import Contents, StatResult
from chubby.types.stream import (
    Acknowledge,
    CacheKey,
    CacheKind,
    CallFrame,
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Push,
    Reply,
    Resume,
    SessionOpened,
)
from chubby.types.time import SECOND
from tests.client.script import CACHE_LEASE, DRIFT, GRACE, LEASE, OURS, OURS_CACHE, Script, stat


def opened(session_lease: int = LEASE) -> SessionOpened:
    """The master's answer to OpenSession."""
    return SessionOpened(9, b"ticket", 77, 5, session_lease, CACHE_LEASE, GRACE, DRIFT, 100)


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
