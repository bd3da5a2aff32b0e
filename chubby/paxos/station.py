"""The station: all roles of one replica, and the one role it is in (DESIGN §3).

The station decides who hears of what, in which order, and moves along the table of `election.TRANSITIONS`; every bit of
arithmetic lies with the roles. What it wants done goes into the `Outbox`; `Peer` around it keeps the discipline of what
may leave when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chubby.paxos.acceptor import Acceptor
from chubby.paxos.belonging import Belonging
from chubby.paxos.catchup import CatchingUp, Supplier
from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.election import TRANSITIONS, Election
from chubby.paxos.electorate import Electorate
from chubby.paxos.learner import Learner
from chubby.paxos.log import Log
from chubby.paxos.membership import Membership, Progress
from chubby.paxos.messages import (
    Accept,
    Accepted,
    Ballot,
    Canvass,
    CanvassReply,
    CatchUp,
    Commit,
    Entries,
    Entry,
    FetchSnapshot,
    Heartbeat,
    HeartbeatReply,
    Join,
    LeaseRelease,
    Message,
    Nack,
    NackReason,
    Prepare,
    Promise,
    SnapshotChunk,
    SnapshotOffer,
)
from chubby.paxos.office import Office
from chubby.paxos.outbox import Outbox
from chubby.paxos.proposer import Proposer
from chubby.paxos.ready import Recovered, Role
from chubby.types.identity import CellId, ReplicaId, Slot
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import NEVER, Duration, Instant


class Station:
    """Roles of one replica. Messages to itself are handled before `settle` returns."""

    def __init__(
        self,
        me: Member,
        cell: CellId,
        recovered: Recovered,
        *,
        bootstrap: tuple[ReplicaId, ...],
        now: Instant,
        jitter: Callable[[], float],
    ) -> None:
        """See `Peer`."""
        identity = Identity(cell, me.replica, me.incarnation)
        self.identity = identity
        self._bootstrap = bootstrap
        self.outbox = Outbox(me.replica)
        self.log = Log(recovered.base, recovered.entries, recovered.chosen)
        self.electorate = Electorate(recovered.snapshot, recovered.configuration)
        self.acceptor = Acceptor(identity, self.log, self.electorate, self.outbox, recovered, now)
        self.learner = Learner(self.log, self.electorate, self.outbox)
        self.proposer = Proposer(identity, self.log, self.electorate, self.outbox)
        self.election = Election(me.replica, self.electorate, self.outbox, jitter)
        self.catching_up = CatchingUp(me.replica, self.log, self.outbox)
        self.belonging = Belonging(me, self.electorate, self.catching_up, self.outbox, now)
        self.supplier = Supplier(self.log, self.outbox, recovered.snapshot, recovered.snapshot_size)
        self.membership = Membership(identity, self.electorate, Progress())
        self.office = Office(identity, self.log, self.electorate, self.membership, self.outbox)
        self.role = Role.LEARNER
        self.master: ReplicaId = 0
        self._refusals: set[ReplicaId] = set()
        self._ask_again_at: Instant = NEVER
        self._configured(now)
        self.election.wait_until(self.acceptor.silent_until)

    @property
    def wake_at(self) -> Instant:
        """When `tick` has something to do at the latest."""
        common = min(self.catching_up.retry_at, self.belonging.wake_at)
        match self.role:
            case Role.FOLLOWER:
                return min(common, self.election.stand_at)
            case Role.CANVASSING | Role.PREPARING:
                return min(common, self.election.give_up_at, self._ask_again_at)
            case Role.MASTER:
                return min(common, self.office.wake_at, self._ask_again_at)
            case Role.LEARNER:
                return common

    def tick(self, now: Instant) -> None:
        """Fire what is due."""
        if self.role is Role.MASTER:
            self._tick_master(now)
        elif self.role is Role.FOLLOWER and now >= self.election.stand_at:
            self._stand(now)
        elif self.role in (Role.CANVASSING, Role.PREPARING) and now >= self.election.give_up_at:
            self._retreat(now)
        elif self.role is Role.CANVASSING and now >= self._ask_again_at:
            self._ask_again_at = self.election.ask_again(self.log.chosen, now)
        if now >= self._ask_again_at:
            self._ask_again_at = now + HEARTBEAT_INTERVAL
            self.proposer.ask_rest(repeat=True)
        others = self._others()
        self.catching_up.tick(now, others)
        self.supplier.tick(now)
        self.belonging.tick(others, now)

    def settle(self, now: Instant) -> None:
        """Deliver what was sent to ourselves, then follow what it brought about."""
        outbox = self.outbox
        while outbox.looped:
            looped, outbox.looped = outbox.looped, []
            for message in looped:
                self.handle(self.identity.replica, message, now)
        if self.learner.configured:
            self._configured(now)
        if self.role is Role.MASTER and self.office.release(self.proposer.spoken, self.proposer.drained, now):
            self._step_down(now, rest=self.electorate.latest.master_lease)

    def overtaken(self, slot: Slot, configuration: Configuration, now: Instant) -> None:
        """A fetched snapshot took the place of everything up to `slot`."""
        assert self.role is not Role.MASTER, "a master knows every chosen slot"
        was_voter = self.acceptor.is_voter
        self.log.reset(slot)
        self.outbox.chosen.clear()
        self.electorate.replace(slot, configuration)
        if self.acceptor.is_voter and not was_voter:
            self.acceptor.promoted(now)
        self._configured(now)

    def reconfigure(self, wanted: Configuration, now: Instant) -> str | None:
        """See `Peer.reconfigure`."""
        if self.role is not Role.MASTER or self.office.releasing:
            return "this replica is not the master"
        if self.proposer.changing:
            return "another change is under way"
        refusal = self.membership.refusal(wanted, now)
        if refusal is None:
            self.proposer.change(wanted)
        return refusal

    # --- inside: messages ----------------------------------------------------------------------------------------

    def handle(self, sender: ReplicaId, message: Message, now: Instant) -> None:
        """React to one message; what was sent to ourselves is left for `settle`."""
        match message:
            case Accept():
                if self.acceptor.on_accept(sender, message, now):
                    self._follow(sender, message.ballot, now)
                    self._advance(sender, message.ballot, message.chosen, now)
            case Accepted():
                if self.role is Role.MASTER:
                    self.office.granted(sender, message, now)
                    self._learn(self.proposer.on_accepted(sender, message))
            case Commit():
                self._advance(sender, message.ballot, message.chosen, now)
            case Heartbeat():
                if self.acceptor.on_heartbeat(sender, message, now):
                    self._follow(sender, message.ballot, now)
                    self._advance(sender, message.ballot, message.chosen, now)
            case HeartbeatReply():
                if self.role is Role.MASTER:
                    self.office.granted(sender, message, now)
                    self._promote(now)
            case Canvass():
                self._miss(sender, message.chosen, now)
                self.acceptor.on_canvass(sender, message, now)
            case CanvassReply():
                self._on_canvass_reply(sender, message, now)
            case Prepare():
                self._on_prepare(sender, message, now)
            case Promise():
                self._on_promise(sender, message, now)
            case Nack():
                self._on_nack(sender, message, now)
            case LeaseRelease():
                self._on_release(sender, message, now)
            case CatchUp():
                self.supplier.on_catch_up(sender, message, now)
            case FetchSnapshot():
                self.supplier.on_fetch(sender, message, now)
            case Join():
                self._on_join(sender, message, now)
            case Entries() | SnapshotOffer() | SnapshotChunk():
                if self.role is not Role.MASTER:
                    if isinstance(message, Entries):
                        self._learn(message.entries)
                    self.catching_up.receive(sender, message, now)

    def _on_prepare(self, sender: ReplicaId, message: Prepare, now: Instant) -> None:
        """Promise, or not; whoever promises somebody else lets that candidate have its time."""
        self.election.saw(message.ballot)
        self._miss(sender, message.chosen, now)
        news = message.ballot > self.acceptor.promised
        if self.acceptor.on_prepare(sender, message, now) and news:
            if self.role in (Role.CANVASSING, Role.PREPARING):
                self._retreat(now)
            self.election.wait_until(max(now + self.election.patience, self.acceptor.grant.until))

    def _on_canvass_reply(self, sender: ReplicaId, message: CanvassReply, now: Instant) -> None:
        if self.role is not Role.CANVASSING:
            return
        self._miss(sender, message.chosen, now)
        if self.election.on_canvass_reply(sender, message):
            if self.acceptor.bound_against(self.identity.replica, now) > 0:
                self._retreat(now)
            else:
                self._become(Role.PREPARING)
                self._prepare(now)

    def _on_promise(self, sender: ReplicaId, message: Promise, now: Instant) -> None:
        self._learn(self.proposer.on_promise(sender, message))
        if self.learner.configured:
            self._configured(now)
        if self.role not in (Role.PREPARING, Role.MASTER):
            return
        self.proposer.ask_rest()
        if self.proposer.has_quorum():
            self._ask_again_at = NEVER
            self.election.decided()
            self.proposer.open(now)
            if self.role is Role.PREPARING:
                self._become(Role.MASTER)
                self.election.settled()
                self.master = self.identity.replica
                self.office.enter(self.proposer.ballot, now)
                self._tick_master(now)

    def _on_nack(self, sender: ReplicaId, message: Nack, now: Instant) -> None:
        self.election.saw(message.promised)
        if message.ballot != self.proposer.ballot:
            return
        if self.role is Role.MASTER and message.reason is NackReason.BALLOT:
            if now < self.office.lease.until:
                self._prepare(now)
            else:
                self._step_down(now)
        elif self.role is Role.PREPARING:
            if message.reason is NackReason.BEHIND:
                self._miss(sender, message.chosen, now)
            self._refusals.add(sender)
            voters = self.electorate.latest.voters
            if sum(voter.replica in self._refusals for voter in voters) > len(voters) - self.electorate.latest.quorum:
                self._retreat(now, rest=message.retry_after)

    def _on_release(self, sender: ReplicaId, message: LeaseRelease, now: Instant) -> None:
        free = self.acceptor.on_release(sender, message, now)
        self._advance(sender, message.ballot, message.chosen, now)
        if not free:
            return
        if self.master == sender:
            self.master = 0
        if self.role is Role.FOLLOWER and message.ballot.replica == sender:
            self.election.released(max(now, self.acceptor.silent_until), message.successor == self.identity.replica)

    def _on_join(self, sender: ReplicaId, message: Join, now: Instant) -> None:
        if sender != message.member.replica or self.role is not Role.MASTER or not self.electorate.known:
            return
        wanted = self.membership.admission(message.member, now)
        if wanted is None:
            return
        if self.membership.present(message.member, now):
            self.reconfigure(wanted, now)
        else:
            self.office.ask(sender, self.proposer.spoken, now)

    # --- inside: role --------------------------------------------------------------------------------------------

    def _become(self, role: Role) -> None:
        assert role in TRANSITIONS[self.role], f"{self.role} does not become {role}"
        self.role = role

    def _follow(self, sender: ReplicaId, ballot: Ballot, now: Instant) -> None:
        """`sender` is master: whoever else thought of the office forgets it."""
        self.election.saw(ballot)
        self.election.decided()
        self.master = sender
        if sender == self.identity.replica:
            return
        self.belonging.heard(now)
        if self.role is Role.MASTER:
            self._step_down(now)
            self.master = sender
        elif self.role in (Role.CANVASSING, Role.PREPARING):
            self._retreat(now)
        self.election.wait_until(max(now, self.acceptor.silent_until, self.acceptor.grant.until))

    def _advance(self, sender: ReplicaId, ballot: Ballot, chosen: Slot, now: Instant) -> None:
        """Mark chosen what `sender` says is chosen under its ballot; fetch what is missing."""
        if sender == self.identity.replica or ballot.replica != sender or self.role is Role.MASTER:
            return
        if not self.learner.follow(ballot, chosen):
            self._miss(sender, chosen, now)

    def _learn(self, entries: Iterable[Entry]) -> None:
        """These are chosen."""
        self.acceptor.learned(self.learner.learn(entries))

    def _miss(self, sender: ReplicaId, chosen: Slot, now: Instant) -> None:
        """`sender` knows slots up to `chosen` to be chosen; fetch what we lack. A master chooses it itself."""
        if self.role is not Role.MASTER:
            self.catching_up.missing(sender, chosen, now)

    def _stand(self, now: Instant) -> None:
        self._become(Role.CANVASSING)
        self.master = 0
        self.election.saw(self.acceptor.promised)
        self._ask_again_at = self.election.canvass(self.log.chosen, now)

    def _prepare(self, now: Instant) -> None:
        """Phase 1 under a fresh ballot. Our own promise comes first: Prepare is gated on it."""
        self.election.saw(self.acceptor.promised)
        ballot = Ballot(self.election.next_ballot_round(now), self.identity.replica, self.identity.incarnation)
        self._refusals.clear()
        self.acceptor.on_prepare(self.identity.replica, Prepare(ballot, self.log.chosen), now)
        assert self.acceptor.promised == ballot, "our own promise comes first"
        self.proposer.prepare(ballot)
        self._ask_again_at = now + HEARTBEAT_INTERVAL

    def _retreat(self, now: Instant, rest: Duration = 0) -> None:
        """Give up a candidacy."""
        self._become(Role.FOLLOWER)
        self.proposer.close()
        self.election.settled()
        self._ask_again_at = NEVER
        self.election.wait_until(max(now, self.acceptor.silent_until, self.acceptor.grant.until), extra=rest)

    def _step_down(self, now: Instant, rest: Duration = 0) -> None:
        """Leave office. Our own lease grant was to ourselves alone and ends with it."""
        self.office.leave()
        self.acceptor.grant.release(self.proposer.ballot)
        self.master = 0
        self._retreat(now, rest)

    def _tick_master(self, now: Instant) -> None:
        if self.office.lapsed(now):
            self._step_down(now)
            return
        if self.office.beat(self.proposer.spoken, now):
            self.proposer.resend(now)

    def _promote(self, now: Instant) -> None:
        if self.electorate.latest.learners and not self.proposer.changing:
            wanted = self.membership.promotion(self.log.chosen, now)
            if wanted is not None:
                self.reconfigure(wanted, now)

    # --- inside: membership --------------------------------------------------------------------------------------

    def _configured(self, now: Instant) -> None:
        """A configuration became known: take the role it gives."""
        changed, self.learner.configured = self.learner.configured, False
        self.belonging.configured(self.acceptor.is_voter, now)
        if self.acceptor.is_voter and self.role is Role.LEARNER:
            self._become(Role.FOLLOWER)
            if changed:
                self.acceptor.promoted(now)
            self.election.wait_until(max(now, self.acceptor.silent_until))
        elif not self.acceptor.is_voter and self.role is not Role.LEARNER:
            if self.role is Role.MASTER:
                self.office.begin_release(0, now)
                self.office.release(self.proposer.spoken, True, now)
                self._step_down(now)
            elif self.role is not Role.FOLLOWER:
                self._retreat(now)
            self._become(Role.LEARNER)
        if self.role is Role.MASTER:
            self.office.lease.settle(self.electorate.latest)
            if changed:
                self.office.tell_removed(self.proposer.spoken)

    def _others(self) -> tuple[ReplicaId, ...]:
        known = self.electorate.latest.members if self.electorate.known else ()
        replicas = {*self._bootstrap, *(member.replica for member in known)} - {self.identity.replica}
        return tuple(sorted(replicas))
