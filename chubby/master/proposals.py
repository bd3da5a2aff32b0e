"""Commands on their way to the log: numbered within the epoch, stamped for display (DESIGN §3 Epoch).

`time_ms` decides nothing, so the master needs no wall clock: it remembers by how much the wall clock was ahead of its
own when it was last told, and adds that.
"""

from __future__ import annotations

from chubby.master.effects import MasterEffect, Propose
from chubby.namespace.commands import BeginEpoch, Body, Command
from chubby.types.identity import Epoch, ReplicaId
from chubby.types.time import MILLISECOND, Instant


class Proposals:
    """One master's; `epoch` 0 while there is none of ours."""

    def __init__(self) -> None:
        """Nothing was proposed yet."""
        self.epoch: Epoch = 0
        self._sequence = 0
        self._ahead_ms = 0
        self._out: list[MasterEffect] = []

    def set_wall(self, now: Instant, wall_ms: int) -> None:
        """The wall clock reads `wall_ms` at `now`."""
        self._ahead_ms = wall_ms - now // MILLISECOND

    def begin_epoch(self, master: ReplicaId, nonce: int, now: Instant) -> None:
        """Ask for an epoch. There is none yet to number commands within: `nonce` names this one."""
        self._out.append(Propose(Command(0, nonce, self._time_ms(now), BeginEpoch(master))))

    def begin(self, epoch: Epoch) -> None:
        """Our epoch has begun."""
        self.epoch = epoch
        self._sequence = 0

    def put(self, body: Body, now: Instant) -> int:
        """Propose a command under our epoch; return its sequence."""
        assert self.epoch, "commands are proposed under an epoch"
        self._sequence += 1
        self._out.append(Propose(Command(self.epoch, self._sequence, self._time_ms(now), body)))
        return self._sequence

    def end(self) -> None:
        """The mastership is over; what was not handed out yet never will be."""
        self.epoch = 0
        self._out.clear()

    def take_effects(self) -> list[MasterEffect]:
        """The proposals since the last time, in order."""
        effects, self._out = self._out, []
        return effects

    def _time_ms(self, now: Instant) -> int:
        return max(0, now // MILLISECOND + self._ahead_ms)
