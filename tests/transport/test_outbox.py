"""The queue to a peer is bounded, in order, and accounts for every frame; the backoff stays in its range."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chubby.transport.backoff import Backoff
from chubby.transport.outbox import Bounds, Outbox
from chubby.types.time import MILLISECOND, SECOND

CONNECTED, AWAY = Bounds(100, 10), Bounds(30, 4)


class OutboxMachine(RuleBasedStateMachine):
    """An outbox beside the dumbest possible twin: a list."""

    def __init__(self) -> None:
        """Both empty."""
        super().__init__()
        self.outbox = Outbox(CONNECTED)
        self.bounds = CONNECTED
        self.twin: list[bytes] = []
        self.pushed = self.taken = 0
        self.number = 0

    @rule(length=st.integers(4, 120))
    def push(self, length: int) -> None:
        """A frame that is like no other."""
        self.number += 1
        frame = self.number.to_bytes(4, "big") + bytes(length - 4)
        fits = sum(map(len, self.twin)) + length <= self.bounds.size and len(self.twin) < self.bounds.frames
        assert self.outbox.has_room(frame) == fits
        self.outbox.push(frame)
        self.pushed += 1
        if length > self.bounds.size and not fits:
            return
        self.twin = [*self.twin, frame] if fits else [frame]

    @rule(size=st.integers(1, 150))
    def take(self, size: int) -> None:
        """Frames from the front, up to the one that reaches the size."""
        taken = self.outbox.take(size)
        assert taken == self.twin[: len(taken)]
        assert sum(map(len, taken[:-1])) < size
        self.twin = self.twin[len(taken) :]
        assert not self.twin or sum(map(len, taken)) >= size
        self.taken += len(taken)

    @rule(bounds=st.sampled_from([CONNECTED, AWAY]))
    def rebound(self, bounds: Bounds) -> None:
        """The peer comes or goes."""
        self.outbox.rebound(bounds)
        self.bounds = bounds
        if sum(map(len, self.twin)) > bounds.size or len(self.twin) > bounds.frames:
            self.twin = []

    @rule()
    def clear(self) -> None:
        """Drop everything."""
        self.outbox.clear()
        self.twin = []

    @invariant()
    def is_like_its_twin(self) -> None:
        """The same frames, within the bounds, and every frame accounted for."""
        assert len(self.outbox) == len(self.twin)
        assert self.outbox.size == sum(map(len, self.twin))
        assert self.outbox.size <= self.bounds.size
        assert len(self.outbox) <= self.bounds.frames
        assert self.pushed == self.taken + self.outbox.dropped_frames + len(self.outbox)


TestOutboxMachine = OutboxMachine.TestCase


def test_overflow_by_bytes_drops_what_is_old() -> None:
    """Of a queue that does not drain, the newest message is the one worth sending."""
    outbox = Outbox(Bounds(100, 10))
    for letter in b"abc":
        outbox.push(bytes([letter]) * 40)
    assert outbox.take(1000) == [b"c" * 40]
    assert (outbox.dropped_frames, outbox.dropped_size) == (2, 80)


def test_overflow_by_count_drops_what_is_old() -> None:
    """Small frames are bounded too: each costs more memory than its bytes."""
    outbox = Outbox(Bounds(1000, 3))
    for letter in b"abcd":
        outbox.push(bytes([letter]))
    assert outbox.take(1000) == [b"d"]
    assert outbox.dropped_frames == 3


def test_a_frame_that_never_fits_is_dropped_alone() -> None:
    """It does not take along what would have fitted."""
    outbox = Outbox(Bounds(30, 4))
    outbox.push(b"small")
    outbox.push(bytes(31))
    assert outbox.take(1000) == [b"small"]
    assert (outbox.dropped_frames, outbox.dropped_size) == (1, 31)


def test_taking_by_size_leaves_the_rest_in_order() -> None:
    """A write is as large as asked, or one frame larger."""
    outbox = Outbox(Bounds(1000, 100))
    for letter in b"abcde":
        outbox.push(bytes([letter]) * 10)
    assert outbox.take(15) == [b"a" * 10, b"b" * 10]
    assert outbox.size == 30
    assert outbox.take(30) == [b"c" * 10, b"d" * 10, b"e" * 10]
    assert outbox.take(1) == []


def test_a_peer_that_goes_away_leaves_a_small_queue() -> None:
    """What fits the smaller bounds stays, to bridge a reconnect; more than that is dropped whole."""
    outbox = Outbox(CONNECTED)
    outbox.push(bytes(20))
    outbox.rebound(AWAY)
    assert len(outbox) == 1
    outbox.rebound(CONNECTED)
    outbox.push(bytes(20))
    outbox.rebound(AWAY)
    assert len(outbox) == 0
    assert outbox.dropped_frames == 2


def test_taking_nothing_is_a_mistake() -> None:
    """It would loop for ever."""
    with pytest.raises(AssertionError):
        Outbox(CONNECTED).take(0)


SHORTEST, LONGEST = 50 * MILLISECOND, 2 * SECOND


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=12))
def test_waits_stay_in_their_range(draws: list[float]) -> None:
    """50 ms to 2 s, whatever the jitter says."""
    jitter = iter(draws)
    backoff = Backoff(SHORTEST, LONGEST, lambda: next(jitter))
    for _ in draws:
        assert SHORTEST <= backoff.draw() < LONGEST


def test_waits_double_up_to_the_longest() -> None:
    """Without jitter: the lower half of each range is never used."""
    backoff = Backoff(SHORTEST, LONGEST, lambda: 0.0)
    waits = [backoff.draw() // MILLISECOND for _ in range(8)]
    assert waits == [50, 100, 200, 400, 800, 1000, 1000, 1000]


def test_jitter_spreads_over_the_upper_half() -> None:
    """Two replicas with different jitter do not meet again."""
    jitter = iter([0.0, 0.5, 0.98])
    waits = [Backoff(SHORTEST, LONGEST, lambda: next(jitter)).draw() // MILLISECOND for _ in range(3)]
    assert waits == [50, 75, 99]


def test_success_resets() -> None:
    """The next failure is a new one."""
    backoff = Backoff(SHORTEST, LONGEST, lambda: 0.0)
    for _ in range(5):
        backoff.draw()
    backoff.reset()
    assert backoff.draw() == SHORTEST


def test_a_refusal_is_waited_out() -> None:
    """Whoever said no will say no again."""
    backoff = Backoff(SHORTEST, LONGEST, lambda: 0.0)
    backoff.exhaust()
    assert backoff.draw() == LONGEST // 2


@pytest.mark.parametrize(("shortest", "longest"), [(0, SECOND), (SECOND, SECOND), (SECOND, 2 * SECOND - 1)])
def test_a_range_must_be_one(shortest: int, longest: int) -> None:
    """Zero would spin; a range without a doubling is none."""
    with pytest.raises(AssertionError):
        Backoff(shortest, longest, lambda: 0.0)
