"""A lock-delay keeps its lock closed for as long as was promised: by the clock of the master that watches over it, and
in full again after a fail-over (DESIGN §4 Lock-delay).
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.namespace.commands import BeginEpoch, EndLockDelay
from chubby.types.time import Duration, Instant
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation


def shortest(delay: Duration, drift_ppm: int) -> Duration:
    """How little true time may pass while a clock of this bound counts `delay`."""
    return delay * 1_000_000 // (1_000_000 + drift_ppm)


def check(story: Iterable[Told], drift_ppm: int) -> int:
    """Raises Violation if a delay was ended early, or its lock granted before; tells how many ended.

    True times are those at which commands were first applied: a master begins to count when it applies the end of the
    session, or its own epoch, and never before.
    """
    running: dict[tuple[str, int], tuple[Instant, Duration]] = {}
    begun: Instant = 0
    ended = 0
    for slot, at, command, outcome in story:
        body = command.body
        if isinstance(body, BeginEpoch):
            begun = at
        if isinstance(body, EndLockDelay) and not outcome.void:
            since, delay = running.pop((body.path, body.instance), (at, 0))
            passed = at - max(since, begun)
            if passed < shortest(delay, drift_ppm):
                raise Violation(f"slot {slot} ends a lock-delay of {delay} ns of {body.path} after {passed} ns")
            ended += 1
        for grant in outcome.grants:
            if (grant.path, grant.instance) in running:
                raise Violation(f"slot {slot} grants {grant.path} to {grant.owner} in its lock-delay")
        for each in outcome.delays:
            running[each.path, each.instance] = at, each.delay
    return ended
