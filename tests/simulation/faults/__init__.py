"""What goes wrong. Each fault is a function that strikes once, and sees to it that what it broke is mended after a
while; each seed draws some of them, and how often one strikes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from chubby.types.time import Duration
from tests.simulation.faults import clocks, disks, leases, network, processes, sessions, snapshots, votes
from tests.simulation.faults.field import Field
from tests.simulation.network import Weather

Fault = Callable[[Field], None]

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            processes.crash,
            processes.crash_master,
            processes.crash_all,
            processes.pause,
            processes.nap,
            processes.hand_over,
            processes.usurp,
            processes.crash_in_sync,
            processes.pause_client,
            processes.crash_client,
            network.partition,
            network.isolate_master,
            network.partial_partition,
            network.slow_link,
            network.reset_link,
            network.reset_streams,
            disks.slow_disk,
            disks.wipe,
            disks.rot,
            disks.rot_anywhere,
            disks.truncate,
            disks.lose_file,
            disks.full_disk,
            disks.io_errors,
            processes.kill,
            processes.pause_majority,
            processes.crash_writing,
            processes.crash_starting,
            processes.blackout,
            disks.lose_writes,
            snapshots.take_snapshots,
            snapshots.leave_behind,
            votes.leave_a_hole,
            votes.rival,
            votes.last_words,
            votes.amnesia,
            leases.drift_apart,
            leases.crumble,
            leases.hand_back,
            leases.oversleep,
            sessions.bad_line,
            sessions.fade,
            sessions.strand,
            sessions.bereave,
            sessions.die_waiting,
            sessions.half_open,
        )
    }
)
"""By name, in the order in which a plan tells them."""

BEYOND: Final[Mapping[str, Fault]] = MappingProxyType({each.__name__: each for each in (clocks.race, clocks.leap)})
"""What only seeds have whose clocks are not bounded."""


class Faults:
    """Strikes again and again until told to stop, then mends everything."""

    def __init__(self, field: Field, names: tuple[str, ...], interval: Duration) -> None:
        self.field = field
        self.struck: Counter[str] = Counter()
        self._names = names
        self._interval = interval
        self._stopped = False

    def start(self) -> None:
        """Begin to strike."""
        field = self.field
        field.world.after(round(field.chance.expovariate(1.0) * self._interval), self._strike)

    def stop(self) -> None:
        """Mend everything: the network is calm, disks are fast, all replicas run."""
        self._stopped = True
        self.field.stop()
        self.field.network.heal()
        self.field.network.weather = Weather()
        for host in self.field.hosts:
            host.fsync = host.usual_fsync
            host.at_sync = None
            host.coming.clear()
            if host.trouble is not None:
                self.field.mended(host, host.trouble)
            host.clock.run_at(host.clock.usual_ppm)
            self.field.up(host)
        for client in self.field.clients:
            client.clock.run_at(client.clock.usual_ppm)

    def _strike(self) -> None:
        if self._names and not self._stopped:
            name = self.field.chance.choice(self._names)
            self.struck[name] += 1
            (FAULTS.get(name) or BEYOND[name])(self.field)
            self.start()
