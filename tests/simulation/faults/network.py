"""Links that are cut, both ways or one way."""

from __future__ import annotations

from tests.simulation.faults.field import Field


def partition(field: Field) -> None:
    """Some places against the rest."""
    places = [host.place for host in field.hosts] + [client.place for client in field.alive()]
    one_way = field.chance.random() < 0.3
    side = {place for place in places if field.chance.random() < 0.4}
    field.world.trace(f"partition: {sorted(side)} against the rest{', one way' if one_way else ''}")
    for inside in sorted(side):
        for outside in (place for place in places if place not in side):
            field.network.cut(inside, outside)
            if not one_way:
                field.network.cut(outside, inside)
    field.world.after(field.a_while(), field.network.heal)


def isolate_master(field: Field) -> None:
    """Both ways, or one: it speaks and hears nothing, or it hears and is not heard."""
    host = field.master()
    ways = field.chance.choice(("both ways", "both ways", "inwards", "outwards"))
    field.world.trace(f"{host.place} is cut off from the other replicas, {ways}")
    for other in field.hosts:
        if other is not host:
            if ways != "inwards":
                field.network.cut(host.place, other.place)
            if ways != "outwards":
                field.network.cut(other.place, host.place)
    field.world.after(field.a_while(), field.network.heal)
