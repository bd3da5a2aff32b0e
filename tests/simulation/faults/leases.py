"""Faults that try the master lease where it is tight: at the bound of clocks, at its end, at its return (DESIGN §3)."""

from __future__ import annotations

from functools import partial

from chubby.types.time import SECOND
from tests.simulation.faults.field import Field, Way
from tests.simulation.network import Tape


def drift_apart(field: Field) -> None:
    """Clocks keep to the bound, at both ends of it: the master's is slow, those of all others are fast. Then it is cut
    off, and counts on its lease for as long as it may.
    """
    if (master := field.reigning()) is None:
        return
    bound = master.config.timing.clock_drift
    for host in field.hosts:
        host.clock.run_at(-bound if host is master else bound)
        field.world.after(3 * SECOND, partial(host.clock.run_at, host.clock.usual_ppm))
    field.world.trace(f"the clock of {master.place} is slow and those of the others are fast, and it is cut off")
    mend = field.sever(
        way for other in field.others(master) for way in ((master.place, other.place), (other.place, master.place))
    )
    field.world.after(field.later(1200, 2500), mend)


def crumble(field: Field) -> None:
    """The master's links go one after the other, within less than a lease: first one replica misses it, and stands
    while others are still bound.
    """
    if (master := field.reigning()) is None:
        return
    others = field.others(master)
    field.chance.shuffle(others)
    field.world.trace(f"{master.place} loses {' '.join(other.place for other in others)}, one after the other")
    lasts = field.later(1500, 2500)
    for number, other in enumerate(others):
        ways = [(master.place, other.place), (other.place, master.place)]
        field.soon(field.later(100, 600) if number else 0, partial(_lose, field, ways, lasts))


def _lose(field: Field, ways: list[Way], lasts: int) -> None:
    field.world.after(lasts, field.sever(ways))


def hand_back(field: Field) -> None:
    """The master hands over to another, which hands back; then all that was said at the first time comes once more."""
    first = field.reigning()
    if first is None or first.replica is None:
        return
    tapes = [field.network.record(first.place, other.place, through=True) for other in field.others(first)]
    field.world.trace(f"{first.place} is told to hand over, and its successor to hand back")
    first.replica.hand_over(first.clock.now())
    first.pump()

    def stop() -> None:
        for tape in tapes:
            field.network.stop(tape)

    def back() -> None:
        stop()
        for host in field.others(first):
            if host.believes and host.replica is not None:
                host.replica.hand_over(host.clock.now(), first.number)
                host.pump()
        field.when(lambda: first.believes, partial(_once_more, field, tapes), SECOND)

    field.when(lambda: any(host.believes for host in field.others(first)), back, SECOND, stop)


def _once_more(field: Field, tapes: list[Tape]) -> None:
    field.hits["hand_back"] += 1
    for tape in tapes:
        field.world.after(field.later(0, 1), partial(field.network.play, tape))


def oversleep(field: Field) -> None:
    """The master stalls for longer than its lease, and with it clients that reach nobody else, and do not cache. They
    wake up first: when it does, their questions are before it, and another master has long changed the answers.
    """
    master, chance = field.reigning(), field.chance
    clients = [client for client in field.alive() if not client.core.identity.caching]
    if master is None or not clients or "oversleep" in field.under_way:
        return
    field.under_way.add("oversleep")
    clients = chance.sample(clients, (len(clients) + 1) // 2)
    inside = [master.place, *(client.place for client in clients)]
    outside = [host.place for host in field.others(master)]
    lasts = field.later(1600, 3500)
    master.pause(lasts)
    for client in clients:
        client.pause(lasts - field.later(20, 600))
    mend = field.sever(way for here in inside for there in outside for way in ((here, there), (there, here)))

    def over() -> None:
        field.under_way.discard("oversleep")
        mend()

    field.world.after(lasts + field.later(20, 500), over)
