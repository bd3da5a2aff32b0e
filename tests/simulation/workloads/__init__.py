"""What clients do, each kind with the checker of what it may see. A seed draws some of them.

A workload is made once for a run; every client that is there, or comes, joins it. Whatever clients see is also taken
down and judged as a whole at the end (`tests.simulation.histories`): a workload's own checker says more of what is
wrong, at the moment when it goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from tests.simulation.clients import ClientHost
from tests.simulation.tempo import Tempo
from tests.simulation.workloads.fences import Fences
from tests.simulation.workloads.floods import Floods
from tests.simulation.workloads.gates import Gates
from tests.simulation.workloads.jugglers import Jugglers
from tests.simulation.workloads.listeners import Listeners
from tests.simulation.workloads.locks import Locks
from tests.simulation.workloads.numbers import Numbers
from tests.simulation.workloads.presence import Presence
from tests.simulation.workloads.recipes import Recipes
from tests.simulation.workloads.registers import Registers
from tests.simulation.workloads.sprouts import Sprouts
from tests.simulation.workloads.waiters import Waiters
from tests.simulation.workloads.watchers import Watchers
from tests.simulation.world import World


class Workload(Protocol):
    """What all clients of a run do together."""

    def join(self, client: ClientHost, tempo: Tempo) -> None:
        """This client takes part, at this pace, until its process or its session ends."""


@runtime_checkable
class Recovering(Protocol):
    """A workload that has to serve everybody again after the faults, and to end."""

    def calm(self) -> None:
        """The faults are over."""

    def waiting(self) -> str:
        """What is still to come, in words; empty: nothing."""

    def check(self) -> None:
        """Judge what can be judged in the end only. Raises Violation."""

    def end(self) -> None:
        """The run is over, well or not: let go of everything."""


WORKLOADS: Final[Mapping[str, Callable[[World], Workload]]] = MappingProxyType(
    {
        "registers": Registers,
        "locks": Locks,
        "presence": Presence,
        "sprouts": Sprouts,
        "jugglers": Jugglers,
        "watchers": Watchers,
        "waiters": Waiters,
        "fences": Fences,
        "gates": Gates,
        "numbers": Numbers,
        "recipes": Recipes,
        "floods": Floods,
        "listeners": Listeners,
    }
)
"""By name, in the order in which a plan tells them."""

SELDOM: Final[Mapping[str, float]] = MappingProxyType({"recipes": 0.2, "floods": 0.15, "listeners": 0.4})
"""Workloads that cost more than others, with the part of all seeds that have them; drawn apart from the rest."""
