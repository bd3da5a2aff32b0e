"""The list of mutants stays up to date (running them takes half an hour: `python -m tests.paxos.mutants`)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.paxos.mutants import broken, failing
from tests.paxos.rules import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_mutant_finds_its_line(mutant: Mutant) -> None:
    """Exactly one place is broken, and the result still parses."""
    ast.parse(broken(mutant))


def test_rules_have_names() -> None:
    """One each."""
    assert len({mutant.rule for mutant in MUTANTS}) == len(MUTANTS)


def test_tests_that_cannot_be_run_notice_nothing(tmp_path: Path) -> None:
    """Nobody must take a run that broke down for a mutant that survived."""
    with pytest.raises(RuntimeError, match="could not be run"):
        failing(tmp_path, "nowhere")
