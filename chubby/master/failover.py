"""Fail-over as the paper's steps, in a table (DESIGN §5 Fail-over; paper §2.9).

::

    FOLLOWING ──ELECTED──▶ LOCATION_ONLY ──EPOCH_BEGUN──▶ REBUILDING ──REBUILT──▶ RECOVERING ──SETTLED──▶ SERVING
        ▲                        │                            │                       │                      │
        └────────────────────────┴───────── DEPOSED ──────────┴───────────────────────┴──────────────────────┘

| step of the paper                                            | here                                             |
|--------------------------------------------------------------|--------------------------------------------------|
| 1 a new client epoch number, carried by every call           | the slot of BeginEpoch; commands carry it        |
| 2 answer master-location calls only                          | LOCATION_ONLY: greetings wait                    |
| 3 rebuild sessions and locks, leases extended to the maximum | REBUILDING: leases start at the caps in the log, |
|   the old master may have granted                            | lock-delays start again in full                  |
| 4 let clients perform KeepAlives, but no other calls         | RECOVERING admits Resume and KeepAlive, and (7)  |
| 5 a fail-over event to each session, which flushes its cache | Resume comes with an empty cache                 |
| 6 wait until each has acknowledged, or its lease is over     | `Recovery`: caching sessions, the cache lease    |
| 7 allow all calls                                            | reads and locks at once, changes when SERVING    |
| 8 a handle of the old master is recreated when presented,    | claims at Resume                                 |
|   one closed in this epoch is not                            | closed numbers are remembered                    |
| 9 after a minute ephemerals without open handles are deleted | not needed: open-sets are in the machine         |

REBUILDING is left at once unless the cell has no key for check digits: then a fresh one is put into the log first.
"""

from __future__ import annotations

import enum
from typing import Final

from chubby.types.identity import SessionId
from chubby.types.time import NEVER, Duration, Instant


class Phase(enum.Enum):
    """How far this replica's mastership has come."""

    FOLLOWING = "following"
    LOCATION_ONLY = "location only"
    REBUILDING = "rebuilding"
    RECOVERING = "recovering"
    SERVING = "serving"


class Trigger(enum.Enum):
    """What moves it on."""

    ELECTED = "elected"
    EPOCH_BEGUN = "our BeginEpoch is applied"
    REBUILT = "state is rebuilt and there is a key"
    SETTLED = "no cache of an earlier master's time can be in use"
    DEPOSED = "deposed"


class Permission(enum.Enum):
    """What a master may do in a phase."""

    SESSIONS = "open and resume sessions, keep them alive"
    READS_AND_LOCKS = "answer reads, acquire and release locks"
    CHANGES = "change what clients cache"


TRANSITIONS: Final[dict[tuple[Phase, Trigger], Phase]] = {
    (Phase.FOLLOWING, Trigger.ELECTED): Phase.LOCATION_ONLY,
    (Phase.LOCATION_ONLY, Trigger.EPOCH_BEGUN): Phase.REBUILDING,
    (Phase.REBUILDING, Trigger.REBUILT): Phase.RECOVERING,
    (Phase.RECOVERING, Trigger.SETTLED): Phase.SERVING,
    (Phase.FOLLOWING, Trigger.DEPOSED): Phase.FOLLOWING,
    (Phase.LOCATION_ONLY, Trigger.DEPOSED): Phase.FOLLOWING,
    (Phase.REBUILDING, Trigger.DEPOSED): Phase.FOLLOWING,
    (Phase.RECOVERING, Trigger.DEPOSED): Phase.FOLLOWING,
    (Phase.SERVING, Trigger.DEPOSED): Phase.FOLLOWING,
}

PERMITTED: Final[dict[Phase, frozenset[Permission]]] = {
    Phase.FOLLOWING: frozenset(),
    Phase.LOCATION_ONLY: frozenset(),
    Phase.REBUILDING: frozenset(),
    Phase.RECOVERING: frozenset({Permission.SESSIONS, Permission.READS_AND_LOCKS}),
    Phase.SERVING: frozenset({Permission.SESSIONS, Permission.READS_AND_LOCKS, Permission.CHANGES}),
}


class Failover:
    """The automaton. An undefined transition is a bug of the caller."""

    def __init__(self) -> None:
        """A follower."""
        self.phase = Phase.FOLLOWING

    def move(self, trigger: Trigger) -> None:
        """Take the transition; asserts that there is one."""
        assert (self.phase, trigger) in TRANSITIONS, f"no transition from {self.phase} on {trigger}"
        self.phase = TRANSITIONS[self.phase, trigger]

    def may(self, permission: Permission) -> bool:
        """Whether the present phase permits this."""
        return permission in PERMITTED[self.phase]


class Recovery:
    """Whose cache may still hold what an earlier master let it (step 6): nobody's, once all resumed or time ran out."""

    def __init__(self) -> None:
        """Nobody is waited for."""
        self._caching: dict[SessionId, None] = {}
        self._until: Instant = 0

    def begin(self, caching: list[SessionId], until: Instant) -> None:
        """Wait for these sessions, but not beyond the longest cache lease an earlier master may have granted."""
        self._caching = dict.fromkeys(caching)
        self._until = until

    def over(self, session: SessionId) -> None:
        """The session has emptied its cache (Resume), or has ended; idempotent."""
        self._caching.pop(session, None)

    def settled(self, now: Instant) -> bool:
        """Whether changes to cacheable data may go on."""
        return not self._caching or now >= self._until

    @property
    def until(self) -> Instant:
        """When waiting ends whatever happens; NEVER when nobody is waited for."""
        return self._until if self._caching else NEVER

    def postpone(self, duration: Duration) -> None:
        """The master slept, and what sessions sent meanwhile is still to be read."""
        self._until += duration
