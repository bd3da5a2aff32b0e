"""Whether replicas go by the members that the log names (DESIGN §3 Membership).

The configuration at a slot governs from the next one on, whichever way a replica came to know of it: chosen before its
eyes, recovered from its disk, fetched with a snapshot. One that goes by another counts other votes as a majority, which
shows only when the members have changed twice and the rest is away: so it is looked at wherever a replica stands.
"""

from __future__ import annotations

from chubby.paxos.configuration import Configuration
from chubby.paxos.messages import ValueKind, configuration_of
from chubby.types.identity import ReplicaId, Slot
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class ElectorateChecker:
    """Follows the configurations in the log, and raises Violation when a replica goes by another."""

    def __init__(self, first: Configuration) -> None:
        """`first` is the one that the cell began with."""
        self.changes: list[tuple[Slot, Configuration]] = [(0, first)]
        self._read: Slot = 0
        self._seen: dict[ReplicaId, tuple[Slot, Configuration]] = {}

    def observe(self, host: ReplicaHost) -> None:
        """Look at what a replica has applied, and whom it takes for members."""
        replica = host.replica
        if replica is None or replica.machine is None or replica.configuration is None:
            return
        applied, latest = replica.machine.applied, replica.configuration
        slot, before = self._seen.get(host.number, (-1, None))
        if slot == applied and before is latest:
            return
        self._seen[host.number] = applied, latest
        while self._read < applied and (entry := replica.entry(self._read + 1)) is not None:
            self._read += 1
            if entry.value.kind is ValueKind.CONFIGURATION:
                self.changes.append((self._read, configuration_of(entry.value)))
        since, named = next(change for change in reversed(self.changes) if change[0] <= applied)
        if latest != named:
            known, right = _told(latest), _told(named)
            raise Violation(f"{host.place} has applied slot {applied} and goes by {known}; slot {since} has {right}")


def _told(configuration: Configuration) -> str:
    """Who votes and who learns, under which incarnations."""
    voters = " ".join(f"{each.replica}:{each.incarnation:x}" for each in configuration.voters)
    learners = " ".join(f"{each.replica}:{each.incarnation:x}" for each in configuration.learners)
    return f"voters {voters}, learners {learners or 'none'}"
