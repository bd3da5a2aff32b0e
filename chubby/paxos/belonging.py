"""Whether this replica belongs to the cell: asking to be taken in, and finding out that it was put out (DESIGN §3
Membership, Incarnations).

    newcomer    no configuration ever named it          asks every JOIN_INTERVAL to be taken in
    learner     named without a vote                    asks the others for news when it hears no master
    voter       named with a vote                       needs neither: it stands for election, and hears of it there
    expelled    was named, and is not any more          asks nothing more; its shell ends it
"""

from __future__ import annotations

from collections.abc import Sequence

from chubby.paxos.catchup import CatchingUp
from chubby.paxos.configuration import Member
from chubby.paxos.electorate import Electorate
from chubby.paxos.messages import Join
from chubby.paxos.outbox import Outbox
from chubby.types.identity import ReplicaId
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant

JOIN_INTERVAL: Duration = 500 * MILLISECOND
LONELY_AFTER: Duration = 2 * SECOND
"""A learner that heard no master for so long asks for news: it may have been removed, and have missed the one word of
it.
"""


class Belonging:
    """Where this incarnation stands towards the cell."""

    def __init__(
        self, me: Member, electorate: Electorate, catching_up: CatchingUp, outbox: Outbox, now: Instant
    ) -> None:
        """A newcomer, until `configured` knows better."""
        self._me = me
        self._electorate = electorate
        self._catching_up = catching_up
        self._outbox = outbox
        self._was_member = False
        self._join_at: Instant = now
        self._inquire_at: Instant = NEVER
        self.expelled = False
        """Whether this incarnation was a member, and is none any more."""

    @property
    def wake_at(self) -> Instant:
        """When `tick` has something to do."""
        return min(self._join_at, self._inquire_at)

    def configured(self, voter: bool, now: Instant) -> None:
        """A configuration became known; `voter`: this incarnation votes in it."""
        member = self._electorate.is_member(self._me.replica, self._me.incarnation)
        self._was_member = self._was_member or member
        self.expelled = self._was_member and not member
        self._join_at = NEVER if self._was_member else min(self._join_at, now)
        self._inquire_at = now + LONELY_AFTER if member and not voter else NEVER

    def heard(self, now: Instant) -> None:
        """A master spoke to us."""
        if self._inquire_at != NEVER:
            self._inquire_at = now + LONELY_AFTER

    def tick(self, others: Sequence[ReplicaId], now: Instant) -> None:
        """Ask whom there is to ask, if it is time to."""
        if now >= self._join_at:
            self._join_at = now + JOIN_INTERVAL
            for replica in others:
                self._outbox.send(replica, Join(self._me))
        if now >= self._inquire_at:
            self._inquire_at = now + LONELY_AFTER
            self._catching_up.inquire(others, now)
