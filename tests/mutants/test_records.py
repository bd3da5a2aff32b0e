"""What is recorded, and the table of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.mutants import records
from tests.mutants.catalogue import MUTANTS
from tests.mutants.records import Catch
from tests.simulation.plan import Plan, draw

ROOT = Path(__file__).resolve().parents[2]
PLAN = draw(0, 10**9)
CATCH = Catch(12, 34.5, 300.0, "checkers.queues", "b was served before a", msgspec.Raw(msgspec.json.encode(PLAN)))


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    """With its plan, in the order of the catalogue; what is not in the catalogue goes."""
    file = tmp_path / "recorded.json"
    assert records.load(file) == {}
    first, second = list(MUTANTS)[:2]
    records.save({second: CATCH, "gone": CATCH, first: CATCH}, file)
    found = records.load(file)
    assert list(found) == [first, second]
    assert found[first].complaint == CATCH.complaint
    assert msgspec.json.decode(found[first].plan, type=Plan) == PLAN


def test_the_same_is_kept_in_the_same_bytes(tmp_path: Path) -> None:
    """So that recording one mutant again shows as a change of that one."""
    file = tmp_path / "recorded.json"
    records.save(dict.fromkeys(MUTANTS, CATCH), file)
    before = file.read_bytes()
    records.save(records.load(file), file)
    assert file.read_bytes() == before


def test_the_table_tells_all() -> None:
    """Caught ones with seeds, seconds and who caught them; others plainly not."""
    first = next(iter(MUTANTS))
    lines = records.table({first: CATCH}).splitlines()
    row = next(line for line in lines if first in line)
    assert row.endswith("| 12 | 34 | `checkers.queues`: b was served before a |")
    assert sum("not yet" in line for line in lines) == len(MUTANTS) - 1
    assert len({line.count("|") - line.count("\\|") for line in lines}) == 1, "all rows have the same columns"


@pytest.mark.parametrize(
    ("said", "shown"),
    [("a|b", "a\\|b"), ("x" * 200, "x" * (records.SHOWN - 1) + "…"), ("<Role.MASTER>", "&lt;Role.MASTER>")],
)
def test_complaints_do_not_break_the_table(said: str, shown: str) -> None:
    """They are of any length and hold anything."""
    first = next(iter(MUTANTS))
    table = records.table({first: msgspec.structs.replace(CATCH, complaint=said)})
    assert f": {shown} |" in table


def test_enough_mutants_are_recorded_as_caught() -> None:
    """None later than 2,000 seeds. A new mutant: `python -m tests.mutants --record NAME`."""
    catches = records.load()
    assert set(catches) <= set(MUTANTS)
    assert len(catches) >= 25
    assert max(catch.seeds for catch in catches.values()) <= 2000


def test_recorded_plans_are_plans() -> None:
    """Of workloads and faults that there are. One of a name that is gone: record that mutant again."""
    for name, catch in records.load().items():
        plan = msgspec.json.decode(catch.plan, type=Plan)
        assert msgspec.json.encode(plan), name


def test_the_documentation_has_the_table() -> None:
    """As it is recorded: `python -m tests.mutants --table`."""
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    assert records.table(records.load()) in page
