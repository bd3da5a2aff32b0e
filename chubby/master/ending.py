"""The end of sessions: expiry and CloseSession (DESIGN §4 Sessions, Locks; §5 Three leases).

    decided ──▶ drained ──▶ invalidated ──▶ proposed ──▶ applied

*Decided*: CloseSession arrived, or the session lease has run out while the master lease is live. From here on nothing
the session sends counts; what it asked and was not proposed is given up. *Drained*: everything proposed for it is
applied, so that what it keeps open is known for certain. Then what its end will delete is invalidated, like for any
change.

**Nobody dead is granted a lock.** Before a command is proposed that may give a lock to a waiter, every overdue session
that might get it must be on its way out (`may_free`; `overdue` knows who goes first).
"""

from __future__ import annotations

import enum

from chubby.errors import ErrorCode, Failure
from chubby.master.calls import Calls
from chubby.master.desk import Desk
from chubby.master.footprints import keys_of_leaving
from chubby.master.invalidation import Invalidations
from chubby.master.moment import Moment
from chubby.master.overdue import Overdue
from chubby.master.pipeline import Pipeline, WorkPlan, leaving_by_path, members_of
from chubby.master.session import Session, SessionState
from chubby.master.streams import Streams
from chubby.master.timers import Timers
from chubby.namespace.commands import CloseSession, ExpireSession
from chubby.namespace.outcomes import Outcome
from chubby.types.identity import CallNumber, SessionId
from chubby.types.stream import Refused, SessionClosed
from chubby.types.time import Duration, Instant


class Cause(enum.Enum):
    """Why a session ends."""

    CLOSED = "closed"
    EXPIRED = "expired"


class _EndErrand:
    """A session's end on its way (see `pipeline.Errand`)."""

    __slots__ = ("_endings", "cause", "ending")
    queues = False

    def __init__(self, endings: Endings, ending: Session, cause: Cause) -> None:
        self._endings = endings
        self.ending = ending
        self.cause = cause

    @property
    def session(self) -> Session | None:
        return self.ending

    @property
    def acknowledged(self) -> CallNumber:
        return 0  # It is registered for nothing any more.

    def plan(self, at: Moment) -> WorkPlan | None:
        return self._endings.plan(self.ending, self.cause)

    def proposed(self) -> None:
        self._endings.proposed(self.ending)

    def applied(self, outcome: Outcome, at: Moment) -> None:
        self._endings.ended(self.ending, self.cause)


class Endings:
    """All sessions' leases, and the sessions that are ending."""

    def __init__(
        self, desk: Desk, pipeline: Pipeline, invalidations: Invalidations, calls: Calls, streams: Streams
    ) -> None:
        """No session has a lease yet."""
        self._desk = desk
        self._invalidations = invalidations
        self._pipeline = pipeline
        self._calls = calls
        self._streams = streams
        self._leases: Timers[SessionId] = Timers()
        self._draining: dict[SessionId, Cause] = {}
        self._overdue = Overdue(desk)
        self.gone: list[SessionId] = []

    @property
    def next_expiry(self) -> Instant:
        """When a session lease may run out next."""
        return self._leases.next

    def extended(self, session: Session) -> None:
        """A session lease was extended, or has begun."""
        self._leases.set(session.id, session.lease_until)

    def postpone(self, duration: Duration) -> None:
        """Every session lease ends that much later."""
        self._leases.postpone(duration)

    def expire(self, at: Moment) -> None:
        """Decide the end of every session whose lease has run out; only under a live master lease."""
        due: list[SessionId] = []
        while at.live and (session := self._leases.pop(at.now)) is not None:
            due.append(session)
        for session in self._overdue.in_order(due):
            found = self._desk.sessions[session]
            assert found.lease_until <= at.now, "a session is given its whole lease"
            self.begin(found, Cause.EXPIRED, at)

    def begin(self, session: Session, cause: Cause, at: Moment) -> None:
        """Decide the end of a session; a second decision changes nothing.

        Its cache is out of use: the client has closed the session, or both its leases are over.
        """
        if session.state is SessionState.ENDING:
            return
        session.state = SessionState.ENDING
        self._leases.cancel(session.id)
        refusal = Failure(ErrorCode.CANCELLED, "the session was closed") if cause is Cause.CLOSED else None
        self._calls.drop(session, at, refusal)
        self._pipeline.rounds_clear(self._invalidations.forget(session.id))
        self._draining[session.id] = cause
        self.drain(session, at)

    def drain(self, session: Session, at: Moment) -> None:
        """Something of the session's was applied: if that was the last of it, its end may go its way."""
        cause = self._draining.get(session.id)
        if cause is Cause.EXPIRED:
            self._overdue.note(session.id)
        if cause is not None and not session.in_flight:
            del self._draining[session.id]
            self._pipeline.admit(_EndErrand(self, session, cause), self.plan(session, cause), at)

    def plan(self, session: Session, cause: Cause) -> WorkPlan:
        """What to propose, and what it touches."""
        machine, number = self._desk.machine, session.id
        leaving = members_of(number, machine.ephemerals_of(number))
        keys = dict.fromkeys(keys_of_leaving(machine, self._desk.departures, leaving_by_path(leaving)))
        frees = tuple(dict.fromkeys(path for path, _ in machine.locks_of(number)))
        body = CloseSession(number) if cause is Cause.CLOSED else ExpireSession(number)
        return WorkPlan(body, tuple(keys), (), frees, leaving)

    def proposed(self, session: Session) -> None:
        """The end of the session is in the log before whatever is proposed from now on."""
        self._overdue.proposed(session.id)

    def ended(self, session: Session, cause: Cause) -> None:
        """The machine knows the session no more; `gone` tells the master, who forgets it."""
        self._calls.forget(session)
        expired = Refused(Failure(ErrorCode.SESSION_EXPIRED, f"session {session.id} has expired"))
        if cause is Cause.CLOSED:
            self._streams.end(session.stream, SessionClosed())
        else:
            self._desk.counters.sessions_expired += 1
            self._streams.end(session.stream, expired)
        for stream in session.mourners:
            self._streams.end(stream, expired)
        self.gone.append(session.id)

    def may_free(self, plan: WorkPlan, at: Moment) -> bool:
        """Whether the locks of a plan may be given to others now."""
        self.expire(at)
        if self._leases.next <= at.now:
            return False  # Somebody is overdue, and without a master lease that must not be decided.
        ending = plan.body.session if isinstance(plan.body, CloseSession | ExpireSession) else 0
        return self._overdue.may_free(plan.frees, ending)

    def clear(self) -> None:
        """The mastership is over."""
        self._leases.clear()
        self._draining.clear()
        self._overdue.clear()
        self.gone.clear()
