"""What `chubby cell start` shows: from answers and processes to a table, or to a line per change."""

from __future__ import annotations

import io

import pytest
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
    assert [news.line for news in found.changes(None)] == [
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
    assert [(news.line, news.facts) for news in after.changes(before)] == [
        (
            "cell local: master is replica 1, epoch 9, 1 more may fail",
            {"cell": "local", "master": 1, "epoch": 9, "margin": 1},
        ),
        (
            "replica 5 (pid 1005): down: killed by SIGKILL",
            {"replica": 5, "pid": 1005, "state": "down: killed by SIGKILL"},
        ),
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
    console.print(view(*HEALTHY).table(console))
    text = console.export_text()
    assert all(f"10.0.0.{number}:7201" in text for number in range(1, 6))
    assert "50 MiB" in text and "4 nodes, 3 sessions; Ctrl-C" in text


@pytest.mark.parametrize(
    ("width", "there", "missing"),
    [
        (200, ["pid", "slots", "memory", "clients at"], []),
        (60, ["pid", "slots", "memory"], ["clients at"]),
        (45, ["role", "slots", "lag"], ["clients at", "memory"]),
        (30, ["replica", "role", "lag"], ["clients at", "memory", "pid", "slots"]),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns(width: int, there: list[str], missing: list[str]) -> None:
    """Whole ones: nothing of a column that is shown is cut."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view(*HEALTHY).table(console))
    text = console.export_text()
    assert all(name in text for name in (*there, "master", "follower"))
    assert not [name for name in missing if name in text] and "…" not in text
