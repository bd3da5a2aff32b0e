"""The mutants stay up to date with the product: each finds its place, once, and the result is still a program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, ROOMS
from tests.mutants.mutant import Misfit, Mutant

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "log": "chubby.paxos.",
    "storage": "chubby.storage.",
    "machine": "chubby.namespace.",
    "master": "chubby.master.",
    "client": "chubby.client.",
}


def source_of(mutant: Mutant) -> str:
    """The module as it is."""
    return (ROOT / mutant.module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_each_mutant_finds_its_place(mutant: Mutant) -> None:
    """Once, and what comes of it parses and differs."""
    source = source_of(mutant)
    changed = mutant.applied(source)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)), "not only its wording"


def test_names_are_given_once() -> None:
    """And no two mutants are the same."""
    everyone = [mutant for mutants in ROOMS.values() for mutant in mutants]
    assert len(everyone) == len(MUTANTS) == len({(mutant.module, mutant.edits) for mutant in everyone})
    assert len(everyone) >= 25


@pytest.mark.parametrize("room", ROOMS)
def test_mutants_stand_in_their_room(room: str) -> None:
    """A reader finds them by what they break."""
    assert all(mutant.module.startswith(PACKAGES[room]) for mutant in ROOMS[room])


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_rules_say_what_holds_and_where(mutant: Mutant) -> None:
    """One line that fits into a table, with the section of the design (that of the disk is named by its room)."""
    assert "§" in mutant.rule or mutant in ROOMS["storage"]
    assert len(mutant.rule) <= 120 and "|" not in mutant.rule and "\n" not in mutant.rule


def test_edits_are_made_one_after_the_other() -> None:
    """A later one may rest on an earlier one."""
    mutant = Mutant("two", "§", "m", (("a = 1", "a = 2"), ("a = 2\nb", "a = 3\nb")))
    assert mutant.applied("a = 1\nb = 1\n") == "a = 3\nb = 1\n"


@pytest.mark.parametrize(("source", "found"), [("x = 0\n", 0), ("a = 1\na = 1\n", 2)])
def test_a_place_that_is_not_unique_is_none(source: str, found: int) -> None:
    """Whoever changes the product is told which mutant no longer fits, and how."""
    with pytest.raises(Misfit, match=f"lost: {found} places in m read 'a = 1'"):
        Mutant("lost", "§", "m", (("a = 1", "a = 2"),)).applied(source)


@pytest.mark.parametrize(
    ("name", "edits", "why"),
    [
        ("Vote Lost", (("a", "b"),), "no name"),
        ("--seeds", (("a", "b"),), "no name"),
        ("idle", (), "changes nothing"),
        ("idle", (("a", "a"),), "changes nothing"),
    ],
)
def test_what_is_no_mutant_is_refused(name: str, edits: tuple[tuple[str, str], ...], why: str) -> None:
    """It could not be called by its name, or it would survive for ever."""
    with pytest.raises(ValueError, match=why):
        Mutant(name, "§", "m", edits)
