"""Kills, stops and restarts replicas."""

from __future__ import annotations

import signal
import subprocess

from chubby.daemon.main import EXIT_EXPELLED
from chubby.types.identity import ReplicaId
from tests.torture.cell import TornCell
from tests.torture.operating import Operator
from tests.torture.plan import Kind, Strike, Track, chosen
from tests.torture.strikes import NO_MASTER, Acts, Board, Finding, Striker
from tests.torture.strikes_disks import Disks

END = 30.0
"""Seconds in which a replica ends that is told to."""


class ReplicaStriker(Striker):
    """The only one who starts and ends replicas."""

    def __init__(self, board: Board, seed: int, cell: TornCell) -> None:
        self.cell = cell
        self.operator = Operator(board, cell)
        self._disks = Disks(self)
        self._replicas = list(cell.members)
        super().__init__(board, Track.REPLICAS, seed)

    def acts(self) -> Acts:
        """See `Striker`."""
        return {
            Kind.KILL: lambda strike: self._kill(strike, self.victims(strike)[:1]),
            Kind.KILL_MASTER: lambda strike: self._kill(strike, [self.master(strike)]),
            Kind.KILL_TWO: lambda strike: self._kill(strike, self.victims(strike)[:2]),
            Kind.KILL_ALL: lambda strike: self._kill(strike, self._replicas),
            Kind.STOP: lambda strike: self._pause(strike, self.victims(strike)[0]),
            Kind.STOP_MASTER: lambda strike: self._pause(strike, self.master(strike)),
            Kind.HAND_OVER: self._hand_over,
            Kind.TERMINATE: lambda strike: self._restart(self.victims(strike)[0], strike.lasts),
            Kind.ROLL: self._roll,
            Kind.FULL: self._disks.full,
            Kind.ROT: self._disks.rot,
            Kind.WIPE: self._disks.wipe,
            Kind.REPLACE: self._disks.replace,
        }

    def victims(self, strike: Strike) -> list[ReplicaId]:
        """All replicas, in the order in which they are to be hit."""
        return [self._replicas[index] for index in chosen(strike, len(self._replicas))]

    def master(self, strike: Strike) -> ReplicaId:
        """The master; anybody, if there is none."""
        status = self.cell.master_status()
        if status is None:
            self.board.notes[NO_MASTER] += 1
            return self.victims(strike)[0]
        return status.master

    def look(self) -> None:
        """Raise Finding if a replica has ended by itself. One that was replaced, as it turns out, begins anew."""
        for replica, process in list(self.cell.processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self.cell.processes[replica]
            if code == EXIT_EXPELLED and replica in self.operator.uncertain:
                self.operator.uncertain.discard(replica)
                self.cell.wipe(replica)
                self.cell.start(replica)
                continue
            self.cell.start(replica)
            raise Finding(f"replica {replica} ended by itself with {code}: {self.cell.log(replica)[-500:]}")

    def end(self, replica: ReplicaId, *expected: int) -> int:
        """Have it end by SIGTERM, unless it has ended; its exit code. Raises Finding for any but these."""
        if not self.cell.ready(replica):
            expected = (*expected, -signal.SIGTERM)
        process = self.cell.processes.pop(replica)
        process.terminate()
        try:
            code = process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END)
            raise Finding(f"replica {replica} did not end within {END} s of SIGTERM") from None
        if code not in expected:
            raise Finding(f"replica {replica} ended with {code}: {self.cell.log(replica)[-500:]}")
        return code

    def await_end(self, replica: ReplicaId, seconds: float) -> bool:
        """Wait for it to end by itself; whether it did."""
        process = self.cell.processes[replica]
        for _ in range(round(seconds / 0.2)):
            if process.poll() is not None or self.board.wait(0.2):
                break
        return process.poll() is not None

    def _kill(self, strike: Strike, victims: list[ReplicaId]) -> None:
        self.look()
        self.cell.kill(*victims)
        try:
            self.board.wait(strike.lasts)
        finally:
            self.cell.start(*victims)

    def _pause(self, strike: Strike, victim: ReplicaId) -> None:
        self.look()
        self.cell.signal(victim, signal.SIGSTOP)
        try:
            self.board.wait(strike.lasts)
        finally:
            self.cell.signal(victim, signal.SIGCONT)

    def _restart(self, replica: ReplicaId, pause: float) -> None:
        self.look()
        try:
            self.end(replica, 0)
            self.board.wait(pause)
        finally:
            self.cell.start(replica)

    def _hand_over(self, strike: Strike) -> None:
        self.operator.step_down(self.victims(strike)[0])

    def _roll(self, strike: Strike) -> None:
        """As docs/operations.md has it: one after the other, the master last and after it has stepped down."""
        master = self.master(strike)
        for replica in [each for each in self._replicas if each != master]:
            self._restart(replica, 0)
            if self.board.wait(0) or not self.operator.whole():
                return
        self.operator.step_down()
        self._restart(master, 0)
        self.operator.whole()
