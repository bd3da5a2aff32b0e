"""Nobody dead is granted a lock: once a master has found a session's lease to be over, it proposes nothing that would
give a lock to that session (DESIGN §4 Locks: overdue sessions are expired before a release is proposed).

The log tells who was granted what, and by which command; when a session was found to be over only its master knows, so
masters are looked at while they live. Commands that a master had proposed before that may still be applied later.

One case is allowed. The dead may wait for each other's locks in a circle, and then somebody has to begin: the end of
one of them may grant a lock to the next.
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.master.session import Session, SessionState
from chubby.namespace.commands import ExpireSession
from chubby.types.identity import Epoch, SessionId
from tests.simulation.checkers.story import Told
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation

Under = tuple[Epoch, SessionId]
"""A session, as one master sees it."""


class Overdue:
    """Whom each master found to be over, and how many commands it had proposed by then."""

    def __init__(self) -> None:
        """Nobody yet."""
        self.found: dict[Under, int] = {}
        self._closed: set[Under] = set()

    def observe(self, host: ReplicaHost) -> None:
        """Look at this replica, if it is master."""
        master = host.replica.master if host.replica is not None else None
        if master is None or not master.serving or len(master._sessions) == len(master._endings._leases):
            return
        epoch, proposed, now = master._proposals.epoch, master._proposals._sequence, host.clock.now()
        for number, session in master._sessions.items():
            under = epoch, number
            if session.state is SessionState.ENDING and under not in self.found and under not in self._closed:
                self._note(under, session, proposed, now)

    def _note(self, under: Under, session: Session, proposed: int, now: int) -> None:
        """It ends: since its time is over, or since its client has closed it, which the lock's queue need not know."""
        if session.lease_until <= now:
            self.found[under] = proposed
        else:
            self._closed.add(under)


def check(story: Iterable[Told], found: dict[Under, int]) -> int:
    """Raises Violation for a grant to somebody who was found to be over before it was proposed. Counts those found."""
    for slot, _, command, outcome in story:
        for grant in outcome.grants:
            since = found.get((command.epoch, grant.owner.session))
            if since is None or command.sequence <= since or _in_a_circle(command.epoch, command.body, found):
                continue
            raise Violation(
                f"slot {slot} grants {grant.path} to session {grant.owner.session}, which its master had found to be "
                f"over {command.sequence - since} commands before: {command.body}"
            )
    return len(found)


def _in_a_circle(epoch: Epoch, body: object, found: dict[Under, int]) -> bool:
    return isinstance(body, ExpireSession) and (epoch, body.session) in found
