"""A change waits until nobody can read the old value from a cache (DESIGN §5 Three leases, Invalidate first): at the
moment when a change is first applied anywhere, no cache would answer from a copy of what it changes.

Whether somebody does read at that moment does not matter: it could. So what would be a stale read one time in a
thousand is seen each time.
"""

from __future__ import annotations

from chubby.client.cache import Cache
from chubby.namespace.outcomes import Change
from chubby.paths import ROOT, parent
from chubby.types.events import EventKind
from chubby.types.identity import Revision
from chubby.types.nodes import NodeKind
from chubby.types.time import SECOND
from tests.simulation.clients import ClientHost
from tests.simulation.hosts import ReplicaHost
from tests.simulation.violation import Violation


class Coherence:
    """Looks at all caches whenever something changes. `changes` counts how often."""

    def __init__(self) -> None:
        """No clients, and nothing was changed yet."""
        self.changes = 0
        self._clients: list[ClientHost] = []
        self._seen: Revision = 0

    def follow(self, client: ClientHost) -> None:
        """Look at this client's cache, too. One that dies counts for as long as its leases run: nobody knows."""
        self._clients.append(client)

    def observe(self, host: ReplicaHost) -> None:
        """A replica has applied something: whoever is the first to apply a change is who is asked. Raises Violation."""
        machine = host.replica.machine if host.replica is not None else None
        if machine is None or machine.revision <= self._seen:
            return
        changes = machine.history_since(self._seen)
        self._seen = machine.revision
        answering = [each for each in self._clients if each.clock.now() < each.core.cache.live_until]
        for change in changes or ():
            self.changes += 1
            for client in answering:
                if copy := copy_of(client.core.cache, change):
                    left = (client.core.cache.live_until - client.clock.now()) / SECOND
                    raise Violation(f"{client.place} could read {copy} from its cache for {left:.3f} s more: {change}")


def copy_of(cache: Cache, change: Change) -> str:
    """What this cache has that `change` makes wrong, in words; empty: nothing."""
    if change.path in cache._nodes:
        return change.path
    if change.kind not in (EventKind.CREATED, EventKind.DELETED) or change.path == ROOT:
        return ""
    above = parent(change.path)
    names = cache._children.get(above)
    if names is not None and names.complete:
        return f"the names below {above}"
    entry = cache._nodes.get(above)
    if entry is not None and (entry.stat is None or entry.stat.kind is NodeKind.FILE):
        return f"that {above} has no children"
    return ""
