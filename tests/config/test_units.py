"""Quantities as humans write them (DESIGN §2 `cell_config/`)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.config.units import (
    LONGEST,
    format_duration,
    format_size,
    parse_count,
    parse_duration,
    parse_ratio,
    parse_size,
)
from chubby.types.time import MILLISECOND, SECOND


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("12s", 12 * SECOND),
        ("500ms", 500 * MILLISECOND),
        ("0.5s", 500 * MILLISECOND),
        ("1.5 s", 1500 * MILLISECOND),
        ("2m", 120 * SECOND),
        ("1h", 3600 * SECOND),
        ("24h", LONGEST),
        ("250us", 250_000),
        ("7ns", 7),
        ("0.000000001s", 1),
    ],
)
def test_durations(text: str, duration: int) -> None:
    """A duration is a number and a unit, read exactly."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        (12, "write a string with a unit"),
        (1.5, "write a string with a unit"),
        (None, "write a string with a unit"),
        ("12", "write a number and one of h, m, s, ms, us, ns"),
        ("s", "write a number"),
        ("", "write a number"),
        ("-1s", "write a number"),
        ("1d", "write a number"),
        ("1S", "write a number"),
        ("1s\n", "write a number"),
        ("1_000ms", "write a number"),
        ("١s", "write a number"),
        ("0s", "longer than zero"),
        ("0.5ns", "write fewer decimals"),
        ("25h", "write a shorter duration"),
        ("999999999999999999999h", "write a shorter duration"),
    ],
)
def test_bad_durations_say_what_to_write(value: object, trouble: str) -> None:
    """A bad duration names the remedy."""
    with pytest.raises(ValueError, match=re.escape(trouble)):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [("64MiB", 64 << 20), ("256KiB", 256 << 10), ("1GiB", 1 << 30), ("1.5KiB", 1536), ("512B", 512), (4096, 4096)],
)
def test_sizes(value: object, size: int) -> None:
    """A size is bytes, or a number and a unit of 1,024s."""
    assert parse_size(value) == size


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        ("64MB", "write a number and one of GiB, MiB, KiB, B"),
        ("64", "write a number and one of GiB"),
        ("0.3B", "write fewer decimals"),
        (-1, "negative"),
        (True, "write a string with a unit"),
        (1.0, "write a string with a unit"),
        ([], "write a string with a unit"),
    ],
)
def test_bad_sizes_say_what_to_write(value: object, trouble: str) -> None:
    """Units of 1,000 do not exist here, so that nobody mistakes them."""
    with pytest.raises(ValueError, match=re.escape(trouble)):
        parse_size(value)


@pytest.mark.parametrize(("text", "ppm"), [("1%", 10_000), ("0.5%", 5000), ("200ppm", 200), ("0%", 0), ("100%", 10**6)])
def test_ratios(text: str, ppm: int) -> None:
    """A ratio is counted in parts per million."""
    assert parse_ratio(text) == ppm


@pytest.mark.parametrize("value", [0.01, 1, "1", "1 percent", "0.00001%"])
def test_bad_ratios(value: object) -> None:
    """A bare number could be a fraction, a percentage or parts per million: refused."""
    with pytest.raises(ValueError, match=r"write"):
        parse_ratio(value)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_counts_are_whole_numbers(value: object) -> None:
    """A count is an integer of TOML and nothing else."""
    assert parse_count(17) == 17
    with pytest.raises(ValueError, match="no whole number"):
        parse_count(value)


@given(st.integers(1, LONGEST))
def test_a_formatted_duration_reads_back(duration: int) -> None:
    """What a message shows can be pasted into the file."""
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(0, 1 << 45))
def test_a_formatted_size_reads_back(size: int) -> None:
    """What a message shows can be pasted into the file."""
    assert parse_size(format_size(size)) == size


def test_formats_use_the_largest_whole_unit() -> None:
    """As one would write it."""
    assert [format_duration(d) for d in (0, SECOND, 90 * SECOND, 120 * SECOND, 1500 * MILLISECOND)] == [
        "0s",
        "1s",
        "90s",
        "2m",
        "1500ms",
    ]
    assert [format_size(s) for s in (0, 1, 1024, 1536, 64 << 20)] == ["0B", "1B", "1KiB", "1536B", "64MiB"]
