"""Frames on a replica link, sans-IO: bytes in, payloads out (DESIGN §7, "length-prefixed msgspec frames").

::

    | u32 length | u32 crc32c | payload: `length` bytes |        integers big-endian, 1 <= length <= limit

The checksum covers the payload. TCP has one of its own, but 16 bits of it, and it ends at every middlebox; a Promise
that was altered on its way could undo what a majority agreed on. A stream whose frame does not verify has lost its
rhythm for good: there is no resynchronisation, the link is closed and made anew.

An empty payload is no frame: no message encodes to nothing, while a run of zeros is what a broken peer sends.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import google_crc32c

from chubby.errors import ChubbyError

FRAME_LIMIT: Final = 32 * 1024 * 1024
"""Largest payload by default, in bytes: a Promise may carry a whole window of entries, and more than one value each."""

_HEADER: Final = struct.Struct(">II")
HEADER_BYTES: Final = _HEADER.size


class FrameFault(enum.Enum):
    """What is wrong with a frame."""

    EMPTY = "empty"
    OVERSIZED = "oversized"
    CHECKSUM = "checksum"


class FrameError(ChubbyError):
    """A frame that must not be sent, or was received and ends its stream.

    `payloads` are those that came whole and verified, in the same call, before the bad frame: they are as good as any.
    """

    def __init__(self, fault: FrameFault, text: str, payloads: tuple[bytes, ...] = ()) -> None:
        """Say what is wrong; `text` is one sentence for a human."""
        super().__init__(text)
        self.fault = fault
        self.payloads = payloads


def encode_frame(payload: bytes, limit: int = FRAME_LIMIT) -> bytes:
    """The frame around `payload`. Raises `FrameError` if it is empty or longer than `limit` bytes."""
    fault = _length_fault(len(payload), limit)
    if fault is not None:
        raise FrameError(fault, _LENGTH_TEXT[fault].format(length=len(payload), limit=limit))
    return _HEADER.pack(len(payload), _checksum(payload)) + payload


class FrameDecoder:
    """Cuts a byte stream into payloads, however the stream was split on its way.

    Linear in the bytes fed: a frame that comes in pieces gathers in one growing buffer and is looked at again only when
    all of it is there. Memory: one frame plus what one `feed` brought.
    """

    __slots__ = ("_broken", "_held", "_limit", "_wanted")

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        """`limit` is the largest payload accepted, in bytes."""
        self._limit = limit
        self._held = bytearray()
        """The beginning of a frame that is not complete."""
        self._wanted = HEADER_BYTES
        """`_held` is worth looking at once it is this long."""
        self._broken = False

    @property
    def pending(self) -> int:
        """Bytes held of a frame that is not complete."""
        return len(self._held)

    def raise_limit(self, limit: int) -> None:
        """Accept larger payloads from the next frame on: the peer has shown who it is."""
        assert limit >= self._limit, "a limit is never lowered: a frame may already be on its way"
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes, in order.

        Raises `FrameError` at the first bad frame, an oversized or empty one as soon as its header is there. The stream
        is over then, and the decoder must not be fed again.
        """
        assert not self._broken, "a stream that lost its rhythm is not read on"
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data = bytes(self._held)
            self._held = bytearray()
        return self._cut(data)

    def _cut(self, data: bytes) -> list[bytes]:
        payloads: list[bytes] = []
        size, start, limit = len(data), 0, self._limit
        unpack, checksum = _HEADER.unpack_from, _checksum
        self._wanted = HEADER_BYTES
        while size - start >= HEADER_BYTES:
            length, crc = unpack(data, start)
            if not 1 <= length <= limit:
                self._fail(_length_fault(length, limit), length, payloads)
            end = start + HEADER_BYTES + length
            if end > size:
                self._wanted = HEADER_BYTES + length
                break
            payload = data[start + HEADER_BYTES : end]
            if checksum(payload) != crc:
                self._fail(FrameFault.CHECKSUM, length, payloads)
            payloads.append(payload)
            start = end
        if start < size:
            self._held += data[start:] if start else data
        return payloads

    def _fail(self, fault: FrameFault | None, length: int, payloads: list[bytes]) -> None:
        assert fault is not None, "only called for a frame that has a fault"
        self._broken = True
        raise FrameError(fault, _LENGTH_TEXT[fault].format(length=length, limit=self._limit), tuple(payloads))


_LENGTH_TEXT: Final = {
    FrameFault.EMPTY: "a frame without payload",
    FrameFault.OVERSIZED: "a frame of {length} bytes is over the limit of {limit}",
    FrameFault.CHECKSUM: "a frame of {length} bytes does not match its checksum",
}


def _length_fault(length: int, limit: int) -> FrameFault | None:
    if length == 0:
        return FrameFault.EMPTY
    return FrameFault.OVERSIZED if length > limit else None


def _checksum(payload: bytes) -> int:
    crc: int = google_crc32c.value(payload)
    return crc
