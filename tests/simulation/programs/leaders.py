"""Programs that elect a leader, and let it act: the recipe `Election`, and `fencing.Guard` at what it acts upon.

A leader does two things again and again. What must not be done twice, it does only while its leadership is certain;
then nobody else may do so at any time near, by true time. And it sends requests to a resource without looking at its
leases at all, as a careless program would: they arrive late, and the guard at the resource refuses those of former
leaders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from chubby.client.recipes.election import AsyncElection, AsyncLeadership
from chubby.client.recipes.fencing import Guard
from chubby.client.sequencer import SequencerBytes
from chubby.client.session import Session
from chubby.client.state import SessionState
from chubby.errors import AvailabilityError, SequencerInvalid
from chubby.types.identity import Token
from chubby.types.time import SECOND, Duration, Instant
from tests.simulation.programs.process import Process, together
from tests.simulation.tempo import Tempo
from tests.simulation.violation import Violation
from tests.simulation.world import World

PATH = "/leader"
LATE: Duration = 3 * SECOND
"""A request to the resource takes up to this long."""


class TermChecker:
    """Terms of leaders by their tokens: each token is one term's, deeds come in the order of tokens, and so does what
    followers see.
    """

    def __init__(self) -> None:
        self._owners: dict[Token, str] = {}
        self._leader: tuple[str, Token, Callable[[], bool]] | None = None
        self._newest: Token = 0
        self._tokens: dict[bytes, Token] = {}
        self._acted: Token = 0
        self._accepted: Token = 0
        self._seen: dict[str, list[bytes]] = {}

    def elected(self, who: str, value: bytes, token: Token, acts: Callable[[], bool]) -> None:
        """`who`, announced as `value`, was elected; `acts` tells at any time whether it may act upon that."""
        if token in self._owners:
            raise Violation(f"{who} was elected with token {token}, as {self._owners[token]} was")
        if token < self._newest:
            raise Violation(f"{who} was elected with token {token} after {self._owners[self._newest]}'s {self._newest}")
        if self._leader is not None and self._leader[2]():
            raise Violation(f"{who} was elected with token {token} while {self._leader[0]} acts as leader")
        self._owners[token] = who
        self._newest = token
        self._leader = who, token, acts
        self._tokens[value] = token

    def kept(self, who: str, token: Token) -> None:
        """The leader of this token is told that nothing was lost in its jeopardy."""
        if token != self._newest:
            raise Violation(f"{who} is told that it kept token {token}, and {self._newest} was given out")

    def left(self, token: Token) -> None:
        """The leader of this token does not believe in it any more: it is about to resign, or was told of its end."""
        if self._leader is not None and self._leader[1] == token:
            self._leader = None

    def acted(self, who: str, token: Token) -> None:
        """A leader that is certain of its leadership acts, at this instant."""
        if token < self._acted:
            raise Violation(f"{who} acts with token {token} after {self._owners[self._acted]} with {self._acted}")
        self._acted = token

    def requested(self, who: str, token: Token, admitted: bool) -> None:
        """The guard of the resource admitted a request with this token, or refused it."""
        if admitted != (token >= self._accepted):
            verb = "admits" if admitted else "refuses"
            raise Violation(f"the guard {verb} {who} with token {token} after {self._accepted}")
        self._accepted = max(self._accepted, token)

    def saw(self, follower: str, value: bytes) -> None:
        """A follower is told who leads."""
        self._seen.setdefault(follower, []).append(value)

    def token_of(self, value: bytes) -> Token:
        """Of the term that was announced so; 0 if nobody was told of it (yet)."""
        return self._tokens.get(value, 0)

    def check(self) -> None:
        """Judge what followers saw, now that all terms are known."""
        for follower, values in self._seen.items():
            newest: Token = 0
            for value in values:
                token = self._tokens.get(value, newest)
                if token < newest:
                    raise Violation(f"{follower} saw leader {value!r} of token {token} after one of token {newest}")
                newest = token


class Leaders:
    """Candidates and followers in every process."""

    def __init__(self, world: World) -> None:
        self.checker = TermChecker()
        self.terms = 0
        self.refused = 0
        """Requests of former leaders."""
        self._world = world
        self._guard = Guard(PATH)
        self._calm: Instant | None = None
        self._since: Token = 0
        self._seen: dict[Process, bytes] = {}

    async def run(self, process: Process, session: Session, tempo: Tempo) -> None:
        """Be a candidate, and follow who is elected."""
        candidate = Candidate(self, process, session, tempo)
        try:
            await together(candidate.run(), candidate.follow_states(), self._follow(process, session))
        finally:
            candidate.left()

    async def _follow(self, process: Process, session: Session) -> None:
        follower = f"{process.place}/{session.id:x}"
        async for value in AsyncElection(session, PATH).leaders():
            self.checker.saw(follower, value)
            self._seen[process] = value or self._seen.get(process, b"")

    def elected(self, process: Process, value: bytes, leadership: AsyncLeadership, session: Session) -> None:
        """A candidate knows that it is the leader."""
        self.terms += 1
        token = leadership.token
        process.trace(f"leads with token {token}")
        self.checker.elected(process.place, value, token, lambda: process.acts(session))
        if self._calm is not None and not self._since:
            self._since = token

    def request(self, process: Process, sequencer: SequencerBytes) -> None:
        """Send a request to the resource, which arrives some time."""
        delay = round(process.chance.random() ** 3 * LATE)
        self._world.after(delay, partial(self._arrive, process.place, sequencer))

    def _arrive(self, who: str, sequencer: SequencerBytes) -> None:
        try:
            self._guard.check(sequencer)
        except SequencerInvalid:
            self.refused += 1
            self.checker.requested(who, sequencer.token, admitted=False)
        else:
            self.checker.requested(who, sequencer.token, admitted=True)

    def calm(self) -> None:
        """The faults are over."""
        self._calm = self._world.now

    def waiting(self, living: list[Process]) -> str:
        """Whoever has not seen a leader elected since then."""
        if living and not self._since:
            return "nobody is elected"
        blind = [each.place for each in living if self.checker.token_of(self._seen.get(each, b"")) < self._since]
        return f"{' '.join(blind)} do not see the leader" if blind else ""

    def check(self) -> None:
        """Judge what can be judged in the end only."""
        self.checker.check()


class Candidate:
    """One process's way through elections, with one session."""

    def __init__(self, leaders: Leaders, process: Process, session: Session, tempo: Tempo) -> None:
        self._leaders = leaders
        self._process = process
        self._session = session
        self._tempo = tempo
        self._token: Token = 0

    async def run(self) -> None:
        """Campaign, lead, resign, again and again."""
        process = self._process
        while True:
            await process.rest(self._tempo)
            value = f"{process.place}/{self._session.id:x}/{process.world.now}".encode()
            delay = process.chance.choice((0.0, 0.0, 0.5))
            election = AsyncElection(self._session, PATH, value, lock_delay=delay)
            try:
                leadership = await election.campaign(process.seconds(1, 20))
            except AvailabilityError:
                continue
            try:
                await self._lead(value, leadership)
            finally:
                self.left()
                await election.resign()

    async def _lead(self, value: bytes, leadership: AsyncLeadership) -> None:
        process, leaders = self._process, self._leaders
        if process.acts(self._session):
            self._token = leadership.token
            leaders.elected(process, value, leadership, self._session)
        for _ in range(process.chance.randint(2, 12)):
            leaders.request(process, leadership.sequencer)
            if self._token and leadership.certain:
                leaders.checker.acted(process.place, leadership.token)
            try:
                async with asyncio.timeout(process.seconds(0, 0.5)):
                    why = await leadership.lost()
                process.trace(f"leads no more: {why}")
                return
            except TimeoutError:
                pass

    async def follow_states(self) -> None:
        """Safe: nothing was lost."""
        async for state in self._session.states():
            if state is SessionState.SAFE and self._token and self._process.acts(self._session):
                self._leaders.checker.kept(self._process.place, self._token)

    def left(self) -> None:
        """It is no leader any more, as far as it knows."""
        token, self._token = self._token, 0
        if not self._process.ended:
            self._leaders.checker.left(token)
