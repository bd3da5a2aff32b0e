"""Fills, spoils and empties the disks of replicas, and replaces replicas: what costs one of them its memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from chubby.daemon.main import EXIT_EXPELLED, EXIT_STORAGE
from chubby.types.identity import ReplicaId
from tests.torture.plan import Strike

if TYPE_CHECKING:
    from tests.torture.strikes_replicas import ReplicaStriker

HEADER = 512
"""Bytes at the beginning of a segment."""


class Disks:
    """One disk at a time: nobody loses its memory before all others have theirs."""

    def __init__(self, striker: ReplicaStriker) -> None:
        self._striker = striker
        self._cell = striker.cell
        self._operator = striker.operator

    def full(self, strike: Strike) -> None:
        """No room until it stops by itself, or is told to and started on the full disk; then room, and all is well."""
        striker, cell = self._striker, self._cell
        striker.look()
        victim = striker.victims(strike)[0]
        cell.fill(victim)
        try:
            striker.await_end(victim, strike.lasts)
            code = striker.end(victim, 0, EXIT_STORAGE)
            if code == 0:
                cell.start(victim)
                striker.await_end(victim, strike.lasts)
                code = striker.end(victim, 0, EXIT_STORAGE)
            self._note("stopped by a full disk" if code == EXIT_STORAGE else "got by on a full disk")
        finally:
            cell.make_room(victim)
            cell.start(victim)

    def rot(self, strike: Strike) -> None:
        """A bit of the log flips while the replica is down."""

        def flip(victim: ReplicaId) -> None:
            segment = self._cell.segments(victim)[-1]
            used = len(segment.read_bytes().rstrip(b"\0"))
            place = HEADER + int(strike.dice[0] * max(1, used - HEADER))
            flip_bit(segment, place, int(strike.dice[1] * 8))

        self._lose_memory(strike, flip)

    def wipe(self, strike: Strike) -> None:
        """Everything on the disk is gone."""
        self._lose_memory(strike, self._cell.wipe)

    def _lose_memory(self, strike: Strike, spoil: Callable[[ReplicaId], None]) -> None:
        striker = self._striker
        striker.look()
        if not self._operator.whole():
            return striker.board.spare(strike)
        victim = striker.victims(strike)[0]
        said = len(self._cell.log(victim))
        self._cell.kill(victim)
        try:
            striker.board.wait(strike.lasts)
            spoil(victim)
        finally:
            self._cell.start(victim)
        self._operator.whole()
        reborn = "new incarnation" in self._cell.log(victim)[said:]
        self._note("came back under a new incarnation" if reborn else "spoilt where it cost nothing")

    def replace(self, strike: Strike) -> None:
        """A dead replica, or one that lives, gives its place to a new one, by the operator's own command."""
        striker, cell = self._striker, self._cell
        striker.look()
        if not self._operator.whole():
            return striker.board.spare(strike)
        master = striker.master(strike)
        victim = next(each for each in striker.victims(strike) if each != master)
        lives = strike.dice[0] < 0.5
        if not lives:
            cell.kill(victim)
            striker.board.wait(strike.lasts)
        try:
            replaced = self._operator.replace(victim)
            if replaced and lives:
                knew = striker.await_end(victim, strike.lasts + 10)
                code = striker.end(victim, 0, EXIT_EXPELLED)
                self._note(f"replaced alive, {'ended by itself' if knew else 'told to end'}, exit code {code}")
            elif replaced:
                self._note("replaced dead")
            if replaced:
                cell.wipe(victim)
        finally:
            cell.start(victim)
        self._operator.whole()

    def _note(self, what: str) -> None:
        self._striker.board.notes[what] += 1


def flip_bit(file: Path, place: int, bit: int) -> None:
    """Let one bit rot."""
    with file.open("r+b") as stream:
        stream.seek(place)
        byte = stream.read(1)
        stream.seek(place)
        stream.write(bytes([byte[0] ^ (1 << bit)]))
