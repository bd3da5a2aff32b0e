"""The story of a run: told alike by machine and twin, and where every replica ends (DESIGN §4: "Deterministic")."""

from __future__ import annotations

import msgspec
import pytest

from chubby.namespace.commands import BeginEpoch
from chubby.paxos.messages import NOOP
from chubby.types.transaction import Create
from tests.namespace.cell import GENESIS
from tests.simulation.checkers import story
from tests.simulation.checkers.recorded_cell import RecordedCell
from tests.simulation.invariants import Chosen
from tests.simulation.violation import Violation


def busy_cell() -> RecordedCell:
    """Sessions, nodes, a queue, a lock-delay that ends, a repeated request, an epoch under which another is void."""
    cell = RecordedCell()
    one, two = cell.session(), cell.session()
    cell.create(one, "/a", b"x")
    cell.create(two, "/a/e", ephemeral=True)
    cell.acquire(one, "/a", delay=5)
    cell.acquire(two, "/a")
    cell.release(one, "/a")
    cell.do(cell.told[-1].command.body)
    cell.do(BeginEpoch(2))
    cell.do(cell.told[3].command.body, epoch=1)
    return cell


def test_a_log_is_told_by_both_and_ends_in_the_state_of_every_replica() -> None:
    """Slots without commands count as well."""
    cell = busy_cell()
    cell.machine.apply_noop(len(cell.told) + 1)
    tale = story.tell([*cell.log(), Chosen(NOOP, 9)], GENESIS, {len(cell.told) + 1: cell.machine.digest()})
    assert [each.command for each in tale.told] == [each.command for each in cell.told]
    assert [each.outcome for each in tale.told] == [each.outcome for each in cell.told]
    story.judge(tale, [("r1", cell.machine)])


def test_a_replica_with_another_state_is_caught() -> None:
    """Be it at the end or on the way; one that is behind is judged by what others had where it is."""
    cell = busy_cell()
    tale = story.tell(cell.log(), GENESIS, {})
    behind = RecordedCell()
    story.judge(tale, [("r1", behind.machine)])
    cell.machine._state.register.token += 1
    with pytest.raises(Violation, match="r1 at slot"):
        story.judge(tale, [("r1", cell.machine)])
    with pytest.raises(Violation, match="at slot 3 replicas had"):
        story.tell(cell.log(), GENESIS, {3: 12345})


def test_a_state_whose_digest_forgets_the_difference_is_caught() -> None:
    """One replica is looked at byte by byte: a digest may skip a field."""
    cell = busy_cell()
    tale = story.tell(cell.log(), GENESIS, {})
    rows = cell.machine._state.tree.nodes.rows
    rows["/a"] = msgspec.structs.replace(rows["/a"], contents=b"y")
    assert cell.machine.digest() == tale.machine.digest()
    with pytest.raises(Violation, match="r1 has nodes /a"):
        story.judge(tale, [("r1", cell.machine)])


def test_where_machine_and_twin_part_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that only one of them breaks."""
    cell = busy_cell()
    monkeypatch.setattr("tests.namespace.twin.locks.settle", lambda world, path: None)
    with pytest.raises(Violation, match="twin"):
        story.tell(cell.log(), GENESIS, {})


def test_very_long_logs_are_told_by_the_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin's walk through everything would take too long; digests still count."""
    monkeypatch.setattr(story, "MOST", 3)
    cell = busy_cell()
    tale = story.tell(cell.log(), GENESIS, {})
    assert tale.picture is None
    story.judge(tale, [("r1", cell.machine)])
    cell.transact(1, Create("/b"))
    with pytest.raises(Violation, match="replicas had"):
        story.tell(cell.log(), GENESIS, {len(cell.told): 1})
