"""When KeepAlives are sent, and when silence ends a stream (DESIGN §5 KeepAlive, §6)."""

from __future__ import annotations

from chubby.client.cache import Cache
from chubby.client.keep_alive import SILENCE, KeepAliveClock
from chubby.client.lease import Lease
from chubby.types.nodes import ANYONE, AclNames, NodeKind, Stat
from chubby.types.stream import KeepAliveReply
from chubby.types.time import NEVER, SECOND

STAT = Stat(NodeKind.FILE, False, 1, 1, 1, 0, 0, 1, 1, 0, 0, AclNames(ANYONE, ANYONE, ANYONE))


class Scene:
    """A session lease of 12 s and a cache lease of 4 s, both from 0, on a stream established at 0."""

    def __init__(self) -> None:
        self.session = Lease()
        self.session.renew(0, 12 * SECOND)
        self.cache = Cache()
        self.cache.renew(0, 4 * SECOND, 12 * SECOND)
        self.cache.put_node("/a", STAT, b"")
        self.clock = KeepAliveClock(self.session, self.cache)
        self.clock.begin(0)

    def read(self, now: int) -> None:
        """Use the cache."""
        assert self.cache.node("/a", now) is not None


def test_due_at_half_of_the_session_lease() -> None:
    """DESIGN §5: sent at half-lease."""
    scene = Scene()
    assert not scene.clock.due(6 * SECOND - 1)
    assert scene.clock.due(6 * SECOND)


def test_a_cache_in_use_is_renewed_at_half_of_its_own_lease() -> None:
    """DESIGN §5: only while the cache is in use."""
    scene = Scene()
    assert not scene.clock.due(2 * SECOND)
    assert scene.clock.wake_at() == 3 * SECOND, "look again at three quarters"
    scene.read(2 * SECOND + 1)
    assert scene.clock.due(3 * SECOND)
    assert scene.clock.ask(3 * SECOND).caching


def test_a_cache_not_in_use_lapses() -> None:
    """A client that does not read costs the master no further KeepAlives, and writers no wait."""
    scene = Scene()
    for second in range(1, 6):
        assert not scene.clock.due(second * SECOND)
    assert scene.clock.wake_at() == 6 * SECOND
    assert scene.clock.due(6 * SECOND)
    assert not scene.clock.ask(6 * SECOND).caching


def test_use_after_the_renewal_is_what_counts() -> None:
    """KeepAlive.caching: read since the last renewal."""
    scene = Scene()
    scene.read(1)
    first = scene.clock.ask(2 * SECOND)
    assert first.caching
    assert scene.clock.answered(KeepAliveReply(first.number, 1, 1)) == 2 * SECOND
    scene.cache.renew(2 * SECOND, 4 * SECOND, 12 * SECOND)
    scene.clock.cache_renewed()
    assert not scene.clock.ask(6 * SECOND).caching


def test_one_at_a_time_and_only_its_own_answer_counts() -> None:
    """The send time is noted under the number; an answer to another one renews nothing."""
    scene = Scene()
    frame = scene.clock.ask(6 * SECOND)
    assert not scene.clock.due(8 * SECOND)
    assert scene.clock.answered(KeepAliveReply(frame.number + 1, 1, 1)) is None
    assert scene.clock.answered(KeepAliveReply(frame.number - 1, 1, 1)) is None
    assert scene.clock.answered(KeepAliveReply(frame.number, 1, 1)) == 6 * SECOND
    assert scene.clock.answered(KeepAliveReply(frame.number, 1, 1)) is None


def test_silence_counts_from_half_lease() -> None:
    """DESIGN §6: nothing received by half-lease + 2 s."""
    scene = Scene()
    scene.clock.ask(6 * SECOND)
    assert scene.clock.wake_at() == 6 * SECOND + SILENCE
    assert not scene.clock.silent(6 * SECOND + SILENCE - 1)
    assert scene.clock.silent(6 * SECOND + SILENCE)


def test_a_keep_alive_for_the_caches_sake_does_not_make_us_nervous() -> None:
    """The session lease is what the silence endangers, and it has lots of time left."""
    scene = Scene()
    scene.read(1)
    scene.clock.ask(2 * SECOND)
    assert scene.clock.wake_at() == 6 * SECOND + SILENCE


def test_anything_heard_breaks_the_silence() -> None:
    """A large answer may hold up the small one behind it."""
    scene = Scene()
    scene.clock.ask(6 * SECOND)
    scene.clock.heard(7 * SECOND)
    assert not scene.clock.silent(8 * SECOND)
    assert scene.clock.silent(9 * SECOND)


def test_a_late_question_is_given_its_time() -> None:
    """Asked late (we were busy), silence counts from the question."""
    scene = Scene()
    scene.clock.ask(7 * SECOND + SECOND // 2)
    assert not scene.clock.silent(8 * SECOND)
    assert scene.clock.wake_at() == 9 * SECOND + SECOND // 2


def test_our_own_stall_is_not_the_masters_silence() -> None:
    """A timer far too late means that we slept; what came meanwhile has not been read yet."""
    scene = Scene()
    scene.clock.ask(6 * SECOND)
    assert not scene.clock.silent(10 * SECOND)
    assert not scene.clock.silent(11 * SECOND)
    assert scene.clock.silent(12 * SECOND)


def test_without_a_question_there_is_no_silence() -> None:
    """The other side has nothing to say."""
    scene = Scene()
    assert not scene.clock.silent(11 * SECOND)


def test_a_fresh_stream_owes_no_answer() -> None:
    """What was asked on the old one will not be answered here."""
    scene = Scene()
    frame = scene.clock.ask(6 * SECOND)
    scene.session.renew(7 * SECOND, 12 * SECOND)
    scene.clock.begin(7 * SECOND)
    assert scene.clock.answered(KeepAliveReply(frame.number, 1, 1)) is None
    assert not scene.clock.silent(10 * SECOND)
    assert scene.clock.due(13 * SECOND)


def test_a_session_that_never_caches_never_looks() -> None:
    """No wake-ups for a cache that is off."""
    session, cache = Lease(), Cache(enabled=False)
    session.renew(0, 12 * SECOND)
    clock = KeepAliveClock(session, cache)
    clock.begin(0)
    assert clock.wake_at() == 6 * SECOND
    assert clock._cache_check == NEVER
