"""The pages hold what they promise: links lead somewhere, words are in order, each divergence has its reason."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chubby.config import load_cell
from tests.house.sources import ROOT, place

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
DESIGNED = ["ballot", "epoch", "slot", "instance", "message", "call", "command", "effect", "event", "incarnation"]
DESIGNED += ["token", "master lease", "session lease", "cache lease", "sequencer", "revision", "lock-delay"]
MAKE = re.compile(r"(?:^|`)\s*make ([a-z][a-z-]+)", re.M)


def links(page: Path) -> Iterator[str]:
    """What the page links to within the checkout."""
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            yield target


def targets() -> set[str]:
    """The targets of the Makefile that `make help` lists."""
    listing = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  make ([a-z-]+)", listing, re.M))


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is the name of something in the checkout."""
    missing = [target for target in links(page) if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_pages_name_targets_that_exist(page: Path) -> None:
    """Whoever types what a page says gets what it says."""
    assert set(MAKE.findall(page.read_text())) <= targets()


def test_help_is_the_default_and_lists_every_target() -> None:
    """A bare `make` explains; no target is a secret."""
    bare = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in bare for target in targets())
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony is not None
    assert set(phony[1].split()) == targets()


def words() -> list[str]:
    """The words of the glossary's long table, as it has them."""
    table = (ROOT / "docs/glossary.md").read_text().partition("## All words")[2]
    return re.findall(r"^\| ([^|]+?) \|", table, re.M)[1:]


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    """One word, one meaning."""
    found = [word.casefold() for word in words() if not word.startswith("-")]
    assert len(found) > 80
    assert found == sorted(set(found))


@pytest.mark.parametrize("word", DESIGNED)
def test_the_glossary_has_the_words_of_the_design(word: str) -> None:
    """DESIGN §2 "One word, one meaning"."""
    assert word in words()


def test_each_divergence_says_what_the_paper_does_what_we_do_and_why() -> None:
    """A deviation without a reason is a mistake."""
    text = (ROOT / "docs/divergence.md").read_text().partition("## Left out")[0]
    sections = re.split(r"^### ", text, flags=re.M)[1:]
    assert len(sections) > 20
    for section in sections:
        title = section.partition("\n")[0]
        order = [section.find(mark) for mark in ("**The paper**", "**Here**", "**Why**")]
        assert -1 not in order and order == sorted(order), title


def test_every_configuration_that_comes_with_the_project_is_right() -> None:
    """Data files are checked like code."""
    for file in sorted((ROOT / "cell_config").glob("*.toml")):
        assert load_cell(file).name == file.stem
