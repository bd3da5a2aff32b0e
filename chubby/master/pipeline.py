"""The way of a command into the log: invalidate, take turns, look again, propose (DESIGN §5 Invalidate first).

::

    admit ──▶ INVALIDATING ──▶ its turn in every lane ──▶ gates ──▶ plan again ──▶ PROPOSED ──▶ applied
                   ▲                                                    │
                   └────────────── touches more than was invalidated ───┘

**Lanes.** Commands that have a token in common (a cache key, the path of a lock) are proposed in the order in which
they were admitted, whoever sent them. Rounds of invalidations run side by side; only proposing takes turns. The end of
a session stands in no lane: nobody relies on when it comes, and one may have to wait for another (`may_free`), which
must then not wait behind it.

**Gates.** A command that changes cacheable data waits for the end of a fail-over (`may_change`). One that may give a
lock to somebody waits until no overdue session waits for it (`may_free`). One that must know what it will find waits
until nothing in flight touches that (`alone`). While replicas disagree about the state, and
no majority says who is right, all wait that touch a file or a lock (`stop`), and calls are not admitted at all. What
touches neither goes on: comparing digests, which tells when they agree again, and sessions that hold nothing, without
which no operator could ask for anything.

**Plan again.** What was true at admission may not be when the turn comes. Right before proposing the errand plans once
more, against the machine as it is: then what it touches is exact, since commands are applied in the order in which
they are proposed. Nothing is applied between this look and the proposal.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from chubby.errors import ErrorCode, Failure
from chubby.master.footprints import Departures
from chubby.master.invalidation import Invalidations, Round
from chubby.master.moment import Moment
from chubby.master.pending import Token
from chubby.master.proposals import Proposals
from chubby.master.session import Session
from chubby.namespace.commands import Body
from chubby.namespace.outcomes import Outcome
from chubby.types.identity import CallNumber, SessionId
from chubby.types.nodes import LockOwner
from chubby.types.stream import CacheKey

STOPPED: Final = Failure(
    ErrorCode.REPLICAS_DISAGREE,
    "replicas disagree about the state of the cell and no majority agrees, so writes are stopped until operators have "
    "rebuilt one of them: see 'When replicas disagree' in docs/operations.md",
)
"""What calls are answered that need a command while writes are stopped (DESIGN §3 Digest)."""


class WorkPlan(msgspec.Struct, frozen=True):
    """What is to be proposed, and what that touches.

    `keys`: cacheable data it may change. `locks`: lanes it takes beside those of its keys. `frees`: locks that others
    may be granted by it. `leaving`: members of open-sets that leave with it. `alone`: what nothing in flight may touch
    when it is proposed, among its own lanes, so that nobody overtakes while it waits.
    """

    body: Body
    keys: tuple[CacheKey, ...] = ()
    locks: tuple[str, ...] = ()
    frees: tuple[str, ...] = ()
    leaving: tuple[tuple[str, LockOwner], ...] = ()
    alone: tuple[Token, ...] = ()


class Errand(Protocol):
    """On whose behalf a command is proposed. `session` None: the master's own."""

    @property
    def session(self) -> Session | None:
        """Whose command it is."""

    @property
    def queues(self) -> bool:
        """Whether it takes its turn in the lanes of what it touches."""

    @property
    def acknowledged(self) -> CallNumber:
        """Which answers the session had received when it asked; its copies of what they filled are gone."""

    def plan(self, at: Moment) -> WorkPlan | None:
        """What to propose as things stand now; None if there is no need any more, which the errand has dealt with."""

    def proposed(self) -> None:
        """It is on its way."""

    def applied(self, outcome: Outcome, at: Moment) -> None:
        """What became of it. Its keys are cacheable again."""


class WorkStage(enum.Enum):
    """How far a command has come."""

    INVALIDATING = "invalidating"
    PROPOSED = "proposed"
    DONE = "done"


class Work:
    """One command on its way. `planned` tells how old the plan is: (commands proposed and applied, now)."""

    __slots__ = ("errand", "lanes", "plan", "planned", "round", "stage", "touched")

    def __init__(self, errand: Errand, plan: WorkPlan, planned: tuple[int, int]) -> None:
        """A command that was just planned."""
        self.errand = errand
        self.plan = plan
        self.planned = planned
        self.touched: tuple[Token, ...] = tuple(dict.fromkeys((*plan.keys, *plan.locks)))
        self.lanes = self.touched if errand.queues else ()
        self.round = Round()
        self.stage = WorkStage.INVALIDATING


class Pipeline:
    """All commands between their plan and their outcome."""

    def __init__(
        self,
        proposals: Proposals,
        invalidations: Invalidations,
        departures: Departures,
        may_change: Callable[[], bool],
        may_free: Callable[[WorkPlan, Moment], bool],
    ) -> None:
        """Nothing is under way.

        `may_change` tells whether cacheable data may change, `may_free` whether a plan's locks may be given to others.
        """
        self._proposals = proposals
        self._invalidations = invalidations
        self._departures = departures
        self._may_change = may_change
        self._may_free = may_free
        self._lanes: dict[Token, deque[Work]] = {}
        self._waiting: dict[Work, None] = {}
        self._ready: deque[Work] = deque()
        self._gated: dict[Work, None] = {}
        self._held_back: dict[Work, None] = {}
        self._stopped: dict[Work, None] = {}
        self._rounds: dict[Round, Work] = {}
        self._in_flight: dict[int, Work] = {}
        self._flying: dict[Token, dict[int, None]] = {}
        self._moves = 0
        self.stopped = False

    @property
    def waiting(self) -> int:
        """How many commands are not proposed yet."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """How many commands are proposed and not applied."""
        return len(self._in_flight)

    @property
    def idle(self) -> bool:
        """Whether `run` has nothing to do."""
        return not self._ready

    def last_in_flight(self, tokens: tuple[Token, ...]) -> int:
        """The sequence of the last command in flight that touches one of `tokens`; 0 if there is none."""
        return max((next(reversed(self._flying[token])) for token in tokens if token in self._flying), default=0)

    def admit(self, errand: Errand, plan: WorkPlan, at: Moment) -> Work:
        """Start a command on its way; `plan` was made just now."""
        work = Work(errand, plan, (self._moves, at.now))
        self._waiting[work] = None
        self._rounds[work.round] = work
        for token in work.lanes:
            self._lanes.setdefault(token, deque()).append(work)
        self._invalidate(work, at)
        self._ready.append(work)
        return work

    def abandon(self, work: Work) -> None:
        """Give up a command that is not proposed yet."""
        assert work.stage is WorkStage.INVALIDATING, "what is proposed cannot be called back"
        work.stage = WorkStage.DONE
        self._leave(work)
        self._invalidations.end(work.round)

    def rounds_clear(self, rounds: list[Round]) -> None:
        """These rounds of invalidations wait for nobody any more."""
        for round_ in rounds:
            work = self._rounds.get(round_)
            if work is not None:
                self._ready.append(work)

    def gate_opened(self) -> None:
        """The fail-over is over: cacheable data may change."""
        self._ready.extend(self._gated)
        self._gated.clear()

    def stop(self) -> None:
        """Propose nothing any more that touches a file or a lock, until told to `go_on`; survives `clear`."""
        self.stopped = True

    def go_on(self) -> None:
        """Replicas agree again: propose what had to wait."""
        self.stopped = False
        self._ready.extend(self._stopped)
        self._stopped.clear()

    def run(self, at: Moment) -> None:
        """Bring every command that can go on as far as it goes."""
        self._ready.extend(self._held_back)
        self._held_back.clear()
        while self._ready:
            work = self._ready.popleft()
            if work.stage is WorkStage.INVALIDATING:
                self._advance(work, at)

    def applied(self, outcome: Outcome, at: Moment) -> None:
        """A command of our epoch was applied."""
        work = self._in_flight.pop(outcome.sequence, None)
        self._moves += 1
        if work is None:
            return
        work.stage = WorkStage.DONE
        for token in work.touched:
            flying = self._flying[token]
            del flying[outcome.sequence]
            if not flying:
                del self._flying[token]
        self._departures.end(work.plan.leaving)
        self._invalidations.end(work.round)
        session = work.errand.session
        if session is not None:
            session.in_flight -= 1
        work.errand.applied(outcome, at)

    def clear(self) -> None:
        """The mastership is over."""
        for index in (self._waiting, self._gated, self._held_back, self._stopped):
            index.clear()
        self._lanes.clear()
        self._ready.clear()
        self._rounds.clear()
        self._in_flight.clear()
        self._flying.clear()

    def _advance(self, work: Work, at: Moment) -> None:
        while work.round.clear and self._has_turn(work):
            if self.stopped and _touches(work.plan):
                self._stopped[work] = None
                return
            if work.plan.keys and not self._may_change():
                self._gated[work] = None
                return
            may_free = not work.plan.frees or self._may_free(work.plan, at)
            if work.stage is not WorkStage.INVALIDATING:
                return  # Its own session was overdue.
            if not may_free or self.last_in_flight(work.plan.alone):
                self._held_back[work] = None
                return
            if work.planned == (self._moves, at.now):
                self._propose(work, at)
                return
            plan = work.errand.plan(at)
            if plan is None:
                if work.stage is WorkStage.INVALIDATING:
                    self.abandon(work)
                return
            work.plan = plan
            work.planned = (self._moves, at.now)
            self._invalidate(work, at)

    def _has_turn(self, work: Work) -> bool:
        return all(self._lanes[token][0] is work for token in work.lanes)

    def _invalidate(self, work: Work, at: Moment) -> None:
        session = work.errand.session
        self._invalidations.extend(
            work.round, work.plan.keys, 0 if session is None else session.id, work.errand.acknowledged, at.now
        )

    def _propose(self, work: Work, at: Moment) -> None:
        assert all(key in work.round.keys for key in work.plan.keys), "what is proposed has been invalidated"
        work.stage = WorkStage.PROPOSED
        self._leave(work)
        sequence = self._proposals.put(work.plan.body, at.now)
        self._moves += 1
        self._in_flight[sequence] = work
        for token in work.touched:
            self._flying.setdefault(token, {})[sequence] = None
        self._departures.begin(work.plan.leaving)
        session = work.errand.session
        if session is not None:
            session.in_flight += 1
        self._ready.extend(self._held_back)
        self._held_back.clear()
        work.errand.proposed()

    def _leave(self, work: Work) -> None:
        """Out of the lanes; whoever is first now may have its turn."""
        self._waiting.pop(work, None)
        self._gated.pop(work, None)
        self._held_back.pop(work, None)
        del self._rounds[work.round]
        for token in work.lanes:
            lane = self._lanes[token]
            first = lane[0] is work
            lane.remove(work)
            if not lane:
                del self._lanes[token]
            elif first:
                self._ready.append(lane[0])


def _touches(plan: WorkPlan) -> bool:
    """Whether a file, a lock or an open-set may be another one afterwards."""
    return bool(plan.keys or plan.locks or plan.frees or plan.leaving)


def leaving_by_path(leaving: tuple[tuple[str, LockOwner], ...]) -> dict[str, int]:
    """How many members leave each open-set."""
    counts: dict[str, int] = {}
    for path, _ in leaving:
        counts[path] = counts.get(path, 0) + 1
    return counts


def members_of(session: SessionId, places: tuple[tuple[str, int], ...]) -> tuple[tuple[str, LockOwner], ...]:
    """The memberships of a session, given by path and handle."""
    return tuple((path, LockOwner(session, handle)) for path, handle in places)
