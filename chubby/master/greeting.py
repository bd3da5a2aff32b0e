"""How streams begin: OpenSession and Resume; and KeepAlive, which keeps what they began (DESIGN §5; paper §2.8, §2.9).

All three grant leases, so all three wait for a live master lease: without it another master might count already, and
end what this one promises. While it is not live the latest KeepAlive of each session waits, and every greeting.

Resume:

| the session is                  | answer                                                                     |
|---------------------------------|----------------------------------------------------------------------------|
| not proven by the ticket        | SESSION_UNKNOWN                                                            |
| proven, and gone                | SESSION_EXPIRED                                                            |
| ending                          | SESSION_EXPIRED, as soon as that is certain                                |
| on a stream with a higher number| none: this stream is an older one that was late; it is ended               |
| there                           | Resumed; the stream before is ended, the cache counts as empty             |
"""

from __future__ import annotations

from collections.abc import Callable

from chubby.errors import ErrorCode, Failure
from chubby.master.claims import Claims
from chubby.master.desk import Desk
from chubby.master.ending import Endings
from chubby.master.errands import OwnErrand
from chubby.master.failover import Failover, Permission, Recovery
from chubby.master.invalidation import Invalidations
from chubby.master.leases import Leases
from chubby.master.mailbox import Mailbox
from chubby.master.moment import Moment
from chubby.master.pipeline import Pipeline, WorkPlan
from chubby.master.session import Session, SessionState
from chubby.master.streams import Stream, Streams, StreamState
from chubby.master.tickets import is_session_ticket, session_ticket
from chubby.namespace.commands import OpenSession as OpenSessionCommand
from chubby.namespace.outcomes import Outcome, SessionMade
from chubby.types.identity import SessionId
from chubby.types.stream import (
    KeepAlive,
    KeepAliveReply,
    OpenSession,
    Redirect,
    Refused,
    Resume,
    Resumed,
    SessionOpened,
)
from chubby.types.time import Duration


class Greeter:
    """Streams that have said who they are, and the leases of those that were answered."""

    def __init__(
        self,
        desk: Desk,
        streams: Streams,
        pipeline: Pipeline,
        endings: Endings,
        invalidations: Invalidations,
        leases: Leases,
        failover: Failover,
        recovery: Recovery,
        jitter: Callable[[], float],
    ) -> None:
        """Nobody has said anything yet."""
        self._desk = desk
        self._streams = streams
        self._pipeline = pipeline
        self._endings = endings
        self._invalidations = invalidations
        self._leases = leases
        self._failover = failover
        self._recovery = recovery
        self._jitter = jitter
        self._claims = Claims(desk)
        self._waiting: dict[int, None] = {}
        self._made: dict[int, SessionId] = {}
        self._opening: dict[int, None] = {}
        self._breathless: dict[SessionId, KeepAlive] = {}

    # --------------------------------------------------------------------------------------------------- greetings

    def greet(self, stream: Stream, frame: OpenSession | Resume, at: Moment) -> None:
        """The first frame of a stream."""
        stream.state = StreamState.GREETING
        stream.greeting = frame
        self._waiting[stream.id] = None
        self.run(at)

    def run(self, at: Moment) -> None:
        """Answer what waits, if it may be answered now."""
        if self.idle or not at.live or not self._failover.may(Permission.SESSIONS):
            return
        for stream_id in tuple(self._waiting):
            stream = self._streams.get(stream_id)
            del self._waiting[stream_id]
            if stream is not None:
                self._answer(stream, at)
        for stream_id, session in tuple(self._made.items()):
            stream = self._streams.get(stream_id)
            del self._made[stream_id]
            if stream is not None:
                self._opened(stream, session, at)
        for session, frame in tuple(self._breathless.items()):
            del self._breathless[session]
            self.keep_alive(self._desk.sessions[session], frame, at)

    @property
    def idle(self) -> bool:
        """Whether nothing waits for a live master lease, or for the end of a rebuild."""
        return not (self._waiting or self._made or self._breathless)

    def forget_session(self, session: SessionId) -> None:
        """The session is gone."""
        self._breathless.pop(session, None)

    def clear(self) -> None:
        """The mastership is over."""
        self._waiting.clear()
        self._made.clear()
        self._opening.clear()
        self._breathless.clear()
        self._claims.clear()

    def _answer(self, stream: Stream, at: Moment) -> None:
        frame = stream.greeting
        if isinstance(frame, Resume):
            self._resume(stream, frame, at)
        elif isinstance(frame, OpenSession):
            self._open(stream, frame, at)

    # ------------------------------------------------------------------------------------------------- OpenSession

    def _open(self, stream: Stream, frame: OpenSession, at: Moment) -> None:
        if len(self._opening) >= self._desk.settings.openings:
            self._refuse(stream, ErrorCode.OVERLOADED, "too many sessions are being opened")
            return
        self._opening[stream.id] = None
        plan = WorkPlan(OpenSessionCommand(frame.nonce, stream.principal, frame.caching))

        def done(outcome: Outcome, at: Moment) -> None:
            self._opening.pop(stream.id, None)
            self._outcome(stream.id, outcome, at)

        self._pipeline.admit(OwnErrand(lambda _: plan, done), plan, at)

    def _outcome(self, stream_id: int, outcome: Outcome, at: Moment) -> None:
        stream, reply = self._streams.get(stream_id), outcome.reply
        if isinstance(reply, SessionMade):
            if reply.session not in self._desk.sessions:
                self.enter(reply.session, at.now + self._leases.session, SessionState.LIVE)
            self._made[stream_id] = reply.session
            self.run(at)
        elif stream is not None and isinstance(reply, Failure):
            self._streams.end(stream.id, Refused(reply))

    def enter(self, number: SessionId, lease_until: int, state: SessionState) -> Session:
        """Begin to remember a session of the machine."""
        view = self._desk.machine.session(number)
        assert view is not None, "the machine knows the session"
        session = Session(
            number,
            view.principal,
            caching=view.caching,
            acknowledged=view.acknowledged,
            mailbox=Mailbox(self._desk.settings, self._desk.counters, self._desk.machine.revision),
            state=state,
            lease_until=lease_until,
        )
        self._desk.sessions[number] = session
        self._endings.extended(session)
        return session

    def _opened(self, stream: Stream, number: SessionId, at: Moment) -> None:
        session = self._desk.sessions.get(number)
        if session is None or session.state is SessionState.ENDING:
            self._mourn(stream, session)
            return
        if session.stream_number:
            self._streams.end(stream.id)  # An old OpenSession that was late: the session has resumed since.
            return
        self._bind(stream, session, at)
        session.mailbox.restart(self._desk.machine.revision)
        lease, cache = self._grant(session, self._leases.session, at)
        machine, settings = self._desk.machine, self._desk.settings
        opened = SessionOpened(
            session=number,
            ticket=session_ticket(machine.keys, machine.cell, number),
            cell_id=machine.cell,
            epoch=self._desk.epoch,
            session_lease=lease,
            cache_lease=cache,
            grace_period=settings.grace_period,
            drift_ppm=settings.drift_ppm,
            revision=machine.revision,
        )
        self._streams.send(stream.id, opened)

    # ------------------------------------------------------------------------------------------------------ Resume

    def _resume(self, stream: Stream, frame: Resume, at: Moment) -> None:
        machine = self._desk.machine
        session = self._desk.sessions.get(frame.session)
        proven = is_session_ticket(frame.ticket, machine.keys, machine.cell, frame.session)
        if not proven or (session is not None and session.principal != stream.principal):
            self._refuse(stream, ErrorCode.SESSION_UNKNOWN, f"session {frame.session} is not known by this ticket")
        elif frame.epoch > self._desk.epoch:
            self._desk.counters.redirects += 1
            self._streams.end(stream.id, Redirect("", frame.epoch))
        elif session is None or session.state is SessionState.ENDING:
            self._mourn(stream, session)
        elif frame.stream <= session.stream_number:
            self._streams.end(stream.id)
        else:
            self._resumed(stream, session, frame, at)

    def _resumed(self, stream: Stream, session: Session, frame: Resume, at: Moment) -> None:
        failed_over = session.state is SessionState.AWAITED
        self._bind(stream, session, at)
        session.stream_number = frame.stream
        session.mailbox.restart(min(frame.cursor, self._desk.machine.revision))
        lost = self._claims.take(session, frame, failed_over=failed_over)
        length = self._leases.session
        if failed_over:
            # Ten thousand sessions resume in the same second: let their KeepAlives not stay in step for ever.
            length -= int(length * self._jitter() / 4)
        lease, cache = self._grant(session, length, at)
        self._streams.send(stream.id, Resumed(self._desk.epoch, lease, cache, lost))

    def _bind(self, stream: Stream, session: Session, at: Moment) -> None:
        """This is the session's stream from now on, and its cache is empty."""
        if session.stream is not None:
            self._streams.end(session.stream)
        self._breathless.pop(session.id, None)
        session.stream = stream.id
        session.state = SessionState.LIVE
        stream.session = session.id
        stream.state = StreamState.BOUND
        self._recovery.over(session.id)
        self._pipeline.rounds_clear(self._invalidations.forget(session.id))
        self._desk.told[session.id] = None

    def _mourn(self, stream: Stream, session: Session | None) -> None:
        """The session has ended, or will have: its stream is told when that is certain."""
        if session is None:
            self._refuse(stream, ErrorCode.SESSION_EXPIRED, "the session has ended")
        else:
            # The end may take its time, and the client tries again and again: only who still listens is kept.
            session.mourners = [other for other in session.mourners if self._streams.get(other)] + [stream.id]

    def _refuse(self, stream: Stream, code: ErrorCode, message: str) -> None:
        self._streams.end(stream.id, Refused(Failure(code, message)))

    # ------------------------------------------------------------------------------------------------------ leases

    def keep_alive(self, session: Session, frame: KeepAlive, at: Moment) -> None:
        """Renew the session lease, and the cache lease if the cache is in use; answered at once."""
        if session.state is not SessionState.LIVE:
            return
        if not at.live:
            self._breathless[session.id] = frame
            return
        lease = self._extend(session, self._leases.session, at)
        cache = session.renew_cache(self._leases.cache, at.now) if frame.caching else 0
        self._streams.send(session.stream, KeepAliveReply(frame.number, lease, cache))
        behind = self._desk.machine.revision - session.mailbox.told
        if behind >= self._desk.settings.cursor_lag and session.subscribed:
            session.mailbox.ask_cursor()
            self._desk.told[session.id] = None

    def _grant(self, session: Session, length: Duration, at: Moment) -> tuple[Duration, Duration]:
        """Both leases of a stream that begins; the cache is empty, so nothing is owed."""
        assert not session.mailbox.owes, "an empty cache owes nothing"
        return self._extend(session, length, at), session.renew_cache(self._leases.cache, at.now)

    def _extend(self, session: Session, length: Duration, at: Moment) -> Duration:
        assert at.live, "leases are granted under a live master lease"
        session.extend_lease(at.now + length)
        self._endings.extended(session)
        return length
