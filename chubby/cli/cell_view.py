"""What `chubby cell start` shows: a live table on a terminal, one line per change elsewhere."""

from __future__ import annotations

import msgspec
from rich.table import Table

from chubby.types.identity import Epoch, ReplicaId
from chubby.types.status import CellStatus

MEBIBYTE = 1024 * 1024


class Row(msgspec.Struct, frozen=True):
    """One replica, as it says itself or as its process ended."""

    replica: ReplicaId
    pid: int
    state: str
    chosen: int = 0
    lag: int = 0
    resident_bytes: int = 0
    address: str = ""


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

    def changes(self, before: View | None) -> list[str]:
        """A line for each thing that differs from `before`; counters that only grow are left out."""
        lines = []
        if before is None or self.headline() != before.headline():
            lines.append(self.headline())
        known = {row.replica: row.state for row in before.rows} if before is not None else {}
        lines += [
            f"replica {row.replica} (pid {row.pid}): {row.state}"
            for row in self.rows
            if known.get(row.replica) != row.state
        ]
        return lines

    def table(self) -> Table:
        """The live view."""
        table = Table(title=self.headline(), title_justify="left", caption="Ctrl-C stops all replicas")
        for name in ("replica", "pid", "role", "slots", "lag", "memory", "clients at"):
            table.add_column(name, justify="right" if name in ("slots", "lag", "memory", "pid") else "left")
        for row in self.rows:
            style = "bold green" if row.replica == self.master else "" if row.chosen else "red"
            memory = f"{row.resident_bytes / MEBIBYTE:.0f} MiB" if row.resident_bytes else ""
            table.add_row(
                str(row.replica),
                str(row.pid),
                row.state,
                str(row.chosen) if row.chosen else "",
                str(row.lag) if row.chosen else "",
                memory,
                row.address,
                style=style,
            )
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


def _may_fail(margin: int) -> str:
    if margin < 0:
        return "no quorum"
    return f"{margin} more may fail" if margin else "no further one may fail"
