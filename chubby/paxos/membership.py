"""The master's care for members: taking newcomers in, promoting learners, refusing what endangers the quorum (DESIGN
§3 Membership, Incarnations).

Changes go one replica at a time, through the log. A newcomer replaces its former incarnation as a *learner* first,
which loses no vote that was alive; once it has learned everything that was chosen when it was admitted it is promoted,
by a second change.
"""

from __future__ import annotations

from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.electorate import Electorate, Vote
from chubby.types.identity import ReplicaId, Slot
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import SECOND, Duration, Instant

ALIVE: Duration = 2 * SECOND
"""A member heard within this long counts as alive."""
PAUSE: Duration = 3 * HEARTBEAT_INTERVAL
"""A member not heard for longer may have been restarted meanwhile."""
PROMOTION_LAG: Slot = 64
"""A learner this close behind the master is caught up."""


class Progress:
    """What a master knows of the others: how far each has come, when it was last heard."""

    def __init__(self) -> None:
        """Nobody was heard yet."""
        self._chosen: dict[Vote, Slot] = {}
        self._heard: dict[Vote, Instant] = {}
        self._answered: dict[Vote, Instant] = {}
        self._asked: dict[Vote, tuple[Instant, Instant]] = {}
        self._steady: dict[Vote, Instant] = {}

    def heard(self, vote: Vote, chosen: Slot, now: Instant) -> None:
        """`vote` said that it knows slots up to `chosen`."""
        self._chosen[vote] = max(chosen, self._chosen.get(vote, 0))
        if now - self._heard.get(vote, now - PAUSE - 1) > PAUSE:
            self._steady[vote] = now
        self._heard[vote] = now

    def answered(self, vote: Vote, sent_at: Instant) -> None:
        """`vote` answered what this master sent at `sent_at`: it was alive then, or later."""
        self._answered[vote] = max(sent_at, self._answered.get(vote, 0))

    def last_answered(self, member: Member) -> Instant:
        """When the newest message was sent that `member` has answered; 0: none was."""
        return self._answered.get((member.replica, member.incarnation), 0)

    def answers(self, member: Member, now: Instant) -> bool:
        """Whether `member` is known to have been alive within `ALIVE`, however late its words come."""
        asked = self.last_answered(member)
        return asked > 0 and now - asked <= ALIVE

    def asked(self, member: Member, now: Instant) -> Duration:
        """`member` asks to join now: for how long it has kept asking, no longer than `ALIVE` apart."""
        vote = (member.replica, member.incarnation)
        first, last = self._asked.get(vote, (now, now))
        self._asked[vote] = (first if now - last <= ALIVE else now, now)
        return now - self._asked[vote][0]

    def chosen(self, member: Member) -> Slot:
        """How far `member` has come (0: not heard)."""
        return self._chosen.get((member.replica, member.incarnation), 0)

    def last_heard(self, member: Member) -> Instant | None:
        """When `member` was last heard."""
        return self._heard.get((member.replica, member.incarnation))

    def alive(self, member: Member, now: Instant) -> bool:
        """Whether `member` was heard lately."""
        heard = self.last_heard(member)
        return heard is not None and now - heard <= ALIVE

    def steady(self, member: Member, now: Instant) -> Duration:
        """For how long `member` has been heard without a pause (0: not heard)."""
        return now - self._steady.get((member.replica, member.incarnation), now)

    def clear(self) -> None:
        """Forget: a mastership begins."""
        self._steady.clear()
        self._answered.clear()
        self._asked.clear()
        self._chosen.clear()
        self._heard.clear()


class Membership:
    """Which change of the configuration the master should propose next, and which it must refuse."""

    def __init__(self, identity: Identity, electorate: Electorate, progress: Progress) -> None:
        """Judges by what `progress` knows."""
        self._identity = identity
        self._electorate = electorate
        self.progress = progress

    def admission(self, member: Member, now: Instant) -> Configuration | None:
        """The configuration that takes in a newcomer that asked to join, or None if it may not or need not.

        Only a replica the cell knows may return by itself, and not while its former incarnation is alive (then two
        processes run under one number). A Join may come late, though, and be of an incarnation that is no more: it is
        taken in once it is `present`.
        """
        configuration = self._electorate.latest
        former = configuration.member(member.replica)
        if former is None or former.incarnation == member.incarnation or self.progress.alive(former, now):
            return None
        joined = Member(
            member.replica,
            member.incarnation,
            member.peer_address or former.peer_address,
            member.client_address or former.client_address,
        )
        return configuration.with_learner(joined)

    def present(self, member: Member, now: Instant) -> bool:
        """Whether a newcomer that asks to join is there now.

        Of two incarnations only the later one can still answer: the one in the configuration was heard after it had
        been taken in, hence after any earlier one had died. One that moved gets no question, since it is not known yet
        where it is; it has to go on asking for as long as the other one has to be silent.
        """
        former = self._electorate.latest.member(member.replica)
        moved = former is not None and member.peer_address not in ("", former.peer_address)
        insists = self.progress.asked(member, now) >= ALIVE
        return self.progress.answers(member, now) or (moved and insists)

    def promotion(self, chosen: Slot, now: Instant) -> Configuration | None:
        """The configuration that promotes a learner that is alive and has caught up with its admission and the master,
        or None.
        """
        configuration = self._electorate.latest
        for learner in configuration.learners:
            reached = self.progress.chosen(learner)
            caught_up = reached >= self._electorate.since and reached + PROMOTION_LAG >= chosen
            if caught_up and self.progress.alive(learner, now):
                return configuration.promoted(learner)
        return None

    def refusal(self, wanted: Configuration, now: Instant) -> str | None:
        """Why the change to `wanted` is refused, as a sentence; None if it is safe.

        Safe means: one voter differs, and a majority of the new voters is alive now, so that the cell goes on
        when the change is chosen.
        """
        latest = self._electorate.latest
        before = {(voter.replica, voter.incarnation) for voter in latest.voters}
        after = {(voter.replica, voter.incarnation) for voter in wanted.voters}
        if len(before ^ after) > 1:
            return "only one voter may change at a time"
        if not after:
            return "the last voter cannot be removed"
        alive = sum(
            voter.replica == self._identity.replica or self.progress.alive(voter, now) for voter in wanted.voters
        )
        if alive < wanted.quorum:
            return f"only {alive} of the {len(after)} voters it would leave are alive, a quorum needs {wanted.quorum}"
        return None

    def margin(self, now: Instant) -> int:
        """How many more voters may fail before there is no quorum; negative if there is none now."""
        configuration = self._electorate.latest
        alive = sum(
            voter.replica == self._identity.replica or self.progress.alive(voter, now) for voter in configuration.voters
        )
        return alive - configuration.quorum

    def successor(self, now: Instant) -> ReplicaId:
        """The voter that is alive and furthest on, to hand over to; 0 if there is none.

        One that was restarted less than a master lease ago comes last: it still waits out what it may have granted,
        and could not be elected.
        """
        lease = self._electorate.latest.master_lease
        candidates = [
            (self.progress.steady(voter, now) >= lease, self.progress.chosen(voter), -voter.replica)
            for voter in self._electorate.latest.voters
            if voter.replica != self._identity.replica and self.progress.alive(voter, now)
        ]
        return -max(candidates)[2] if candidates else 0
