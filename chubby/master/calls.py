"""Calls from arrival to answer (DESIGN §4 Sessions with a reply table; §5, last line).

::

    receive ─▶ PARKED ─▶ plan ─┬─▶ Settled ─────────────────────────────────────▶ answered
                 ▲             ├─▶ Plan ─▶ WORKING ─▶ PROPOSED ─▶ settle ─┬─▶ Settled ─▶ answered
                 │             └─▶ Held ─▶ WAITING ◀──────────────────────┘
                 └── no master lease, an earlier call, proposals in flight

- Exactly one answer goes to the stream on which the call last came. A call whose stream is gone is finished in silence:
  the client sends it again on its next stream, under the same number.
- A number that is pending is never planned twice; one in the machine's reply table is answered from there.
- While replicas disagree about the state (`pipeline.stop`) a call that needs a command is answered REPLICAS_DISAGREE,
  unless that is proposed.
- Past its deadline a call is answered DEADLINE_EXCEEDED, until its command is proposed. From then on only the log
  knows, and the client says *outcome unknown*.
"""

from __future__ import annotations

from collections import deque

from chubby.errors import ErrorCode, Failure
from chubby.master.answers import Answers
from chubby.master.desk import Desk, Held, Plan, Settled
from chubby.master.moment import Moment
from chubby.master.pending import Footprint, PendingCall, Stage
from chubby.master.pipeline import STOPPED, Pipeline, Work, WorkPlan
from chubby.master.repeats import refused_repeat
from chubby.master.session import Session, SessionState
from chubby.master.timers import Timers
from chubby.master.verbs import VERBS
from chubby.namespace.commands import Request
from chubby.namespace.outcomes import Grant, Outcome, Reply
from chubby.types.calls import CancelAcquire, Close
from chubby.types.identity import CallNumber
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.nodes import LockOwner
from chubby.types.results import Done, LockGranted
from chubby.types.stream import CallFrame
from chubby.types.time import Instant


class _CallErrand:
    """A call's command on its way (see `pipeline.Errand`)."""

    __slots__ = ("_calls", "pending")
    queues = True

    def __init__(self, calls: Calls, pending: PendingCall) -> None:
        self._calls = calls
        self.pending = pending

    @property
    def session(self) -> Session | None:
        return self.pending.session

    @property
    def acknowledged(self) -> CallNumber:
        return self.pending.acknowledged

    def plan(self, at: Moment) -> WorkPlan | None:
        return self._calls.plan_again(self.pending, at)

    def proposed(self) -> None:
        self.pending.stage = Stage.PROPOSED

    def applied(self, outcome: Outcome, at: Moment) -> None:
        self._calls.outcome(self.pending, outcome, at)


class Calls:
    """All calls that are not answered yet."""

    def __init__(self, desk: Desk, pipeline: Pipeline, answers: Answers) -> None:
        """No call is pending."""
        self._desk = desk
        self._pipeline = pipeline
        self._answers = answers
        self._ready: deque[PendingCall] = deque()
        self._leaseless: dict[PendingCall, None] = {}
        self._behind: dict[int, list[PendingCall]] = {}
        self._work: dict[PendingCall, Work] = {}
        self._tickets: dict[int, PendingCall] = {}
        self._deadlines: Timers[PendingCall] = Timers()
        self._arrivals = 0
        self.total = 0

    @property
    def idle(self) -> bool:
        """Whether `run` has nothing to do."""
        return not self._ready

    @property
    def leaseless(self) -> bool:
        """Whether some call waits for a live master lease."""
        return bool(self._leaseless)

    @property
    def next_deadline(self) -> Instant:
        """When a call's patience ends next."""
        return self._deadlines.next

    # ----------------------------------------------------------------------------------------------------- arrival

    def receive(self, session: Session, frame: CallFrame, at: Moment) -> None:
        """A call has arrived on the session's present stream."""
        self._acknowledge(session, frame.acknowledged)
        pending = session.pending.get(frame.number)
        if pending is not None:
            pending.stream = session.stream
            return
        refusal = self._refusal(session, frame)
        if refusal is not None:
            self._answers.refuse(session, frame.number, refusal)
            return
        self._arrivals += 1
        pending = PendingCall(
            session,
            frame.number,
            frame.call,
            acknowledged=session.acknowledged,
            caching=frame.caching and session.caching,
            arrived=at.now,
            deadline=at.now + frame.patience if frame.patience > 0 else 0,
            order=self._arrivals,
        )
        session.pending[frame.number] = pending
        self.total += 1
        if pending.deadline:
            self._deadlines.set(pending, pending.deadline)
        self._ready.append(pending)

    def _refusal(self, session: Session, frame: CallFrame) -> Failure | None:
        """Why a call is not even looked at. One that is answered already is never refused for want of room."""
        number, settings = frame.number, self._desk.settings
        if number <= session.acknowledged:
            return Failure(ErrorCode.BAD_ARGUMENT, f"the answer to call {number} is acknowledged")
        if self._desk.machine.reply(session.id, number) is not None:
            return None
        if (
            number - session.acknowledged > REPLY_TABLE_LIMIT
            or len(session.pending) >= settings.calls_per_session
            or self.total >= settings.calls_in_total
        ):
            self._desk.counters.calls_overloaded += 1
            return Failure(ErrorCode.OVERLOADED, "too many calls are in flight")
        return None

    def _acknowledge(self, session: Session, acknowledged: CallNumber) -> None:
        """The client has no more use for answers up to that number, also if they were never given."""
        if acknowledged <= session.acknowledged:
            return
        session.acknowledged = acknowledged
        if session.pending and next(iter(session.pending)) <= acknowledged:
            for pending in tuple(session.pending.values()):
                if pending.number <= acknowledged and pending.stage is not Stage.PROPOSED:
                    self._finish(pending)

    # ---------------------------------------------------------------------------------------------------- progress

    def run(self, at: Moment) -> None:
        """Bring every call that can go on as far as it goes."""
        while self._ready:
            pending = self._ready.popleft()
            if self._is_pending(pending) and pending.stage is Stage.PARKED:
                self._process(pending, at)

    def lease_live(self) -> None:
        """The master lease is live (again): go on with what waited for it, before anything that came later."""
        if self._leaseless:
            self._ready.extendleft(reversed(self._leaseless))
            self._leaseless.clear()

    def applied(self, sequence: int) -> None:
        """A command was applied; calls that stood behind it are planned again."""
        self._ready.extend(self._behind.pop(sequence, ()))

    def expire(self, at: Moment) -> None:
        """Answer the calls whose patience has ended, unless their command is proposed."""
        while (pending := self._deadlines.pop(at.now)) is not None:
            if pending.stage in (Stage.PARKED, Stage.WORKING):
                self._late(pending, at)

    def stopped(self, at: Moment) -> None:
        """Writes are stopped: answer so the calls whose command is not proposed yet."""
        for pending in tuple(self._work):
            if pending.stage is Stage.WORKING:
                self._answer(pending, Settled(STOPPED), at)

    def _process(self, pending: PendingCall, at: Moment) -> None:
        if not at.live:
            self._leaseless[pending] = None
            return
        if pending.deadline and pending.deadline <= at.now:
            self._late(pending, at)
            return
        session, call = pending.session, pending.call
        verb = VERBS[type(call)]
        # Of a repeat too: by its handle a waiting acquire is found when its lock is granted.
        self._occupy(pending, verb.footprint(self._desk, session, call))
        stored = self._desk.machine.reply(session.id, pending.number)
        if stored is not None:
            self._desk.counters.calls_repeated += 1
            self._repeat(pending, stored, at)
            return
        blocker = session.order.blocker(pending)
        if blocker is not None:
            blocker.followers.append(pending)
            return
        planned = verb.plan(self._desk, session, call, at)
        if isinstance(planned, Plan) and self._pipeline.stopped:
            self._answer(pending, Settled(STOPPED), at)
        elif isinstance(planned, Plan):
            pending.stage = Stage.WORKING
            errand = _CallErrand(self, pending)
            self._work[pending] = self._pipeline.admit(errand, self._work_plan(pending, planned), at)
            self._ready.extend(session.order.admit(pending))
        elif not self._stands_behind(pending, planned):
            self._take(pending, planned, at)

    def _occupy(self, pending: PendingCall, footprint: Footprint) -> None:
        if footprint != pending.footprint:
            pending.session.order.move(pending, footprint)

    def _stands_behind(self, pending: PendingCall, planned: Settled | Held) -> bool:
        """Whether a condition that does not hold is to be judged again after what is in flight."""
        if isinstance(planned, Held) or not planned.behind or pending.judged:
            return False
        sequence = self._pipeline.last_in_flight(planned.behind)
        if not sequence:
            return False
        pending.judged = True
        self._behind.setdefault(sequence, []).append(pending)
        return True

    def plan_again(self, pending: PendingCall, at: Moment) -> WorkPlan | None:
        """The turn of a call's command has come: what to propose now. None: the call was answered instead."""
        if pending.deadline and pending.deadline <= at.now:
            self._late(pending, at)
            return None
        planned = VERBS[type(pending.call)].plan(self._desk, pending.session, pending.call, at)
        if isinstance(planned, Plan):
            return self._work_plan(pending, planned)
        self._take(pending, planned, at)
        return None

    @staticmethod
    def _work_plan(pending: PendingCall, plan: Plan) -> WorkPlan:
        session = pending.session
        body = Request(session.id, pending.number, session.acknowledged, plan.action)
        return WorkPlan(body, plan.keys, plan.locks, plan.frees, plan.leaving, plan.alone)

    # ----------------------------------------------------------------------------------------------------- answers

    def outcome(self, pending: PendingCall, outcome: Outcome, at: Moment) -> None:
        """A call's command was applied, or is void."""
        self._work.pop(pending, None)
        if self._is_pending(pending):
            if outcome.repeated:
                self._repeat(pending, outcome.reply, at)
                return
            verb = VERBS[type(pending.call)]
            settled = verb.settle(self._desk, pending.session, pending.call, outcome.reply)
            self._take(pending, settled, at, repeated=outcome.void)

    def _repeat(self, pending: PendingCall, stored: Reply, at: Moment) -> None:
        """The number of this call was answered before: so again, if it was this call."""
        session, call = pending.session, pending.call
        refusal = refused_repeat(self._desk, session, call, stored)
        if refusal is not None:
            self._answer(pending, Settled(refusal), at, repeated=True)
            return
        self._take(pending, VERBS[type(call)].settle(self._desk, session, call, stored), at, repeated=True)

    def granted(self, grant: Grant, at: Moment) -> None:
        """An owner that waited holds the lock now."""
        self._end_acquires(grant.owner, LockGranted(grant.token, grant.generation), at)

    def orphaned(self, owner: LockOwner, at: Moment) -> None:
        """An owner lost its place: the node was deleted."""
        self._end_acquires(owner, Failure(ErrorCode.HANDLE_INVALID, "the node of this handle was deleted"), at)

    def membership_answered(self, ticket: int, failure: Failure | None, at: Moment) -> None:
        """What became of a change of members."""
        pending = self._tickets.pop(ticket, None)
        if pending is not None and self._is_pending(pending):
            self._answer(pending, Settled(failure or Done(self._desk.machine.revision)), at)

    def drop(self, session: Session, at: Moment, answer: Failure | None) -> None:
        """The session is ending: give up what is not proposed, answered so (None: not at all)."""
        for pending in tuple(session.pending.values()):
            if pending.stage is not Stage.PROPOSED:
                if answer is not None:
                    self._answers.refuse(session, pending.number, answer)
                self._finish(pending)

    def forget(self, session: Session) -> None:
        """The session is gone, and whatever it asked."""
        for pending in tuple(session.pending.values()):
            self._finish(pending)

    def clear(self) -> None:
        """The mastership is over: what is pending is not answered by us."""
        self._ready.clear()
        self._leaseless.clear()
        self._behind.clear()
        self._work.clear()
        self._tickets.clear()
        self._deadlines.clear()
        self.total = 0

    def _take(self, pending: PendingCall, result: Settled | Held, at: Moment, *, repeated: bool = False) -> None:
        if isinstance(result, Held):
            pending.stage = Stage.WAITING
            self._ready.extend(pending.session.order.leave(pending))
            if result.ticket:
                self._tickets[result.ticket] = pending
            else:
                pending.session.acquires.setdefault(pending.footprint.handle, {})[pending] = None
            return
        self._answer(pending, result, at, repeated=repeated)
        session, call = pending.session, pending.call
        if isinstance(call, Close):
            gone = Failure(ErrorCode.HANDLE_INVALID, "the handle was closed")
            self._end_acquires(LockOwner(session.id, call.handle), gone, at)
        elif isinstance(call, CancelAcquire) and isinstance(result.answer, Done):
            cancelled = Failure(ErrorCode.CANCELLED, "the acquire was cancelled")
            self._end_acquires(LockOwner(session.id, call.handle), cancelled, at)

    def _end_acquires(self, owner: LockOwner, answer: LockGranted | Failure, at: Moment) -> None:
        session = self._desk.sessions.get(owner.session)
        if session is not None:
            for pending in tuple(session.acquires.get(owner.handle, ())):
                self._answer(pending, Settled(answer), at)

    def _answer(self, pending: PendingCall, settled: Settled, at: Moment, *, repeated: bool = False) -> None:
        session = pending.session
        self._finish(pending)
        if pending.stream is not None and pending.stream == session.stream and session.state is SessionState.LIVE:
            self._answers.give(pending, settled, at, fresh=not repeated)
        elif session.state is SessionState.ENDING:
            self._answers.refuse(session, pending.number, settled.answer)

    def _late(self, pending: PendingCall, at: Moment) -> None:
        self._desk.counters.calls_late += 1
        self._answer(pending, Settled(Failure(ErrorCode.DEADLINE_EXCEEDED, "the deadline passed; not proposed")), at)

    def _finish(self, pending: PendingCall) -> None:
        """The call is pending no more."""
        session = pending.session
        del session.pending[pending.number]
        self.total -= 1
        self._deadlines.cancel(pending)
        self._leaseless.pop(pending, None)
        work = self._work.pop(pending, None)
        if work is not None and pending.stage is Stage.WORKING:
            self._pipeline.abandon(work)
        waiting = session.acquires.get(pending.footprint.handle)
        if waiting is not None and pending in waiting:
            del waiting[pending]
            if not waiting:
                del session.acquires[pending.footprint.handle]
        self._ready.extend(session.order.leave(pending))

    def _is_pending(self, pending: PendingCall) -> bool:
        return pending.session.pending.get(pending.number) is pending
