"""Which configuration governs which slot (DESIGN §3 Membership).

The configuration held by slot s governs from slot s + 1. Since the master drains its window before it proposes one, at
most one configuration is ever undecided, and nothing is proposed behind it.
"""

from __future__ import annotations

from collections.abc import Collection

from chubby.paxos.configuration import Configuration, Member
from chubby.types.identity import Incarnation, ReplicaId, Slot

Vote = tuple[ReplicaId, Incarnation]


class Electorate:
    """The chosen configurations of the retained log, in slot order. Blank until the first one is known."""

    def __init__(self, slot: Slot, configuration: Configuration | None) -> None:
        """`configuration` is the one that governs from `slot` + 1 on (that of a snapshot or of genesis)."""
        self._changes: list[tuple[Slot, Configuration]] = []
        self._voters: list[frozenset[Vote]] = []
        self.known = False
        """Whether any configuration is known. The next two are there only then."""
        self.latest: Configuration
        """The newest chosen configuration."""
        self.since: Slot
        """The slot that holds it."""
        if configuration is not None:
            self._add(slot, configuration)

    @property
    def acquaintances(self) -> dict[ReplicaId, Member]:
        """The members of every configuration of the retained log, as the newest of them names each: those that were
        removed lately too. Whoever missed its removal finds out only if the others still talk to it.
        """
        return {member.replica: member for _, configuration in self._changes for member in configuration.members}

    def is_member(self, replica: ReplicaId, incarnation: Incarnation) -> bool:
        """Whether the newest configuration names this very incarnation, as a voter or a learner."""
        if not self.known:
            return False
        member = self.latest.member(replica)
        return member is not None and member.incarnation == incarnation

    def governing(self, slot: Slot) -> Configuration:
        """The configuration that governs `slot`."""
        return self._changes[self._index(slot)][1]

    def is_quorum(self, slot: Slot, votes: Collection[Vote]) -> bool:
        """Whether `votes` hold a majority of the voters that govern `slot`."""
        voters = self._voters[self._index(slot)]
        return sum(vote in voters for vote in votes) > len(voters) // 2

    def chosen(self, slot: Slot, configuration: Configuration) -> None:
        """`configuration` was chosen at `slot`."""
        assert not self._changes or slot > self.since, "configurations are chosen in slot order"
        self._add(slot, configuration)

    def replace(self, slot: Slot, configuration: Configuration) -> None:
        """A snapshot at `slot` was installed: its configuration governs from the next slot on."""
        self._changes.clear()
        self._voters.clear()
        self._add(slot, configuration)

    def forget_below(self, slot: Slot) -> None:
        """Drop what governs only slots at or below `slot`."""
        keep = self._index(slot + 1)
        del self._changes[:keep], self._voters[:keep]

    def _add(self, slot: Slot, configuration: Configuration) -> None:
        self._changes.append((slot, configuration))
        self._voters.append(_votes_of(configuration))
        self.known, self.latest, self.since = True, configuration, slot

    def _index(self, slot: Slot) -> int:
        for index in range(len(self._changes) - 1, 0, -1):
            if self._changes[index][0] < slot:
                return index
        return 0


def _votes_of(configuration: Configuration) -> frozenset[Vote]:
    return frozenset((voter.replica, voter.incarnation) for voter in configuration.voters)
