"""Whoever was granted a lock is told so: nobody waits for ever for what it holds (DESIGN §4 Locks: the waiters' queue
survives a fail-over).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.types.identity import HandleNumber, SessionId
from chubby.types.nodes import LockOwner
from chubby.types.time import Instant
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation


class Waiting(msgspec.Struct, frozen=True):
    """A client whose session lives, and an acquire of it that is not answered."""

    who: str
    session: SessionId
    handle: HandleNumber


def check(story: Iterable[Told], waiting: Iterable[Waiting], holders: Iterable[LockOwner], prompt: Instant) -> None:
    """Raises Violation if one of these holds the lock, and has since before `prompt`."""
    granted: dict[LockOwner, Instant] = {}
    for _, at, _, outcome in story:
        granted.update((grant.owner, at) for grant in outcome.grants)
    holding = frozenset(holders)
    for each in waiting:
        owner = LockOwner(each.session, each.handle)
        if owner in holding and granted[owner] <= prompt:
            raise Violation(f"{each.who} waits with handle {each.handle} for a lock that it was granted long ago")
