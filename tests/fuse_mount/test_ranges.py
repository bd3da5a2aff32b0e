"""Byte ranges of one owner, against a model that knows each byte by itself (fcntl(2))."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chubby.types.nodes import LockMode
from fuse_mount.ranges import NOTHING, WHOLE, Interval, Ranges, Span, covers, strongest

EXCLUSIVE, SHARED = LockMode.EXCLUSIVE, LockMode.SHARED
MODES = (None, SHARED, EXCLUSIVE)
LAST = 12
"""The model's last byte, which stands for itself and all that follow it."""


@st.composite
def spans(draw: st.DrawFn) -> Span:
    """Any span of the model's bytes."""
    start = draw(st.integers(0, LAST))
    return Span(start, draw(st.none() | st.integers(start + 1, LAST) if start < LAST else st.none()))


def bytes_of(span: Span) -> set[int]:
    """Which of the model's bytes are in the span."""
    return {byte for byte in range(LAST + 1) if span.start <= byte and (span.end is None or byte < span.end)}


HISTORIES = st.lists(st.tuples(spans(), st.sampled_from(MODES)), max_size=12)


def played(history: list[tuple[Span, LockMode | None]]) -> Ranges:
    """What a history of locks (a mode) and unlocks (None) leads to."""
    ranges = NOTHING
    for span, mode in history:
        ranges = ranges.unset(span) if mode is None else ranges.set(span, mode)
    return ranges


def remembered(history: list[tuple[Span, LockMode | None]]) -> dict[int, LockMode]:
    """The same, byte for byte."""
    model: dict[int, LockMode] = {}
    for span, mode in history:
        for byte in bytes_of(span):
            if mode is None:
                model.pop(byte, None)
            else:
                model[byte] = mode
    return model


def spread(ranges: Ranges) -> dict[int, LockMode]:
    """Intervals as bytes."""
    return {byte: interval.mode for interval in ranges.intervals for byte in bytes_of(interval.span)}


@given(HISTORIES)
@settings(max_examples=400)
def test_every_byte_is_locked_as_it_was_last_asked(history: list[tuple[Span, LockMode | None]]) -> None:
    """The new mode inside the span, whatever was there; nothing changes outside it."""
    assert spread(played(history)) == remembered(history)


@given(HISTORIES)
@settings(max_examples=400)
def test_intervals_are_in_order_disjoint_and_merged(history: list[tuple[Span, LockMode | None]]) -> None:
    """So that there is one value for one state: neighbours that touch differ in mode."""
    intervals = played(history).intervals
    for left, right in pairwise(intervals):
        assert left.span.end is not None
        assert left.span.end < right.span.start or (left.span.end == right.span.start and left.mode is not right.mode)


@given(HISTORIES)
def test_the_value_is_that_of_the_state_and_not_of_the_history(history: list[tuple[Span, LockMode | None]]) -> None:
    """Locked anew, byte by byte from behind, the same bytes in the same modes are an equal value."""
    model = remembered(history)
    again = [(Span(byte, byte + 1 if byte < LAST else None), mode) for byte, mode in sorted(model.items())]
    assert played(history) == played([*reversed(again)])


@given(HISTORIES)
def test_the_strongest_mode(history: list[tuple[Span, LockMode | None]]) -> None:
    """Exclusive if any byte is; None if nothing is locked, and then the value is false."""
    ranges, modes = played(history), set(remembered(history).values())
    assert ranges.strongest is (EXCLUSIVE if EXCLUSIVE in modes else SHARED if modes else None)
    assert bool(ranges) == bool(modes)


@given(HISTORIES, spans())
def test_what_overlaps(history: list[tuple[Span, LockMode | None]], span: Span) -> None:
    """Exactly the intervals with a byte in the span."""
    ranges = played(history)
    expected = [interval for interval in ranges.intervals if bytes_of(interval.span) & bytes_of(span)]
    assert list(ranges.overlapping(span)) == expected


@given(spans(), spans())
def test_overlap_is_a_common_byte(left: Span, right: Span) -> None:
    """In both directions."""
    assert left.overlaps(right) == right.overlaps(left) == bool(bytes_of(left) & bytes_of(right))


@given(spans(), spans())
def test_without(left: Span, right: Span) -> None:
    """The bytes of one that are not in the other, in order, in no more pieces than need be."""
    pieces = list(left.without(right))
    assert [byte for piece in pieces for byte in sorted(bytes_of(piece))] == sorted(bytes_of(left) - bytes_of(right))
    assert len(pieces) <= 2


def test_a_lock_in_the_middle_splits() -> None:
    """The picture of fcntl(2)."""
    ranges = NOTHING.set(Span(0, 30), EXCLUSIVE).set(Span(10, 20), SHARED)
    first, last = Interval(Span(0, 10), EXCLUSIVE), Interval(Span(20, 30), EXCLUSIVE)
    assert ranges.intervals == (first, Interval(Span(10, 20), SHARED), last)
    assert ranges.unset(Span(10, 20)).intervals == (first, last)


def test_neighbours_merge() -> None:
    """Three pieces become one, whatever their order, up to the end of all files."""
    ranges = NOTHING.set(Span(20), SHARED).set(Span(0, 10), SHARED).set(Span(10, 20), SHARED)
    assert ranges.intervals == (Interval(WHOLE, SHARED),)


def test_the_end_is_beyond_every_byte() -> None:
    """A lock to the end covers what is written later; cut, it keeps its end."""
    assert NOTHING.set(WHOLE, SHARED).overlapping(Span(1 << 62))
    assert NOTHING.set(WHOLE, SHARED).unset(Span(0, 5)).intervals == (Interval(Span(5), SHARED),)
    assert not NOTHING.set(Span(5), SHARED).overlapping(Span(0, 5))


@pytest.mark.parametrize(("start", "end"), [(-1, None), (3, 3), (3, 2), (-1, 2)])
def test_a_span_has_bytes(start: int, end: int | None) -> None:
    """Nothing can be locked without saying what."""
    with pytest.raises(ValueError, match="a lock of the bytes"):
        Span(start, end)


def test_a_value_is_not_changed() -> None:
    """Whoever keeps one keeps what it was."""
    before = NOTHING.set(Span(0, 10), SHARED)
    before.set(Span(0, 10), EXCLUSIVE)
    before.unset(WHOLE)
    assert before.intervals == (Interval(Span(0, 10), SHARED),)
    assert Ranges() == NOTHING


@pytest.mark.parametrize("held", MODES)
@pytest.mark.parametrize("wanted", MODES)
def test_covers_is_an_order(held: LockMode | None, wanted: LockMode | None) -> None:
    """Nothing < shared < exclusive, as the table MODES has it; the strongest is the greatest."""
    assert covers(held, wanted) == (MODES.index(held) >= MODES.index(wanted))
    assert strongest([held, wanted]) is max(held, wanted, key=MODES.index)


def test_the_strongest_of_none() -> None:
    """Is none."""
    assert strongest([]) is None
