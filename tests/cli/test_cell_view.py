"""What `chubby cell start` shows: from answers and processes to a table, or to a line per change."""

from __future__ import annotations

import io

from rich.console import Console

from chubby.cli.cell_view import View, view_of
from chubby.types.status import CellStatus
from tests.cli.statuses import status

PIDS: dict[int, tuple[int, str | None]] = {number: (1000 + number, None) for number in range(1, 6)}


def view(*statuses: CellStatus, ended: dict[int, str] | None = None) -> View:
    """The view when these replicas answer and those have ended."""
    processes = {number: (pid, (ended or {}).get(number)) for number, (pid, _) in PIDS.items()}
    return view_of("local", {each.replica: each for each in statuses}, processes)


HEALTHY = (status(1, margin=2), *(status(number) for number in (2, 3, 4, 5)))


def test_before_anybody_answers() -> None:
    """All are starting, and that is what is said."""
    found = view()
    assert found.headline() == "cell local: no master yet"
    assert [row.state for row in found.rows] == ["starting"] * 5
    assert found.changes(None) == [
        "cell local: no master yet",
        *(f"replica {number} (pid {1000 + number}): starting" for number in range(1, 6)),
    ]


def test_a_healthy_cell() -> None:
    """The master, its epoch, the margin, a role for each."""
    found = view(*HEALTHY)
    assert found.headline() == "cell local: master is replica 1, epoch 9, 2 more may fail"
    assert [row.state for row in found.rows] == ["master", *["follower"] * 4]


def test_only_changes_are_told() -> None:
    """Counters that grow are no change; a replica that ends is."""
    before = view(*HEALTHY)
    assert view(*HEALTHY).changes(before) == []
    grown = (status(1, margin=2, chosen=200), *(status(number, chosen=200) for number in (2, 3, 4, 5)))
    assert view(*grown).changes(before) == []
    after = view(status(1, margin=1), *HEALTHY[1:4], ended={5: "killed by SIGKILL"})
    assert after.changes(before) == [
        "cell local: master is replica 1, epoch 9, 1 more may fail",
        "replica 5 (pid 1005): down: killed by SIGKILL",
    ]


def test_the_margin_in_words() -> None:
    """None, no further one, no quorum."""
    assert view(status(1)).headline().endswith("epoch 9")
    assert view(status(1, margin=0)).headline().endswith("no further one may fail")
    assert view(status(1, margin=-1)).headline().endswith("no quorum")


def test_the_newest_epoch_names_the_master() -> None:
    """A replica that has not heard of it yet is not believed."""
    assert view(status(1, master=1, epoch=9, margin=2), status(2, master=2, epoch=12)).master == 2


def test_lag_is_behind_the_furthest() -> None:
    """In slots."""
    found = view(status(1, chosen=90), status(2, chosen=100))
    assert [row.lag for row in found.rows[:2]] == [10, 0]


def test_the_table_has_a_line_for_each_replica() -> None:
    """With where clients reach it."""
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(view(*HEALTHY).table())
    text = console.export_text()
    assert all(f"10.0.0.{number}:7201" in text for number in range(1, 6))
    assert "50 MiB" in text and "Ctrl-C" in text
