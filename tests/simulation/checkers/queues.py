"""A lock goes to whoever waited longest, and nobody overtakes a queue (DESIGN §4 Locks: first come first served).

The queues are kept once more here, from the order in which acquires were applied; of what the machine says only who was
told to wait, and who was granted, counts. Tokens grow with each hold period of any lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.namespace.commands import AcquireLock, CancelAcquire, CloseHandle, Command, Request
from chubby.namespace.outcomes import LockAnswer, LockStanding, Outcome
from chubby.types.identity import Token
from chubby.types.nodes import LockMode, LockOwner
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation

Lock = tuple[str, int]
"""A path, and an instance."""


class Queues:
    """Who waits for what, in order."""

    def __init__(self) -> None:
        self._waiting: dict[Lock, list[LockOwner]] = {}
        self._token: Token = 0
        self._periods: dict[Lock, Token] = {}
        self.handed_on = 0
        """How many were granted who had waited."""

    def apply(self, told: Told) -> None:
        """One command more. Raises Violation."""
        command, outcome = told.command, told.outcome
        if outcome.void:
            return
        self._leave(command, outcome)
        for grant in outcome.grants:
            queue = self._waiting.get((grant.path, grant.instance), [])
            if queue and queue[0] != grant.owner:
                raise Violation(f"slot {told.slot} grants {grant.path} to {grant.owner}, and {queue[0]} waited longer")
            if queue:
                queue.pop(0)
                self.handed_on += 1
            lock = (grant.path, grant.instance)
            joins = grant.mode is LockMode.SHARED and grant.token == self._periods.get(lock)
            if not joins and grant.token <= self._token:
                raise Violation(f"slot {told.slot} grants {grant.path} with token {grant.token} after {self._token}")
            self._periods[lock] = grant.token
            self._token = max(self._token, grant.token)
        self._enter(command, outcome)

    def _enter(self, command: Command, outcome: Outcome) -> None:
        request = command.body
        if not isinstance(request, Request) or not isinstance(request.action, AcquireLock):
            return
        action, reply = request.action, outcome.reply
        waits = isinstance(reply, LockAnswer) and reply.standing is LockStanding.WAITING
        owner = LockOwner(request.session, action.handle)
        queue = self._waiting.setdefault((action.path, action.instance), [])
        if waits and not outcome.repeated and owner not in queue:
            queue.append(owner)

    def _leave(self, command: Command, outcome: Outcome) -> None:
        request = command.body
        if isinstance(request, Request) and isinstance(request.action, CancelAcquire | CloseHandle):
            action = request.action
            self._drop(LockOwner(request.session, action.handle), (action.path, action.instance))
        for owner in outcome.orphaned:
            for lock in self._waiting:
                self._drop(owner, lock)
        for session in outcome.ended_sessions:
            for queue in self._waiting.values():
                queue[:] = [owner for owner in queue if owner.session != session]

    def _drop(self, owner: LockOwner, lock: Lock) -> None:
        queue = self._waiting.get(lock, [])
        if owner in queue:
            queue.remove(owner)


def check(story: Iterable[Told]) -> Queues:
    """All of it; what the queues came to."""
    queues = Queues()
    for told in story:
        queues.apply(told)
    return queues
