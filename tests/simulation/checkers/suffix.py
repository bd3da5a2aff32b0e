"""A session loses only a suffix of what it does (DESIGN §6): once a call was answered that the session has expired, no
later one has an effect, reads from a cache or is told anything else. That all acknowledged ones before it stand is
`acknowledged`'s business.

Programs go on for a while after their session's end, since they do not know yet: so does every client here, with the
handles that it had.
"""

from __future__ import annotations

from collections.abc import Iterable

from chubby.client.state import SessionState
from chubby.errors import ErrorCode, Failure
from chubby.namespace.commands import Request
from chubby.types.calls import Acquire, Call, Close, GetContentsAndStat, Open, Release, SetContents
from chubby.types.identity import CallNumber, HandleNumber, SessionId
from chubby.types.results import Answer, Opened
from chubby.types.time import SECOND
from tests.simulation.checkers.story import Told
from tests.simulation.clients import ClientHost
from tests.simulation.violation import Violation
from tests.simulation.world import World

AFTERWARDS = (0, SECOND, 10 * SECOND)
"""When, after the session's end, its program tries again."""
HANDLES = 3
"""With so many of its handles, those opened last."""


class End:
    """What one client was told of the end of its session."""

    def __init__(self, world: World, client: ClientHost) -> None:
        self.last: CallNumber = 0
        """The last call that was answered without word of an end, or was on its way when that came."""
        self.over = False
        self._world = world
        self._client = client
        self._handles: dict[HandleNumber, None] = {}
        client.on_answer.append(self.answered)
        client.on_state.append(self._entered)

    @property
    def session(self) -> SessionId:
        """Whose end it is."""
        return self._client.core.identity.session

    def answered(self, number: CallNumber, call: Call, answer: Answer) -> None:
        """The client was told this; 0 is the number of what came from its cache. Raises Violation.

        Close never fails: what it asks for has come true.
        """
        expired = isinstance(answer, Failure) and answer.code is ErrorCode.SESSION_EXPIRED
        if isinstance(answer, Opened) and isinstance(call, Open):
            self._handles[call.handle] = None
        silent = isinstance(call, Close)
        if self.over and not expired and not silent and (not number or number > self.last):
            raise Violation(f"{self._client.place} was told {answer} to {call} after its session had expired")
        if expired and not self.over:
            self.over = True
            self.last = self._client.last_number

    def _entered(self, state: SessionState) -> None:
        if state is SessionState.EXPIRED:
            for wait in AFTERWARDS:
                self._world.after(wait, self._try)

    def _try(self) -> None:
        client = self._client
        if not client.alive or self._world.now < client.paused_until:
            return
        taken_down, client.on_call = client.on_call, lambda call, done: done
        for handle in list(self._handles)[-HANDLES:]:
            for call in (GetContentsAndStat(handle), SetContents(handle, b"late"), Acquire(handle), Release(handle)):
                client.call(call, lambda answer: None)
        client.on_call = taken_down


def check(story: Iterable[Told], ends: Iterable[End]) -> None:
    """Raises Violation if a call that was made after the end took effect."""
    last = {end.session: end.last for end in ends if end.over}
    for slot, _, command, outcome in story:
        body = command.body
        if isinstance(body, Request) and not outcome.void and body.number > last.get(body.session, body.number):
            raise Violation(f"slot {slot} carries out call {body.number} of session {body.session} after its end")
