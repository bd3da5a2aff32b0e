"""Processor time and memory of processes with all their children, as the kernel counts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """A process and everything below it; empty if it has ended."""
    found = [pid] if Path(f"/proc/{pid}").exists() else []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in sorted(os.listdir(f"/proc/{pid}/task")):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += family(int(child))
    return found


def processor_seconds(pids: Iterable[int]) -> float:
    """User and system time of living processes and their children, since they began."""
    total = 0
    for pid in (each for root in pids for each in family(root)):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of processes and their children, what they share counted in each."""
    total = 0
    for pid in (each for root in pids for each in family(root)):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total


def busy_seconds() -> float:
    """Time that all processors of this machine were not idle, since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / _TICKS
