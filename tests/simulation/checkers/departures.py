"""Who is gone leaves nothing behind: a session ends within bounded time after its client did, and with it go its locks,
its places in queues and its ephemeral files; lock-delays end as well. And nobody else's session ends (DESIGN §4, §5).
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.namespace.machine import Machine
from chubby.types.identity import SessionId
from chubby.types.nodes import LockOwner
from tests.simulation.violation import Violation


def remains(machine: Machine, living: Iterable[SessionId]) -> str:
    """What is left of sessions other than these, in words; empty if nothing is."""
    alive = frozenset(living)
    dead = [session for session in machine.session_ids() if session not in alive]
    delays = [delay.path for delay in machine.delays()]
    return " ".join(
        [f"session {session}" for session in dead] + [f"the lock-delay of {path}" for path in delays],
    )


def check(machine: Machine, living: Iterable[SessionId]) -> None:
    """When nothing remains: the living are all there, and everything that is held, by somebody. Raises Violation."""
    known = frozenset(machine.session_ids())
    for session in living:
        if session not in known:
            raise Violation(f"session {session} lives at its client and not in the cell")
    locks, _ = machine.locks("", 0)
    for lock in locks:
        owners = (*lock.holders, *(owner for owner, _ in lock.waiters))
        _check_owners(f"the lock of {lock.path}", owners, known)


def _check_owners(what: str, owners: Iterable[LockOwner], known: frozenset[SessionId]) -> None:
    for owner in owners:
        if owner.session not in known:
            raise Violation(f"{what} is held or wanted by session {owner.session}, which is gone")
