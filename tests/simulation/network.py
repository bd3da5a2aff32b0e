"""The network between hosts.

Replica links are datagrams in the worst case: late, lost, doubled, out of order. Real ones (`chubby.transport`) are TCP
connections that carry length-prefixed frames with checksums: what a reset takes is the rest of what was sent, a frame
that came in half is dropped with the decoder of its connection, and what waits for the next connection comes at once
and late. Datagrams cover that and more; `hold` brings the part that chance alone would hardly bring, the burst.

Client streams keep order and break as a whole: one end may know long before the other, and of what was sent last a part
arrives (`Connection.sever`). Frames of a stream come whole or not at all, since gRPC's do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import msgspec

from chubby.types.stream import ClientFrame, ServerFrame
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from tests.simulation.world import World

LATEST: Duration = 8 * SECOND

Place = str
"""A host: "r1" ... for replicas, "c1" ... for clients."""


class Weather(msgspec.Struct, frozen=True):
    """How bad the network is: probabilities per message, delays."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    late: float = 0.0
    """Very late: after seconds, when what it speaks of may be long over."""
    delay: Duration = 200 * MICROSECOND
    spread: Duration = 300 * MICROSECOND


class Slowness(msgspec.Struct, frozen=True):
    """A link that is slow, one way: what it adds to the delay of each message, and how long each message takes it."""

    delay: Duration
    each: Duration = 0


class Connection:
    """One client's stream, as the replica at its end sees it. `deliver` and `end` reach for the client."""

    def __init__(self, deliver: Callable[[tuple[ServerFrame, ...]], None], end: Callable[[], None]) -> None:
        self._deliver = deliver
        self.end = end
        self._cut: random.Random | None = None
        self._over_there = False
        self._over_here = False

    def deliver(self, frames: tuple[ServerFrame, ...]) -> None:
        """Send frames to the client."""
        if self._cut is not None:
            frames = () if self._over_there else frames[: self._cut.randint(0, len(frames))]
            self._over_there = True
        if frames:
            self._deliver(frames)

    def arriving(self, frames: tuple[ClientFrame, ...]) -> tuple[ClientFrame, ...]:
        """Which of these frames of the client arrive."""
        if self._cut is not None:
            frames = () if self._over_here else frames[: self._cut.randint(0, len(frames))]
            self._over_here = True
        return frames

    def sever(self, chance: random.Random) -> None:
        """From now on nothing gets through, but a part of what comes next, for each direction. No end knows yet."""
        self._cut = chance


class Tape:
    """All that was sent one way while it ran, in order; what is not `through` waits on it."""

    def __init__(self, source: Place, target: Place, through: bool) -> None:
        self.source = source
        self.target = target
        self.through = through
        self.messages: list[Callable[[], None]] = []


class Network:
    """Carries callbacks from place to place, or does not."""

    def __init__(self, world: World, weather: Weather) -> None:
        self._world = world
        self._chance = world.stream("network")
        self.weather = weather
        self._cuts: Counter[tuple[Place, Place]] = Counter()
        self._slow: dict[tuple[Place, Place], Slowness] = {}
        self._arrivals: dict[tuple[Place, Place], int] = {}
        self._tapes: dict[tuple[Place, Place], Tape] = {}
        self.lost = 0

    def cut(self, source: Place, target: Place) -> None:
        """Nothing gets from `source` to `target` any more (the other way may still work)."""
        self._cuts[source, target] += 1

    def mend(self, source: Place, target: Place) -> None:
        """Take one cut back; there may be others on the same way."""
        if self._cuts[source, target] > 1:
            self._cuts[source, target] -= 1
        else:
            self._cuts.pop((source, target), None)

    def slow(self, source: Place, target: Place, slowness: Slowness | None) -> None:
        """The way from `source` to `target` is slow, or as it was (None). Nothing overtakes for that."""
        if slowness is not None:
            self._slow[source, target] = slowness
        else:
            self._slow.pop((source, target), None)

    def hold(self, source: Place, target: Place, until: Instant) -> None:
        """What is sent this way arrives at that time at the earliest, all at once and in order."""
        self._arrivals[source, target] = max(until, self._arrivals.get((source, target), 0))

    def record(self, source: Place, target: Place, through: bool) -> Tape:
        """Keep what replicas send this way from now on: a copy of it, or (not `through`) the only one there is."""
        tape = self._tapes[source, target] = Tape(source, target, through)
        return tape

    def stop(self, tape: Tape) -> None:
        """What is sent this way is recorded no more."""
        if self._tapes.get((tape.source, tape.target)) is tape:
            del self._tapes[tape.source, tape.target]

    def play(self, tape: Tape) -> None:
        """All of it is sent now, or once more."""
        self.stop(tape)
        for deliver in tape.messages:
            self.in_order(tape.source, tape.target, deliver)

    def heal(self) -> None:
        """All cuts are mended, all links are fast, and what waits on a tape is lost."""
        self._cuts.clear()
        self._slow.clear()
        self._tapes.clear()

    def connected(self, source: Place, target: Place) -> bool:
        """Whether messages get through."""
        return (source, target) not in self._cuts

    def datagram(self, source: Place, target: Place, deliver: Callable[[], None]) -> None:
        """Carry a message that may be lost, doubled or overtaken."""
        weather, chance = self.weather, self._chance
        if not self.connected(source, target) or chance.random() < weather.loss:
            self.lost += 1
            return
        tape = self._tapes.get((source, target))
        if tape is not None:
            tape.messages.append(deliver)
            if not tape.through:
                return
        in_order = chance.random() >= weather.reorder
        self._world.at(self._arrival(source, target, in_order), deliver)
        if chance.random() < weather.duplicate:
            self._world.at(self._arrival(source, target, in_order=False), deliver)
        if weather.late and chance.random() < weather.late:
            self._world.after(round(chance.random() * LATEST), deliver)

    def in_order(self, source: Place, target: Place, deliver: Callable[[], None]) -> bool:
        """Carry a part of a connection: in order, or not at all (then the connection hangs); whether it will arrive."""
        if not self.connected(source, target):
            self.lost += 1
            return False
        self._world.at(self._arrival(source, target, in_order=True), deliver)
        return True

    def _arrival(self, source: Place, target: Place, in_order: bool) -> int:
        slow = self._slow.get((source, target))
        delay = self.weather.delay + round(self._chance.random() * self.weather.spread)
        if slow is not None:
            delay += slow.delay
        if not in_order:
            return self._world.now + delay + round(self._chance.random() * 50 * MILLISECOND)
        before = self._arrivals.get((source, target), 0)
        arrival = max(self._world.now + delay, before + slow.each if slow is not None else before)
        self._arrivals[source, target] = arrival
        return arrival
