"""Instants for a known order: as early as can be, with room for every read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.checking.timetable import FOREVER, START, Late, Span, Timetable


def fit(
    changes: Sequence[tuple[int, int]],
    bound: dict[int, list[tuple[int, int]]] | None = None,
    free: Sequence[tuple[int, int, set[int]]] = (),
) -> list[int]:
    """The instants of these changes; reads by state, and free ones with the states that suit them."""
    spans = [START, *(Span(invoked, returned, number) for number, (invoked, returned) in enumerate(changes))]
    reads = [
        [Span(invoked, returned, 100 + place) for invoked, returned in (bound or {}).get(place, [])]
        for place in range(len(spans))
    ]
    loose = [Span(invoked, returned, 200 + number) for number, (invoked, returned, _) in enumerate(free)]
    table = Timetable(spans, reads, loose, lambda place, read: place in free[read.number - 200][2])
    table.fit()
    return table.instants[1:]


def test_as_early_as_can_be() -> None:
    """When it was invoked, but not before its predecessor."""
    assert fit([(0, 10), (5, 20), (3, 8)]) == [0, 5, 5]
    assert fit([]) == []


def test_an_order_against_time_is_late() -> None:
    """The second change was over before the first was invoked."""
    with pytest.raises(Late) as late:
        fit([(10, 20), (0, 5)])
    assert late.value.numbers == (1, 0) and not late.value.given_up
    assert fit([(10, 20), (0, 10)]) == [10, 10]


def test_a_read_holds_back_the_next_change() -> None:
    """It was told state 1 after its invocation, so change 2 is later than that."""
    assert fit([(0, 10), (5, 20)], {1: [(8, 9)]}) == [0, 8]
    with pytest.raises(Late):
        fit([(0, 10), (5, 7)], {1: [(8, 9)]})


def test_a_read_of_what_was_not_there_yet_is_late() -> None:
    """State 1 began after it returned."""
    with pytest.raises(Late) as late:
        fit([(10, 20)], {1: [(0, 9)]})
    assert late.value.numbers == (101, 0)
    assert fit([(10, 20)], {0: [(0, 9)]}) == [10]


def test_reads_of_one_state_order_those_of_the_next() -> None:
    """The newer value was told to somebody before somebody else, later, was told the older one."""
    with pytest.raises(Late):
        fit([(0, 100)], {1: [(10, 20)], 0: [(30, 40)]})
    assert fit([(0, 100)], {1: [(10, 20)], 0: [(20, 40)]}) == [20]


def test_a_free_read_takes_the_latest_state_that_suits() -> None:
    """So it holds back nothing that it need not."""
    assert fit([(0, 9), (2, 9)], free=[(5, 6, {0, 1, 2})]) == [0, 2]
    assert fit([(0, 9), (2, 9)], free=[(5, 6, {1})]) == [0, 5]
    assert fit([(0, 9), (2, 9)], free=[(5, 6, {0})]) == [5, 5]


def test_a_free_read_without_a_state_is_late() -> None:
    """None suits it, or only one that was over."""
    for states in (set(), {0}):
        with pytest.raises(Late) as late:
            fit([(0, 4), (2, 9)], free=[(5, 6, states)])
        assert late.value.numbers == (200,)


def test_free_reads_push_each_other() -> None:
    """The first takes state 1 and moves change 2 past the second, which has to be content with an earlier one."""
    free: list[tuple[int, int, set[int]]] = [(20, 30, {1}), (5, 15, {0, 2})]
    assert fit([(0, 50), (0, 50)], free=free) == [5, 20]
    with pytest.raises(Late):
        fit([(0, 4), (0, 50)], free=free)


def test_what_nobody_was_told_lasts_for_ever() -> None:
    """An unknown change has no end."""
    assert fit([(0, FOREVER), (50, 60)], {0: [(30, 40)]}) == [30, 50]


def test_many_changes_are_quick() -> None:
    """Each free read looks only at states that lasted during it."""
    count = 2000
    spans = [START, *(Span(10 * number, 10 * number + 15, number) for number in range(count))]
    free = [Span(10 * number + 1, 10 * number + 2, number) for number in range(count)]
    table = Timetable(spans, [[]] * len(spans), free, lambda place, read: place == read.number + 1)
    table.fit()
    assert table.work < 3 * count
