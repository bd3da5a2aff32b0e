"""What a mesh tells of itself: immutable values, and the tallies they are taken from."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final

import msgspec

from chubby.transport.greetings import Hello, Reason
from chubby.types.identity import CellId, Incarnation, ReplicaId
from chubby.types.time import Instant


class PeerState(enum.Enum):
    """What the dialled link to a peer does now."""

    DIALLING = "dialling"
    """A connection or its handshake is under way."""
    CONNECTED = "connected"
    """What is sent leaves at once."""
    WAITING = "waiting"
    """The last attempt failed; the next one comes after the backoff."""


class PeerStatistics(msgspec.Struct, frozen=True):
    """One peer. Out is the dialled link, in the accepted one; frames are messages, bytes include their headers.

    `connected_since` and `heard_since` are when the link that is up was made, out and in. `incarnation` is that of the
    newest Hello, `joining` says that it came from a blank replica. `last_reason` is why the dialled link last failed or
    ended, `accepted_reason` why the accepted one did.
    """

    replica: ReplicaId
    address: str
    state: PeerState
    connected_since: Instant | None
    heard_since: Instant | None
    incarnation: Incarnation | None
    joining: bool
    frames_out: int
    bytes_out: int
    frames_in: int
    bytes_in: int
    queued_frames: int
    queued_bytes: int
    dropped_frames: int
    dropped_bytes: int
    reconnects: int
    last_reason: Reason | None
    accepted_reason: Reason | None


class MeshStatistics(msgspec.Struct, frozen=True):
    """The whole mesh. `refused` counts links that this side ended, `dismissed` those that peers ended with a Goodbye.

    `half_open` connections have not finished their handshake; `accept_pauses` counts how often the system refused to
    accept. `encoded` messages were encoded, however many peers each went to; `oversized` ones were over the frame limit
    and `unaddressed` ones went to nobody in the address book; both were dropped.
    """

    address: str
    cell: CellId
    peers: tuple[PeerStatistics, ...]
    refused: dict[Reason, int]
    dismissed: dict[Reason, int]
    half_open: int
    accepted: int
    accept_pauses: int
    encoded: int
    oversized: int
    unaddressed: int

    def peer(self, replica: ReplicaId) -> PeerStatistics:
        """The statistics of `replica`. Raises KeyError if it is not in the address book."""
        for each in self.peers:
            if each.replica == replica:
                return each
        raise KeyError(replica)


class Tidings(msgspec.Struct, frozen=True):
    """Links that ended for `reason` and had no line in the log of their own: how many since they were last asked for.

    `by_peer` tells whose reason it was, `total` how many of the kind there were since the start.
    """

    reason: Reason
    by_peer: bool
    count: int
    total: int


class Ledger:
    """The tallies of the mesh as a whole."""

    def __init__(self) -> None:
        """All zero."""
        self._untold: dict[tuple[Reason, bool], int] = {}
        self.refused: Counter[Reason] = Counter()
        self.dismissed: Counter[Reason] = Counter()
        self.accepted = 0
        self.accept_pauses = 0
        self.oversized = 0
        self.unaddressed = 0

    def part(self, reason: Reason, by_peer: bool) -> bool:
        """Count a link that ended, unless it ended as links do.

        Returns whether that is worth a line in the log of its own: the first of its kind is, and those after it are in
        the next `tidings`, so that nobody fills the log by connecting.
        """
        if reason in _ORDINARY:
            return False
        self._counter(by_peer)[reason] += 1
        kind = (reason, by_peer)
        if kind in self._untold:
            self._untold[kind] += 1
            return False
        self._untold[kind] = 0
        return True

    def tidings(self) -> tuple[Tidings, ...]:
        """What ended since the last call beyond the first of each kind. A kind that did not occur is new again."""
        untold = {kind: count for kind, count in self._untold.items() if count}
        self._untold = dict.fromkeys(untold, 0)
        return tuple(
            Tidings(reason, by_peer, count, self._counter(by_peer)[reason])
            for (reason, by_peer), count in sorted(untold.items())
        )

    def _counter(self, by_peer: bool) -> Counter[Reason]:
        return self.dismissed if by_peer else self.refused


_ORDINARY: Final = frozenset({Reason.LOST, Reason.UNREACHABLE, Reason.STOPPED})


class Tally:
    """What one direction of one peer's traffic comes to, over all its links. `since`: the present link's beginning."""

    __slots__ = ("frames", "links", "since", "size")

    def __init__(self) -> None:
        """All zero, no link up."""
        self.frames = 0
        self.size = 0
        self.links = 0
        self.since: Instant | None = None

    def begin(self, now: Instant) -> None:
        """A link is up."""
        self.links += 1
        self.since = now

    def add(self, frames: int, size: int) -> None:
        """Messages went through; `size` in bytes."""
        self.frames += frames
        self.size += size


class PeerLedger:
    """What is known of one peer, written by both of its links."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.outward = Tally()
        self.inward = Tally()
        self.incarnation: Incarnation | None = None
        self.joining = False
        self.last_reason: Reason | None = None
        self.accepted_reason: Reason | None = None

    def meet(self, hello: Hello, joining: bool) -> None:
        """The newest Hello of the peer."""
        self.incarnation = hello.incarnation
        self.joining = joining
