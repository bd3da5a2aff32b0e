"""A request takes effect once, whatever became of its reply; and nobody who is dead is given anything (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Iterable

from chubby.errors import Failure
from chubby.namespace.commands import Request
from chubby.namespace.outcomes import SessionMade
from chubby.types.identity import CallNumber, SessionId, Slot
from tests.simulation.checkers.story import Told
from tests.simulation.violation import Violation


def check(story: Iterable[Told]) -> None:
    """Raises Violation. Takes from each outcome only whether something happened; which requests are the same, and who
    lives, is found out here.
    """
    effects: dict[tuple[SessionId, CallNumber], Slot] = {}
    living: dict[SessionId, Slot] = {}
    for slot, _, command, outcome in story:
        body = command.body
        if isinstance(outcome.reply, SessionMade) and not outcome.repeated and not outcome.void:
            if outcome.reply.session in living:
                raise Violation(f"slot {slot} opens session {outcome.reply.session} for a second time")
            living[outcome.reply.session] = slot
        if isinstance(body, Request) and _happened(outcome.void, outcome.repeated):
            known = effects.setdefault((body.session, body.number), slot)
            if known != slot:
                raise Violation(f"call {body.number} of session {body.session} took effect in slots {known} and {slot}")
            if body.session not in living and not isinstance(outcome.reply, Failure):
                raise Violation(f"slot {slot} carries out a call of session {body.session}, which is dead")
        for session in outcome.ended_sessions:
            if living.pop(session, None) is None:
                raise Violation(f"slot {slot} ends session {session}, which does not live")
        for grant in outcome.grants:
            if grant.owner.session not in living:
                raise Violation(f"slot {slot} grants {grant.path} to session {grant.owner.session}, which is dead")


def _happened(void: bool, repeated: bool) -> bool:
    return not void and not repeated
