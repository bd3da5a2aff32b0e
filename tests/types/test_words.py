"""Amounts and events in words."""

from __future__ import annotations

import pytest

from chubby.types.events import EventKind
from chubby.types.words import EVENT_WORDS, size_text, usage_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1025, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1,023.9 KiB"),
        (1 << 20, "1 MiB"),
        ((1 << 30) - 1, "1,023.9 MiB"),
        (1 << 30, "1 GiB"),
        (5 << 40, "5,120 GiB"),
    ],
)
def test_sizes_in_words(size: int, text: str) -> None:
    """Exact sizes without a fraction; others never look larger than they are."""
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        ((1234, 1536, 10_000, 1 << 20, 1), "nodes 1,234 of 10,000; 1.5 KiB of 1 MiB"),
        ((1234, 1536, 0, 0, 1), "nodes 1,234; 1.5 KiB"),
        ((1234, 0, 0, 0, 0), "nodes 1,234"),
    ],
)
def test_usage_in_words(amounts: tuple[int, int, int, int, int], text: str) -> None:
    """A quota of 0 is none; without a content limit nothing else is known."""
    assert usage_text(*amounts) == text


def test_each_event_has_a_word_of_its_own() -> None:
    """Scripts tell them apart; what has none is not told."""
    assert len(set(EVENT_WORDS.values())) == len(EVENT_WORDS) < len(EventKind)
