"""Links that are cut, both ways, one way, or only here and there; that are slow; that break."""

from __future__ import annotations

from functools import partial

from chubby.types.time import MILLISECOND
from tests.simulation.faults.field import Field, Way
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Place, Slowness

LATE = 20_000
"""Milliseconds until whoever is not told that a connection broke finds out by itself, at the latest."""


def partition(field: Field) -> None:
    """Some places against the rest."""
    places = [host.place for host in field.hosts] + [client.place for client in field.alive()]
    one_way = field.chance.random() < 0.3
    side = {place for place in places if field.chance.random() < 0.4}
    field.world.trace(f"partition: {sorted(side)} against the rest{', one way' if one_way else ''}")
    ways: list[Way] = []
    for inside in sorted(side):
        for outside in (place for place in places if place not in side):
            ways.append((inside, outside))
            if not one_way:
                ways.append((outside, inside))
    _cut(field, ways)


def isolate_master(field: Field) -> None:
    """Both ways, or one: it speaks and hears nothing, or it hears and is not heard."""
    host = field.master()
    how = field.chance.choice(("both ways", "both ways", "inwards", "outwards"))
    field.world.trace(f"{host.place} is cut off from the other replicas, {how}")
    ways: list[Way] = []
    for other in field.hosts:
        if other is not host:
            if how != "inwards":
                ways.append((host.place, other.place))
            if how != "outwards":
                ways.append((other.place, host.place))
    _cut(field, ways)


def partial_partition(field: Field) -> None:
    """No clean split: two that do not hear each other both hear a third. Clients reach some replicas and not others."""
    hosts, chance = field.hosts, field.chance
    ways: list[Way] = []
    bridge = chance.choice(hosts) if chance.random() < 0.3 else None
    sides = {host.place: chance.random() < 0.5 for host in hosts}
    for index, one in enumerate(hosts):
        for other in hosts[index + 1 :]:
            if bridge is not None:
                severed = bridge not in (one, other) and sides[one.place] != sides[other.place]
            else:
                severed = chance.random() < 0.4
            if severed:
                ways += [(one.place, other.place), (other.place, one.place)]
    for client in field.alive():
        for host in hosts:
            if chance.random() < 0.3:
                ways += [(client.place, host.place), (host.place, client.place)]
    if chance.random() < 0.3:
        ways = [way for way in ways if chance.random() < 0.5]
    field.world.trace(f"partial partition: {' '.join(f'{source}-{target}' for source, target in ways)}")
    _cut(field, ways)


def slow_link(field: Field) -> None:
    """Up to a second between two replicas, or between one and everybody; or so narrow that messages queue up."""
    chance = field.chance
    host = field.master() if chance.random() < 0.5 else field.any()
    others = [other.place for other in field.hosts if other is not host]
    if chance.random() < 0.5:
        others = [chance.choice(others)]
    elif chance.random() < 0.5:
        others += [client.place for client in field.alive()]
    slowness = Slowness(field.later(5, 1000), chance.choice((0, 0, field.later(1, 20))))
    both = chance.random() < 0.5
    ways = [(host.place, other) for other in others] + [(other, host.place) for other in others if both]
    field.world.trace(f"{host.place} is slow to {' '.join(others)}: {slowness.delay // MILLISECOND} ms")
    for way in ways:
        field.network.slow(*way, slowness)
        field.world.after(field.a_while(), partial(field.network.slow, *way, None))


def reset_link(field: Field) -> None:
    """The connection from one replica to another breaks. What was written into it last is lost, and what is said until
    there is a new one comes when it is there.
    """
    one, other = field.chance.sample(field.hosts, 2)
    unnoticed = field.chance.choice((field.later(0, 5), field.later(0, 3000)))
    field.world.trace(f"the link from {one.place} to {other.place} breaks")
    field.network.cut(one.place, other.place)
    field.world.after(unnoticed, partial(_dial_again, field, one.place, other.place))


def _dial_again(field: Field, source: Place, target: Place) -> None:
    field.network.mend(source, target)
    field.network.hold(source, target, field.world.now + field.later(50, 2000))


def reset_streams(field: Field) -> None:
    """Connections of clients with a replica break, one of them or all; each end learns of it for itself, one of them
    perhaps much later, and a part of what was sent last arrives.
    """
    host = field.master() if field.chance.random() < 0.8 else field.any()
    streams = list(host.connections)
    if streams and field.chance.random() < 0.7:
        streams = [field.chance.choice(streams)]
    for stream in streams:
        _reset(field, host, stream)


def _reset(field: Field, host: ReplicaHost, stream: int) -> None:
    connection, chance = host.connections[stream], field.chance
    field.world.trace(f"stream {stream} of {host.place} is reset")
    connection.sever(chance)
    here, there = chance.choice(((2, 2), (2, 2), (2, LATE), (LATE, 2)))
    field.world.after(field.later(0, here), partial(host.detach, stream))
    field.world.after(field.later(0, there), connection.end)


def _cut(field: Field, ways: list[Way]) -> None:
    field.world.after(field.a_while(), field.sever(ways))
