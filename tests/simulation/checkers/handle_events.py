"""Whoever opened a handle with a mask is told what it asked for: contents, children, the end of the node, that the
master failed over, that the lock is held by somebody, that somebody waits for it (DESIGN §5 Events).

What comes from the history is judged as for watches (`events`): all of it, in order, once, across fail-overs, or
RESYNC. Lock events derive from lock state, which a new master tells once more as it is, so that what was on its way
when the old one died may be missing. But under one master none is: whatever happens after a client has resumed is told,
unless that master dies; and who holds a lock in the end is told in any case.

| event              | must be told                                                  | must not                      |
|--------------------|---------------------------------------------------------------|-------------------------------|
| CONTENTS_MODIFIED, | each change since the handle was opened, in order, once       | changes of anything else      |
| all of children    |                                                               |                               |
| HANDLE_INVALID     | when the node was deleted                                     | while it is there             |
| LOCK_ACQUIRED      | each hold period that begins while its master is followed,    | a hold period that never was  |
|                    | and the one that lasts                                        |                               |
| LOCK_CONFLICT      | as often as somebody began to wait while its master is        | if nobody ever waited for it  |
|                    | followed                                                      |                               |
| MASTER_FAILED_OVER | when the session has resumed under another master             | if it never did               |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from chubby.namespace.outcomes import Change
from chubby.paths import ROOT, parent
from chubby.types.events import Event, EventKind, EventMask
from chubby.types.identity import Epoch
from chubby.types.nodes import LockOwner
from chubby.types.time import NEVER, Instant
from tests.simulation.checkers.events import Watched, check_one
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation


class Listening(msgspec.Struct, frozen=True):
    """A handle with a mask, and all that was told to it, each with when.

    `opened`: when its program had it. `followed`: the epochs of its session's masters, each with when it knew. `whole`:
    the handle was not closed, and its session lives.
    """

    who: str
    owner: LockOwner
    path: str
    instance: int
    mask: EventMask
    opened: Instant
    followed: Sequence[tuple[Epoch, Instant]]
    told: Sequence[tuple[Instant, Event]]
    whole: bool

    @property
    def events(self) -> list[Event]:
        """All that it was told."""
        return [event for _, event in self.told]

    @property
    def failed_over(self) -> bool:
        """Whether its session resumed under another master since."""
        return any(at > self.opened for _, at in self.followed)

    def kinds(self, kind: EventKind) -> list[Event]:
        """What it was told of this kind."""
        return [event for event in self.events if event.kind is kind]


class Handled(Watched, frozen=True):
    """The same as what is told of the history."""

    instance: int = 0
    mask: EventMask = EventMask.NONE

    def covers(self, change: Change) -> bool:
        """Contents of this very node; whatever happens to its children."""
        if change.path == self.path:
            wanted = EventMask.CONTENTS_MODIFIED in self.mask and change.kind is EventKind.CONTENTS_MODIFIED
            return wanted and change.instance == self.instance
        return EventMask.CHILD_CHANGED in self.mask and change.path != ROOT and parent(change.path) == self.path


class _Period(msgspec.Struct, frozen=True):
    """A hold period: under which epoch, and when, it began."""

    epoch: Epoch
    at: Instant
    generation: int


class Handles:
    """All that happened, by what it happened to."""

    def __init__(self, story: Iterable[Told]) -> None:
        self.changes: list[tuple[Instant, Change]] = []
        self.deleted: dict[tuple[str, int], Instant] = {}
        self.periods: dict[tuple[str, int], dict[int, _Period]] = {}
        self.conflicts: dict[tuple[str, LockOwner], list[tuple[Epoch, Instant]]] = {}
        for _, at, command, outcome in story:
            for change in outcome.changes:
                self.changes.append((at, change))
                if change.kind is EventKind.DELETED:
                    self.deleted[change.path, change.instance] = at
            for grant in outcome.grants:
                periods = self.periods.setdefault((grant.path, grant.instance), {})
                periods.setdefault(grant.generation, _Period(command.epoch, at, grant.generation))
            for conflict in outcome.conflicts:
                for owner in conflict.holders:
                    self.conflicts.setdefault((conflict.path, owner), []).append((command.epoch, at))


def check(
    story: Iterable[Told], listening: Iterable[Listening], held: Iterable[tuple[str, int]], prompt: Instant
) -> int:
    """Raises Violation. `held` are the locks held in the end, by path and generation. What happened until the true
    instant `prompt` must have been told by now. Counts the events.
    """
    known, holding = Handles(story), frozenset(held)
    count = 0
    for each in listening:
        count += len(each.events)
        _check_history(each, known, prompt)
        _check_end(each, known, prompt)
        if (each.path, each.instance) in known.deleted:
            continue
        _check_fail_over(each, prompt)
        if not each.kinds(EventKind.RESYNC):
            _check_periods(each, known, holding, prompt)
            _check_conflicts(each, known, prompt)
    return count


def _check_history(each: Listening, known: Handles, prompt: Instant) -> None:
    floor = max((change.revision for at, change in known.changes if at <= each.opened), default=0)
    whole = each.whole and (each.path, each.instance) not in known.deleted
    history = [
        event for event in each.events if event.kind < EventKind.HANDLE_INVALID or event.kind is EventKind.RESYNC
    ]
    handled = Handled(each.who, each.path, False, floor, history, whole, each.instance, each.mask)
    check_one(handled, known.changes, prompt)


def _check_end(each: Listening, known: Handles, prompt: Instant) -> None:
    told, deleted = each.kinds(EventKind.HANDLE_INVALID), known.deleted.get((each.path, each.instance))
    if told and deleted is None:
        raise Violation(f"{each.who} is told that {each.path} is gone, which is there")
    wanted = EventMask.HANDLE_INVALID in each.mask and deleted is not None and each.opened < deleted <= prompt
    if each.whole and wanted and not told:
        raise Violation(f"{each.who} was never told that {each.path} is gone")


def _check_fail_over(each: Listening, prompt: Instant) -> None:
    told = each.kinds(EventKind.MASTER_FAILED_OVER)
    _check_mask(each, EventMask.MASTER_FAILED_OVER, told)
    if told and not each.failed_over:
        raise Violation(f"{each.who} is told of a fail-over, and has had one master")
    wanted = EventMask.MASTER_FAILED_OVER in each.mask and any(each.opened < at <= prompt for _, at in each.followed)
    if each.whole and wanted and not told:
        raise Violation(f"{each.who} was never told that the master failed over")


def _check_mask(each: Listening, mask: EventMask, told: Sequence[Event]) -> None:
    if told and mask not in each.mask:
        raise Violation(f"{each.who} is told {told[0]}, and did not ask for it")


def _check_periods(each: Listening, known: Handles, holding: frozenset[tuple[str, int]], prompt: Instant) -> None:
    told = [event.generation for event in each.kinds(EventKind.LOCK_ACQUIRED)]
    _check_mask(each, EventMask.LOCK_ACQUIRED, each.kinds(EventKind.LOCK_ACQUIRED))
    periods = known.periods.get((each.path, each.instance), {})
    never = [generation for generation in told if generation not in periods]
    if never:
        raise Violation(f"{each.who} is told of hold period {never[0]} of {each.path}, which never was")
    if EventMask.LOCK_ACQUIRED not in each.mask:
        return
    last = max((epoch for epoch, _ in each.followed), default=0)
    for period in periods.values():
        lasts = (each.path, period.generation) in holding and period.at > each.opened
        due = each.whole and period.at <= prompt and (period.epoch == last or lasts)
        followed = _followed(each, period.epoch, period.at)
        if period.generation in told:
            continue
        if (followed and _later(each, period)) or (due and (followed or lasts)):
            raise Violation(f"{each.who} was never told of hold period {period.generation} of {each.path}")


def _later(each: Listening, period: _Period) -> bool:
    """Whether its master told it of a hold period that came later."""
    end = min((at for epoch, at in each.followed if epoch > period.epoch), default=NEVER)
    return any(
        at < end and event.kind is EventKind.LOCK_ACQUIRED and event.generation > period.generation
        for at, event in each.told
    )


def _check_conflicts(each: Listening, known: Handles, prompt: Instant) -> None:
    told = each.kinds(EventKind.LOCK_CONFLICT)
    _check_mask(each, EventMask.LOCK_CONFLICT, told)
    conflicts = known.conflicts.get((each.path, each.owner), [])
    if told and not conflicts:
        raise Violation(f"{each.who} is told that somebody waits for {each.path}, and nobody ever did")
    last = max((epoch for epoch, _ in each.followed), default=0)
    due = sum(epoch == last and at <= prompt and _followed(each, epoch, at) for epoch, at in conflicts)
    if each.whole and EventMask.LOCK_CONFLICT in each.mask and len(told) < due:
        raise Violation(
            f"{each.who} is told {len(told)} times that somebody waits for {each.path}, and not {due} times"
        )


def _followed(each: Listening, epoch: Epoch, at: Instant) -> bool:
    """Whether the handle was known to the master of this epoch at that time, for certain."""
    since = [begun for known, begun in each.followed if known == epoch]
    return bool(since) and at > max(since[0], each.opened)
