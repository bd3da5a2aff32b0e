"""Packing: whatever waits goes into one packet, and what waits is bounded.

Packets concatenate (see the package), so a frame is encoded once, when it is handed in, and a packet is a join of
bytes. The bound is therefore exact: it counts the bytes that wait, not frames of unknown size. No timer delays
anything: a packet is full or not by what piled up while the previous one was on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from chubby.wire.limits import PACK_BYTES, PACK_FRAMES

F = TypeVar("F")
"""A frame, of either direction."""


def chunks(frames: Sequence[F], pack: Callable[[Sequence[F]], bytes]) -> Iterator[tuple[bytes, int]]:
    """Encode `frames` in order, as one packet or as few as keep to PACK_BYTES and PACK_FRAMES.

    Yields (encoded packet, frames in it). Only a single frame longer than PACK_BYTES makes a longer one. Raises what
    `pack` raises.
    """
    for start in range(0, len(frames), PACK_FRAMES):
        part = frames[start : start + PACK_FRAMES]
        data = pack(part)
        if len(data) <= PACK_BYTES or len(part) == 1:
            yield data, len(part)
        else:
            half = len(part) // 2
            yield from chunks(part[:half], pack)
            yield from chunks(part[half:], pack)


class Outbox:
    """Encoded frames that wait to be sent, in order."""

    __slots__ = ("_waiting", "bound", "frames", "size")

    def __init__(self, bound: int) -> None:
        """An empty outbox that holds `bound` bytes."""
        self._waiting: deque[tuple[bytes, int]] = deque()
        self.bound = bound
        """Bytes that may wait."""
        self.size = 0
        """Bytes that wait."""
        self.frames = 0
        """Frames that wait."""

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    @property
    def overflown(self) -> bool:
        """Whether more waits than may."""
        return self.size > self.bound

    def put(self, data: bytes, frames: int) -> None:
        """Let one encoded packet of `frames` frames wait behind the others."""
        self._waiting.append((data, frames))
        self.size += len(data)
        self.frames += frames

    def take(self) -> tuple[bytes, int]:
        """The next packet and how many frames it holds: as much of what waits as fits, from the front.

        Must not be asked when nothing waits.
        """
        data, frames = self._waiting.popleft()
        taken, size = [data], len(data)
        while self._waiting:
            following, more = self._waiting[0]
            if size + len(following) > PACK_BYTES or frames + more > PACK_FRAMES:
                break
            self._waiting.popleft()
            taken.append(following)
            size += len(following)
            frames += more
        self.size -= size
        self.frames -= frames
        assert self.size >= 0 and self.frames >= 0, "an outbox never owes"
        return (data if len(taken) == 1 else b"".join(taken)), frames

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self.size = self.frames = 0
