"""The master's office: its lease, its heartbeats, its hand-over (DESIGN §3 Master lease, Election)."""

from __future__ import annotations

from chubby.paxos.configuration import Identity
from chubby.paxos.electorate import Electorate
from chubby.paxos.lease import MasterLease
from chubby.paxos.log import Log
from chubby.paxos.membership import Membership, Progress
from chubby.paxos.messages import NO_BALLOT, Accepted, Ballot, Commit, Heartbeat, HeartbeatReply, LeaseRelease
from chubby.paxos.outbox import Outbox
from chubby.types.identity import ReplicaId, Slot
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import MILLISECOND, NEVER, Duration, Instant

DRAIN_LIMIT: Duration = 150 * MILLISECOND
"""A hand-over waits this long for what is in flight."""


class Office:
    """What a replica does and knows only while it is master."""

    def __init__(
        self, identity: Identity, log: Log, electorate: Electorate, membership: Membership, outbox: Outbox
    ) -> None:
        """Vacant."""
        self._identity = identity
        self._log = log
        self._electorate = electorate
        self._membership = membership
        self._outbox = outbox
        self._progress: Progress = membership.progress
        self.lease = MasterLease()
        self.since = NO_BALLOT
        self._patience: Instant = NEVER
        self._told: Slot = 0
        self._prompt_until: Instant = NEVER
        self._successor: ReplicaId = 0
        self._release_by: Instant = NEVER
        self.heartbeat_at: Instant = NEVER

    @property
    def releasing(self) -> bool:
        """Whether a hand-over is under way."""
        return self._release_by != NEVER

    @property
    def wake_at(self) -> Instant:
        """The next heartbeat or the end of a hand-over's patience."""
        return min(self.heartbeat_at, self._release_by)

    def enter(self, ballot: Ballot, now: Instant) -> None:
        """Mastership begins under `ballot`; a first majority of grants has to come within one master lease."""
        self.since = ballot
        self._patience = self._prompt_until = now + self._electorate.latest.master_lease
        self._told = 0
        self._progress.clear()
        self.heartbeat_at = now

    def leave(self) -> None:
        """Mastership is over: believe in no grant any more."""
        self.lease.clear()
        self.heartbeat_at = NEVER
        self._release_by = NEVER

    def lapsed(self, now: Instant) -> bool:
        """Whether the master lease is gone: somebody else may be elected, so this replica steps down."""
        return now >= self.lease.until and now >= self._patience

    def granted(self, sender: ReplicaId, message: Accepted | HeartbeatReply, now: Instant) -> None:
        """A follower answered. Only answers to ballots of this mastership count: earlier grants may have been
        released.
        """
        vote = (sender, message.incarnation)
        self._progress.heard(vote, message.chosen, now)
        if message.ballot >= self.since:
            self._progress.answered(vote, message.sent_at)
            self.lease.grant(vote, message.sent_at, message.lease, self._electorate.latest)

    def beat(self, ballot: Ballot, now: Instant) -> bool:
        """Send the heartbeats that are due; True if it was time to look for them.

        Whoever answered something that was sent within `HEARTBEAT_INTERVAL` needs none: an Accept says as much, and
        its answer grants as much. So heartbeats fall silent under load, unless disks are slow. Learners get theirs
        always, since they are promoted by what they answer to them.
        """
        if now < self.heartbeat_at:
            return False
        heartbeat = Heartbeat(ballot, self._log.chosen, now)
        self.heartbeat_at = now + HEARTBEAT_INTERVAL
        latest = self._electorate.latest
        for member in latest.members:
            answered = self._progress.last_answered(member)
            if latest.is_voter(member.replica, member.incarnation) and answered > now - HEARTBEAT_INTERVAL:
                self.heartbeat_at = min(self.heartbeat_at, answered + HEARTBEAT_INTERVAL)
            else:
                self._outbox.send(member.replica, heartbeat)
        return True

    def ask(self, newcomer: ReplicaId, ballot: Ballot, now: Instant) -> None:
        """Find out which incarnation of `newcomer` is alive: its answer names it."""
        self._outbox.send(newcomer, Heartbeat(ballot, self._log.chosen, now))

    def tell_chosen(self, ballot: Ballot, accepts_sent: bool, now: Instant) -> None:
        """Let the others know what is chosen, by a message of its own where it matters that they know at once: at the
        beginning of an office, whose epoch they tell their clients, and of a configuration. All else rides along with
        the next Accept or Heartbeat, at most `HEARTBEAT_INTERVAL` later.
        """
        prompt = now < self._prompt_until or self._electorate.since > self._told
        if prompt and self._log.chosen > self._told and not accepts_sent:
            commit = Commit(ballot, self._log.chosen)
            for member in self._electorate.latest.members:
                if member.replica != self._identity.replica:
                    self._outbox.send(member.replica, commit)
        self._told = self._log.chosen

    def tell_removed(self, ballot: Ballot) -> None:
        """A configuration was just chosen: those it leaves out hear of it now, and of nothing more."""
        since, latest = self._electorate.since, self._electorate.latest
        for member in self._electorate.governing(since).members:
            if member not in latest.members and member.replica != self._identity.replica:
                self._outbox.send(member.replica, Commit(ballot, since))

    def begin_release(self, successor: ReplicaId, now: Instant) -> None:
        """Hand over as soon as nothing is in flight, or after `DRAIN_LIMIT`."""
        if not self.releasing:
            self._successor = successor or self._membership.successor(now)
            self._release_by = now + DRAIN_LIMIT

    def release(self, ballot: Ballot, drained: bool, now: Instant) -> bool:
        """Give the lease back if it is time to; True if it was. The ballot is never used again: the caller leaves
        office in the same step.
        """
        if not self.releasing or not (drained or now >= self._release_by):
            return False
        message = LeaseRelease(ballot, self._log.chosen, self._successor)
        for member in self._electorate.latest.members:
            if member.replica != self._identity.replica:
                self._outbox.send(member.replica, message)
        return True
