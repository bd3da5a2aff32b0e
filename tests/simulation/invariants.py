"""What must hold of the replicas, whatever goes wrong. Each checker raises `Violation` the moment it is broken."""

from __future__ import annotations

from chubby.paxos.messages import Value
from chubby.types.identity import ReplicaId, Slot
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class LogChecker:
    """One chosen value per slot, on every replica, for ever; equal digests at equal slots (DESIGN §3)."""

    def __init__(self) -> None:
        self._chosen: dict[Slot, Value] = {}
        self._seen: dict[ReplicaId, tuple[int, Slot]] = {}
        self._digests: dict[Slot, int] = {}

    def observe(self, host: ReplicaHost) -> None:
        """Look at what a replica has applied since it was last looked at."""
        replica = host.replica
        if replica is None or replica.machine is None:
            return
        applied = replica.machine.applied
        life, seen = self._seen.get(host.number, (0, 0))
        if life != host.life:
            seen = applied - 1
        if seen == applied:
            return
        self._seen[host.number] = host.life, applied
        digest = replica.machine.digest()
        known = self._digests.setdefault(applied, digest)
        if known != digest:
            raise Violation(f"{host.place} has another state than others had at slot {applied}")
        for slot in range(seen + 1, applied + 1):
            entry = replica.entry(slot)
            if entry is None:
                continue
            if self._chosen.setdefault(slot, entry.value) != entry.value:
                raise Violation(f"slot {slot} was chosen with two values; {host.place} has the second one")


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
