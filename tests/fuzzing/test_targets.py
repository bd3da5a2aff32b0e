"""Every target with good inputs, near misses, noise, and bombs (DESIGN §2, "Suspicion" of `chubby.wire`)."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chubby.replica.links import LinkMessage
from tests.fuzzing import links, seals
from tests.fuzzing.mutation import spoilt
from tests.fuzzing.table import TARGETS
from tests.fuzzing.target import Target, check_memory, steps_of
from tests.house.sources import ROOT

EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
SLOW = frozenset({"session_stream", "session_core", "data_directory", "link_stream", "snapshot_chunks"})
"""An input of these is a story of its own."""
BOMBS = [(target, name) for target in TARGETS.values() for name in target.bombs]


def examples(target: Target, fast: int, slow: int) -> settings:
    """How many inputs to try."""
    patient = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=slow if target.name in SLOW else fast, suppress_health_check=patient)


@EVERY
def test_samples_are_made_sense_of_within_bounds(target: Target) -> None:
    """No sample is a finding, one at least is no refusal either, and none costs more memory than it may."""
    samples = target.samples()
    assert any(target.taste(data) is None for data in samples), f"no sample leads into {target.name}"
    for data in samples[:: 1 + len(samples) // 6]:
        check_memory(target, data)


@EVERY
def test_near_misses(target: Target) -> None:
    """Good inputs spoilt in a few places are made sense of or refused."""

    @examples(target, 150, 25)
    @given(spoilt(target.samples()))
    def near_misses(data: bytes) -> None:
        target.taste(data[: 4 * target.longest])

    near_misses()


@EVERY
def test_noise(target: Target) -> None:
    """So is what resembles nothing."""

    @examples(target, 50, 10)
    @given(st.binary(max_size=200))
    def noise(data: bytes) -> None:
        target.taste(data)

    noise()


@pytest.mark.parametrize(("target", "bomb"), BOMBS, ids=[f"{target.name}: {name}" for target, name in BOMBS])
def test_bombs_cost_no_more_than_their_size(target: Target, bomb: str) -> None:
    """Memory stays within the target's bound, and steps grow no faster than the input."""
    make = target.bombs[bomb]
    for size in (100, 10_000, 60_000):
        check_memory(target, make(size))
    few, many = make(5_000), make(40_000)
    growth = max(1.0, len(many) / max(1, len(few)))
    fewer, more = steps_of(lambda: target.taste(few)), steps_of(lambda: target.taste(many))
    assert more <= 2000 + 1.5 * growth * fewer, f"{len(few)} bytes cost {fewer} steps, {len(many)} bytes {more}"


def test_every_kind_of_link_message_is_a_sample() -> None:
    """What is new on the links comes under the fuzzer by itself."""
    kinds = {type(message) for message in links.messages()}
    assert kinds == set(get_args(LinkMessage)), "the union, whole"


def test_digits_are_made_right_where_a_program_says_so() -> None:
    """The programs reach what lies behind the check digits."""
    said = seals.present
    for data in TARGETS["tickets"].samples():
        said(data)


def test_the_table_is_in_the_documentation() -> None:
    """docs/testing.md names every target."""
    page = (ROOT / "docs" / "testing.md").read_text()
    assert [name for name in TARGETS if f"`{name}`" not in page] == []
