"""When an input arrived, and until when we are surely the master: what every rule of time in this room looks at."""

from __future__ import annotations

from typing import NamedTuple

from chubby.types.time import Instant


class Moment(NamedTuple):
    """The time of one input and the end of the master lease as known then (DESIGN §3 Master lease)."""

    now: Instant
    lease_until: Instant

    @property
    def live(self) -> bool:
        """Whether the master lease is live: reads may be answered, leases granted, sessions expired."""
        return self.now < self.lease_until
