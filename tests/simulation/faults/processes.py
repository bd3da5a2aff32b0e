"""Processes that die, stop for a while, or come back: replicas and clients."""

from __future__ import annotations

from functools import partial

from chubby.types.limits import MASTER_LEASE
from chubby.types.time import MILLISECOND, SECOND
from tests.simulation.faults.field import Field
from tests.simulation.faults.network import isolate_master
from tests.simulation.hosts import ReplicaHost
from tests.storage.interference import CrashAt


def crash(field: Field) -> None:
    """One replica, whichever."""
    field.down(field.any())


def crash_master(field: Field) -> None:
    """The master."""
    field.down(field.master())


def crash_all(field: Field) -> None:
    """All of them; they come back one by one."""
    for host in field.hosts:
        field.down(host)


def blackout(field: Field) -> None:
    """All disks are slow, and power fails everywhere while a majority has something on its way to them: whatever was
    said of it has been heard, and is on no disk. Half the time an election is under way, and it is promises.
    """
    slow = field.later(30, 300)
    for host in field.hosts:
        host.fsync = max(slow, host.fsync)
    field.world.trace(f"all disks are slow: {slow // MILLISECOND} ms")
    if field.chance.random() < 0.5 and (master := field.reigning()) is not None:
        field.down(master)

    def syncing() -> bool:
        return sum(host.syncing for host in field.hosts) > len(field.hosts) // 2

    def fail() -> None:
        field.hits["blackout"] += 1
        for host in field.hosts:
            if host.running:
                host.crash()
                field.world.after(field.later(1, 300), partial(field.up, host))
        mend()

    def mend() -> None:
        for host in field.hosts:
            host.fsync = host.usual_fsync

    def wait() -> None:
        field.when(syncing, fail, 4 * SECOND, mend)

    field.soon(field.later(0, 2000), wait)


def pause(field: Field) -> None:
    """SIGSTOP, often for longer than the leases."""
    field.any().pause(field.a_while())


def nap(field: Field) -> None:
    """A stall of the master that ends when its lease does, a little before or after."""
    field.master().pause(round(field.chance.uniform(0.9, 1.1) * MASTER_LEASE))


def hand_over(field: Field) -> None:
    """SIGTERM, as far as the log is concerned."""
    host = field.master()
    if host.replica is not None and field.world.now >= host.paused_until:
        field.world.trace(f"{host.place} is told to hand over")
        host.replica.hand_over(host.clock.now())
        host.pump()


def usurp(field: Field) -> None:
    """The master is cut off with its lease and its clients, the others are restarted at once: what they granted it
    is in no memory any more.
    """
    master = field.master()
    isolate_master(field)
    for other in field.hosts:
        if other is not master and other.running:
            other.crash()
            field.world.after(field.later(1, 100), partial(field.up, other))


def crash_in_sync(field: Field) -> None:
    """The other replicas die as they begin to sync, with all sent that may be sent before; the master soon after,
    and for longer.
    """
    master = field.master()
    for host in field.hosts:
        if host is not master:
            host.at_sync = partial(_restart, field, host)
    field.world.after(field.later(1, 30), partial(field.down, master))


def _restart(field: Field, host: ReplicaHost) -> None:
    if host.running:
        host.crash()
        field.world.after(10 * MILLISECOND, partial(field.up, host))


def pause_client(field: Field) -> None:
    """For less or more than its session lease."""
    if clients := field.alive():
        field.chance.choice(clients).pause(round(field.chance.uniform(0.5, 20) * SECOND))


def crash_client(field: Field) -> None:
    """kill -9; another process takes its place."""
    if clients := field.alive():
        field.chance.choice(clients).crash()


def kill(field: Field) -> None:
    """kill -9 of one replica; the machine goes on, and what was written and not synced is still seen."""
    host = field.any()
    if host.running:
        host.kill()
        field.world.after(field.a_while(), partial(field.up, host))


def pause_majority(field: Field) -> None:
    """So many stop at one time, for more or less than the leases, that none of the rest can do anything; all at once,
    now and then.
    """
    hosts = field.hosts
    count = field.chance.randint(len(hosts) // 2 + 1, len(hosts))
    duration = field.a_while()
    for host in field.chance.sample(hosts, count):
        host.pause(round(duration * field.chance.uniform(0.9, 1.1)))


def crash_writing(field: Field) -> None:
    """Power fails before some operation on the disk that is still to come: in the middle of an append, of a snapshot
    that is written or received, of a segment being prepared, of something being removed.
    """
    host = field.any()
    if host.running:
        field.befall(host, CrashAt(int(field.chance.expovariate(1.0) * 40)))


def crash_starting(field: Field) -> None:
    """It crashes, and comes back, and crashes again at some step of its start or soon after, a few times."""
    host, chance = field.any(), field.chance
    host.coming.extend(CrashAt(chance.randrange(30)) for _ in range(chance.randint(1, 4)))
    field.down(host)
