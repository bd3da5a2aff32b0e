"""What the docstrings of the room say in tables is so: prose that is checked does not rot."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from chubby import master
from chubby.master import failover, opening, pending, reception, registry
from chubby.master.failover import PERMITTED, Permission, Phase, Trigger
from chubby.master.pending import Rank

ROOM = Path(master.__file__).parent


def rows(text: str | None, columns: int) -> list[list[str]]:
    """The cells of every table row in a docstring with that many columns, headings left out."""
    found = []
    for line in (text or "").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.strip().startswith("|") and len(cells) == columns and not set(cells[0]) <= {"-"}:
            found.append(cells)
    return found[1:]


def test_the_chapter_names_every_module() -> None:
    """Whoever looks for a thing finds its room in the package's docstring."""
    modules = {path.stem for path in ROOM.glob("*.py")} - {"__init__"}
    named = set(re.findall(r"`([a-z_]+)`", master.__doc__ or ""))
    assert modules <= named, f"not in the chapter: {sorted(modules - named)}"


def test_every_module_says_where_its_rules_come_from() -> None:
    """Its docstring names a section of the design, unless it is a mere tool."""
    tools = {"moment", "timers", "numbers", "errands", "counters", "statistics", "registry"}
    for path in sorted(ROOM.glob("*.py")):
        text = path.read_text().split('"""')[1]
        assert path.stem in tools or "DESIGN" in text or "paper" in text, f"{path.stem} names no source"


def test_modules_and_functions_are_of_readable_size() -> None:
    """None above 400 lines; no function above 70."""
    for path in sorted(ROOM.glob("*.py")):
        lines = path.read_text().splitlines()
        assert len(lines) <= 400, f"{path.stem} has {len(lines)} lines"
        starts = [number for number, line in enumerate(lines) if re.match(r"\s*def ", line)] + [len(lines)]
        longest = max((end - start for start, end in pairwise(starts)), default=0)
        assert longest <= 80, f"a function of {path.stem} has about {longest} lines"


def test_the_ranks_of_calls() -> None:
    """The table in `pending` says what the constants do."""
    table = {cells[0]: cells[1:] for cells in rows(pending.__doc__, 3) if cells[0]}
    assert set(table) == {rank.name for rank in Rank}
    for name, (keys, handle) in table.items():
        rank = Rank[name]
        assert (rank in pending._WAIT_ON_TOKENS) == (keys == "earlier changes"), name
        assert (rank in pending._QUEUE_UP) == (keys.startswith("earlier changes that are") or keys == "as CHANGE"), name
        assert (rank in pending._WAIT_ON_HANDLE) == (handle == "earlier OPEN, CLOSE"), name


def test_the_phases_in_the_drawing() -> None:
    """Every phase and every trigger of the automaton is drawn."""
    drawing = (failover.__doc__ or "").split("| step")[0]
    assert all(phase.name in drawing for phase in Phase) and all(trigger.name in drawing for trigger in Trigger)
    assert len(rows(failover.__doc__, 2)) >= 9, "the paper's nine steps"
    assert all(PERMITTED[phase] <= set(Permission) for phase in Phase)


@pytest.mark.parametrize(("module", "columns", "least"), [(opening, 3, 6), (reception, 6, 3)], ids=["open", "frames"])
def test_tables_are_whole(module: object, columns: int, least: int) -> None:
    """No row of them has lost a column."""
    assert len(rows(module.__doc__, columns)) >= least


def test_marks_mean_what_the_registry_says() -> None:
    """The sign of a mark is explained where it is made."""
    assert "mark > 0" in (registry.__doc__ or "") and "mark < 0" in (registry.__doc__ or "")
