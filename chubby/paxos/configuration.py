"""Who votes: members, configurations, quorum arithmetic (DESIGN §3 Membership, Incarnations).

A configuration governs every slot after the one that holds it until the next configuration does. It is part of the log
and of every snapshot; the files of `cell_config/` only bootstrap the first one. A member is a replica *and* its
incarnation: a replica that lost its vote state is another member.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.types.identity import CellId, Incarnation, ReplicaId
from chubby.types.limits import CLOCK_DRIFT_PPM, MASTER_LEASE
from chubby.types.time import Duration


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One replica in one life of its vote state. Addresses are host:port."""

    replica: ReplicaId
    incarnation: Incarnation
    peer_address: str = ""
    client_address: str = ""


class Configuration(msgspec.Struct, frozen=True):
    """Voters and learners of a stretch of the log, and the master lease's terms, which everyone must agree on.

    `master_lease` is L and `drift_ppm` is the clock-rate bound of DESIGN §3. Members are in order of replica id;
    a replica appears once.
    """

    voters: tuple[Member, ...]
    learners: tuple[Member, ...] = ()
    master_lease: Duration = MASTER_LEASE
    drift_ppm: int = CLOCK_DRIFT_PPM

    def __post_init__(self) -> None:
        """Refuse a configuration that names a replica twice."""
        replicas = [member.replica for member in self.members]
        if len(replicas) != len(set(replicas)):
            raise ValueError(f"a replica appears twice in the configuration: {sorted(replicas)}")

    @property
    def members(self) -> tuple[Member, ...]:
        """Voters, then learners."""
        return self.voters + self.learners

    @property
    def quorum(self) -> int:
        """The size of a majority of the voters."""
        return len(self.voters) // 2 + 1

    def member(self, replica: ReplicaId) -> Member | None:
        """The member with this replica id."""
        return next((member for member in self.members if member.replica == replica), None)

    def is_voter(self, replica: ReplicaId, incarnation: Incarnation) -> bool:
        """Whether this very incarnation votes."""
        return any(voter.replica == replica and voter.incarnation == incarnation for voter in self.voters)

    def is_quorum(self, votes: Iterable[tuple[ReplicaId, Incarnation]]) -> bool:
        """Whether the distinct voters among `votes` are a majority; votes of anyone else count nothing."""
        return len({vote for vote in votes if self.is_voter(*vote)}) >= self.quorum

    def promoted(self, member: Member) -> Configuration:
        """The configuration with learner `member` as a voter."""
        assert member in self.learners, "only a learner can be promoted"
        voters = tuple(sorted((*self.voters, member), key=lambda each: each.replica))
        return msgspec.structs.replace(
            self, voters=voters, learners=tuple(each for each in self.learners if each != member)
        )

    def with_learner(self, member: Member) -> Configuration:
        """The configuration with `member` as a learner, in place of whatever incarnation of that replica there was."""
        without = self.without(member.replica)
        learners = tuple(sorted((*without.learners, member), key=lambda each: each.replica))
        return msgspec.structs.replace(without, learners=learners)

    def without(self, replica: ReplicaId) -> Configuration:
        """The configuration without any incarnation of `replica`."""
        return msgspec.structs.replace(
            self,
            voters=tuple(each for each in self.voters if each.replica != replica),
            learners=tuple(each for each in self.learners if each.replica != replica),
        )


class Identity(msgspec.Struct, frozen=True):
    """Which cell's which replica in which life this is; a small file of the data directory."""

    cell: CellId
    replica: ReplicaId
    incarnation: Incarnation
