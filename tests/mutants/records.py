"""Which plan caught which mutant: `recorded.json`, and the table that docs/testing.md shows of it.

The whole plan is recorded and not its seed alone: what a seed draws changes when a fault or a workload is added, a plan
stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tests.mutants.catalogue import MUTANTS, ROOMS

FILE: Final = Path(__file__).with_name("recorded.json")
SHOWN: Final = 90
"""So many characters of a complaint are shown in the table."""


class Catch(msgspec.Struct, frozen=True):
    """How a mutant was caught: after how many seeds and seconds of one processor, by whom, and the plan that did it."""

    seeds: int
    took: float
    simulated: float
    """Seconds that the seeds before it lived."""
    checker: str
    complaint: str
    plan: msgspec.Raw


def load(file: Path = FILE) -> dict[str, Catch]:
    """All catches by the names of mutants."""
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Catch]) if file.exists() else {}


def save(catches: Mapping[str, Catch], file: Path = FILE) -> None:
    """Keep these, in the order of the catalogue; what is not in it any more goes."""
    ordered = {name: catches[name] for name in MUTANTS if name in catches}
    file.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


def table(catches: Mapping[str, Catch]) -> str:
    """The table in Markdown: rooms and mutants in the order of the catalogue."""
    lines = ["| mutant | what holds without it | seeds | seconds | caught by |", "|---|---|---|---|---|"]
    for room, mutants in ROOMS.items():
        lines.append(f"| **{room}** | | | | |")
        for mutant in mutants:
            lines.append(f"| `{mutant.name}` | {mutant.rule} | {_told(catches.get(mutant.name))} |")
    return "\n".join(lines) + "\n"


def _told(catch: Catch | None) -> str:
    if catch is None:
        return "| | not yet"
    said = catch.complaint if len(catch.complaint) <= SHOWN else catch.complaint[: SHOWN - 1].rstrip() + "…"
    safe = said.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return f"{catch.seeds} | {catch.took:.0f} | `{catch.checker}`: {safe}"
