"""One connection after the other, as a small automaton (DESIGN §5 Events, §6).

::

             open              connected             greeted
    IDLE ──────────▶ SEEKING ─────────────▶ GREETING ─────────▶ ESTABLISHED
      ▲                 │ lost, patience over   │ lost, patience over   │ lost, silent
      │                 ▼                       ▼                       │
      └── ended ──── RESTING ◀──────────────────┴───────────────────────┘
                  (back-off over: open)

Every connection has a number of its own, growing for ever: it is the stream number that Resume names. The highest wins:
whatever arrives tagged with another number is dropped by `is_current`.

Patience and back-off grow while attempts fail; the back-off is drawn from the whole of its interval, so that a cell's
clients do not come back in step.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final

from chubby.types.identity import StreamNumber
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant

PATIENCE: Final[Duration] = 3 * SECOND
"""How long the first attempt may take from `open` to the connection, and again from there to the greeting's answer."""
PATIENCE_MAXIMUM: Final[Duration] = 15 * SECOND
BACKOFF: Final[Duration] = 100 * MILLISECOND
"""The first back-off is up to this long, each further one up to twice the one before."""
BACKOFF_MAXIMUM: Final[Duration] = 2 * SECOND
STEADY: Final[Duration] = 5 * SECOND
"""A stream that lasted this long wipes out the memory of failed attempts."""
_REDIRECTS: Final = 3
"""So many redirects in a row are followed without a pause."""


class Phase(enum.Enum):
    """Where the present connection stands."""

    IDLE = "idle"
    SEEKING = "seeking"
    GREETING = "greeting"
    ESTABLISHED = "established"
    RESTING = "resting"


class Stream:
    """The present connection. `number` is that of the newest one opened, 0 before the first.

    Invariant: `greeted_at` is the send time of the first frame of connection `number` while GREETING or ESTABLISHED.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.number: StreamNumber = 0
        self.phase = Phase.IDLE
        self.address = ""
        self.greeted_at: Instant = 0
        self._jitter = jitter
        self._failures = 0
        self._redirects = 0
        self._until: Instant = NEVER
        self._since: Instant = 0

    @property
    def established(self) -> bool:
        """Whether calls can be sent."""
        return self.phase is Phase.ESTABLISHED

    def is_current(self, stream: StreamNumber) -> bool:
        """Whether input of connection `stream` counts."""
        return stream == self.number and self.phase not in (Phase.IDLE, Phase.RESTING)

    def open(self, now: Instant, address: str = "") -> StreamNumber:
        """Begin a new connection, to `address` if one is named; its number."""
        self.number += 1
        self.phase = Phase.SEEKING
        self.address = address
        self._until = now + self._patience()
        return self.number

    def connected(self, now: Instant) -> None:
        """The connection stands; its first frame is sent now."""
        assert self.phase is Phase.SEEKING
        self.phase = Phase.GREETING
        self.greeted_at = now
        self._until = now + self._patience()

    def greeted(self, now: Instant) -> None:
        """The first frame was answered well."""
        assert self.phase is Phase.GREETING
        self.phase = Phase.ESTABLISHED
        self._since = now
        self._until = NEVER
        self._redirects = 0

    def rest(self, now: Instant) -> None:
        """The connection failed or was given up: pause, then try again."""
        if self.phase is Phase.ESTABLISHED and now - self._since >= STEADY:
            self._failures = 0
        most = min(BACKOFF << min(self._failures, 16), BACKOFF_MAXIMUM)
        self._failures += 1
        self.phase = Phase.RESTING
        self._until = now + int(most * self._jitter())

    def redirected(self) -> bool:
        """The other side named the master; whether to go there without a pause."""
        self._redirects += 1
        return self._redirects <= _REDIRECTS

    def stop(self) -> None:
        """There will be no further connection."""
        self.phase = Phase.IDLE
        self._until = NEVER

    def wake_at(self) -> Instant:
        """When patience or the back-off is over."""
        return self._until

    def _patience(self) -> Duration:
        return min(PATIENCE << min(self._failures, 8), PATIENCE_MAXIMUM)
