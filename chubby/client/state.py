"""The life of a session as one literal table (DESIGN §6; paper §2.8).

::

                OPENED              LEASE_RAN_OUT            RESUMED
      OPENING ─────────▶ NORMAL ───────────────▶ JEOPARDY ─────────▶ SAFE ──┐
         │                                        │   ▲                     │ LEASE_RAN_OUT
         │ GAVE_UP                 GRACE_RAN_OUT  │   └─────────────────────┘
         ▼                         or DISOWNED    ▼
      CLOSED ◀── CLOSED_BY_US ──(any live state)  EXPIRED

NORMAL and SAFE allow the same; SAFE only remembers that there was a jeopardy which lost nothing. In JEOPARDY the cache
is empty and off, calls wait, and the grace period runs. EXPIRED and CLOSED are final.
"""

from __future__ import annotations

import enum
from typing import Final


class SessionState(enum.Enum):
    """Where a session stands, as its owner is told."""

    OPENING = "opening"
    NORMAL = "normal"
    JEOPARDY = "jeopardy"
    SAFE = "safe"
    EXPIRED = "expired"
    CLOSED = "closed"

    @property
    def live(self) -> bool:
        """Whether calls may be sent and the cache be used (leases permitting)."""
        return self in _LIVE

    @property
    def final(self) -> bool:
        """Whether nothing follows: every later call fails."""
        return self in _FINAL


class Trigger(enum.Enum):
    """What moves a session from state to state."""

    OPENED = "opened"
    GAVE_UP = "gave up"
    LEASE_RAN_OUT = "lease ran out"
    RESUMED = "resumed"
    GRACE_RAN_OUT = "grace ran out"
    DISOWNED = "disowned"
    CLOSED_BY_US = "closed by us"


_LIVE: Final = frozenset({SessionState.NORMAL, SessionState.SAFE})
_FINAL: Final = frozenset({SessionState.EXPIRED, SessionState.CLOSED})

TRANSITIONS: Final[dict[tuple[SessionState, Trigger], SessionState]] = {
    (SessionState.OPENING, Trigger.OPENED): SessionState.NORMAL,
    (SessionState.OPENING, Trigger.GAVE_UP): SessionState.CLOSED,
    (SessionState.OPENING, Trigger.CLOSED_BY_US): SessionState.CLOSED,
    (SessionState.NORMAL, Trigger.RESUMED): SessionState.NORMAL,
    (SessionState.NORMAL, Trigger.LEASE_RAN_OUT): SessionState.JEOPARDY,
    (SessionState.NORMAL, Trigger.DISOWNED): SessionState.EXPIRED,
    (SessionState.NORMAL, Trigger.CLOSED_BY_US): SessionState.CLOSED,
    (SessionState.JEOPARDY, Trigger.RESUMED): SessionState.SAFE,
    (SessionState.JEOPARDY, Trigger.GRACE_RAN_OUT): SessionState.EXPIRED,
    (SessionState.JEOPARDY, Trigger.DISOWNED): SessionState.EXPIRED,
    (SessionState.JEOPARDY, Trigger.CLOSED_BY_US): SessionState.CLOSED,
    (SessionState.SAFE, Trigger.RESUMED): SessionState.SAFE,
    (SessionState.SAFE, Trigger.LEASE_RAN_OUT): SessionState.JEOPARDY,
    (SessionState.SAFE, Trigger.DISOWNED): SessionState.EXPIRED,
    (SessionState.SAFE, Trigger.CLOSED_BY_US): SessionState.CLOSED,
}
"""Every legal step. What is not here is a bug of the caller, not an event of the world."""


def follow(state: SessionState, trigger: Trigger) -> SessionState:
    """The state after `trigger`; a step that is not in the table is a bug and raises AssertionError."""
    after = TRANSITIONS.get((state, trigger))
    assert after is not None, f"a session that is {state.value} cannot follow {trigger.value!r}"
    return after
