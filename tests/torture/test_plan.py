"""What goes wrong is drawn from the seed alone, misses nothing, and never hits more than there is."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.torture.plan import DECKS, LONGEST_CALM, MANY, Card, Kind, Strike, Track, chosen, kinds, strikes

SEEDS = st.integers(0, 1 << 32)
TRACKS = st.sampled_from(Track)


def deal(seed: int, track: Track, count: int) -> list[Strike]:
    """The first strikes of a track."""
    return list(islice(strikes(seed, track), count))


def cards(track: Track) -> dict[Kind, Card]:
    """The cards of a track by kind."""
    return {card.kind: card for card in DECKS[track]}


@given(SEEDS, TRACKS)
def test_a_seed_draws_the_same_strikes_each_time(seed: int, track: Track) -> None:
    """The pattern of faults can be had again, though not the run."""
    assert deal(seed, track, 40) == deal(seed, track, 40)


@given(SEEDS, TRACKS)
def test_another_seed_draws_others(seed: int, track: Track) -> None:
    """And tracks of one seed are independent of each other."""
    assert deal(seed, track, 10) != deal(seed + 1, track, 10)


@given(SEEDS, TRACKS)
def test_every_round_of_the_cards_has_each_kind_as_often_as_it_says(seed: int, track: Track) -> None:
    """A run that lasts misses no kind of fault, whatever its seed."""
    size = sum(card.times for card in DECKS[track])
    expected = {card.kind: card.times for card in DECKS[track]}
    dealt = deal(seed, track, 3 * size)
    for begin in range(0, 3 * size, size):
        assert Counter(strike.kind for strike in dealt[begin : begin + size]) == expected


@given(SEEDS, TRACKS)
def test_strikes_are_within_their_bounds(seed: int, track: Track) -> None:
    """As long as the card says, calm before that is bounded, dice are dice."""
    for strike in deal(seed, track, 60):
        card = cards(track)[strike.kind]
        assert card.shortest <= strike.lasts <= card.longest
        assert 0 <= strike.calm <= LONGEST_CALM
        assert all(0 <= die < 1 for die in strike.dice)


@given(SEEDS, TRACKS, st.integers(1, MANY))
def test_victims_are_an_order_of_all_that_could_be_hit(seed: int, track: Track, count: int) -> None:
    """Whoever needs two takes two different ones."""
    for strike in deal(seed, track, 3):
        assert sorted(chosen(strike, count)) == list(range(count))


def test_every_victim_comes_first_some_day() -> None:
    """No replica is spared."""
    first = {chosen(strike, 5)[0] for strike in deal(7, Track.REPLICAS, 100)}
    assert first == set(range(5))


def test_every_kind_has_a_card_in_one_track() -> None:
    """Kinds are neither forgotten nor struck by two tracks at a time."""
    dealt = [kind for track in Track for kind in kinds(track)]
    assert sorted(kind.name for kind in dealt) == sorted(kind.name for kind in Kind)


@pytest.mark.parametrize("track", Track)
def test_some_strikes_outlast_every_lease(track: Track) -> None:
    """Else fail-overs and lost sessions would not be among what is tried (leases of 4 s)."""
    assert max(card.longest for card in DECKS[track]) > 8
