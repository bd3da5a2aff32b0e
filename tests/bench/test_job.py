"""What a generator is told, and what its command line makes of it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load.job import Job

COUNTS = st.integers(1, 10**6)
JOBS = st.builds(
    Job,
    workload=st.sampled_from(["writes", "reads", "fan_out"]),
    endpoints=st.lists(st.from_regex(r"127\.0\.0\.1:[1-9][0-9]{3}", fullmatch=True), min_size=1).map(tuple),
    in_flight=COUNTS,
    connections=COUNTS,
    seconds=st.floats(0.1, 1e4),
    warm=st.floats(0, 10),
    size=COUNTS,
    rounds=COUNTS,
    nodes=COUNTS,
    depth=COUNTS,
)


@given(JOBS)
def test_a_job_survives_its_command_line(job: Job) -> None:
    """Every field, and no word has a space in it."""
    words = job.arguments()
    assert Job.parse(words) == job
    assert not any(" " in word for word in words)


def test_what_is_not_said_has_its_default() -> None:
    """One can type a job by hand."""
    job = Job.parse(["workload=writes", "endpoints=127.0.0.1:1,127.0.0.1:2", "in_flight=10"])
    assert job == Job("writes", ("127.0.0.1:1", "127.0.0.1:2"), 10)


def test_the_value_has_its_size() -> None:
    """In bytes."""
    assert len(Job("writes", (), size=100).value) == 100


@pytest.mark.parametrize("words", [[], ["endpoints=127.0.0.1:1"], ["workload=writes", "in_flight=many"]])
def test_a_job_that_says_too_little_or_nonsense_is_refused(words: list[str]) -> None:
    """Not guessed."""
    with pytest.raises(msgspec.ValidationError):
        Job.parse(words)
