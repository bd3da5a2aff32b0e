"""The digest sees every field of every row (DESIGN §3 Digest)."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from chubby.namespace.table import Table
from tests.simulation.checkers import marks
from tests.simulation.checkers.recorded_cell import RecordedCell
from tests.simulation.violation import Violation


def cell() -> RecordedCell:
    """A row of each kind."""
    made = RecordedCell()
    one, two = made.session(), made.session()
    made.create(one, "/a", b"x")
    made.create(one, "/e", ephemeral=True)
    made.acquire(one, "/a", delay=5)
    made.acquire(two, "/a")
    return made


def test_every_field_is_tried_and_all_is_as_before() -> None:
    """In all tables."""
    machine = cell().machine
    before = machine.digest()
    assert marks.check(machine) >= 30
    assert machine.digest() == before and machine.scrub(100)


def test_a_field_that_is_skipped_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a digest would that leaves out the tokens of locks."""
    machine = cell().machine
    nodes = cast("Table[str, msgspec.Struct]", machine._state.tree.nodes)
    plain = nodes.mark

    def forgetful(table: Table[str, msgspec.Struct], key: str, row: msgspec.Struct) -> int:
        return plain(key, msgspec.structs.replace(row, lock_token=0) if hasattr(row, "lock_token") else row)

    for key, row in nodes.rows.items():
        nodes._marks[key] = forgetful(nodes, key, row)
    monkeypatch.setattr(Table, "mark", forgetful)
    monkeypatch.setattr(type(machine._state), "tables", (nodes,))
    with pytest.raises(Violation, match="does not see lock_token"):
        marks.check(machine)
