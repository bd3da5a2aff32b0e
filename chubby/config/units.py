"""Quantities as humans write them: durations, sizes, parts of a whole, counts.

| kind     | written                                           | means                                        |
|----------|---------------------------------------------------|----------------------------------------------|
| duration | `"12s"`, `"500ms"`, `"1.5s"`, `"2m"`, `"1h"`      | `Duration`, nanoseconds                      |
| size     | `"64MiB"`, `"256KiB"`, `"1GiB"`, `"512B"`, `4096` | bytes; only the units of 1,024 exist here    |
| ratio    | `"1%"`, `"0.5%"`, `"200ppm"`                      | parts per million                            |
| count    | `100_000`                                         | itself                                       |

A number without a unit says nothing, so it is refused where a unit is needed. Every reader here takes whatever a TOML
file may hold and raises ValueError; its text names the trouble and the remedy, and the caller adds file and key.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration

LONGEST: Final[Duration] = 24 * 3600 * SECOND
"""No duration of a cell is longer than a day: a longer one is a slip of the pen."""
GREATEST: Final = (1 << 63) - 1
"""No count and no size is greater: this is what the log and the snapshots can say."""

_DURATIONS: Final[dict[str, int]] = {
    "h": 3600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": MILLISECOND,
    "us": MICROSECOND,
    "ns": 1,
}
_SIZES: Final[dict[str, int]] = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_RATIOS: Final[dict[str, int]] = {"%": 10_000, "ppm": 1}

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z%]+)\Z", re.ASCII)


def parse_duration(value: object) -> Duration:
    """The duration that `value` writes, above zero and at most a day; else ValueError."""
    duration = _quantity(value, _DURATIONS, "a duration", '"12s" or "500ms"')
    if duration == 0:
        raise ValueError('a duration is longer than zero: write for instance "12s" or "500ms"')
    if duration > LONGEST:
        raise ValueError(f"{value!r} is longer than a day: write a shorter duration")
    return duration


def parse_size(value: object) -> int:
    """The bytes that `value` writes; a plain whole number is bytes too; else ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_count(value)
    return parse_count(_quantity(value, _SIZES, "a size", '"64MiB" or "256KiB"'))


def parse_ratio(value: object) -> int:
    """The parts per million that `value` writes; else ValueError."""
    return _quantity(value, _RATIOS, "a ratio", '"1%" or "200ppm"')


def parse_count(value: object) -> int:
    """A whole number from 0 to `GREATEST`; else ValueError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number: write for instance 1000")
    if value < 0:
        raise ValueError(f"{value} is negative: write 0 or more")
    if value > GREATEST:
        raise ValueError(f"is more than {GREATEST}: write a smaller number")
    return value


def format_duration(duration: Duration) -> str:
    """`duration` (not negative) as one would write it: the largest unit that leaves a whole number."""
    return _format(duration, _DURATIONS, "0s")


def format_size(size: int) -> str:
    """`size` in bytes (not negative) as one would write it: the largest unit that leaves a whole number."""
    return _format(size, _SIZES, "0B")


def _quantity(value: object, units: dict[str, int], what: str, examples: str) -> int:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not {what}: write a string with a unit, for instance {examples}")
    match = _QUANTITY.match(value)
    if match is None or match[2] not in units:
        raise ValueError(f"{value!r} is not {what}: write a number and one of {', '.join(units)}, like {examples}")
    exact = Fraction(match[1]) * units[match[2]]
    if exact.denominator != 1:
        raise ValueError(f"{value!r} is finer than can be counted: write fewer decimals")
    return exact.numerator


def _format(quantity: int, units: dict[str, int], zero: str) -> str:
    assert quantity >= 0, "quantities here are not negative"
    if quantity == 0:
        return zero
    return next(f"{quantity // size}{unit}" for unit, size in units.items() if quantity % size == 0)
