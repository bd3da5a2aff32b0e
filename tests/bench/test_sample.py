"""What a generator prints: percentiles, rates, gaps."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.sample import Record, Sample, percentile

VALUES = st.lists(st.floats(0, 1000), min_size=1, max_size=50)


def record(*spans: tuple[float, float]) -> Record:
    """A record of operations that began and ended then."""
    made = Record()
    made.began += [begin for begin, _ in spans]
    made.ended += [end for _, end in spans]
    return made


@given(VALUES, st.floats(0, 1))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], share: float) -> None:
    """Nearest rank: it is one of the values, enough are not above it, and of what is below it that cannot be said."""
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    below = [value for value in ordered if value < found]
    assert len(below) < max(1.0, share * len(ordered))


def test_the_percentiles_of_a_hundred() -> None:
    """By hand: of 1 to 100 they are what one expects; of nothing, 0."""
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([], 0.5) == 0.0


def test_a_rate_counts_from_the_first_begin_to_the_last_end() -> None:
    """Ten operations, two at a time, in five seconds."""
    spans = [(float(number), number + 1.0) for number in range(5)] * 2
    sample = record(*spans).rate()
    assert (sample.value, sample.operations, sample.seconds) == (2.0, 10, 5.0)
    assert (sample.p50, sample.p99, sample.worst) == (1.0, 1.0, 1.0)


def test_nothing_done_is_a_rate_of_nothing() -> None:
    """And no error."""
    assert record().rate().value == 0.0
    assert record().gap().value == math.inf


def test_a_gap_is_the_longest_time_in_which_nobody_was_answered() -> None:
    """Another writer's answer ends it, in whatever order the record has them."""
    sample = record((0.0, 1.0), (0.5, 9.0), (1.0, 4.0), (4.0, 4.5)).gap()
    assert sample.value == 4.5
    assert sample.operations == 4
    assert sample.worst == 8.5


def test_what_never_came_back_is_a_gap_until_the_end() -> None:
    """And what began late is one from the beginning."""
    dead = Record(0.0, 10.0)
    dead.began, dead.ended = [0.0, 1.0], [1.0, 2.0]
    assert dead.gap().value == 8.0
    late = Record(0.0, 10.0)
    late.began, late.ended = [6.0, 9.0], [7.0, 9.5]
    assert late.gap().value == 7.0
    assert Record(0.0, 10.0).gap().value == 10.0


def test_errors_are_counted_and_not_timed() -> None:
    """They are told beside the figures."""
    made = record((0.0, 1.0))
    made.errors = 3
    assert made.rate().errors == 3
    assert made.rate().operations == 1


@given(st.floats(0, 1e9), st.integers(0, 10**9), st.floats(0, 1e6))
def test_a_sample_survives_its_line_of_json(value: float, operations: int, seconds: float) -> None:
    """What one process prints another reads."""
    sample = Sample(value, operations, seconds)
    assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample


def test_what_compiled_generators_print_is_a_sample() -> None:
    """A line as the generator for ZooKeeper has it; whole numbers will do for fractions."""
    line = '{"value":1234.5,"operations":10,"seconds":2,"p50":0.1,"p99":0.2,"worst":0.3,"errors":0,"processor":0.5}'
    assert msgspec.json.decode(line, type=Sample).p99 == pytest.approx(0.2)
