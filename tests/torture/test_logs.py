"""Logs that are in order, and logs that tell of a bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.logs import all_troubles, troubles

TRACEBACK = """2026-01-01 00:00:00,000 ERROR replica 1: link to replica 3 failed
Traceback (most recent call last):
  File "/x/dialler.py", line 183, in _attempt
    await something
RuntimeError: the handler is closed
2026-01-01 00:00:01,000 INFO replica 1: receiving from replica 3
"""


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 00:00:00,000 INFO replica 1: master is replica 2, epoch 7",
        "2026-01-01 00:00:00,000 WARNING replica 1: the process did not run for 3.1 s",
        "2026-01-01 ERROR replica 1: replica 1 halts: the cell has put another incarnation, or nobody, in its place",
        "2026-01-01 ERROR replica 1: a snapshot could not be written: No space left on device (the disk is full)",
        "chubbyd: writing x.wal: No space left on device",
    ],
)
def test_what_is_foreseen(line: str) -> None:
    """Faults leave their marks; these are what they should leave."""
    assert not troubles(f"{line}\n")


def test_what_is_not() -> None:
    """An error, and a traceback with what was raised."""
    assert troubles(TRACEBACK) == [
        "2026-01-01 00:00:00,000 ERROR replica 1: link to replica 3 failed",
        "Traceback (most recent call last): RuntimeError: the handler is closed",
    ]
    assert troubles("2026-01-01 00:00:00,000 CRITICAL replica 1: a bug; please report it\n")
    assert troubles("Traceback (most recent call last):\n") == ["Traceback (most recent call last): "]


def test_whose_log_it_is(tmp_path: Path) -> None:
    """Each line bears its file."""
    (tmp_path / "replica-1.log").write_text(TRACEBACK)
    (tmp_path / "replica-2.log").write_text("")
    found = all_troubles(sorted(tmp_path.iterdir()))
    assert len(found) == 2 and all(line.startswith("replica-1.log: ") for line in found)
