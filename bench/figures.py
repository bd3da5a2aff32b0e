"""A figure, what it is compared to, and the table of all."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

MEBIBYTE = 1024 * 1024


class Figure(msgspec.Struct, frozen=True):
    """One measured thing: its value and detail, what that was compared to, and whether it is as good (None: no target
    was set, the comparison is for the reader).
    """

    name: str
    value: str
    detail: str
    compared: str
    met: bool | None = None


def seconds(value: float) -> str:
    """A time for humans."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def spread(values: Sequence[float]) -> str:
    """How the tries scattered."""
    return f"{len(values)} tries, {seconds(min(values))} to {seconds(max(values))}"


def timed(name: str, tries: Sequence[float], target: float | None, compared: str) -> Figure:
    """The median of several tries in seconds against a target."""
    median = statistics.median(tries)
    return Figure(name, seconds(median), spread(tries), compared, None if target is None else median <= target)


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(show_lines=False)
    for heading in ("what", "measured", "detail", "compared to", ""):
        table.add_column(heading, overflow="fold")
    for figure in figures:
        verdict = "" if figure.met is None else "met" if figure.met else "MISSED"
        table.add_row(figure.name, figure.value, figure.detail, figure.compared, verdict)
    Console(width=150).print(table)
