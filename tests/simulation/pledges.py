"""What replicas said that they will remember, and whether they do (DESIGN §3 Persist before send, Incarnations).

A vote is worth what its voter remembers of it. Whether a forgotten one does harm is a matter of chance: it does when
just that vote was needed, and those who could make up for it are away. That it was forgotten is a fact, and seen as
soon as somebody looks: what was said is heard on the way out, what is known is looked at when a replica starts, when it
tells a candidate all it has accepted, and when a snapshot took the place of its log.

| said                        | is known for as long as that incarnation lives                                      |
|-----------------------------|-------------------------------------------------------------------------------------|
| Promise                     | its ballot, as promised; and it names all that was accepted, as far as it is news   |
| Accepted                    | what was accepted, under that ballot or a later one; or a snapshot of it            |
| Accepted, HeartbeatReply    | the longest master lease that was granted                                           |
| the same, of a learner      | all that is chosen up to the slot that it names: by that it is promoted             |
| Prepare, Accept, Heartbeat  | the ballot, which is its own, as promised: no two lives use the same                |
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.paxos.messages import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Entry,
    Heartbeat,
    HeartbeatReply,
    Prepare,
    Promise,
)
from chubby.paxos.ready import Recovered
from chubby.replica.step import Letter
from chubby.types.identity import Incarnation, ReplicaId, Slot
from chubby.types.time import MILLISECOND, Duration
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class _Word:
    """What one incarnation has said so far."""

    def __init__(self) -> None:
        self.promised: Ballot = NO_BALLOT
        self.lease: Duration = 0
        self.votes: dict[Slot, Ballot] = {}
        self.learned: Slot = 0
        """Up to there it said, while it had no vote, that it knew what is chosen: by this it is promoted."""

    def vote(self, message: Accepted) -> None:
        for slot in message.slots:
            self.votes[slot] = max(message.ballot, self.votes.get(slot, NO_BALLOT))

    def forgotten(self, above: Slot, held: Callable[[Slot], Entry | None]) -> tuple[Slot, Ballot] | None:
        """A vote above that slot of which nothing is held that is as good."""
        for slot, ballot in self.votes.items():
            if slot > above and ((entry := held(slot)) is None or entry.ballot < ballot):
                return slot, ballot
        return None


class PledgeChecker:
    """Hears what all replicas say, and raises Violation when one has forgotten what it said."""

    def __init__(self) -> None:
        self._words: dict[tuple[ReplicaId, Incarnation], _Word] = {}
        self._asked: dict[Ballot, Slot] = {}
        """What candidates said they knew to be chosen: so much nobody needs to tell them."""
        self._cut: dict[ReplicaId, tuple[int, Slot]] = {}

    def follow(self, host: ReplicaHost) -> None:
        """Hear what this replica says from now on, and look at what it starts with."""
        host.overhear = self.overhear
        host.examine = self.examine

    def overhear(self, host: ReplicaHost, letters: tuple[Letter, ...]) -> None:
        """This replica sends that."""
        for letter in letters:
            match letter.message:
                case Accepted() as message:
                    word = self._said(host, message.incarnation, message.ballot, message.lease)
                    word.vote(message)
                    self._knows(host, word, message.chosen)
                case HeartbeatReply() as message:
                    word = self._said(host, message.incarnation, NO_BALLOT, message.lease)
                    self._knows(host, word, message.chosen)
                case Accept() | Heartbeat() as message:
                    self._said(host, host.incarnation, message.ballot, 0)
                case Prepare() as message:
                    self._said(host, host.incarnation, message.ballot, 0)
                    self._asked[message.ballot] = max(message.chosen, self._asked.get(message.ballot, 0))
                case Promise() as message:
                    self._tells(host, message, self._said(host, message.incarnation, message.ballot, 0))

    def examine(self, host: ReplicaHost, recovered: Recovered) -> None:
        """This replica starts, under the incarnation that its disk names, with that."""
        word = self._word(host, host.incarnation)
        if recovered.promised < word.promised:
            raise Violation(f"{host.place} has promised {word.promised}; its disk knows of {recovered.promised}")
        if recovered.lease_bound < word.lease:
            granted, known = word.lease // MILLISECOND, recovered.lease_bound // MILLISECOND
            raise Violation(f"{host.place} has granted a master lease of {granted} ms; its disk knows of {known} ms")
        entries = {entry.slot: entry for entry in recovered.entries}
        self._remembers(host, word, recovered.snapshot, entries.get, "its disk")
        for slot in range(recovered.snapshot + 1, word.learned + 1):
            if slot not in entries:
                raise Violation(f"{host.place} has learned all up to slot {word.learned}; its disk lacks slot {slot}")

    def observe(self, host: ReplicaHost) -> None:
        """Something happened at this replica: did a snapshot take the place of its log?"""
        replica = host.replica
        if replica is None or replica.machine is None:
            return
        now = host.life, replica.snapshot_slot
        if self._cut.get(host.number) != now:
            self._cut[host.number] = now
            word = self._word(host, host.incarnation)
            self._remembers(host, word, replica.machine.applied, replica.entry, "its log")

    def _word(self, host: ReplicaHost, incarnation: Incarnation) -> _Word:
        return self._words.setdefault((host.number, incarnation), _Word())

    def _said(self, host: ReplicaHost, incarnation: Incarnation, ballot: Ballot, lease: Duration) -> _Word:
        word = self._word(host, incarnation)
        word.promised = max(ballot, word.promised)
        word.lease = max(lease, word.lease)
        return word

    def _knows(self, host: ReplicaHost, word: _Word, chosen: Slot) -> None:
        """Who votes need not have what it says is chosen on its disk: a majority has."""
        known = host.replica.configuration if host.replica is not None else None
        if known is None or not known.is_voter(host.number, host.incarnation):
            word.learned = max(chosen, word.learned)

    def _tells(self, host: ReplicaHost, message: Promise, word: _Word) -> None:
        """A promise tells the candidate all that was accepted beyond what it knows."""
        entries = {entry.slot: entry for entry in message.entries}
        where = f"its promise to r{message.ballot.replica}"
        self._remembers(host, word, self._asked[message.ballot], entries.get, where)

    def _remembers(
        self, host: ReplicaHost, word: _Word, above: Slot, held: Callable[[Slot], Entry | None], where: str
    ) -> None:
        if (lost := word.forgotten(above, held)) is not None:
            slot, ballot = lost
            raise Violation(f"{host.place} has accepted slot {slot} under {ballot}; {where} has {held(slot)}")
