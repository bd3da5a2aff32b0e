"""What the master remembers of one session beyond what the machine does (DESIGN §5).

::

              Resume                     expiry decided, CloseSession
    AWAITED ─────────▶ LIVE ──────────────────────────────────────────▶ ENDING ──▶ (gone, when applied)
       └───────────────────────── expiry decided ──────────────────────────▲

AWAITED: the machine knows it, it has not resumed under this master. LIVE: with a stream or between streams. ENDING: its
end is decided, nothing it sends counts any more.
"""

from __future__ import annotations

import enum

from chubby.master.handles import HandleTable
from chubby.master.mailbox import Mailbox
from chubby.master.pending import Order, PendingCall
from chubby.master.subscriptions import Watch
from chubby.types.identity import CallNumber, HandleNumber, SessionId, StreamNumber, WatchNumber
from chubby.types.time import Duration, Instant


class SessionState(enum.Enum):
    """Where a session stands under this master."""

    AWAITED = "awaited"
    LIVE = "live"
    ENDING = "ending"


class Session:
    """One session. Deadlines are on this master's clock and never move back (the lease invariant of DESIGN §5).

    `stream` is the attached stream, `stream_number` the highest number any of them had. `in_flight` counts
    commands proposed and not applied. `acquires` are calls that wait for a lock, by handle.
    """

    __slots__ = (
        "acknowledged",
        "acquires",
        "cache_until",
        "caching",
        "handles",
        "id",
        "in_flight",
        "lease_until",
        "mailbox",
        "mourners",
        "order",
        "pending",
        "principal",
        "state",
        "stream",
        "stream_number",
        "watches",
    )

    def __init__(
        self,
        session: SessionId,
        principal: str,
        *,
        caching: bool,
        acknowledged: CallNumber,
        mailbox: Mailbox,
        state: SessionState,
        lease_until: Instant,
    ) -> None:
        """A session without a stream, handles or calls."""
        self.id = session
        self.principal = principal
        self.caching = caching
        self.acknowledged = acknowledged
        self.mailbox = mailbox
        self.state = state
        self.lease_until = lease_until
        self.cache_until: Instant = 0
        self.stream: int | None = None
        self.stream_number: StreamNumber = 0
        self.handles = HandleTable()
        self.watches: dict[WatchNumber, Watch] = {}
        self.pending: dict[CallNumber, PendingCall] = {}
        self.acquires: dict[HandleNumber, dict[PendingCall, None]] = {}
        self.order = Order()
        self.in_flight = 0
        self.mourners: list[int] = []

    def extend_lease(self, until: Instant) -> None:
        """Let the session lease end no earlier than `until`."""
        self.lease_until = max(self.lease_until, until)

    def renew_cache(self, length: Duration, now: Instant) -> Duration:
        """Renew the cache lease and return its length; 0, and not renewed, while an acknowledgement is owed."""
        if not self.caching or self.mailbox.owes:
            return 0
        self.cache_until = max(self.cache_until, now + length)
        return length

    def postpone(self, duration: Duration) -> None:
        """The master slept: what the session could not have renewed meanwhile lasts that much longer."""
        self.lease_until += duration
        self.cache_until += duration

    @property
    def cache_ends(self) -> Instant:
        """From when on the client certainly answers nothing from its cache: a hit needs both leases."""
        return min(self.cache_until, self.lease_until)

    @property
    def subscribed(self) -> bool:
        """Whether the session may be told events from the history."""
        return bool(self.watches) or any(handle.events for handle in self.handles)
