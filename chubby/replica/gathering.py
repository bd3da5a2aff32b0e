"""Where the parts of one `Step` are gathered, in order."""

from __future__ import annotations

from collections.abc import Sequence

from chubby.paxos.configuration import Configuration
from chubby.paxos.ready import Ready, Record, SnapshotRequest
from chubby.replica.door import StreamId
from chubby.replica.links import LinkMessage
from chubby.replica.step import Delivery, Halt, Letter, SnapshotOrder, Step
from chubby.types.identity import ReplicaId
from chubby.types.stream import ServerFrame


class Gathering:
    """The step that is being put together."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._reset()

    def _reset(self) -> None:
        self._number = 0
        self._records: tuple[Record, ...] = ()
        self._messages: list[Letter] = []
        self._gated: list[Letter] = []
        self._frames: dict[StreamId, list[ServerFrame]] = {}
        self._ends: list[StreamId] = []
        self._requests: list[SnapshotRequest] = []
        self.snapshot: SnapshotOrder | None = None
        self.configuration: Configuration | None = None
        self.moved = False
        self.halt: Halt | None = None

    def add(self, ready: Ready) -> None:
        """Add what Paxos wants done; records come at most once per step."""
        if ready.number:
            assert self._number == 0, "one set of records is made durable at a time"
            self._number, self._records = ready.number, ready.records
        self._messages += [Letter(envelope.to, envelope.message) for envelope in ready.messages]
        self._gated += [Letter(envelope.to, envelope.message) for envelope in ready.gated]
        self._requests += ready.snapshot_requests

    def send(self, to: ReplicaId, message: LinkMessage) -> None:
        """Add a message that claims nothing about the disk."""
        self._messages.append(Letter(to, message))

    def deliver(self, stream: StreamId, frames: Sequence[ServerFrame]) -> None:
        """Add frames for a client."""
        self._frames.setdefault(stream, []).extend(frames)

    def end(self, stream: StreamId) -> None:
        """End a client's stream after its frames."""
        self._ends.append(stream)

    def take(self) -> Step | None:
        """The step, if there is anything in it."""
        if not (
            self._number
            or self._messages
            or self._gated
            or self._frames
            or self._ends
            or self._requests
            or self.snapshot
            or self.configuration
            or self.moved
            or self.halt
        ):
            return None
        step = Step(
            number=self._number,
            records=self._records,
            messages=tuple(self._messages),
            gated=tuple(self._gated),
            deliveries=tuple(Delivery(stream, tuple(frames)) for stream, frames in self._frames.items()),
            ends=tuple(self._ends),
            snapshot_requests=tuple(self._requests),
            snapshot=self.snapshot,
            configuration=self.configuration,
            moved=self.moved,
            halt=self.halt,
        )
        self._reset()
        return step
