"""The acceptor: what this replica has promised and accepted, and to whom it is bound (DESIGN §3).

Rules that never break, each on its line below:

* a ballot under the promised one is refused;
* while a master lease binds this replica, nobody else's ballot is promised; after a restart, or a promotion, the
largest lease ever granted is waited out first;
* Promise and Accepted are gated on the records they speak of; a lease grant is gated on the record of its bound.
"""

from __future__ import annotations

from chubby.paxos.configuration import Identity
from chubby.paxos.electorate import Electorate
from chubby.paxos.lease import LeaseGrant
from chubby.paxos.log import Log
from chubby.paxos.messages import (
    Accept,
    Accepted,
    Ballot,
    Canvass,
    CanvassReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    LeaseRelease,
    Nack,
    NackReason,
    Prepare,
    Promise,
)
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import AcceptedRecord, LeaseRecord, PromisedRecord, Recovered
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import Duration, Instant

PROMISE_BYTES = 4 * 1024 * 1024
"""So much of what is chosen a promise tells at most, in bytes: a candidate that lacks more has to catch up first. (One
promise is one frame of a link, and a log may hold more than a frame.)
"""
FAR_AHEAD = 1024
"""Slots above our chosen ones by more than this are not stored: this replica catches up instead of voting."""


class Acceptor:
    """Promises, votes and lease grants of one replica."""

    def __init__(
        self,
        identity: Identity,
        log: Log,
        electorate: Electorate,
        outbox: Outbox,
        recovered: Recovered,
        now: Instant,
    ) -> None:
        """Silent at first for as long as a lease granted in an earlier life may still be counted upon."""
        self._identity = identity
        self._log = log
        self._electorate = electorate
        self._outbox = outbox
        self.promised = max([recovered.promised, *(entry.ballot for entry in recovered.entries)])
        self.lease_bound = recovered.lease_bound
        self.silent_until = now + recovered.lease_bound
        self.grant = LeaseGrant()
        self._bound_synced = True
        self._may_be_voter = False
        self._votes: list[Slot] = []
        self._votes_for: Accept | None = None
        self._votes_lease: Duration = 0
        if recovered.snapshot and self.is_voter:
            # It may have crashed between installing the snapshot that made it a voter and noting the bound.
            self.silent_until = max(self.silent_until, now + electorate.latest.master_lease)

    @property
    def is_voter(self) -> bool:
        """Whether this incarnation votes in the newest configuration it knows."""
        return self._electorate.known and self._electorate.latest.is_voter(
            self._identity.replica, self._identity.incarnation
        )

    def bound_against(self, replica: ReplicaId, now: Instant) -> Duration:
        """How long from `now` a lease forbids to promise `replica` anything; 0 if none does."""
        wait = self.silent_until - now
        if self.grant.binds_against(replica, now):
            wait = max(wait, self.grant.until - now)
        return max(wait, 0)

    def promoted(self, now: Instant) -> None:
        """This incarnation became a voter: its former life may have granted a lease, which is waited out first."""
        lease = self._electorate.latest.master_lease
        self.silent_until = max(self.silent_until, now + lease)
        self._raise_bound(lease)

    # --- phase 1 -------------------------------------------------------------------------------------------------

    def on_canvass(self, sender: ReplicaId, message: Canvass, now: Instant) -> None:
        """Say whether a Prepare of `sender` would be promised; promise nothing."""
        wait = self.bound_against(sender, now)
        would = self.is_voter and wait == 0 and self._reaches(message.chosen)
        reply = CanvassReply(
            message.round, self._identity.incarnation, would, self.promised, self._log.chosen, retry_after=wait
        )
        self._outbox.send(sender, reply)

    def on_prepare(self, sender: ReplicaId, message: Prepare, now: Instant) -> bool:
        """Promise, or say why not; True if promised. What is told about accepted entries is fixed at this moment."""
        ballot = message.ballot
        if ballot.replica != sender or not self._may_vote(now):
            return False
        wait = self.bound_against(sender, now)
        if wait > 0:
            self._nack(sender, ballot, NackReason.LEASE, wait)
        elif ballot < self.promised:
            self._nack(sender, ballot, NackReason.BALLOT)
        elif not self._reaches(message.chosen):
            self._nack(sender, ballot, NackReason.BEHIND)
        else:
            self._promise(ballot)
            entries = self._log.above(message.chosen)
            self._outbox.gate(sender, Promise(ballot, self._identity.incarnation, self._log.chosen, entries))
            return True
        return False

    def _reaches(self, chosen: Slot) -> bool:
        """Whether a candidate that knows slots up to `chosen` can be told the rest in one promise."""
        return chosen + 1 >= self._log.first and not self._log.outweighs(chosen, PROMISE_BYTES)

    # --- phase 2 and the lease -----------------------------------------------------------------------------------

    def on_accept(self, sender: ReplicaId, message: Accept, now: Instant) -> bool:
        """Accept and vote, unless a promise or a lease forbids it; True if the sender is a master to follow."""
        if not self._admits(sender, message.ballot, now):
            return False
        slot = message.slot
        if slot > self._log.chosen + FAR_AHEAD:
            return True
        self._promise(message.ballot)
        if slot >= self._log.first:
            held = self._log.get(slot)
            if held is None or held.ballot != message.ballot:  # else it came twice: its record is on its way already
                entry = Entry(slot, message.ballot, message.value)
                self._log.accept(entry)
                self._outbox.persist(AcceptedRecord(entry))
        if self._votes_for is not None and self._votes_for.ballot != message.ballot:
            self.flush_votes()
        lease = self._bind(message.ballot, now)
        self._votes_lease = min(lease, self._votes_lease) if self._votes else lease
        self._votes.append(slot)
        self._votes_for = message
        return True

    def on_heartbeat(self, sender: ReplicaId, message: Heartbeat, now: Instant) -> bool:
        """Grant the master lease; True if the sender is a master to follow.

        A learner's answer is gated: it is promoted by the `chosen` it tells, which is to survive a crash.
        """
        if not self._admits(sender, message.ballot, now):
            return False
        synced = message.ballot == self.promised and self._bound_synced
        self._promise(message.ballot)
        lease = self._bind(message.ballot, now)
        reply = HeartbeatReply(message.ballot, self._identity.incarnation, self._log.chosen, message.sent_at, lease)
        if synced and self._bound_synced and self.is_voter:
            self._outbox.send(sender, reply)
        else:
            self._outbox.gate(sender, reply)
        return True

    def on_release(self, sender: ReplicaId, message: LeaseRelease, now: Instant) -> bool:
        """The master gives back its lease and never uses the ballot again; True if that leaves us bound to nobody."""
        if message.ballot.replica == sender:
            self.grant.release(message.ballot)
        return now >= self.grant.until

    def learned(self, ballot: Ballot) -> None:
        """An entry of `ballot` is held as chosen. Holding one implies a promise of its ballot (after a restart anyway):
        an older proposer, whose value lost, must not write over it.
        """
        if ballot > self.promised:
            self._promise(ballot)

    def flush_votes(self) -> None:
        """Put all votes of this step into one Accepted, gated on their records."""
        if self._votes_for is None:
            return
        last = self._votes_for
        vote = Accepted(
            last.ballot,
            self._identity.incarnation,
            tuple(self._votes),
            self._log.chosen,
            last.sent_at,
            self._votes_lease,
        )
        self._outbox.gate(last.ballot.replica, vote)
        self._votes.clear()
        self._votes_for = None

    def synced(self) -> None:
        """All records handed out so far are durable and none are waiting."""
        self._bound_synced = True

    # --- common --------------------------------------------------------------------------------------------------

    def _admits(self, sender: ReplicaId, ballot: Ballot, now: Instant) -> bool:
        """Whether a master's message is to be followed: from whom it says, of no lower ballot nor one given back,
        and no other lease binds us.
        """
        if ballot.replica != sender or self.grant.binds_against(sender, now) or self.grant.is_released(ballot):
            return False
        if ballot < self.promised:
            self._nack(sender, ballot, NackReason.BALLOT)
            return False
        return True

    def _may_vote(self, now: Instant) -> bool:
        """Whether to answer a Prepare. A learner that is asked may have been promoted in a slot it does not know to be
        chosen: only voters are asked, and the candidate may need it to find that out. It answers once it has waited
        like one that was promoted; whether its promise counts is for the configuration to say.
        """
        if self.is_voter:
            return True
        if not self._electorate.is_member(self._identity.replica, self._identity.incarnation):
            return False
        if not self._may_be_voter:
            self._may_be_voter = True
            self.promoted(now)
        return True

    def _promise(self, ballot: Ballot) -> None:
        assert ballot >= self.promised, "promises only rise"
        if ballot > self.promised:
            self.promised = ballot
            self._outbox.persist(PromisedRecord(ballot))

    def _bind(self, ballot: Ballot, now: Instant) -> Duration:
        """Promise no other replica's ballot for L from `now`; the bound of all leases ever granted is on disk first."""
        if not self._electorate.known:
            return 0
        lease = self._electorate.latest.master_lease
        self._raise_bound(lease)
        self.grant.renew(ballot, now + lease)
        return lease

    def _raise_bound(self, lease: Duration) -> None:
        if lease > self.lease_bound:
            self.lease_bound = lease
            self._bound_synced = False
            self._outbox.persist(LeaseRecord(lease))

    def _nack(self, sender: ReplicaId, ballot: Ballot, reason: NackReason, wait: Duration = 0) -> None:
        self._outbox.send(
            sender,
            Nack(ballot, self._identity.incarnation, reason, self.promised, self._log.chosen, retry_after=wait),
        )
