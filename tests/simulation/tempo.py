"""When clients act: how many operations a second all of them make together, and how they are spread over time.

The same number of operations finds other bugs if they come one by one, if each client makes several in a row, or if
all clients act at the same moments. So a seed draws the rhythm, and the rate stays what it is.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

import msgspec

from chubby.client.state import SessionState
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.world import World

BURST = 8
"""Operations in a row, on average."""
WITHIN: Duration = 2 * MILLISECOND
"""Between the operations of a burst, and between the clients that act together."""


class Rhythm(enum.Enum):
    """How operations are spread over time."""

    EVEN = "even"
    BURSTS = "bursts"
    TOGETHER = "together"


class Tempo(msgspec.Struct, frozen=True):
    """The pauses of one performer."""

    pause: Duration
    """The mean between the end of an operation and the begin of the next."""
    rhythm: Rhythm = Rhythm.EVEN

    def next(self, chance: random.Random, now: Instant) -> Instant:
        """When to act next."""
        match self.rhythm:
            case Rhythm.EVEN:
                return now + round(chance.expovariate(1.0) * self.pause)
            case Rhythm.BURSTS if chance.random() < 1 - 1 / BURST:
                return now + round(chance.expovariate(1.0) * WITHIN)
            case Rhythm.BURSTS:
                return now + round(chance.expovariate(1.0) * BURST * self.pause)
            case Rhythm.TOGETHER:
                beats = 1 + int(chance.expovariate(1.0) * 2)
                beat = max(self.pause // 2, WITHIN)
                return (now // beat + beats) * beat + round(chance.random() * WITHIN)


class Turns:
    """Lets one performer act, one operation at a time, for as long as its client's process and session live.

    `act` begins an operation; whoever has ended one calls `next`.
    """

    def __init__(self, world: World, client: ClientHost, tempo: Tempo, act: Callable[[], None]) -> None:
        self._world = world
        self._client = client
        self._tempo = tempo
        self._act = act

    def next(self) -> None:
        """The operation is over: act again after a pause."""
        self._world.at(self._tempo.next(self._client.chance, self._world.now), self._turn)

    def _turn(self) -> None:
        client = self._client
        if not client.alive or client.core.state.final:
            return
        if self._world.now < client.paused_until or client.core.state is SessionState.OPENING:
            self._world.at(max(client.paused_until, self._world.now + SECOND), self._turn)
        else:
            self._act()
