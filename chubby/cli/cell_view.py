"""What `chubby cell start` shows: a live table on a terminal, one line per change elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console, ConsoleOptions
from rich.table import Table

from chubby.cli.output import Json
from chubby.types.identity import Epoch, ReplicaId
from chubby.types.status import CellStatus
from chubby.types.words import MEBIBYTE

COLUMNS = ("replica", "pid", "role", "slots", "lag", "memory", "clients at")
_DISPENSABLE = ("clients at", "memory", "pid", "slots")
"""Columns that a narrow terminal does without, in this order."""
_BOUNDLESS = 10_000


class Row(msgspec.Struct, frozen=True):
    """One replica, as it says itself or as its process ended."""

    replica: ReplicaId
    pid: int
    state: str
    chosen: int = 0
    lag: int = 0
    resident_bytes: int = 0
    address: str = ""

    def cells(self) -> dict[str, str]:
        """What the table shows, by column."""
        return {
            "replica": str(self.replica),
            "pid": str(self.pid),
            "role": self.state,
            "slots": str(self.chosen) if self.chosen else "",
            "lag": str(self.lag) if self.chosen else "",
            "memory": f"{self.resident_bytes / MEBIBYTE:.0f} MiB" if self.resident_bytes else "",
            "clients at": self.address,
        }


class News(msgspec.Struct, frozen=True):
    """One change: as a line for people, and as facts for programs."""

    line: str
    facts: Json


class View(msgspec.Struct, frozen=True):
    """The cell at one moment."""

    cell: str
    master: ReplicaId
    epoch: Epoch
    margin: int | None
    sessions: int
    nodes: int
    rows: tuple[Row, ...]

    def headline(self) -> str:
        """The cell in one line."""
        if not self.master:
            return f"cell {self.cell}: no master yet"
        margin = "" if self.margin is None else f", {_may_fail(self.margin)}"
        return f"cell {self.cell}: master is replica {self.master}, epoch {self.epoch}{margin}"

    def changes(self, before: View | None) -> list[News]:
        """Each thing that differs from `before`; counters that only grow are left out."""
        news = []
        if before is None or self.headline() != before.headline():
            facts = {"cell": self.cell, "master": self.master or None, "epoch": self.epoch, "margin": self.margin}
            news.append(News(self.headline(), facts))
        known = {row.replica: row.state for row in before.rows} if before is not None else {}
        news += [
            News(
                f"replica {row.replica} (pid {row.pid}): {row.state}",
                {"replica": row.replica, "pid": row.pid, "state": row.state},
            )
            for row in self.rows
            if known.get(row.replica) != row.state
        ]
        return news

    def table(self, console: Console) -> Table:
        """The live view: as many columns as `console` is wide enough for."""
        table = self._table(COLUMNS)
        for count in range(len(_DISPENSABLE) + 1):
            table = self._table([name for name in COLUMNS if name not in _DISPENSABLE[:count]])
            if console.measure(table, options=_boundless(console)).maximum <= console.width:
                break
        return table

    def _table(self, columns: Sequence[str]) -> Table:
        counts = f"{self.nodes} nodes, {self.sessions} sessions; " if self.master else ""
        table = Table(title_justify="left", caption=f"{counts}Ctrl-C stops all replicas")
        for name in columns:
            table.add_column(name, justify="right" if name in ("slots", "lag", "memory", "pid") else "left")
        for row in self.rows:
            style = "bold green" if row.replica == self.master else "" if row.chosen else "red"
            cells = row.cells()
            table.add_row(*(cells[name] for name in columns), style=style)
        table.title = self.headline()
        return table


def view_of(
    cell: str, statuses: dict[ReplicaId, CellStatus], processes: dict[ReplicaId, tuple[int, str | None]]
) -> View:
    """The view from what the replicas say (`statuses`: those that answered) and what became of their processes."""
    newest = max(statuses.values(), key=lambda status: (status.epoch, status.margin is not None), default=None)
    furthest = max((status.chosen for status in statuses.values()), default=0)
    rows = []
    for replica, (pid, ended) in sorted(processes.items()):
        status = statuses.get(replica)
        if ended is not None or status is None:
            rows.append(Row(replica, pid, f"down: {ended}" if ended is not None else "starting"))
            continue
        own = next((each for each in status.replicas if each.replica == replica), None)
        rows.append(
            Row(
                replica,
                pid,
                own.role if own is not None else "joining",
                status.chosen,
                furthest - status.chosen,
                status.resident_bytes,
                own.client_address if own is not None else "",
            )
        )
    return View(
        cell=cell,
        master=newest.master if newest is not None else 0,
        epoch=newest.epoch if newest is not None else 0,
        margin=newest.margin if newest is not None else None,
        sessions=newest.sessions if newest is not None else 0,
        nodes=newest.nodes if newest is not None else 0,
        rows=tuple(rows),
    )


def _boundless(console: Console) -> ConsoleOptions:
    """To ask how wide something would like to be, rather than how wide it may be."""
    return console.options.update(max_width=_BOUNDLESS, width=_BOUNDLESS)


def _may_fail(margin: int) -> str:
    if margin < 0:
        return "no quorum"
    return f"{margin} more may fail" if margin else "no further one may fail"
