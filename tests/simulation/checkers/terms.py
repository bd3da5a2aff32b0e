"""A session lives at least for as long as its client counts upon: when the cell ends one, its lease has run out by its
holder's clock (DESIGN §5 Three leases, KeepAlive: "the client's count always ends first").

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
    """Looks at who ends whenever something is applied. `ended` counts them."""

    def __init__(self) -> None:
        """Nobody is there yet."""
        self.ended = 0
        self._clients: list[ClientHost] = []
        self._applied: Slot = 0

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
                self.ended += 1
                if (left := counted_upon(client)) > 0:
                    raise Violation(
                        f"session {session} of {client.place} ended at slot {machine.applied}, "
                        f"and its client counts upon {left / SECOND:.4f} s more"
                    )


def counted_upon(client: ClientHost) -> Duration:
    """What is left of the session lease by the client's own count; nothing once it has closed the session itself."""
    if client.core.state is SessionState.CLOSED:
        return 0
    return max(client.core._tenure.until - client.clock.now(), 0)
