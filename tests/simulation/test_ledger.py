"""The ledger of hunts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.simulation.ledger import FIRST_SEED, SOURCES, Hunt, Ledger, load, save, source_hash


def test_a_ledger_that_is_not_there_is_empty(tmp_path: Path) -> None:
    """The first hunt begins above everybody's seeds."""
    assert load(tmp_path / "none.json") == Ledger(FIRST_SEED, ())


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Whole, with nothing left beside it."""
    place = tmp_path / "hunt" / "ledger.json"
    ledger = Ledger().noted(Hunt("abc", 7, 0.5, 0.1, (1_000_003,)), 1_000_007)
    save(ledger, place)
    save(ledger, place)
    assert load(place) == ledger and [each.name for each in place.parent.iterdir()] == ["ledger.json"]


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """Instead of being written over."""
    place = tmp_path / "ledger.json"
    place.write_text('{"next_seed": "many"}')
    with pytest.raises(msgspec.ValidationError, match="next_seed"):
        load(place)


def test_hunts_of_another_source_stay() -> None:
    """One for each state of the source; seeds are handed out once in all."""
    ledger = Ledger().noted(Hunt("old", 5), FIRST_SEED + 5)
    ledger = ledger.noted(Hunt("new", 1), FIRST_SEED + 6).noted(Hunt("new", 2), FIRST_SEED + 7)
    assert ledger.hunts == (Hunt("old", 5), Hunt("new", 2)) and ledger.next_seed == FIRST_SEED + 7
    assert ledger.hunt("old").seeds == 5 and ledger.hunt("newer") == Hunt("newer")
    assert ledger.noted(Hunt("old", 6), FIRST_SEED).next_seed == FIRST_SEED + 7


def test_the_hash_names_the_source(tmp_path: Path) -> None:
    """Each byte and each name of product and simulator, and nothing else."""
    for folder in SOURCES:
        (tmp_path / folder).mkdir(parents=True)
    module = tmp_path / "chubby" / "a.py"
    module.write_text("a = 1\n")
    first = source_hash(tmp_path)
    (tmp_path / "chubby" / "notes.txt").write_text("nothing")
    (tmp_path / "docs.py").write_text("nothing")
    assert source_hash(tmp_path) == first
    module.write_text("a = 2\n")
    second = source_hash(tmp_path)
    module.rename(tmp_path / "chubby" / "b.py")
    assert len({first, second, source_hash(tmp_path)}) == 3
