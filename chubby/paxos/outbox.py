"""Where the roles of one replica put what they want done, until `Peer.take_ready` hands it out.

Messages to oneself never leave: they are looped back, the gated ones only when the records before them are durable,
exactly like everyone else's. So a master's own vote counts no earlier than its own disk allows.
"""

from __future__ import annotations

from chubby.paxos.messages import Entry, Message
from chubby.paxos.ready import Envelope, Record, SnapshotRequest
from chubby.types.identity import ReplicaId


class Outbox:
    """Output of the current step, in order."""

    def __init__(self, me: ReplicaId) -> None:
        """`me` is the replica whose messages to itself are looped back."""
        self._me = me
        self.records: list[Record] = []
        self.messages: list[Envelope] = []
        self.gated: list[Envelope] = []
        self.looped: list[Message] = []
        self.looped_gated: list[Message] = []
        self.chosen: list[Entry] = []
        self.snapshot_requests: list[SnapshotRequest] = []

    @property
    def empty(self) -> bool:
        """Whether nothing at all is to be done; what is looped back aside."""
        return not (self.messages or self.records or self.gated or self.chosen or self.snapshot_requests)

    def persist(self, record: Record) -> None:
        """Make `record` durable, behind all earlier ones."""
        self.records.append(record)

    def send(self, to: ReplicaId, message: Message) -> None:
        """Send at once: `message` claims nothing about this replica's disk."""
        if to == self._me:
            self.looped.append(message)
        else:
            self.messages.append(Envelope(to, message))

    def gate(self, to: ReplicaId, message: Message) -> None:
        """Send when every record put here so far is durable (DESIGN §3, "Persist before send")."""
        if to == self._me:
            self.looped_gated.append(message)
        else:
            self.gated.append(Envelope(to, message))

    def choose(self, entry: Entry) -> None:
        """Report the next chosen entry."""
        assert not self.chosen or entry.slot == self.chosen[-1].slot + 1, "chosen entries are reported in slot order"
        self.chosen.append(entry)
