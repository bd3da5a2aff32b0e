"""What must hold of the replicas, whatever goes wrong. Each checker raises `Violation` the moment it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from chubby.paxos.messages import Value
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import Instant
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class Chosen(NamedTuple):
    """What a slot holds, and the true time when a replica was first seen to have applied it."""

    value: Value
    at: Instant


class LogChecker:
    """One chosen value per slot, on every replica, for ever; equal digests at equal slots (DESIGN §3)."""

    def __init__(self) -> None:
        self._chosen: dict[Slot, Chosen] = {}
        self._complete: Slot = 0
        self._seen: dict[ReplicaId, tuple[int, Slot]] = {}
        self.on_look: list[Callable[[ReplicaHost], None]] = []
        """Told of each replica that is looked at."""
        self.digests: dict[Slot, int] = {}
        """What replicas had at the end of each slot after which one was looked at."""

    def observe(self, host: ReplicaHost) -> None:
        """Look at what a replica has applied since it was last looked at."""
        for each in self.on_look:
            each(host)
        replica = host.replica
        if replica is None or replica.machine is None:
            return
        applied = replica.machine.applied
        life, seen = self._seen.get(host.number, (0, 0))
        if life != host.life:
            seen = min(self._complete, applied - 1)
        if seen == applied:
            return
        self._seen[host.number] = host.life, applied
        digest = replica.machine.digest()
        known = self.digests.setdefault(applied, digest)
        if known != digest:
            raise Violation(f"{host.place} has another state than others had at slot {applied}")
        for slot in range(seen + 1, applied + 1):
            entry = replica.entry(slot)
            if entry is None:
                continue
            known_entry = self._chosen.get(slot)
            if known_entry is None:
                self._chosen[slot] = Chosen(entry.value, host.world.now)
            elif known_entry.value != entry.value:
                raise Violation(f"slot {slot} was chosen with two values; {host.place} has the second one")
        while self._complete + 1 in self._chosen:
            self._complete += 1

    def log(self) -> list[Chosen]:
        """All that was chosen, from slot 1 on; raises Violation if replicas applied what was never seen."""
        if len(self._chosen) > self._complete:
            raise Violation(f"slot {self._complete + 1} was applied by nobody who was seen, and later ones were")
        return [self._chosen[slot] for slot in range(1, self._complete + 1)]


class MasterChecker:
    """At any instant at most one replica counts on its master lease, each by its own clock (DESIGN §3 Master lease)."""

    def __init__(self, hosts: list[ReplicaHost]) -> None:
        self._hosts = hosts

    def observe(self, host: ReplicaHost) -> None:
        """Something happened at `host`: if it believes now, nobody else may."""
        if host.replica is None or not host.replica.lease_until:
            return
        if host.believes and (others := [other.place for other in self._hosts if other is not host and other.believes]):
            raise Violation(f"{host.place} and {', '.join(others)} count on a master lease at one time")
