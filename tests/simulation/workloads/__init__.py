"""What clients do, each kind with the checker of what it may see. A seed draws some of them.

A workload is made once for a run; every client that is there, or comes, joins it. Whatever clients see is also taken
down and judged as a whole at the end (`tests.simulation.histories`): a workload's own checker says more of what is
wrong, at the moment when it goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from tests.simulation.clients import ClientHost
from tests.simulation.tempo import Tempo
from tests.simulation.workloads.jugglers import Jugglers
from tests.simulation.workloads.locks import Locks
from tests.simulation.workloads.presence import Presence
from tests.simulation.workloads.registers import Registers
from tests.simulation.workloads.sprouts import Sprouts
from tests.simulation.world import World


class Workload(Protocol):
    """What all clients of a run do together."""

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part, at this pace, until its process or its session ends."""


WORKLOADS: Final[Mapping[str, Callable[[World], Workload]]] = MappingProxyType(
    {"registers": Registers, "locks": Locks, "presence": Presence, "sprouts": Sprouts, "jugglers": Jugglers}
)
"""By name, in the order in which a plan tells them."""
