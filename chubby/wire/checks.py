"""What the codec insists on, both ways: numbers, enumerations, ceilings.

Each check returns the value it was given, so that it can stand inside an assignment. An encoder raises what describes
the caller's mistake (`BadArgument`, `TooLarge`); a decoder's entry point turns both into `BadArgument`, because a peer
that passes a ceiling has broken the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from chubby.errors import BadArgument, TooLarge
from chubby.wire.limits import (
    ATTRIBUTES_CEILING,
    CONTENT_CEILING,
    SEQUENCER_CEILING,
    TEXT_CEILING,
    TICKET_CEILING,
)

T = TypeVar("T")


def natural(value: int, name: str) -> int:
    """`value`, which must not be negative; raises BadArgument."""
    if value < 0:
        raise BadArgument(f"{name} is negative: {value}")
    return value


def below(value: int, ceiling: int, name: str) -> int:
    """`value`, which must be less than `ceiling`; raises BadArgument."""
    if value >= ceiling:
        raise BadArgument(f"{name} is {value}; it is less than {ceiling}")
    return value


def naturals(name: str, *values: int) -> None:
    """Check many numbers of one message at once; raises BadArgument."""
    if min(values) < 0:
        raise BadArgument(f"a number of {name} is negative: {min(values)}")


def member(table: Mapping[int, T], value: int, name: str) -> T:
    """What the number `value` means in `table`; raises BadArgument if nothing."""
    try:
        return table[value]
    except KeyError:
        raise BadArgument(f"{name} has no member {value}") from None


def present(has: bool, name: str) -> None:
    """Raise BadArgument if a required part is missing."""
    if not has:
        raise BadArgument(f"{name} is missing")


def text(value: str, name: str) -> str:
    """A path, name, address or principal within its ceiling; raises TooLarge."""
    if len(value) > TEXT_CEILING:
        raise TooLarge(f"{name} has {len(value)} characters; the protocol carries {TEXT_CEILING}")
    return value


def content(value: bytes) -> bytes:
    """A node's content within its ceiling; raises TooLarge."""
    return _within(value, CONTENT_CEILING, "content")


def ticket(value: bytes) -> bytes:
    """Check digits within their ceiling; raises TooLarge."""
    return _within(value, TICKET_CEILING, "ticket")


def sequencer(value: bytes) -> bytes:
    """A sequencer within its ceiling; raises TooLarge."""
    return _within(value, SEQUENCER_CEILING, "sequencer")


def attributes(values: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """An attribute map within its ceiling; raises TooLarge."""
    if values:
        size = sum(len(name) + len(value) for name, value in values.items())
        if size > ATTRIBUTES_CEILING:
            raise TooLarge(f"attributes of {size} bytes; the protocol carries {ATTRIBUTES_CEILING}")
    return values


def _within(value: bytes, ceiling: int, name: str) -> bytes:
    if len(value) > ceiling:
        raise TooLarge(f"{name} of {len(value)} bytes; the protocol carries {ceiling}")
    return value
