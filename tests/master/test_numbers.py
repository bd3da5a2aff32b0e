"""Numbers of closed handles, kept as intervals (DESIGN §5 Handles)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.numbers import NumberSet


def test_neighbours_join() -> None:
    """A gap that is filled makes one interval of two."""
    numbers = NumberSet()
    for number in (1, 3, 7, 2, 6):
        numbers.add(number)
    assert numbers.intervals == ((1, 3), (6, 7))


def test_a_long_session_stays_small() -> None:
    """A hundred thousand closed handles are one interval."""
    numbers = NumberSet()
    for number in range(1, 100_001):
        numbers.add(number)
    assert numbers.intervals == ((1, 100_000),)
    assert 50_000 in numbers and 0 not in numbers and 100_001 not in numbers


@given(st.lists(st.integers(0, 40), max_size=60))
def test_like_a_set(added: list[int]) -> None:
    """Against a plain set; intervals are disjoint, ascending and never adjacent."""
    numbers = NumberSet()
    model: set[int] = set()
    for number in added:
        numbers.add(number)
        model.add(number)
    assert [number for number in range(-1, 42) if number in numbers] == sorted(model)
    intervals = numbers.intervals
    assert all(first <= last for first, last in intervals)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(intervals))


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 45)))
def test_gaps_are_filled_but_for_what_is_spared(added: set[int], others: set[int]) -> None:
    """Everything up to the greatest number is there then, in as many pieces as the spared ones make."""
    numbers = NumberSet()
    for number in added:
        numbers.add(number)
    spared = sorted(others - added)
    numbers.fill(spared)
    assert [number for number in range(50) if number in numbers] == sorted({*range(1, max(added) + 1)} - {*spared})
    assert numbers.pieces == len(numbers.intervals) <= len(spared) + 1


def test_nothing_is_filled_where_nothing_is() -> None:
    """The empty set has no greatest number."""
    numbers = NumberSet()
    numbers.fill([3])
    assert numbers.intervals == ()
