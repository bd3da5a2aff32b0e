"""Clients whose lines are bad, that hear nothing of a fail-over, that die with what others wait for: what sessions,
their leases and their caches are for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chubby.client.stream import Phase
from chubby.namespace.machine import Machine
from chubby.types.identity import SessionId
from chubby.types.time import MILLISECOND, SECOND, Duration
from tests.simulation.clients import ClientHost
from tests.simulation.faults.field import Field
from tests.simulation.faults.processes import hand_over
from tests.simulation.hosts import ReplicaHost
from tests.simulation.network import Place, Slowness

Way = tuple[Place, Place]
LOOKS: Duration = 5 * MILLISECOND
"""So often whoever waits for the right moment looks for it."""
PATIENCE: Duration = 5 * SECOND
"""And for so long."""


def bad_line(field: Field) -> None:
    """Clients, one or half of them, hear the cell late, or are heard late, by up to a second."""
    chance, clients = field.chance, field.alive()
    if not clients:
        return
    chosen = [chance.choice(clients)] if chance.random() < 0.5 else clients[: len(clients) // 2 + 1]
    delay = field.later(5, 1000)
    direction = chance.choice((_from_cell, _from_cell, _both))
    field.world.trace(f"{_names(chosen)} hear the cell {delay // MILLISECOND} ms late")
    _slow(field, [way for client in chosen for way in direction(field, client)], delay, field.a_while())


def fade(field: Field) -> None:
    """A client's line becomes slow and then dead: what was said to it last arrives late, and then nothing does, for
    less or more than its leases. Half the time the last that was said is the answer to its KeepAlive.
    """
    clients = field.alive()
    if not clients:
        return
    client, chance = field.chance.choice(clients), field.chance
    delay = field.later(50, 1000)
    field.world.trace(f"the line of {client.place} fades, {delay // MILLISECOND} ms late at last")
    _slow(field, _from_cell(field, client), delay, PATIENCE + delay)
    cut = partial(_cut_off, field, client, _lease_of(field, client))
    if chance.random() < 0.5:
        field.soon(field.later(50, 1500), cut)
        return

    def asked() -> bool:
        return client.core._tenure.keep_alive._asked is not None

    _when(field, asked, lambda: field.soon(4 * MILLISECOND, cut), PATIENCE)


def strand(field: Field) -> None:
    """There is another master at once, and some clients, cut off from all replicas, do not hear of it."""
    clients, chance = field.alive(), field.chance
    for client in chance.sample(clients, chance.randint(min(1, len(clients)), (len(clients) + 1) // 2)):
        field.world.trace(f"{client.place} is stranded")
        _cut_off(field, client, _lease_of(field, client))
    if chance.random() < 0.8:
        field.soon(field.later(0, 20), partial(hand_over, field))
    else:
        field.down(field.master())


def bereave(field: Field) -> None:
    """All that hold some lock die at once, which is shared if any is; now and then those who wait for it as well."""
    machine = _machine(field)
    held = [lock for lock in machine.locks("", 0)[0] if lock.holders] if machine is not None else []
    if not held:
        return
    shared = [lock for lock in held if len(lock.holders) > 1]
    lock = field.chance.choice(shared or held)
    sessions = {owner.session for owner in lock.holders}
    if field.chance.random() < 0.2:
        sessions |= {owner.session for owner, _ in lock.waiters}
    field.world.trace(f"whoever holds {lock.path} dies")
    for client in _clients_of(field, sessions):
        client.crash()


def die_waiting(field: Field) -> None:
    """A client dies that waits for a lock and has files that go with it, as soon as there is one. When its session is
    over, the others hear late what goes, but for those who hold locks, which they give back as ever.
    """
    _when(field, lambda: bool(_candidates(field)), partial(_die_waiting, field), PATIENCE)


def _candidates(field: Field) -> list[SessionId]:
    """The sessions that wait for a lock, and have files of their own."""
    machine = _machine(field)
    if machine is None:
        return []
    waiting = [owner.session for lock in machine.locks("", 0)[0] for owner, _ in lock.waiters]
    return [session for session in waiting if machine.ephemerals_of(session)]


def _die_waiting(field: Field) -> None:
    waiting = _candidates(field)
    if not waiting:
        return  # whoever it was has got the lock, or gave up, in this very instant
    for client in _clients_of(field, {field.chance.choice(waiting)}):
        left = client.core._tenure.until - client.clock.now()
        field.world.trace(f"{client.place} dies in a queue")
        client.crash()
        field.soon(client.clock.true_delay(max(left, 0)), partial(_hear_late, field))


def _hear_late(field: Field) -> None:
    delay, machine = field.later(500, 3000), _machine(field)
    locks = machine.locks("", 0)[0] if machine is not None else ()
    holding = _clients_of(field, {owner.session for lock in locks for owner in lock.holders})
    ways = [way for client in field.alive() if client not in holding for way in _from_cell(field, client)]
    _slow(field, ways, delay, field.later(1000, 4000))


def half_open(field: Field) -> None:
    """A client's connection breaks; the answer to its next greeting comes when it has given up and greeted again, by a
    connection that is broken already and looks well.
    """
    clients = [client for client in field.alive() if client.core.state.live and client._host is not None]
    if not clients:
        return
    client = field.chance.choice(clients)
    field.world.trace(f"{client.place} greets by connections that are half open")
    _break(field, client, told_after=0)
    first = client.core._stream.number + 1
    _slow(field, _to_cell(field, client), field.later(300, 600), 2 * PATIENCE)

    def greets(number: int) -> bool:
        stream = client.core._stream
        return stream.number >= number and stream.phase is Phase.GREETING

    def late() -> None:
        patience = client.core._stream._patience()
        _slow(field, _from_cell(field, client), patience - field.later(0, 300), 2 * PATIENCE)
        again = client.core._stream.number + 1
        _when(field, partial(greets, again), partial(_break, field, client, 4 * PATIENCE), 2 * PATIENCE)

    _when(field, partial(greets, first), late, PATIENCE)


def _break(field: Field, client: ClientHost, told_after: Duration) -> None:
    """The connection it has carries nothing any more; the replica knows soon, the client later."""
    host, there = client._host, client._stream_there
    connection = host.connections.get(there) if host is not None and there is not None else None
    if host is None or there is None or connection is None:
        return
    connection.sever(field.chance)
    field.world.after(field.later(0, 2), partial(host.detach, there))
    field.world.after(told_after, connection.end)


# --- what they have in common ----------------------------------------------------------------------------------------


def _when(field: Field, moment: Callable[[], bool], act: Callable[[], object], patience: Duration) -> None:
    """Do it as soon as that is so, looking every now and then; not at all if it takes too long."""
    if moment():
        act()
    elif patience > 0:
        field.soon(LOOKS, partial(_when, field, moment, act, patience - LOOKS))


def _lease_of(field: Field, client: ClientHost) -> Duration:
    """About as long as a cache lease, or more than a session lease."""
    if field.chance.random() < 0.5:
        return field.later(200, 3000)
    return round(client.core._tenure.lease.length * field.chance.uniform(1.0, 1.3)) + 100 * MILLISECOND


def _cut_off(field: Field, client: ClientHost, duration: Duration) -> None:
    """Nothing gets to it or from it."""
    for way in _both(field, client):
        field.network.cut(*way)
        field.world.after(duration, partial(field.network.mend, *way))


def _slow(field: Field, ways: list[Way], delay: Duration, duration: Duration) -> None:
    for way in ways:
        field.network.slow(*way, Slowness(delay))
        field.world.after(duration, partial(field.network.slow, *way, None))


def _from_cell(field: Field, client: ClientHost) -> list[Way]:
    return [(host.place, client.place) for host in field.hosts]


def _to_cell(field: Field, client: ClientHost) -> list[Way]:
    return [(client.place, host.place) for host in field.hosts]


def _both(field: Field, client: ClientHost) -> list[Way]:
    return _from_cell(field, client) + _to_cell(field, client)


def _names(clients: list[ClientHost]) -> str:
    return " ".join(client.place for client in clients)


def _machine(field: Field) -> Machine | None:
    """The master's, if there is one."""
    host: ReplicaHost = field.master()
    return host.replica.machine if host.replica is not None else None


def _clients_of(field: Field, sessions: set[SessionId]) -> list[ClientHost]:
    return [client for client in field.alive() if client.core.identity.session in sessions]
