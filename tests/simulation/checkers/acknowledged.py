"""What was acknowledged is never lost: whatever a client was told stands in the log, once, and says the same (DESIGN
§3, §4). That every replica ends as the log says is `story`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chubby.namespace import outcomes
from chubby.namespace.commands import Request
from chubby.namespace.outcomes import LockAnswer, LockStanding, Outcome
from chubby.types import calls
from chubby.types.calls import Call
from chubby.types.events import EventKind
from chubby.types.identity import CallNumber, Revision, SessionId
from chubby.types.results import Answer, Done, LockGranted, Opened, StatResult, Transacted
from tests.simulation.checkers.story import Told
from tests.simulation.clients import ClientHost
from tests.simulation.violation import Violation


class Acknowledgement(msgspec.Struct, frozen=True, gc=False):
    """A call that changed something, and the answer its client got."""

    who: str
    session: SessionId
    number: CallNumber
    call: Call
    answer: Answer


def changed(call: Call, answer: Answer) -> bool:
    """Whether this answer says that the call changed something."""
    match call, answer:
        case ((calls.SetContents() | calls.SetAcl() | calls.SetAttributes()), StatResult()):
            return True
        case calls.Open(), Opened(created=True):
            return True
        case ((calls.Delete() | calls.Release()), Done()):
            return True
        case calls.Acquire(), LockGranted():
            return True
        case calls.Transact(), Transacted(result):
            return bool(result.succeeded and result.failure is None and call.then)
    return False


class Ledger:
    """All acknowledgements of a run."""

    def __init__(self) -> None:
        self.entries: list[Acknowledgement] = []

    def follow(self, client: ClientHost) -> None:
        """Note what this client is told from now on."""

        def answered(number: CallNumber, call: Call, answer: Answer) -> None:
            if number and changed(call, answer):
                session = client.core.identity.session
                self.entries.append(Acknowledgement(client.place, session, number, call, answer))

        client.on_answer.append(answered)


def check(story: Iterable[Told], acknowledgements: Iterable[Acknowledgement]) -> None:
    """Raises Violation for the first that is not there, or not so."""
    effects: dict[tuple[SessionId, CallNumber], Outcome] = {}
    grants: set[tuple[SessionId, int, int]] = set()
    for _, _, command, outcome in story:
        grants.update((each.owner.session, each.owner.handle, each.token) for each in outcome.grants)
        if isinstance(command.body, Request) and not outcome.void and not outcome.repeated:
            effects[command.body.session, command.body.number] = outcome
    for each in acknowledgements:
        if isinstance(each.call, calls.Acquire):
            assert isinstance(each.answer, LockGranted), "that is what an acquire is acknowledged with"
            if (each.session, each.call.handle, each.answer.token) not in grants:
                raise Violation(
                    f"{each.who} was granted {each.call} with {each.answer}, and the log knows nothing of it"
                )
            continue
        outcome_of = effects.get((each.session, each.number))
        if outcome_of is None:
            raise Violation(f"{each.who} was answered {each.answer} to {each.call}, which is not in the log")
        if not _says(each, outcome_of):
            raise Violation(f"{each.who} was answered {each.answer} to {each.call}; the log has {outcome_of}")


def _says(told: Acknowledgement, outcome: Outcome) -> bool:
    reply, answer = outcome.reply, told.answer
    match told.call, answer:
        case calls.Release(), _:
            return isinstance(reply, LockAnswer) and reply.standing is LockStanding.NONE
        case calls.Open(), Opened(stat=stat):
            made = [change.instance for change in outcome.changes if change.kind is EventKind.CREATED]
            return made == [stat.instance]
        case calls.Transact(), Transacted(result):
            return isinstance(reply, outcomes.Transacted) and reply.result == result
    return isinstance(reply, outcomes.Transacted) and reply.result.revision == _revision(answer)


def _revision(answer: Answer) -> Revision:
    assert isinstance(answer, StatResult | Done), "it names the revision it made"
    return answer.revision
