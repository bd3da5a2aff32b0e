"""Small makers for the unit tests of the Paxos room."""

from __future__ import annotations

from chubby.paxos.acceptor import Acceptor
from chubby.paxos.configuration import Configuration, Identity, Member
from chubby.paxos.electorate import Electorate
from chubby.paxos.log import Log
from chubby.paxos.messages import Accept, Ballot, Entry, Message, Value, ValueKind
from chubby.paxos.outbox import Outbox
from chubby.paxos.proposer import Proposer
from chubby.paxos.ready import Recovered
from chubby.types.identity import ReplicaId, Slot
from chubby.types.time import SECOND, Instant

NOW: Instant = 100 * SECOND


def member(replica: ReplicaId, life: int = 0) -> Member:
    """Replica in its first life, or a later one."""
    return Member(replica, 100 + replica + 1000 * life)


def configuration(*voters: ReplicaId, learners: tuple[ReplicaId, ...] = ()) -> Configuration:
    """First lives all."""
    return Configuration(tuple(map(member, voters)), tuple(map(member, learners)))


def ballot(number: int, replica: ReplicaId = 1) -> Ballot:
    """Of the replica's first life."""
    return Ballot(number, replica, 100 + replica)


def commands(*words: str) -> Value:
    """A batch."""
    return Value(ValueKind.COMMANDS, tuple(word.encode() for word in words))


def entry(slot: Slot, number: int = 1, *words: str, replica: ReplicaId = 1) -> Entry:
    """An entry; the value depends on slot and ballot unless it is given."""
    return Entry(slot, ballot(number, replica), commands(*(words or (f"{slot}@{number}.{replica}",))))


def accept(slot: Slot, number: int = 1, replica: ReplicaId = 1, chosen: Slot = 0, sent_at: Instant = NOW) -> Accept:
    """What a master of that ballot sends."""
    held = entry(slot, number, replica=replica)
    return Accept(held.ballot, slot, held.value, chosen, sent_at)


class Parts:
    """One replica's roles, not wired to each other."""

    def __init__(
        self, me: ReplicaId = 2, known: Configuration | None = None, recovered: Recovered | None = None, size: int = 3
    ) -> None:
        """A follower of a cell of three, unless told otherwise."""
        recovered = recovered or Recovered(configuration=known or configuration(*range(1, size + 1)))
        self.identity = Identity(7, me, 100 + me)
        self.outbox = Outbox(me)
        self.log = Log(recovered.snapshot, recovered.entries, recovered.chosen)
        self.electorate = Electorate(recovered.snapshot, recovered.configuration)
        self.acceptor = Acceptor(self.identity, self.log, self.electorate, self.outbox, recovered, NOW)
        self.proposer = Proposer(self.identity, self.log, self.electorate, self.outbox)

    def sent(self) -> list[Message]:
        """What left at once since the last call; to ourselves too."""
        messages = [envelope.message for envelope in self.outbox.messages] + self.outbox.looped
        self.outbox.messages, self.outbox.looped = [], []
        return messages

    def gated(self) -> list[Message]:
        """What waits for the disk since the last call; to ourselves too."""
        messages = [envelope.message for envelope in self.outbox.gated] + self.outbox.looped_gated
        self.outbox.gated, self.outbox.looped_gated = [], []
        return messages
