"""The operator: commands of `chubby`, as docs/operations.md has them, given while everything else goes wrong."""

from __future__ import annotations

import subprocess
import sys

from chubby.cli import exits
from chubby.types.identity import ReplicaId
from tests.integration.cells import ROOT, bound
from tests.torture.cell import TornCell
from tests.torture.strikes import Board, Finding

WHOLE = 90.0
"""Seconds in which all replicas vote again."""
COMMAND = 90.0
"""Seconds that a command has."""


class Operator:
    """`uncertain`: who may have been replaced, although the command failed."""

    def __init__(self, board: Board, cell: TornCell) -> None:
        self.uncertain: set[ReplicaId] = set()
        self._board = board
        self._cell = cell

    def step_down(self, successor: ReplicaId | None = None) -> None:
        """Have the master hand over, to that one."""
        self._run("step-down", *(() if successor is None else ("--to", str(successor))))

    def replace(self, replica: ReplicaId) -> bool:
        """Let a new replica take the place of this one; whether that is certain now."""
        if self._run("replica", "replace", str(replica), "--yes", "--no-wait"):
            return True
        self.uncertain.add(replica)
        return False

    def whole(self) -> bool:
        """Wait until all vote; whether they do in time."""
        try:
            self._cell.wait_whole(WHOLE)
        except AssertionError:
            self._board.notes[f"not whole within {WHOLE:.0f} s, faults going on"] += 1
            return False
        return True

    def _run(self, *command: str) -> bool:
        """Whether it succeeded. Refused it may be while things go wrong, which is counted; it never crashes."""
        line = (sys.executable, "-m", "chubby.cli", *command, "--config", str(self._cell.file))
        ended = subprocess.run(bound(*line), cwd=ROOT, capture_output=True, text=True, timeout=COMMAND, check=False)
        if ended.returncode == exits.OK:
            return True
        if ended.returncode == exits.BUG or "Traceback" in ended.stderr:
            raise Finding(f"chubby {' '.join(command)}: {ended.stdout}{ended.stderr}")
        self._board.notes[f"chubby {command[0]} refused, exit code {ended.returncode}"] += 1
        return False
