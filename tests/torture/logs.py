"""What replicas, mounts and clients have logged, and what of it nobody should ever log. PURE but for the reading."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

LOUD = re.compile(r" (?:ERROR|CRITICAL) |^Traceback ", re.M)
FORESEEN = re.compile(
    r"halts: the cell has put another incarnation, or nobody, in its place"
    r"|No space left on device|the disk is full|ENOSPC"
)
"""What a replica has every reason to say here: it was replaced, or its disk was filled."""
SHOWN = 300
"""Characters of a line."""


def troubles(log: str) -> list[str]:
    """The lines that tell of an error nobody foresaw; of a traceback, its last line as well."""
    lines = log.splitlines()
    found: list[str] = []
    for number, line in enumerate(lines):
        if LOUD.search(line) and not FORESEEN.search(line):
            found.append(line[:SHOWN])
            if line.startswith("Traceback "):
                end = next((each for each in lines[number + 1 :] if not each.startswith((" ", "Traceback "))), "")
                found[-1] = f"{line} {end[:SHOWN]}"
    return found


def all_troubles(files: Iterable[Path]) -> list[str]:
    """Of all these logs, each with the name of its file."""
    return [f"{file.name}: {line}" for file in files for line in troubles(file.read_text(errors="replace"))]
