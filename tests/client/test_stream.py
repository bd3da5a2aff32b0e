"""One connection after the other: phases, patience, back-off (DESIGN §5 Events, §6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.client.stream import BACKOFF, BACKOFF_MAXIMUM, PATIENCE, PATIENCE_MAXIMUM, STEADY, Phase, Stream
from chubby.types.time import NEVER, SECOND


def half() -> float:
    """A jitter without surprises."""
    return 0.5


def test_numbers_grow_for_ever_and_only_the_newest_counts() -> None:
    """DESIGN §6: the highest stream number wins; older input is dropped."""
    stream = Stream(half)
    assert not stream.is_current(0)
    assert [stream.open(0) for _ in range(3)] == [1, 2, 3]
    assert stream.is_current(3)
    assert not stream.is_current(2)


def test_a_connection_given_up_does_not_count_though_it_is_the_newest() -> None:
    """Its input may still be on the way."""
    stream = Stream(half)
    stream.open(0)
    stream.rest(1)
    assert not stream.is_current(1)
    stream.open(2)
    stream.stop()
    assert not stream.is_current(2)
    assert stream.wake_at() == NEVER


def test_the_way_of_a_good_connection() -> None:
    """SEEKING, GREETING, ESTABLISHED; the greeting's send time is kept, leases count from it."""
    stream = Stream(half)
    stream.open(5, "somewhere:1")
    assert (stream.phase, stream.address, stream.wake_at()) == (Phase.SEEKING, "somewhere:1", 5 + PATIENCE)
    stream.connected(7)
    assert (stream.phase, stream.greeted_at, stream.wake_at()) == (Phase.GREETING, 7, 7 + PATIENCE)
    stream.greeted(9)
    assert stream.established and stream.wake_at() == NEVER and stream.greeted_at == 7


@pytest.mark.parametrize("step", ["connected", "greeted"])
def test_steps_out_of_turn_are_bugs(step: str) -> None:
    """The core asks for the phase first."""
    with pytest.raises(AssertionError):
        getattr(Stream(half), step)(0)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 30))
def test_back_off_grows_is_bounded_and_drawn_from_the_whole_interval(jitter: float, failures: int) -> None:
    """pains: a reconnect storm; clients of one cell must not come back in step."""
    stream = Stream(lambda: jitter)
    for failure in range(failures):
        stream.open(0)
        stream.rest(0)
        most = min(BACKOFF * 2**failure, BACKOFF_MAXIMUM)
        assert 0 <= stream.wake_at() <= most
        assert stream.wake_at() == int(most * jitter)


def test_patience_grows_with_failures() -> None:
    """An overloaded master must not be asked again and again before it could answer."""
    stream = Stream(half)
    patience = []
    for _ in range(6):
        stream.open(0)
        patience.append(stream.wake_at())
        stream.rest(0)
    assert patience == sorted(patience)
    assert patience[0] == PATIENCE and patience[-1] == PATIENCE_MAXIMUM


def establish(stream: Stream, now: int) -> None:
    """Get through."""
    stream.open(now)
    stream.connected(now)
    stream.greeted(now)


def test_a_steady_stream_wipes_out_the_past_a_short_one_does_not() -> None:
    """A master that accepts and drops at once is not hammered."""
    stream = Stream(half)
    for _ in range(6):
        establish(stream, 0)
        stream.rest(0)
    assert stream.wake_at() == BACKOFF_MAXIMUM // 2
    establish(stream, 10 * SECOND)
    stream.rest(10 * SECOND + STEADY)
    assert stream.wake_at() == 10 * SECOND + STEADY + BACKOFF // 2


def test_redirects_in_a_row_are_followed_a_few_times() -> None:
    """Two replicas that name each other would be a loop."""
    stream = Stream(half)
    assert [stream.redirected() for _ in range(5)] == [True, True, True, False, False]
    establish(stream, 0)
    assert stream.redirected()
