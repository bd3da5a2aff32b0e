"""What goes wrong, when: each seed draws its own mix (swarm testing)."""

from __future__ import annotations

from functools import partial

from chubby.types.limits import MASTER_LEASE
from chubby.types.time import MICROSECOND, MILLISECOND, SECOND, Duration
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Network, Weather
from tests.simulation.world import World


class Faults:
    """Strikes again and again until told to stop, then mends everything."""

    def __init__(self, world: World, network: Network, hosts: list[ReplicaHost], clients: list[ClientHost]) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._clients = clients
        self._stopped = False
        chance = world.random
        kinds = {
            "crash": self._crash,
            "crash_all": self._crash_all,
            "pause": self._pause,
            "partition": self._partition,
            "isolate_master": self._isolate_master,
            "usurp": self._usurp,
            "nap": self._nap,
            "crash_in_sync": self._crash_in_sync,
            "crash_master": self._crash_master,
            "hand_over": self._hand_over,
            "slow_disk": self._slow_disk,
            "wipe": self._wipe,
            "rot": self._rot,
            "pause_client": self._pause_client,
            "crash_client": self._crash_client,
        }
        self._kinds = [kinds[name] for name in sorted(kinds) if chance.random() < 0.5] or [self._crash]
        self._interval: Duration = round(chance.uniform(0.5, 6.0) * SECOND)
        self._wiped_at = -60 * SECOND
        usual_fsync = chance.choice((150 * MICROSECOND, 150 * MICROSECOND, 2 * MILLISECOND, 15 * MILLISECOND))
        for host in hosts:
            host.usual_fsync = host.fsync = usual_fsync
        network.weather = Weather(
            loss=chance.choice((0.0, 0.0, 0.01, 0.1)),
            duplicate=chance.choice((0.0, 0.02)),
            reorder=chance.choice((0.0, 0.0, 0.05)),
            late=chance.choice((0.0, 0.0, 0.002)),
        )

    def start(self) -> None:
        """Begin to strike."""
        self._world.after(round(self._world.random.expovariate(1.0) * self._interval), self._strike)

    def stop(self) -> None:
        """Mend everything: the network is calm, disks are fast, all replicas run."""
        self._stopped = True
        self._network.heal()
        self._network.weather = Weather()
        for host in self._hosts:
            host.fsync = host.usual_fsync
            host.at_sync = None
            if not host.running:
                host.start()

    def _strike(self) -> None:
        if self._stopped:
            return
        self._world.random.choice(self._kinds)()
        self.start()

    def _any(self) -> ReplicaHost:
        return self._world.random.choice(self._hosts)

    def _master(self) -> ReplicaHost:
        masters = [host for host in self._hosts if host.believes]
        return self._world.random.choice(masters) if masters else self._any()

    def _down(self, host: ReplicaHost) -> None:
        if host.running:
            host.crash()
            self._world.after(self._while(), lambda: self._up(host))

    def _while(self) -> Duration:
        return round(self._world.random.expovariate(1.0) * 2 * SECOND) + 10 * MILLISECOND

    def _up(self, host: ReplicaHost) -> None:
        if not host.running:
            host.start()

    def _crash(self) -> None:
        self._down(self._any())

    def _crash_master(self) -> None:
        self._down(self._master())

    def _crash_all(self) -> None:
        for host in self._hosts:
            self._down(host)

    def _pause(self) -> None:
        self._any().pause(self._while())

    def _hand_over(self) -> None:
        host = self._master()
        if host.replica is not None and self._world.now >= host.paused_until:
            self._world.trace(f"{host.place} is told to hand over")
            host.replica.hand_over(host.clock.now())
            host.pump()

    def _slow_disk(self) -> None:
        host = self._any()
        host.fsync = self._world.random.choice((20 * MILLISECOND, 300 * MILLISECOND, 3 * SECOND))
        self._world.trace(f"{host.place} has a slow disk: {host.fsync // MILLISECOND} ms")
        self._world.after(self._while(), lambda: setattr(host, "fsync", host.usual_fsync))

    def _partition(self) -> None:
        chance = self._world.random
        places = [host.place for host in self._hosts] + [client.place for client in self._clients]
        one_way = chance.random() < 0.3
        side = {place for place in places if chance.random() < 0.4}
        self._world.trace(f"partition: {sorted(side)} against the rest{', one way' if one_way else ''}")
        for inside in sorted(side):
            for outside in (place for place in places if place not in side):
                self._network.cut(inside, outside)
                if not one_way:
                    self._network.cut(outside, inside)
        self._world.after(self._while(), self._network.heal)

    def _isolate_master(self) -> None:
        """Both ways, or one: it speaks and hears nothing, or it hears and is not heard."""
        host = self._master()
        ways = self._world.random.choice(("both ways", "both ways", "inwards", "outwards"))
        self._world.trace(f"{host.place} is cut off from the other replicas, {ways}")
        for other in self._hosts:
            if other is not host:
                if ways != "inwards":
                    self._network.cut(host.place, other.place)
                if ways != "outwards":
                    self._network.cut(other.place, host.place)
        self._world.after(self._while(), self._network.heal)

    def _usurp(self) -> None:
        """The master is cut off with its lease and its clients, the others are restarted at once: what they granted it
        is in no memory any more.
        """
        host = self._master()
        self._isolate_master()
        for other in self._hosts:
            if other is not host and other.running:
                other.crash()
                back = round(self._world.random.uniform(1, 100)) * MILLISECOND
                self._world.after(back, partial(self._up, other))

    def _nap(self) -> None:
        """A stall that ends when the master lease does, a little before or after."""
        self._master().pause(round(self._world.random.uniform(0.9, 1.1) * MASTER_LEASE))

    def _crash_in_sync(self) -> None:
        """The other replicas die as they begin to sync, with all sent that may be sent before; the master soon after,
        and for longer.
        """
        master = self._master()
        for host in self._hosts:
            if host is not master:
                host.at_sync = partial(self._restart, host)
        self._world.after(round(self._world.random.uniform(1, 30)) * MILLISECOND, lambda: self._down(master))

    def _restart(self, host: ReplicaHost) -> None:
        if host.running:
            host.crash()
            self._world.after(10 * MILLISECOND, partial(self._up, host))

    def _wipe(self) -> None:
        """One disk at a time, and the next one only after there was time to rebuild: more is beyond what a cell
        promises.
        """
        if self._world.now - self._wiped_at < 30 * SECOND:
            return
        self._wiped_at = self._world.now
        host = self._any()
        if host.running:
            host.crash()
        host.wipe()
        self._up(host)

    def _rot(self) -> None:
        """A bit flips in the newest log of one replica, which finds out when it starts."""
        if self._world.now - self._wiped_at < 30 * SECOND:
            return
        self._wiped_at = self._world.now
        host = self._any()
        if not host.running:
            return
        host.crash()
        segments = [
            name
            for name in host.disk.tree()
            if name.endswith(".wal") and host.disk.contents(name)[4096:8192].strip(b"\0")
        ]
        if segments:
            name = self._world.random.choice(segments)
            held = host.disk.contents(name)
            offset = self._world.random.randrange(512, len(held.rstrip(b"\0")))
            self._world.trace(f"a bit flips in {name} of {host.place} at {offset}")
            host.disk.rot(name, offset, bytes([held[offset] ^ 16]))
        self._up(host)

    def _pause_client(self) -> None:
        if self._clients:
            client = self._world.random.choice(self._clients)
            if client.alive:
                client.pause(round(self._world.random.uniform(0.5, 20) * SECOND))

    def _crash_client(self) -> None:
        if self._clients and self._world.random.random() < 0.3:
            client = self._world.random.choice(self._clients)
            if client.alive:
                client.crash()
