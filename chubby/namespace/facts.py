"""What one command brings about, while it is being applied (DESIGN §4).

The handlers of the commands note facts here as they happen; `outcome` is what the master is told in the end.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import Command
from chubby.namespace.outcomes import Change, Conflict, Delay, Grant, Outcome, Reply
from chubby.types.identity import CallNumber, SessionId, Slot
from chubby.types.nodes import LockOwner

__all__ = ["Facts"]


class Facts:
    """The growing `Outcome` of one command; the fields mean what they mean there."""

    __slots__ = (
        "changes",
        "conflicts",
        "delays",
        "ended",
        "grants",
        "number",
        "orphaned",
        "repeated",
        "session",
        "void",
    )

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.void = False
        self.repeated = False
        self.session: SessionId = 0
        self.number: CallNumber = 0
        self.changes: list[Change] = []
        self.grants: list[Grant] = []
        self.conflicts: list[Conflict] = []
        self.delays: list[Delay] = []
        self.orphaned: list[LockOwner] = []
        self.ended: list[SessionId] = []

    def refuse(self, code: ErrorCode, message: str) -> Failure:
        """The reply to a command that is void: nothing happened, and why."""
        self.void = True
        return Failure(code, message)

    def outcome(self, slot: Slot, command: Command, reply: Reply) -> Outcome:
        """All of it, as the master is told."""
        quiet = not (self.changes or self.grants or self.delays or self.orphaned or self.ended)
        assert quiet or not (self.void or self.repeated), "void and repeated commands do nothing"
        return Outcome(
            slot=slot,
            epoch=command.epoch,
            sequence=command.sequence,
            reply=reply,
            void=self.void,
            repeated=self.repeated,
            session=self.session,
            number=self.number,
            changes=tuple(self.changes),
            grants=tuple(self.grants),
            conflicts=tuple(self.conflicts),
            delays=tuple(self.delays),
            orphaned=tuple(self.orphaned),
            ended_sessions=tuple(self.ended),
        )
