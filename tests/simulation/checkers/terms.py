"""A session lives at least for as long as its client counts upon: when the cell ends one, its lease has run out by its
holder's clock, and nothing that comes late brings it back (DESIGN §5 Three leases; KeepAlive).

Whether the client does anything in that time does not matter, nor whether its process is still there: the promise was
made, and whoever holds a lock acts upon it for so long.
"""

from __future__ import annotations

from chubby.client.state import SessionState
from chubby.types.identity import Slot
from chubby.types.time import SECOND, Duration
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class Terms:
    """Looks at all leases of those that have ended whenever something is applied."""

    def __init__(self) -> None:
        """Nobody is there yet."""
        self._clients: list[ClientHost] = []
        self._over: list[ClientHost] = []
        self._applied: Slot = 0

    @property
    def ended(self) -> int:
        """How many sessions have ended."""
        return len(self._over)

    def follow(self, client: ClientHost) -> None:
        """Look at this client's lease, too."""
        self._clients.append(client)

    def observe(self, host: ReplicaHost) -> None:
        """A replica has applied something: the first to end a session is who is asked. Raises Violation."""
        machine = host.replica.machine if host.replica is not None else None
        if machine is None or machine.applied <= self._applied:
            return
        self._applied = machine.applied
        for client in tuple(self._clients):
            session = client.core.identity.session
            if session and machine.session(session) is None:
                self._clients.remove(client)
                self._over.append(client)
        for client in self._over:
            if (left := counted_upon(client)) > 0:
                raise Violation(
                    f"session {client.core.identity.session} of {client.place} has ended by slot {machine.applied}, "
                    f"and its client counts upon {left / SECOND:.4f} s more"
                )


def counted_upon(client: ClientHost) -> Duration:
    """What is left of the session lease by the client's own count; nothing once it has closed the session itself."""
    if client.core.state is SessionState.CLOSED:
        return 0
    return max(client.core._tenure.until - client.clock.now(), 0)
