"""The network between hosts. Replica links are datagrams in the worst case: late, lost, doubled, out of order. Client
streams keep order and break as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from chubby.types.stream import ServerFrame
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration
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


class Connection:
    """One client's stream, as the replica at its end sees it."""

    def __init__(self, deliver: Callable[[tuple[ServerFrame, ...]], None], end: Callable[[], None]) -> None:
        self.deliver = deliver
        self.end = end


class Network:
    """Carries callbacks from place to place, or does not."""

    def __init__(self, world: World, weather: Weather) -> None:
        self._world = world
        self._chance = world.stream("network")
        self.weather = weather
        self._cut: set[tuple[Place, Place]] = set()
        self._arrivals: dict[tuple[Place, Place], int] = {}
        self.lost = 0

    def cut(self, source: Place, target: Place) -> None:
        """Nothing gets from `source` to `target` any more (the other way may still work)."""
        self._cut.add((source, target))

    def heal(self) -> None:
        """All cuts are mended."""
        self._cut.clear()

    def connected(self, source: Place, target: Place) -> bool:
        """Whether messages get through."""
        return (source, target) not in self._cut

    def datagram(self, source: Place, target: Place, deliver: Callable[[], None]) -> None:
        """Carry a message that may be lost, doubled or overtaken."""
        weather, chance = self.weather, self._chance
        if not self.connected(source, target) or chance.random() < weather.loss:
            self.lost += 1
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
        delay = self.weather.delay + round(self._chance.random() * self.weather.spread)
        if not in_order:
            return self._world.now + delay + round(self._chance.random() * 50 * MILLISECOND)
        arrival = max(self._world.now + delay, self._arrivals.get((source, target), 0))
        self._arrivals[source, target] = arrival
        return arrival
