"""Clocks beyond the bound that the cell agreed upon (DESIGN §3 Master lease), in some seeds only.

What then may break is what rests on leases: reads at a master, cached reads, mutual exclusion in real time. What may
not is the log: what is chosen, what was acknowledged, states, digests, and tokens, which come from it.
"""

from __future__ import annotations

from functools import partial

from chubby.types.time import SECOND
from tests.simulation.faults.field import Field
from tests.simulation.world import Clock

RATES = (0.3, 0.7, 0.9, 1.1, 1.5, 3.0)
"""Seconds on such a clock in one second."""


def race(field: Field) -> None:
    """A clock runs too fast or too slow by far, for a while."""
    place, clock = _any(field)
    rate = field.chance.choice(RATES)
    field.world.trace(f"the clock of {place} runs at {rate}")
    clock.run_at(round((rate - 1) * 1_000_000))
    field.world.after(4 * field.a_while(), partial(clock.run_at, clock.usual_ppm))


def leap(field: Field) -> None:
    """A clock leaps forward, by less or more than the leases."""
    place, clock = _any(field)
    distance = round(field.chance.expovariate(1.0) * 3 * SECOND)
    field.world.trace(f"the clock of {place} leaps forward by {distance / SECOND:.2f} s")
    clock.leap(distance)


def _any(field: Field) -> tuple[str, Clock]:
    """That of the master, of any replica, or of a client."""
    chance, clients = field.chance, field.alive()
    if clients and chance.random() < 0.3:
        client = chance.choice(clients)
        return client.place, client.clock
    host = field.master() if chance.random() < 0.5 else field.any()
    return host.place, host.clock
