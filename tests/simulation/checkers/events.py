"""Whoever watches is told of every change, in order, once, across fail-overs; or that it has to read again (DESIGN §5
Events).

What there was to be told is read from the log, what was told is what reached the program. A subscription that ended, or
whose session did, is told the beginning of it; all others everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from chubby import paths
from chubby.namespace.outcomes import Change
from chubby.types.events import Event, EventKind
from chubby.types.identity import Revision
from chubby.types.time import SECOND, Duration, Instant
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation

PROMPT: Duration = 2 * SECOND
"""Within so long, once nothing goes wrong any more, a change is told."""


class Watched(msgspec.Struct, frozen=True):
    """A watch, and all that was told to it. `whole`: it never ended, so it is told everything."""

    who: str
    path: str
    recursive: bool
    floor: Revision
    """It was to be told of changes above this revision."""
    events: Sequence[Event]
    whole: bool

    def concerns(self, change: Change) -> bool:
        """Whether it is to be told of this one."""
        return change.revision > self.floor and self.covers(change)

    def covers(self, change: Change) -> bool:
        """Whether it is of what is watched."""
        return change.path == self.path or (self.recursive and paths.is_below(change.path, self.path))


def check(story: Iterable[Told], watches: Iterable[Watched], prompt: Instant) -> int:
    """Raises Violation. What was changed until the true instant `prompt` must have been told by now. Counts the events
    that were told as they should be.
    """
    changes: list[tuple[Instant, Change]] = []
    for _, at, _, outcome in story:
        changes.extend((at, change) for change in outcome.changes)
    return sum(check_one(watch, changes, prompt) for watch in watches)


def check_one(watch: Watched, changes: Sequence[tuple[Instant, Change]], prompt: Instant) -> int:
    """Between two RESYNCs the events are those of the log without a gap; over a RESYNC some may be missing."""
    due = [(at, change) for at, change in changes if watch.concerns(change)]
    # Answered for a second time, because the first answer was lost, it had been told of what came in between.
    early = {
        (each.revision, each.kind, each.path)
        for _, each in changes
        if watch.covers(each) and each.revision <= watch.floor
    }
    place = {(change.revision, change.kind, change.path): index for index, (_, change) in enumerate(due)}
    expected = 0
    gap = False
    for event in watch.events:
        if event.kind is EventKind.RESYNC:
            gap = True
            continue
        index = place.get((event.revision, event.kind, event.path))
        if index is None and not expected and (event.revision, event.kind, event.path) in early:
            continue
        if index is None:
            raise Violation(
                f"{watch.who} is told {event}, which is not in the log or not for its watch of {watch.path}"
            )
        if index < expected:
            raise Violation(f"{watch.who} is told {event} for a second time, or too late, on its watch of {watch.path}")
        if index > expected and not gap:
            raise Violation(f"{watch.who} is told {event} on its watch of {watch.path}, but not {due[expected][1]}")
        change = due[index][1]
        if (event.instance, event.generation) != (change.instance, change.generation):
            raise Violation(f"{watch.who} is told {event}, and it was {change}")
        expected, gap = index + 1, False
    if watch.whole and not gap and expected < len(due) and due[expected][0] <= prompt:
        raise Violation(f"{watch.who} was never told {due[expected][1]} on its watch of {watch.path}")
    return len(watch.events)
