"""The bounded queue of frames on their way to one peer, sans-IO.

**Overflow empties the queue.** Paxos tolerates loss, and repeats what matters; of a queue that does not drain, the old
end is the least worth sending: the newest message names the highest chosen slot, and the peer fetches the rest.
Dropping only the newest would leave a slow peer for ever behind a full queue of the past.

**A peer that is away gets a smaller queue.** It is there to bridge a reconnect, not to greet a replica that was down
for an hour with an hour of stale heartbeats.
"""

from __future__ import annotations

from collections import deque

import msgspec


class Bounds(msgspec.Struct, frozen=True):
    """How much a queue may hold: `size` in bytes (frame headers included), and frames."""

    size: int
    frames: int


class Outbox:
    """Frames in the order of sending. Holds whole frames only, so dropping never breaks a stream's rhythm."""

    __slots__ = ("_bounds", "_dropped_frames", "_dropped_size", "_frames", "_size")

    def __init__(self, bounds: Bounds) -> None:
        """An empty queue."""
        self._bounds = bounds
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._dropped_frames = 0
        self._dropped_size = 0

    def __len__(self) -> int:
        """Frames queued."""
        return len(self._frames)

    @property
    def size(self) -> int:
        """Bytes queued."""
        return self._size

    @property
    def dropped_frames(self) -> int:
        """Frames dropped so far."""
        return self._dropped_frames

    @property
    def dropped_size(self) -> int:
        """Bytes dropped so far."""
        return self._dropped_size

    def has_room(self, frame: bytes) -> bool:
        """Whether `push` would drop nothing."""
        return self._size + len(frame) <= self._bounds.size and len(self._frames) < self._bounds.frames

    def push(self, frame: bytes) -> None:
        """Queue `frame`; where it does not fit, all that was queued before it is dropped.

        A frame that would not fit into an empty queue either is itself dropped, alone.
        """
        if not self.has_room(frame):
            if len(frame) > self._bounds.size:
                self._count_dropped(1, len(frame))
                return
            self.clear()
        self._frames.append(frame)
        self._size += len(frame)

    def take(self, size: int) -> list[bytes]:
        """The oldest frames, up to and with the one that makes their sum reach `size` bytes."""
        assert size > 0, "taking nothing would never drain the queue"
        frames = self._frames
        if self._size <= size:
            taken = list(frames)
            frames.clear()
            self._size = 0
            return taken
        taken = []
        total = 0
        while total < size:
            frame = frames.popleft()
            total += len(frame)
            taken.append(frame)
        self._size -= total
        return taken

    def rebound(self, bounds: Bounds) -> None:
        """Set other bounds; a queue over them is dropped whole."""
        self._bounds = bounds
        if self._size > bounds.size or len(self._frames) > bounds.frames:
            self.clear()

    def clear(self) -> None:
        """Drop everything queued, and count it."""
        self._count_dropped(len(self._frames), self._size)
        self._frames.clear()
        self._size = 0

    def _count_dropped(self, frames: int, size: int) -> None:
        self._dropped_frames += frames
        self._dropped_size += size
