"""What faults strike: the machines, the disks, the network, the clients; and what many of them have in common."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from chubby.paxos.peer import PeerStatus
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, SECOND, Duration, Instant
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network, Place
from tests.simulation.world import World
from tests.storage.interference import Interference

BETWEEN_LOSSES: Duration = 30 * SECOND
"""One disk at a time loses what it held, and the next one only after there was time to rebuild."""

Way = tuple[Place, Place]


class _Ambush:
    """Something that is to be done as soon as the cell is in some state."""

    def __init__(self, moment: Callable[[], bool], act: Callable[[], None], in_vain: Callable[[], None]) -> None:
        self.moment = moment
        self.act = act
        self.in_vain = in_vain


class Field:
    """Everything that can go wrong, at hand. `clients` are all that ever were; the living ones are `alive`.

    Faults that strike at random hardly ever meet the moment that matters; `when` lets them wait for it.
    """

    def __init__(
        self, world: World, network: Network, hosts: list[ReplicaHost], clients: list[ClientHost], chance: random.Random
    ) -> None:
        self.world = world
        self.network = network
        self.hosts = hosts
        self.clients = clients
        self.chance = chance
        self._lost_at: Instant = world.now - BETWEEN_LOSSES
        self._hurt: dict[ReplicaId, int] = {}
        self.hits: Counter[str] = Counter()
        """How often the moment came that a fault had waited for."""
        self.under_way: set[str] = set()
        """Faults that do not strike again while they last."""
        self._ambushes: list[_Ambush] = []
        self._watched: set[ReplicaHost] = set()
        self._over = False

    def any(self) -> ReplicaHost:
        """Some replica's machine."""
        return self.chance.choice(self.hosts)

    def master(self) -> ReplicaHost:
        """The one that counts on its master lease, or any if none does."""
        masters = [host for host in self.hosts if host.believes]
        return self.chance.choice(masters) if masters else self.any()

    def reigning(self) -> ReplicaHost | None:
        """The one that counts on its master lease, if its process runs just now."""
        masters = [host for host in self.hosts if host.believes and self.world.now >= host.paused_until]
        return self.chance.choice(masters) if masters else None

    def alive(self) -> list[ClientHost]:
        """The clients whose processes run."""
        return [client for client in self.clients if client.alive]

    def a_while(self) -> Duration:
        """How long a fault lasts: 2 s on average."""
        return round(self.chance.expovariate(1.0) * 2 * SECOND) + 10 * MILLISECOND

    def later(self, low: float, high: float) -> Duration:
        """So many milliseconds."""
        return round(self.chance.uniform(low, high) * MILLISECOND)

    def when(
        self,
        moment: Callable[[], bool],
        act: Callable[[], None],
        patience: Duration,
        in_vain: Callable[[], None] = lambda: None,
    ) -> None:
        """Do it after the very step of some replica that brings this moment about; if none does in time, the other."""
        if self._over:
            return
        for host in self.hosts:
            self._watch(host)
        ambush = _Ambush(moment, act, in_vain)
        self._ambushes.append(ambush)
        self.world.after(patience, partial(self._leave, ambush))

    def soon(self, delay: Duration, act: Callable[[], None]) -> None:
        """Do it later, unless all faults are over by then."""
        self.world.after(delay, partial(self._unless_over, act))

    def stop(self) -> None:
        """Nobody waits for a moment any more, and nothing that was put off is done."""
        self._over = True
        self._ambushes.clear()

    def _unless_over(self, act: Callable[[], None]) -> None:
        if not self._over:
            act()

    def _watch(self, host: ReplicaHost) -> None:
        if host not in self._watched:
            self._watched.add(host)
            host.observe = partial(self._look, host.observe)

    def _look(self, before: Callable[[ReplicaHost], None], host: ReplicaHost) -> None:
        before(host)
        for ambush in [each for each in self._ambushes if each.moment()]:
            self._ambushes.remove(ambush)
            self.soon(0, ambush.act)

    def _leave(self, ambush: _Ambush) -> None:
        if ambush in self._ambushes:
            self._ambushes.remove(ambush)
            ambush.in_vain()

    def others(self, host: ReplicaHost) -> list[ReplicaHost]:
        """All machines but this one."""
        return [other for other in self.hosts if other is not host]

    def standing(self, host: ReplicaHost) -> PeerStatus | None:
        """How its log stands; None if its process is not there."""
        return None if host.replica is None else host.replica.peer_status(host.clock.now())

    def sever(self, ways: Iterable[Way]) -> Callable[[], None]:
        """Nothing goes these ways any more, until what is returned is called, which may be done again and again."""
        severed = list(ways)
        for way in severed:
            self.network.cut(*way)

        def mend() -> None:
            for way in severed:
                self.network.mend(*way)
            severed.clear()

        return mend

    def down(self, host: ReplicaHost) -> None:
        """It crashes, and comes back after a while."""
        if host.running:
            host.crash()
            self.world.after(self.a_while(), partial(self.up, host))

    def up(self, host: ReplicaHost) -> None:
        """It runs again, if it does not."""
        if not host.running:
            host.start()

    def mended(self, host: ReplicaHost, trouble: Interference) -> None:
        """The disk of this host is well again, unless something else befell it meanwhile."""
        if host.trouble is trouble:
            host.trouble = None
            host.disk.interference = None

    def befall(self, host: ReplicaHost, trouble: Interference) -> None:
        """From now on that befalls whatever process uses the disk of this host."""
        host.trouble = trouble
        host.disk.interference = trouble

    def may_lose_a_disk(self, host: ReplicaHost) -> bool:
        """Whether the cell can bear it that this host loses what it held: there was time to rebuild since the last
        loss, and the others are a quorum that remembers how it voted, in every configuration that somebody knows. More
        is beyond what a cell promises. Who asks and may, does.
        """
        known = [each.replica.configuration for each in self.hosts if each.replica is not None]
        votes = [(each.number, each.incarnation) for each in self.hosts if each is not host and self._remembers(each)]
        configurations = [each for each in known if each is not None]
        if self.world.now - self._lost_at < BETWEEN_LOSSES or not configurations:
            return False
        if not all(each.is_quorum(votes) for each in configurations):
            return False
        self._lost_at = self.world.now
        self._hurt[host.number] = host.life
        return True

    def _remembers(self, host: ReplicaHost) -> bool:
        """Whether it has, under its present incarnation, all that it ever had: it started since it last lost something,
        and is not switched off for good.
        """
        return not host.retired and host.life > self._hurt.get(host.number, -1)
