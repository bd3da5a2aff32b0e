"""Who is whose parent, by /proc: the sequencer of a lock is for whoever holds it, and for what they run.

    flock leader sh -c 'getfattr -n user.chubby.sequencer leader'

Here flock(1) has the lock, the shell is its child, and getfattr the shell's. A process may end at any moment, its
children then get another parent, and its number may be given away. So a parent is believed to be one only if it is not
younger than its child, and the child, asked again afterwards, still is that child and names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

PROC: Final = Path("/proc")
LIMIT: Final = 64
"""Generations that are looked back: a chain that is longer helps nobody."""
_INIT: Final = 1
_PARENT, _START = 1, 19
"""Where, in what follows the name in /proc/N/stat, the parent stands, and the time at which the process began."""


class Birth(msgspec.Struct, frozen=True):
    """What is known of a process from its beginning: its parent now, and when it began (in ticks since the boot)."""

    parent: int
    start: int


def lineage(process: int, proc: Path = PROC, limit: int = LIMIT) -> Iterator[int]:
    """The process, its parent, and so on; init is left out, for everything descends from it. 0: nobody is in sight."""
    child = birth_of(process, proc)
    if process > _INIT:
        yield process
    for _ in range(limit):
        if child is None or child.parent <= _INIT:
            return
        parent = birth_of(child.parent, proc)
        if parent is None or parent.start > child.start or birth_of(process, proc) != child:
            return
        yield child.parent
        process, child = child.parent, parent


def birth_of(process: int, proc: Path = PROC) -> Birth | None:
    """What /proc says of a process; None if it is gone or out of sight."""
    try:
        text = (proc / str(process) / "stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rfind(b")") + 1 :].split()  # the name before it may contain anything
    if len(fields) <= _START:
        return None
    return Birth(int(fields[_PARENT]), int(fields[_START]))
