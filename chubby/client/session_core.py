"""The session's pure core: inputs with `now`, effects for the shell (DESIGN §5, §6; paper §2.7-§2.9).

Inputs are methods; after each, the shell drains `effects()` and arranges for `tick` at `wake_at()`. Every input first
lets pass what `now` makes overdue (`_pass`): leases before frames, frames before timers, so a process that slept finds
out what it slept through before it does anything else.

Losing the stream loses nothing: the cache stays good while both leases last, calls wait, and `Resume` takes up the
session on a stream with a higher number. Before Resume is sent the cache is emptied; that is the acknowledgement of
every invalidation the old stream may have carried. When the session lease runs out first, there is jeopardy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chubby.client.cache import CACHE_BYTES, Cache
from chubby.client.cache_rules import answer_from
from chubby.client.call_desk import CallDesk
from chubby.client.effects import Connect, Deliver, Disconnect, Effect, Send, StateChanged
from chubby.client.identity import Identity
from chubby.client.pushes import Pushes
from chubby.client.state import SessionState, Trigger, follow
from chubby.client.statistics import Statistics, picture
from chubby.client.stream import Phase, Stream
from chubby.client.tenure import Tenure
from chubby.client.verdicts import DISOWNED, TRY_AGAIN, never_opened
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Call
from chubby.types.events import Event, EventKind
from chubby.types.identity import CallNumber, Epoch, HandleNumber, StreamNumber
from chubby.types.results import Answer
from chubby.types.stream import (
    CloseSession,
    KeepAliveReply,
    Push,
    Redirect,
    Refused,
    Reply,
    Resumed,
    ServerFrame,
    SessionClosed,
    SessionOpened,
)
from chubby.types.time import NEVER, Duration, Instant


class SessionCore:
    """One session. See the module; all methods but `cached` and `statistics` belong to one thread."""

    def __init__(
        self,
        nonce: int,
        jitter: Callable[[], float],
        *,
        caching: bool = True,
        cache_bytes: int = CACHE_BYTES,
        relays: bool = False,
    ) -> None:
        self.state = SessionState.OPENING
        self.identity = Identity(nonce, caching)
        self.cache = Cache(enabled=False, limit=cache_bytes)
        self.over: Failure | None = None
        self._effects: list[Effect] = []
        self.desk = CallDesk(self.cache, self._effects)
        self._tenure = Tenure(self.cache)
        self._stream = Stream(jitter)
        self._begun: Instant = 0
        self._open_until: Instant = NEVER
        self._refusal: Failure | None = None
        self._sought: Epoch = 0
        self._pushes = Pushes(self.cache, self._effects, relays)
        self._live = self._farewell = self._greeting_waits = False

    def effects(self) -> list[Effect]:
        """Take what is asked of the shell, in order."""
        taken = self._effects[:]
        self._effects.clear()
        return taken

    def wake_at(self) -> Instant:
        """When `tick` has something to do; NEVER while only an input can change anything."""
        wake = min(self.desk.wake_at(), self._stream.wake_at(), self._open_until)
        if self._live:
            wake = min(wake, self._tenure.until)
        elif self.state is SessionState.JEOPARDY:
            wake = min(wake, self._tenure.grace_until)
        return min(wake, self._tenure.keep_alive.wake_at()) if self._serving else wake

    def cached(self, call: Call, now: Instant) -> Answer | None:
        """The answer to `call` if the cache has it. From any thread; `now` is read after the caller asked."""
        return answer_from(self.cache, self.desk.handles, call, now)

    def certain(self, now: Instant) -> bool:
        """Whether the session lease surely lasts at `now`, and with it every lock held. From any thread."""
        return self._live and now < self._tenure.until

    @property
    def _serving(self) -> bool:
        """Whether calls can be sent now."""
        return self._live and self._stream.phase is Phase.ESTABLISHED

    @property
    def gone(self) -> bool:
        """Whether the session has ended and its last stream is let go."""
        return self.state.final and not self._farewell

    def statistics(self, now: Instant) -> Statistics:
        """A picture of now."""
        return picture(self.state, self.identity, self._stream, self._tenure, self.cache, self.desk, now)

    def start(self, now: Instant, open_until: Instant = NEVER) -> None:
        """Begin: find the master, open the session by `open_until` or give up."""
        assert self._stream.number == 0, "a session starts once"
        self._begun, self._open_until = now, open_until
        self._open_stream(now)

    def begin(self, call: Call, now: Instant, deadline: Instant = NEVER) -> CallNumber:
        """Take a call; its Complete, or `cancel`, ends it. A session found over at `now` refuses it."""
        self._pass(now)
        number = self.desk.begin(call, now, deadline, self.over)
        self._flush(now)
        return number

    def cancel(self, number: CallNumber, now: Instant) -> None:
        """The caller no longer waits for `number`; idempotent. What the call leaves behind is cleaned up."""
        self._pass(now)
        self.desk.cancel(number, now)
        self._flush(now)

    def poison(self, handle: HandleNumber, now: Instant) -> None:
        """Outstanding and later calls on the handle fail; it is not closed."""
        self._pass(now)
        self.desk.poison(handle, now)
        self._flush(now)

    def unsendable(self, number: CallNumber, failure: Failure, now: Instant) -> None:
        """The shell could not put the call into bytes: it is answered by `failure`, nothing was sent."""
        self._pass(now)
        self.desk.unsendable(number, failure)
        self._flush(now)

    def close(self, now: Instant) -> None:
        """End the session in good order: the cell is told, now or on the next stream. Idempotent.

        Calls under way are given up at once. `gone` once the cell has answered; a shell may stop before.
        """
        self._pass(now)
        if self.state.final:
            return
        self._farewell = self.state is not SessionState.OPENING
        self._enter(Trigger.CLOSED_BY_US, Failure(ErrorCode.SESSION_EXPIRED, "the session was closed by its owner"))
        if self._stream.established:
            self._effects.append(Send(self._stream.number, CloseSession()))

    def abandon(self) -> None:
        """The shell stops: there is no further connection, though the cell was not told of the end. Idempotent."""
        assert self.state.final, "only a session that was closed is abandoned"
        if self._farewell:
            self._end_stream()

    def tick(self, now: Instant) -> None:
        """The shell's timer: `wake_at()` has come."""
        self._pass(now)
        self.desk.tick(now)
        if self._serving:
            keep_alive = self._tenure.keep_alive
            if keep_alive.silent(now):
                self._lose_stream(now)
            elif keep_alive.due(now):
                self._effects.append(Send(self._stream.number, keep_alive.ask(now)))
        self._flush(now)

    # ----------------------------------------------------------------------------------------------------- network

    def connected(self, stream: StreamNumber, now: Instant) -> None:
        """The connection asked for stands: the first frame goes out."""
        self._pass(now)
        if self._stream.is_current(stream) and self._stream.phase is Phase.SEEKING:
            self._pushes.begin()
            self._greet(now)

    def relayed(self, place: int, now: Instant) -> None:
        """A `Relay` was carried out: what waited for it goes on."""
        self._pass(now)
        self._pushes.relayed(place)
        if self._greeting_waits and self._stream.phase is Phase.SEEKING:
            self._greet(now)
        elif self._stream.established:
            self._pushes.acknowledge(self._stream.number)

    def _greet(self, now: Instant) -> None:
        """The first frame goes out, once nothing that this cache held is to be found anywhere."""
        self._greeting_waits = self._pushes.waits
        if not self._greeting_waits:
            self._stream.connected(now)
            self._effects.append(Send(self._stream.number, self.identity.greeting(self._stream.number, self.desk)))

    def disconnected(self, stream: StreamNumber, now: Instant) -> None:
        """The connection was lost, or could not be made."""
        self._pass(now)
        if self._stream.is_current(stream):
            self._refusal = None
            self._lose_stream(now)
        self._flush(now)

    def located(self, epoch: Epoch, address: str, now: Instant) -> None:
        """Somebody says who is master. A higher epoch than any known means that ours is master no more: go there."""
        self._pass(now)
        if self.gone or not address or epoch <= max(self.identity.epoch, self._sought):
            return
        self._sought = epoch
        self._leave_stream(now)
        self._open_stream(now, address)

    def received(self, stream: StreamNumber, frames: Sequence[ServerFrame], now: Instant) -> None:
        """Take what arrived on `stream`, in order. From any but the newest stream it is dropped."""
        self._pass(now)
        if not self._stream.is_current(stream):
            return
        self._tenure.keep_alive.heard(now)
        for frame in frames:
            self._take(frame, now)
            if not self._stream.is_current(stream):
                return
        self._pushes.acknowledge(stream)
        self._pass(now)
        self._flush(now)

    def _take(self, frame: ServerFrame, now: Instant) -> None:
        if isinstance(frame, Reply):
            self._reply(frame, now)
        elif isinstance(frame, KeepAliveReply):
            self._tenure.answered(frame)
        elif isinstance(frame, Push):
            self._push(frame, now)
        elif isinstance(frame, SessionOpened):
            self._opened(frame, now)
        elif isinstance(frame, Resumed):
            self._resumed(frame, now)
        elif isinstance(frame, Redirect):
            self._redirected(frame, now)
        elif isinstance(frame, Refused):
            self._refused(frame.failure, now)
        else:
            assert isinstance(frame, SessionClosed)
            self._end_stream()

    # ---------------------------------------------------------------------------------------- frames of the master

    def _opened(self, frame: SessionOpened, now: Instant) -> None:
        if self._stream.phase is not Phase.GREETING or self.state is not SessionState.OPENING:
            return self._lose_stream(now)
        self.identity.opened(frame)
        self._tenure.agree(frame.drift_ppm, frame.grace_period)
        self.desk.subscriptions.advance(frame.revision)
        self._open_until = NEVER
        self._established(Trigger.OPENED, frame.session_lease, frame.cache_lease, now)
        return None

    def _resumed(self, frame: Resumed, now: Instant) -> None:
        if self._stream.phase is not Phase.GREETING or not self.identity.session:
            return self._lose_stream(now)
        self.identity.resumed(frame)
        if self._farewell:
            self._stream.greeted(now)
            self._effects.append(Send(self._stream.number, CloseSession()))
            return None
        if self._tenure.too_late(self._stream.greeted_at, frame.session_lease, now):
            return self._lose_stream(now)
        self._established(Trigger.RESUMED, frame.session_lease, frame.cache_lease, now)
        for handle, why in frame.lost:
            self._lose_handle(handle, why)
        self.desk.resumed(now)
        return None

    def _established(self, trigger: Trigger, session_lease: Duration, cache_lease: Duration, now: Instant) -> None:
        self._stream.greeted(now)
        self.desk.reached_until = NEVER
        if self.identity.caching and not self.cache.enabled:
            self.cache.enable()
        self._tenure.renew(self._stream.greeted_at, session_lease, cache_lease)
        self._tenure.keep_alive.begin(now)
        self._enter(trigger)

    def _reply(self, frame: Reply, now: Instant) -> None:
        if not self._serving:
            return
        stream = self._stream.number
        flight = self.desk.flights.find(frame.number)
        if self.desk.answered(frame, stream, now):
            self._leave_stream(now)
            self._open_stream(now)
        elif flight is not None and flight.stream == stream and frame.cache_lease:
            self._tenure.renew(flight.sent, 0, frame.cache_lease)

    def _push(self, frame: Push, now: Instant) -> None:
        """Invalidations first, then events, so that whoever reads upon an event reads what it speaks of."""
        if self.state.final:
            return None
        if not self._serving or not self._pushes.take(frame):
            return self._lose_stream(now)
        for event in self.desk.subscriptions.take(frame.events):
            if event.kind is EventKind.HANDLE_INVALID and event.handle:
                self.desk.handles.lose(event.handle, Failure(ErrorCode.HANDLE_INVALID, f"{event.path} is gone"))
            self._effects.append(Deliver(event))
        self.desk.subscriptions.advance(frame.cursor)
        return None

    def _lose_handle(self, handle: HandleNumber, why: Failure) -> None:
        record = self.desk.handles.get(handle)
        if record is None or record.closing:
            return
        self.desk.handles.lose(handle, why)
        event = Event(EventKind.HANDLE_INVALID, record.path, instance=record.instance, handle=handle)
        self._effects.append(Deliver(event))

    def _redirected(self, frame: Redirect, now: Instant) -> None:
        at_once = self._stream.redirected() and frame.epoch >= self.identity.epoch
        if frame.address and at_once:
            self._leave_stream(now)
            self._open_stream(now, frame.address)
        else:
            self._lose_stream(now)

    def _refused(self, failure: Failure, now: Instant) -> None:
        if self.state is SessionState.OPENING and failure.code not in TRY_AGAIN:
            self._enter(Trigger.GAVE_UP, failure)
        elif failure.code in DISOWNED and self.identity.session:
            self._farewell = False
            if not self.state.final:
                self._enter(Trigger.DISOWNED, Failure(ErrorCode.SESSION_EXPIRED, failure.message))
            self._end_stream()
        else:
            self._refusal = failure
            self._lose_stream(now)

    # --------------------------------------------------------------------------------------------- state and stream

    def _pass(self, now: Instant) -> None:
        """Let pass what `now` makes overdue: opening, the leases, grace, patience, the back-off."""
        if self.state is SessionState.OPENING and now >= self._open_until:
            reached = self._stream.phase is Phase.GREETING
            why = never_opened(self._stream.number, now - self._begun, reached, self._refusal)
            self._enter(Trigger.GAVE_UP, why)
        if self._live and now >= self._tenure.until:
            self._enter(Trigger.LEASE_RAN_OUT)
            if self._stream.established:
                self._leave_stream(now)
                self._open_stream(now)
        if self.state is SessionState.JEOPARDY and now >= self._tenure.grace_until:
            text = "the session lease and the grace period ran out without a master: open another session"
            self._enter(Trigger.GRACE_RAN_OUT, Failure(ErrorCode.SESSION_EXPIRED, text))
        if now >= self._stream.wake_at():
            if self._stream.phase is Phase.RESTING:
                self._open_stream(now)
            else:
                self._lose_stream(now)

    def _enter(self, trigger: Trigger, failure: Failure | None = None) -> None:
        before, self.state = self.state, follow(self.state, trigger)
        self._live = self.state.live
        if not self._live:
            self.cache.disable()
            self._pushes.empty()
        if self.state.final:
            assert failure is not None
            self.over = failure
            self._open_until = NEVER
            self.desk.end(failure)
            if not self._farewell:
                self._end_stream()
        if self.state is not before:
            self._effects.append(StateChanged(self.state, failure))

    def _open_stream(self, now: Instant, address: str = "") -> None:
        self._greeting_waits = False
        self._effects.append(Connect(self._stream.open(now, address), address))

    def _leave_stream(self, now: Instant) -> None:
        """What the present stream brings from now on does not count; what it carried may have to be sent again."""
        if self._stream.established:
            self.desk.reached_until = now
            self.desk.stream_lost()

    def _lose_stream(self, now: Instant) -> None:
        """Give the present connection up, and try another one after a pause."""
        self._leave_stream(now)
        self._effects.append(Disconnect(self._stream.number))
        self._stream.rest(now)

    def _end_stream(self) -> None:
        """No further connection."""
        self._farewell = False
        self._effects.append(Disconnect(self._stream.number))
        self._stream.stop()

    def _flush(self, now: Instant) -> None:
        if self._serving:
            self.desk.flush(self._stream.number, now)
