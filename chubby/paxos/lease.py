"""Both sides of the master lease (DESIGN §3 Master lease; paper §2.2; Paxos Made Live §5.2).

The follower's side is a promise: having answered a master's message it promises no other replica's ballot for L,
counted on *its* clock from the moment it handled the message. The master's side is a belief: from the instant it *sent*
the message that was answered it counts L, shortened by the clock-rate bound:

    master:    sent_at ─────────────── L·(1−ε)/(1+ε) ──────┤ believes
    follower:          handled ──────────────────── L ─────────────┤ promises        (handled ≥ sent_at in real time)

The belief needs a majority of the voters, each under the incarnation that the configuration names. So whenever the
master believes, a majority promises nobody else.
"""

from __future__ import annotations

from chubby.paxos.configuration import Configuration
from chubby.paxos.electorate import Vote
from chubby.paxos.messages import NO_BALLOT, Ballot
from chubby.types.identity import ReplicaId
from chubby.types.time import Duration, Instant


class LeaseGrant:
    """The follower's side: to whom this replica has bound itself, until when."""

    def __init__(self) -> None:
        """Bound to nobody."""
        self.ballot: Ballot = NO_BALLOT
        self.until: Instant = 0
        self._released: Ballot = NO_BALLOT

    def renew(self, ballot: Ballot, until: Instant) -> None:
        """Bind this replica to the proposer of `ballot` until then; a binding never gets shorter."""
        self.until = max(until, self.until) if self.ballot.replica == ballot.replica else until
        self.ballot = ballot

    def release(self, ballot: Ballot) -> None:
        """The proposer of `ballot` gave its lease back. What it was granted under a later ballot stays: the message may
        have been on its way for long.
        """
        self._released = max(ballot, self._released)
        if self.ballot.replica == ballot.replica and self.ballot <= ballot:
            self.until = 0

    def is_released(self, ballot: Ballot) -> bool:
        """Whether `ballot` was given back by its proposer: its late messages bind nobody any more."""
        return ballot <= self._released and ballot.replica == self._released.replica

    def binds_against(self, replica: ReplicaId, now: Instant) -> bool:
        """Whether a live lease of somebody else forbids to promise `replica` anything."""
        return now < self.until and self.ballot.replica != replica


class MasterLease:
    """The master's side: until when a majority has bound itself to this replica."""

    def __init__(self) -> None:
        """Nobody is bound."""
        self._grants: dict[Vote, Instant] = {}
        self.until: Instant = 0

    def grant(self, vote: Vote, sent_at: Instant, lease: Duration, configuration: Configuration) -> None:
        """`vote` answered a message sent at `sent_at` and bound itself for `lease`."""
        length = believed(min(lease, configuration.master_lease), configuration.drift_ppm)
        end = sent_at + length
        if end > self._grants.get(vote, 0):
            self._grants[vote] = end
            self.settle(configuration)

    def settle(self, configuration: Configuration) -> None:
        """Compute anew what a majority of `configuration` grants (after a grant, or when the configuration changed)."""
        grants = self._grants
        ends = [grants.get((voter.replica, voter.incarnation), 0) for voter in configuration.voters]
        ends.sort(reverse=True)
        self.until = ends[configuration.quorum - 1] if ends else 0

    def clear(self) -> None:
        """Believe nothing any more: mastership ended."""
        self._grants.clear()
        self.until = 0


def believed(lease: Duration, drift_ppm: int) -> Duration:
    """How long a holder may count on `lease` when clock rates differ from true time by at most `drift_ppm` parts per
    million.
    """
    return lease * (1_000_000 - drift_ppm) // (1_000_000 + drift_ppm)
