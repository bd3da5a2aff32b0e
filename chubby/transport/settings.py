"""The figures of a mesh, with defaults for five replicas on one continent. Sizes in bytes, times as `Duration`."""

from __future__ import annotations

import ssl
from typing import Final

import msgspec

from chubby.transport.framing import FRAME_LIMIT, HEADER_BYTES
from chubby.transport.greetings import CONTROL_LIMIT
from chubby.transport.outbox import Bounds
from chubby.types.time import MILLISECOND, SECOND, Duration

WRITE_SIZE: Final = 1024 * 1024
"""Bytes handed to a connection in one write, and how many it may buffer before it asks for a pause."""
BURST_FRAMES: Final = 512
BURST_SIZE: Final = 1024 * 1024
"""Messages, and bytes of messages, that one link delivers in one turn of the loop; the rest waits for the next turn."""
ACCEPT_BURST: Final = 64
"""Connections accepted in one turn of the loop."""
BACKLOG: Final = 512
"""Connections that the kernel holds until they are accepted."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a mesh may hold. Raises ValueError for figures that contradict each other."""

    frame: int = FRAME_LIMIT
    """Largest payload, both ways."""
    queue: Bounds = Bounds(64 * 1024 * 1024, 65_536)
    """The queue to one connected peer."""
    away: Bounds = Bounds(1024 * 1024, 1024)
    """The queue to one peer that is not connected."""
    half_open: int = 128
    """Accepted connections that have not finished their handshake."""

    def __post_init__(self) -> None:
        """Check the bounds against each other."""
        if self.frame < CONTROL_LIMIT:
            raise ValueError(f"a frame limit of {self.frame} bytes is below that of control frames, {CONTROL_LIMIT}")
        if self.queue.size < self.frame + HEADER_BYTES:
            raise ValueError(f"a queue of {self.queue.size} bytes never holds a frame of {self.frame}")
        if self.half_open < 1:
            raise ValueError("without a single half-open connection nobody ever gets in")


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long a mesh waits for what."""

    connect: Duration = 1 * SECOND
    """A connection that takes longer is given up: after a partition a fresh attempt gets through sooner than the
    kernel's next retry."""
    handshake: Duration = 3 * SECOND
    """From connection to Welcome."""
    patience: Duration = 250 * MILLISECOND
    """A half-open connection older than this yields its place when there are too many."""
    dead: Duration = 3 * SECOND
    """Bytes unacknowledged, or a write buffer that does not shrink, for this long: the peer is gone."""
    backoff_shortest: Duration = 50 * MILLISECOND
    backoff_longest: Duration = 2 * SECOND
    """Bounds of the wait before a peer is dialled again."""
    accept_pause: Duration = 100 * MILLISECOND
    """How long accepting rests after the system refused (no descriptors, no memory)."""
    linger: Duration = 1 * SECOND
    """How long a closed connection may take to send what was written."""


class Tls(msgspec.Struct, frozen=True):
    """Contexts for the two sides of a link: one context cannot be both. `server_name` is checked if the client context
    checks host names.
    """

    accepting: ssl.SSLContext
    dialling: ssl.SSLContext
    server_name: str = ""
