"""What is kept is run again, each time: every input that was once wrong, and the ways in that atheris found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing import kept
from tests.fuzzing.table import TARGETS
from tests.fuzzing.target import KIB, check_memory

FOLDERS = (kept.CORPUS, kept.REGRESSIONS)
WHOLE = 400 * KIB
"""All kept inputs together: they are read by people, too."""


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_are_made_sense_of_or_refused(folder: Path, name: str) -> None:
    """And cost no more memory than they may."""
    for data in kept.inputs(folder, name).values():
        TARGETS[name].taste(data)
        if folder is kept.REGRESSIONS:
            check_memory(TARGETS[name], data)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_file_belongs_to_a_target_and_is_named_by_its_content(folder: Path) -> None:
    """So the same input is never kept twice, and none is forgotten when a target is renamed."""
    assert {each.name for each in folder.iterdir()} <= set(TARGETS)
    for target in TARGETS:
        assert all(name == kept.name_of(data) for name, data in kept.inputs(folder, target).items())


def test_what_is_kept_is_small() -> None:
    """The corpus is a choice, not a heap."""
    assert sum(file.stat().st_size for folder in FOLDERS for file in folder.rglob("*") if file.is_file()) <= WHOLE
    for target in TARGETS:
        corpus = kept.inputs(kept.CORPUS, target)
        assert len(corpus) <= kept.CORPUS_INPUTS
        assert all(len(data) <= kept.CORPUS_INPUT for data in corpus.values())


def test_keeping_makes_a_file_once(tmp_path: Path) -> None:
    """Its name is the same wherever and whenever it is kept."""
    first = kept.keep(tmp_path, "paths", b"/a")
    assert kept.keep(tmp_path, "paths", b"/a") == first
    assert kept.inputs(tmp_path, "paths") == {first.name: b"/a"}
    assert kept.inputs(tmp_path, "tickets") == {}


def test_the_choice_is_of_short_inputs_and_always_the_same() -> None:
    """Whatever order they were found in."""
    found = [bytes((number,)) * 5 for number in range(100)] + [b"x" * (kept.CORPUS_INPUT + 1), b""]
    chosen = kept.choose(found)
    assert chosen == kept.choose(found[::-1]) and len(chosen) == kept.CORPUS_INPUTS
    assert all(0 < len(data) <= kept.CORPUS_INPUT for data in chosen)
