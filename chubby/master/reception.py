"""Frames of clients, each to whom it concerns (DESIGN §5 KeepAlive; `chubby.types.stream` says which may come when).

| stream   | OpenSession, Resume | KeepAlive | CallFrame | Acknowledge | CloseSession |
|----------|---------------------|-----------|-----------|-------------|--------------|
| FRESH    | greeter             | refused   | refused   | refused     | refused      |
| GREETING | refused             | refused   | refused   | refused     | refused      |
| BOUND    | refused             | greeter   | calls     | mailbox     | endings      |

A refused frame ends its stream, not its session: whoever speaks out of turn may resume and do better. Of a session
that is ending only acknowledgements still count.
"""

from __future__ import annotations

from chubby.errors import ErrorCode, Failure
from chubby.master.calls import Calls
from chubby.master.desk import Desk
from chubby.master.ending import Cause, Endings
from chubby.master.greeting import Greeter
from chubby.master.invalidation import Invalidations
from chubby.master.moment import Moment
from chubby.master.pipeline import Pipeline
from chubby.master.session import Session, SessionState
from chubby.master.streams import Stream, Streams, StreamState
from chubby.types.identity import Epoch
from chubby.types.stream import (
    Acknowledge,
    CallFrame,
    ClientFrame,
    CloseSession,
    KeepAlive,
    OpenSession,
    Redirect,
    Refused,
    Resume,
)


class Reception:
    """All attached streams, and where their frames go. `whereabouts`: who else is master, and under which epoch."""

    def __init__(
        self,
        desk: Desk,
        streams: Streams,
        greeter: Greeter,
        calls: Calls,
        endings: Endings,
        pipeline: Pipeline,
        invalidations: Invalidations,
    ) -> None:
        """No stream is attached; nobody is known to be master."""
        self._desk = desk
        self._streams = streams
        self._greeter = greeter
        self._calls = calls
        self._endings = endings
        self._pipeline = pipeline
        self._invalidations = invalidations
        self.whereabouts: tuple[str, Epoch] = ("", 0)

    def attach(self, stream: int, principal: str) -> None:
        """A stream begins."""
        self._streams.attach(stream, principal)

    def detach(self, stream: int) -> None:
        """A stream is gone; its session is not."""
        self._unbind(stream)
        self._streams.detach(stream)

    def redirect(self, stream: int) -> None:
        """Send a stream to the master."""
        if self._streams.get(stream) is not None:
            self._desk.counters.redirects += 1
            self._streams.end(stream, Redirect(*self.whereabouts))

    def redirect_all(self) -> None:
        """The mastership is over."""
        for stream in self._streams.ids():
            self.redirect(stream)

    def receive(self, stream: int, frame: ClientFrame, at: Moment) -> None:
        """One frame, in order. Frames of streams that have ended are ignored."""
        found = self._streams.get(stream)
        if found is None:
            return
        if found.state is StreamState.BOUND:
            self._receive_bound(found, frame, at)
        elif found.state is StreamState.FRESH and isinstance(frame, OpenSession | Resume):
            self._greeter.greet(found, frame, at)
        else:
            self._violated(found, "a stream begins with OpenSession or Resume, and then waits for the answer")

    def _receive_bound(self, stream: Stream, frame: ClientFrame, at: Moment) -> None:
        session = self._desk.sessions[stream.session]
        match frame:
            case CallFrame():
                if session.state is SessionState.LIVE:
                    self._calls.receive(session, frame, at)
            case KeepAlive():
                self._greeter.keep_alive(session, frame, at)
            case Acknowledge(push=push):
                self._acknowledged(session, push)
            case CloseSession():
                self._endings.begin(session, Cause.CLOSED, at)
            case OpenSession() | Resume():
                self._violated(stream, "a stream belongs to one session")

    def _acknowledged(self, session: Session, push: int) -> None:
        settled = session.mailbox.acknowledge(push)
        self._desk.registry.acknowledged(session.id, settled.keys, settled.place)
        if settled.everything:
            self._desk.registry.forget(session.id)
        self._pipeline.rounds_clear(self._invalidations.settled(session))
        self._desk.told[session.id] = None

    def _violated(self, stream: Stream, message: str) -> None:
        self._unbind(stream.id)
        self._streams.end(stream.id, Refused(Failure(ErrorCode.BAD_ARGUMENT, message)))

    def _unbind(self, stream: int) -> None:
        found = self._streams.get(stream)
        session = self._desk.sessions.get(found.session) if found is not None else None
        if session is not None and session.stream == stream:
            session.stream = None
