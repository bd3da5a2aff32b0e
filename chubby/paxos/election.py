"""When to stand for election, and with which round (DESIGN §3 Election).

The role of a replica moves by this table alone:

    LEARNER     promoted through the log                       → FOLLOWER
    FOLLOWER    its lease grant lapsed, rank × 50 ms + jitter  → CANVASSING
    CANVASSING  a majority would promise                       → PREPARING
    PREPARING   a majority of every configuration promised     → MASTER
    MASTER      its lease lapsed, a higher ballot won, hand-over → FOLLOWER
    any         removed from the voters                        → LEARNER
    any         a master's message, a time-out, a refusal      → FOLLOWER
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.paxos.electorate import Electorate, Vote
from chubby.paxos.messages import Ballot, Canvass, CanvassReply
from chubby.paxos.outbox import Outbox
from chubby.paxos.ready import Role
from chubby.types.identity import ReplicaId, Slot
from chubby.types.limits import HEARTBEAT_INTERVAL
from chubby.types.time import MILLISECOND, NEVER, Duration, Instant

RANK_DELAY: Duration = 50 * MILLISECOND
"""Replicas stand one after the other, this far apart, plus jitter of as much."""
CANVASS_TIMEOUT: Duration = 250 * MILLISECOND
CANVASS_AGAIN: Duration = 20 * MILLISECOND
"""A named successor asks again after this: those who refused may just not have heard yet that they are free."""
PREPARE_TIMEOUT: Duration = 500 * MILLISECOND
"""Doubles with every candidacy without a result, up to eight times as long: where all disks are slow, somebody must
still get through."""

TRANSITIONS: dict[Role, frozenset[Role]] = {
    Role.LEARNER: frozenset({Role.FOLLOWER}),
    Role.FOLLOWER: frozenset({Role.CANVASSING, Role.LEARNER}),
    Role.CANVASSING: frozenset({Role.PREPARING, Role.FOLLOWER, Role.LEARNER}),
    Role.PREPARING: frozenset({Role.MASTER, Role.FOLLOWER, Role.LEARNER}),
    Role.MASTER: frozenset({Role.FOLLOWER, Role.LEARNER}),
}


class Election:
    """The candidate's clock, its canvass, and the rounds it has seen."""

    def __init__(self, me: ReplicaId, electorate: Electorate, outbox: Outbox, jitter: Callable[[], float]) -> None:
        """`jitter` gives a fresh number in [0, 1)."""
        self._me = me
        self._electorate = electorate
        self._outbox = outbox
        self._jitter = jitter
        self._willing: set[Vote] = set()
        self._asked_round = 0
        self._attempts = 0
        self._named = False
        self._rank = 0
        self._rank_since: Slot = -1
        self.round = 0
        self.stand_at: Instant = NEVER
        self.give_up_at: Instant = NEVER

    @property
    def patience(self) -> Duration:
        """How long a phase 1 may take, our own or that of a candidate we promised to."""
        return PREPARE_TIMEOUT << min(self._attempts, 3)

    def saw(self, ballot: Ballot) -> None:
        """Remember the round of any ballot met: the next candidacy is above it."""
        self.round = max(self.round, ballot.round)

    def wait_until(self, instant: Instant, extra: Duration = 0) -> None:
        """Stand at `instant` plus this replica's turn, unless told otherwise before."""
        self.stand_at = instant + extra + self._turn()

    def released(self, free_at: Instant, named: bool) -> None:
        """The master gave its lease back: its successor, if that is who we are, stands at once, others hold back."""
        self._named = named
        if named:
            self.stand_at = free_at
        else:
            self.wait_until(free_at, extra=2 * HEARTBEAT_INTERVAL)

    def canvass(self, chosen: int, now: Instant) -> Instant:
        """Ask every voter whether it would promise, a round above all seen; returns when to `ask_again`."""
        self._willing.clear()
        self.round += 1
        self._asked_round = self.round
        self.stand_at = NEVER
        self.give_up_at = now + CANVASS_TIMEOUT + round(self._jitter() * RANK_DELAY)
        for voter in self._electorate.latest.voters:
            self._outbox.send(voter.replica, Canvass(self.round, chosen))
        again, self._named = now + CANVASS_AGAIN if self._named else NEVER, False
        return again

    def ask_again(self, chosen: int, now: Instant) -> Instant:
        """Ask those who have not said that they would; returns when to do so again."""
        for voter in self._electorate.latest.voters:
            if (voter.replica, voter.incarnation) not in self._willing:
                self._outbox.send(voter.replica, Canvass(self._asked_round, chosen))
        return now + CANVASS_AGAIN

    def on_canvass_reply(self, sender: ReplicaId, message: CanvassReply) -> bool:
        """Count an answer; True once a majority would promise."""
        self.saw(message.promised)
        if message.would and message.round == self._asked_round:
            self._willing.add((sender, message.incarnation))
        return self._electorate.latest.is_quorum(self._willing)

    def next_ballot_round(self, now: Instant) -> int:
        """The round for phase 1, which is given up when it lasts too long."""
        self.round += 1
        self.give_up_at = now + self.patience + round(self._jitter() * RANK_DELAY)
        self._attempts += 1
        return self.round

    def settled(self) -> None:
        """No candidacy is under way."""
        self._willing.clear()
        self.give_up_at = NEVER

    def decided(self) -> None:
        """There is a master: the next candidacy begins with little patience again."""
        self._attempts = 0

    def _turn(self) -> Duration:
        """A fresh delay of this replica. Drawn with every message of a master, so the rank is kept at hand."""
        electorate = self._electorate
        if electorate.known and electorate.since != self._rank_since:
            self._rank_since, voters = electorate.since, electorate.latest.voters
            self._rank = sum(voter.replica < self._me for voter in voters)
        return round((self._rank + self._jitter()) * RANK_DELAY)
