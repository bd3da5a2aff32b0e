"""All calls of one session: begun, sent, answered, given up; and what has to be done after those given up (DESIGN §6).

**Aftercare.** A caller may stop waiting (its deadline, its cancellation) while its call is on the way. What the call
then leaves behind is the client's to clean up, so that there is no ghost in any queue and no handle nobody knows:

| given up      | then                                                                                          |
|---------------|-----------------------------------------------------------------------------------------------|
| never sent    | it is forgotten                                                                               |
| Acquire       | CancelAcquire; if that finds the lock granted, Release, unless it is held for another caller  |
| Open          | repeated until answered; if it opened a handle, Close                                         |
| Watch         | repeated until answered; if it began, Unwatch                                                 |
| Close refused | its caller is told Done; it is made again until it gets through, for it may free a lock       |
| anything else | its answer is dropped; it is not repeated on the next stream                                  |

An acquire whose deadline passes is not given up at once: CancelAcquire is sent and decides. Found granted, the acquire
succeeded. A handle's queue place belongs to all its waiting acquires: only the last of them to leave gives it up.
"""

from __future__ import annotations

from typing import Final

from chubby.client.cache import Cache
from chubby.client.cache_rules import drop_before, fill_from, wants_caching
from chubby.client.effects import Complete, Deliver, Effect, Send
from chubby.client.handle_table import CLAIMS_LIMIT, HandleRecord, HandleTable, through_handle
from chubby.client.in_flight import CallsInFlight, Flight, Purpose
from chubby.client.rebinding import Rebinding
from chubby.client.subscriptions import Subscriptions
from chubby.client.verdicts import not_granted, out_of_time, session_over, to_be_made_again, told
from chubby.errors import ErrorCode, Failure
from chubby.types.calls import Acquire, Call, CancelAcquire, Close, Open, Release, SetSequencer, Unwatch, Watch
from chubby.types.events import Event, EventKind
from chubby.types.identity import CallNumber, HandleNumber, StreamNumber
from chubby.types.results import Answer, Done, LockGranted, Opened, Watching
from chubby.types.stream import CallFrame, Reply
from chubby.types.time import MILLISECOND, NEVER, SECOND, Duration, Instant

VERDICT_GRACE: Final[Duration] = 500 * MILLISECOND
"""How much longer than the caller's deadline the master's own word is waited for, while it is in reach."""
CANCEL_GRACE: Final[Duration] = SECOND
"""The same for an acquire, which has to be taken back through the log."""
RETRY: Final[Duration] = 200 * MILLISECOND
"""How long after a refusal by a master that cannot do it now aftercare is tried again."""
_REPEATED: Final = (Open, Watch)
"""Calls that are repeated though given up: what they may have left behind is known only by their answers."""
_UNDONE: Final = (*_REPEATED, Acquire)
"""Calls whose aftercare needs them in flight."""


class CallDesk:
    """See the module. Writes into the `effects` it is given; knows neither streams nor leases.

    `reached_until`: NEVER while a master is in reach, else the instant the last one was lost (0: none yet).
    """

    def __init__(self, cache: Cache, effects: list[Effect]) -> None:
        self.flights = CallsInFlight()
        self.handles = HandleTable()
        self.subscriptions = Subscriptions()
        self.reached_until: Instant = 0
        self._cache = cache
        self._effects = effects
        self._later: list[tuple[Instant, Call, Purpose, Flight | None]] = []
        self._held_back: list[tuple[Instant, Flight]] = []
        self._rebinding = Rebinding(
            self.flights,
            self.handles,
            lambda call, now: self._begin_own(call, now, Purpose.REBIND),
            self._complete,
        )

    # ------------------------------------------------------------------------------------------------------- begin

    def begin(self, call: Call, now: Instant, deadline: Instant, over: Failure | None) -> CallNumber:
        """Take a caller's call; `over`: the session has ended, and why. Refusals are completed at once."""
        refusal = over or self._refusal(call)
        flight = self.flights.begin(call, now, deadline)
        if refusal is not None:
            self.flights.finish(flight)
            self._complete(flight, refusal)
        else:
            self._register(flight)
        return flight.name

    def _refusal(self, call: Call) -> Failure | None:
        if self.flights.crowded(call):
            return Failure(ErrorCode.OVERLOADED, "too many calls of this session wait already")
        if isinstance(call, Open | Watch) and self.handles.claimed + self.subscriptions.claimed >= CLAIMS_LIMIT:
            return Failure(ErrorCode.QUOTA_EXCEEDED, "no more handles or watches fit into one session: close some")
        return self.handles.refusal(call) if through_handle(call) else None

    def _begin_own(self, call: Call, now: Instant, purpose: Purpose, target: Flight | None = None) -> None:
        """Make a call on nobody's behalf: it is never refused and never given up."""
        flight = self.flights.begin(call, now, NEVER, purpose)
        flight.target = target
        self._register(flight)

    def _register(self, flight: Flight) -> None:
        """Note what `flight` means for its handle, watch and the cache. Before it is sent: own copies go first."""
        call = flight.call
        record = self._record(call)
        drop_before(self._cache, call, record, flight.number)
        if isinstance(call, Open):
            self.handles.opening(call)
        elif isinstance(call, Watch):
            self.subscriptions.opening(call)
        elif isinstance(call, Unwatch):
            self.subscriptions.closing(call.watch)
        if record is None:
            return
        self._rebinding.registering(flight, record)
        if isinstance(call, Acquire):
            record.acquires[flight.name] = call.wait
        elif isinstance(call, Release):
            record.holds = record.unclaimed = False
        elif isinstance(call, Close):
            record.close()
        elif isinstance(call, SetSequencer):
            record.sequence()

    def _record(self, call: Call) -> HandleRecord | None:
        return self.handles.get(call.handle) if through_handle(call) else None

    # -------------------------------------------------------------------------------------------------------- send

    def flush(self, stream: StreamNumber, now: Instant) -> None:
        """Send what waits and the window lets pass."""
        flights, cache = self.flights, self._cache
        while (flight := flights.next_to_send()) is not None:
            if flight.stream == 0:
                flight.stream, flight.sent = stream, now
            caching = cache.enabled and flight.stream == stream and (cache.used or wants_caching(flight.call))
            frame = CallFrame(flight.number, flights.acknowledged, _patience(flight, now), flight.call, caching)
            self._effects.append(Send(stream, frame))

    def stream_lost(self) -> None:
        """What was sent will be sent again, but for what nobody needs any more."""
        for flight in self.flights:
            given_up = flight.abandoned and not isinstance(flight.call, _REPEATED)
            if given_up or flight.purpose is Purpose.REBIND:
                self.flights.finish(flight)
        self.flights.rewind()

    def resumed(self, now: Instant) -> None:
        """A master has taken the session up: bind sequencers again, take up watches whose replay was cut off."""
        self._rebinding.resumed(now)
        for old, call in self.subscriptions.begin_anew():
            self._begin_own(Unwatch(old), now, Purpose.AFTERCARE)
            self._begin_own(call, now, Purpose.AFTERCARE)

    # ------------------------------------------------------------------------------------------------------ answer

    def answered(self, reply: Reply, stream: StreamNumber, now: Instant) -> bool:
        """Take an answer from `stream`. True: it was given by a replica that is no master; the call waits for one."""
        flight, answer = self.flights.find(reply.number), reply.answer
        if flight is None:
            return False
        if isinstance(answer, Failure) and answer.code is ErrorCode.NOT_MASTER:
            if not flight.queued:
                self.flights.put_back(flight)
            return True
        if flight.formerly and isinstance(answer, Failure) and answer.code is ErrorCode.OVERLOADED:
            # It stands in the lock's queue under its former number: this one had no effect, but it is not without any.
            self.flights.hold(flight)
            self._held_back.append((now + RETRY, flight))
            return False
        if reply.cacheable and self._cache.enabled and flight.stream == stream:
            fill_from(self._cache, flight.call, self._record(flight.call), flight.number, answer)
        self.flights.finish(flight)
        self._cache.settled(self.flights.acknowledged)
        self._note(flight, answer)
        if flight.purpose is Purpose.CALLER:
            self._caller_answered(flight, answer, now)
            if to_be_made_again(flight.call, answer):
                self._later.append((now + RETRY, flight.call, Purpose.AFTERCARE, None))
        elif isinstance(answer, Failure) and answer.code.retryable:
            self._later.append((now + RETRY, flight.call, flight.purpose, flight.target))
        elif isinstance(flight.call, SetSequencer):
            self._rebinding.answered(flight.call, answer)
        elif flight.target is not None:
            self._cancel_answered(flight.target, answer, now)
        return False

    def _caller_answered(self, flight: Flight, answer: Answer, now: Instant) -> None:
        if flight.abandoned:
            return self._clean_up(flight, answer, now)
        self._complete(flight, told(flight, answer, now))
        if isinstance(flight.call, Acquire) and isinstance(answer, Failure):
            self._acquire_failed(flight, now)
        return None

    def _note(self, flight: Flight, answer: Answer) -> None:
        """Keep the tables in step with what the master said."""
        call = flight.call
        if isinstance(call, Open):
            if isinstance(answer, Opened):
                self.handles.add(call, answer)
            else:
                self.handles.remove(call.handle)
        elif isinstance(call, Watch):
            if isinstance(answer, Watching):
                self.subscriptions.begun(call, answer.revision)
            else:
                self._watch_refused(flight, call, answer)
        elif isinstance(call, Unwatch):
            self.subscriptions.ended(call.watch)
        elif isinstance(call, Close):
            if not to_be_made_again(call, answer):
                self.handles.remove(call.handle)
        elif through_handle(call):
            if isinstance(answer, Failure) and answer.code is ErrorCode.HANDLE_INVALID:
                self.handles.lose(call.handle, answer)
            if isinstance(call, Acquire):
                self._forget_acquire(flight)
            elif isinstance(call, SetSequencer) and isinstance(answer, Done) and (record := self._record(call)):
                record.sequencer = call.sequencer

    def _watch_refused(self, flight: Flight, call: Watch, answer: Answer) -> None:
        """A watch did not begin. One that had begun before and was taken up anew has an owner to be told."""
        anew = flight.purpose is not Purpose.CALLER
        if anew and isinstance(answer, Failure) and answer.code.retryable:
            return
        if anew:
            name = self.subscriptions.name_of(call.watch)
            self._effects.append(Deliver(Event(EventKind.HANDLE_INVALID, call.path, watch=name)))
        self.subscriptions.ended(call.watch)

    def _forget_acquire(self, flight: Flight) -> None:
        record = self._record(flight.call)
        if record is not None:
            record.acquires.pop(flight.name, None)

    def _complete(self, flight: Flight, answer: Answer) -> None:
        if isinstance(flight.call, Close):
            answer = Done()
        elif isinstance(answer, LockGranted) and (record := self._record(flight.call)) is not None:
            record.holds, record.unclaimed = True, False
        self._effects.append(Complete(flight.name, answer))

    def unsendable(self, number: CallNumber, failure: Failure) -> None:
        """Call `number` cannot be put into bytes: its caller is told, and it counts as answered."""
        flight = self.flights.find(number)
        if flight is None:
            return
        self.flights.finish(flight)
        self._note(flight, failure)
        if flight.purpose is Purpose.CALLER and not flight.abandoned:
            self._complete(flight, failure)

    # ----------------------------------------------------------------------------------------------------- give up

    def cancel(self, number: CallNumber, now: Instant) -> None:
        """The caller of `number` no longer waits; it gets no Complete. Idempotent, too late is not wrong."""
        flight = self.flights.find(number)
        if flight is not None and flight.purpose is Purpose.CALLER and not flight.abandoned:
            self._abandon(flight, now)

    def poison(self, handle: HandleNumber, now: Instant) -> None:
        """Outstanding and later calls on the handle fail; it stays open until it is closed."""
        failure = Failure(ErrorCode.HANDLE_POISONED, "poison() was called on the handle")
        if self.handles.lose(handle, failure) is None:
            return
        for flight in self.flights:
            call = flight.call
            if not through_handle(call) or call.handle != handle or isinstance(call, Close):
                continue
            if flight.purpose is Purpose.CALLER and not flight.abandoned:
                self._complete(flight, failure)
                self._abandon(flight, now)

    def _abandon(self, flight: Flight, now: Instant) -> None:
        flight.abandoned = True
        unsent, call = flight.stream == 0, flight.call
        if isinstance(call, Acquire):
            self._forget_acquire(flight)
            if unsent:
                self._acquire_failed(flight, now)
            else:
                self._take_back(flight, now)
        elif isinstance(call, Watch) and unsent:
            self.subscriptions.ended(call.watch)
        elif isinstance(call, Open) and unsent:
            self.handles.remove(call.handle)
        if unsent or (flight.queued and not isinstance(call, _UNDONE)):
            self.flights.finish(flight)

    def _take_back(self, flight: Flight, now: Instant) -> bool:
        """Send CancelAcquire for `flight`, once, unless another acquire of its handle waits in the same place.

        One that is being taken back itself keeps no place: its cancel may stand in line before `flight`.
        """
        assert isinstance(flight.call, Acquire)
        if flight.cancelling:
            return True
        record = self._record(flight.call)
        if record is not None:
            if any(waits for name, waits in record.acquires.items() if name != flight.name):
                record.left_behind = flight.name
                return False
            record.left_behind = 0
            if flight.name in record.acquires:
                record.acquires[flight.name] = False
        flight.cancelling = True
        self._begin_own(CancelAcquire(flight.call.handle), now, Purpose.CANCEL, flight)
        return True

    def _cancel_answered(self, target: Flight, answer: Answer, now: Instant) -> None:
        """The CancelAcquire for `target` was answered: the lock is granted, or the place in the queue is gone."""
        granted = isinstance(answer, LockGranted)
        if not target.done:
            self.flights.finish(target)
            self._forget_acquire(target)
            if not target.abandoned:
                lost = isinstance(answer, Failure)
                self._complete(target, answer if granted or lost else not_granted(target, now))
        if granted and target.abandoned:
            self._granted_to_nobody(target, now)

    def _granted_to_nobody(self, flight: Flight, now: Instant) -> None:
        """The lock is there, and whoever asked for it by `flight` has gone."""
        record = self._record(flight.call)
        if record is not None:
            record.unclaimed = not record.holds  # held all along, it was asked for in vain
            self._let_go(record, now)

    def _let_go(self, record: HandleRecord, now: Instant) -> None:
        """Release a lock that was granted to nobody, unless somebody waits and so is told of it."""
        if record.unclaimed and not record.acquires and not record.closing:
            self._begin_own(Release(record.number), now, Purpose.AFTERCARE)

    def _acquire_failed(self, flight: Flight, now: Instant) -> None:
        """The lock is not had by `flight`: what others, given up before, had left to it is nobody's now."""
        record = self._record(flight.call)
        if record is None:
            return
        left = self.flights.find(record.left_behind)
        if left is not None and not record.closing:
            self._take_back(left, now)
        self._let_go(record, now)

    def _clean_up(self, flight: Flight, answer: Answer, now: Instant) -> None:
        """An abandoned call was answered after all: undo what nobody knows of."""
        if isinstance(answer, Opened) and isinstance(flight.call, Open):
            self._begin_own(Close(flight.call.handle), now, Purpose.AFTERCARE)
        elif isinstance(answer, LockGranted) and not flight.cancelling:
            self._granted_to_nobody(flight, now)
        elif isinstance(answer, Watching) and isinstance(flight.call, Watch):
            self._begin_own(Unwatch(flight.call.watch), now, Purpose.AFTERCARE)

    # -------------------------------------------------------------------------------------------------------- time

    def tick(self, now: Instant) -> None:
        """Let pass what is due: deadlines, and aftercare to be tried again."""
        due = [entry for entry in self._later if entry[0] <= now]
        self._later = [entry for entry in self._later if entry[0] > now]
        for _, call, purpose, target in due:
            if not isinstance(call, Watch) or self.subscriptions.knows(call.watch):
                self._begin_own(call, now, purpose, target)
        self.flights.let_pass([flight for when, flight in self._held_back if when <= now and not flight.done])
        self._held_back = [entry for entry in self._held_back if entry[0] > now]
        for flight in self.flights.overdue(now):
            self._deadline_passed(flight, now)

    def _deadline_passed(self, flight: Flight, now: Instant) -> None:
        in_reach = self.reached_until == NEVER
        if flight.stream and in_reach and not flight.extended:
            acquiring = isinstance(flight.call, Acquire)
            if not acquiring or self._take_back(flight, now):
                flight.extended = True
                self.flights.postpone(flight, flight.deadline + (CANCEL_GRACE if acquiring else VERDICT_GRACE))
                return
            self._complete(flight, not_granted(flight, now))
        else:
            self._complete(flight, out_of_time(flight, now, in_reach or self.reached_until >= flight.begun))
        self._abandon(flight, now)

    def wake_at(self) -> Instant:
        """When `tick` has something to do."""
        later = [when for when, *_ in self._later]
        held = [when for when, _ in self._held_back]
        return min(self.flights.earliest_deadline, *later, *held, NEVER)

    def end(self, why: Failure) -> None:
        """The session is over: every caller is told, nothing is sent any more."""
        self._later.clear()
        self._held_back.clear()
        for flight in self.flights:
            self.flights.finish(flight)
            if flight.purpose is Purpose.CALLER and not flight.abandoned:
                self._complete(flight, session_over(flight, why))


def _patience(flight: Flight, now: Instant) -> Duration:
    """How long the master may take. An acquire that waits is taken back by us, not by the master's clock."""
    call = flight.call
    if flight.deadline == NEVER or (isinstance(call, Acquire) and call.wait):
        return 0
    return max(flight.deadline - now, MILLISECOND)
