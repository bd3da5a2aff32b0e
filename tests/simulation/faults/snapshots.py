"""Faults that make snapshots matter: what they take the place of is gone, and who was away has no other way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chubby.types.identity import Slot
from chubby.types.time import SECOND, Duration
from tests.simulation.faults.field import Field
from tests.simulation.hosts import ReplicaHost

REPLACEMENT: Duration = 8 * SECOND
"""A replica that comes back with an empty disk mostly votes again by then."""
WRITING: Duration = 2 * SECOND
"""Snapshots are mostly written by then, and logs replayed."""


def take_snapshots(field: Field) -> None:
    """Each replica writes one, as for a backup, and later another: then the log from before the first goes. One of them
    has to start from what is left.
    """
    field.world.trace("all write snapshots")
    again = field.later(200, 2000)
    for host in field.hosts:
        _write(host)
        field.soon(again, partial(_write, host))
    if field.chance.random() < 0.7:
        field.soon(again + field.later(50, 1500), partial(field.down, field.any()))


def leave_behind(field: Field) -> None:
    """One is cut off while the cell goes on without it: another one comes back with an empty disk and is taken in anew,
    all write snapshots and start again from those. What it missed is then in nobody's log any more.
    """
    if "leave_behind" in field.under_way:
        return
    field.under_way.add("leave_behind")
    host = field.any()
    others = field.others(host)
    mend = field.sever([way for each in others for way in ((host.place, each.place), (each.place, host.place))])
    field.world.trace(f"{host.place} is left behind")

    def back() -> None:
        field.under_way.discard("leave_behind")
        mend()

    def write() -> None:
        for each in others:
            _write(each)
        field.when(partial(_all_cover, field, others, host), restart, WRITING, back)

    def restart() -> None:
        for each in others:
            if each.running:
                each.crash()
                field.world.after(field.later(1, 100), partial(field.up, each))
        field.when(partial(_out_of_reach, field, others, host), found, WRITING, back)

    def found() -> None:
        field.hits["leave_behind"] += 1
        back()

    _replace_one(field, others, write)


def _replace_one(field: Field, hosts: list[ReplicaHost], then: Callable[[], None]) -> None:
    """One of these comes back with an empty disk, if the rest can take it in, and votes again before it goes on."""
    newcomer = field.chance.choice(hosts)
    if len(hosts) - 1 <= len(field.hosts) // 2 or not field.may_lose_a_disk(newcomer):
        field.soon(SECOND, then)
        return
    if newcomer.running:
        newcomer.crash()
    newcomer.wipe()
    field.up(newcomer)
    field.when(partial(_votes, hosts, newcomer), then, REPLACEMENT, then)


def _write(host: ReplicaHost) -> None:
    """It writes a snapshot, if it runs, and if there is anything new to put into it."""
    if host.replica is not None and host.world.now >= host.paused_until and host.replica.order_snapshot():
        host.pump()


def _votes(hosts: list[ReplicaHost], newcomer: ReplicaHost) -> bool:
    """Whether all of these know that it does, under the incarnation that it has now."""
    known = [host.replica.configuration for host in hosts if host.replica is not None]
    return all(each is not None and each.is_voter(newcomer.number, newcomer.incarnation) for each in known)


def _chosen(field: Field, host: ReplicaHost) -> Slot:
    standing = field.standing(host)
    return standing.chosen if standing is not None else 0


def _all_cover(field: Field, hosts: list[ReplicaHost], behind: ReplicaHost) -> bool:
    """Whether the snapshots of all of these go further than that one has come."""
    reached = _chosen(field, behind)
    return all(host.replica is not None and host.replica.snapshot_slot > reached for host in hosts)


def _out_of_reach(field: Field, hosts: list[ReplicaHost], behind: ReplicaHost) -> bool:
    """Whether none of these has in its log what that one needs next."""
    reached = _chosen(field, behind)
    standings = [field.standing(host) for host in hosts]
    return all(each is not None and each.first > reached + 1 for each in standings)
