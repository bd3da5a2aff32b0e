"""Calls by number, from begin to answer (DESIGN §4 Sessions with a reply table; §6).

A call gets its number once and keeps it across streams and masters: that is how the master knows a repeat. Everything
numbered at or below `acknowledged` is answered, and the master may forget it.

**The window.** The master keeps the results of at most `REPLY_TABLE_LIMIT` unacknowledged calls, so a call is not sent
before its number is within that distance of `acknowledged`; it waits here, and so do calls begun without a master.

**The patient waiter.** A process that waits for a lock for days makes other calls meanwhile, and the one unanswered
acquire would hold the window. Acquire is idempotent for its owner: a repeat finds its own place in the queue. So once
it holds back half the window it is sent again under a new number, and the old number counts as answered. Its caller
knows it by its first number, its *name*. Of n such waiters each new round costs n repeats; it begins only after at
least as many other calls went through (or the window is full), and n is bounded, so that there is always some room.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final

from chubby.types.calls import Acquire, Call, Close, Unwatch
from chubby.types.identity import CallNumber, StreamNumber
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.time import NEVER, Instant

WAITING_LIMIT: Final = 10_000
"""How many calls may wait unsent; a caller beyond it is told OVERLOADED."""
ACQUIRES_LIMIT: Final = 1000
"""How many acquires of one session may wait for their locks; one beyond it is told OVERLOADED."""
_FEW: Final = 64
"""So many leftovers are not worth sweeping out."""


class Purpose(enum.Enum):
    """On whose behalf a call is made."""

    CALLER = "caller"
    CANCEL = "cancel"
    REBIND = "rebind"
    AFTERCARE = "aftercare"


class Flight:
    """One call on its way.

    `sent` is the instant of its *first* send, from which a cache lease that its answer renews is counted; `stream` the
    one it was first sent on (0: never sent). `abandoned`: nobody waits for the answer any more. `extended`: its
    deadline has passed, and the master's own verdict is being waited for. `cancelling`: a CancelAcquire for it is on
    its way; `target` is the acquire that a call with purpose CANCEL is for. `held`: it must not be sent for now.
    """

    __slots__ = (
        "abandoned",
        "begun",
        "call",
        "cancelling",
        "deadline",
        "done",
        "extended",
        "formerly",
        "held",
        "name",
        "number",
        "purpose",
        "queued",
        "sent",
        "stream",
        "target",
    )

    def __init__(self, number: CallNumber, call: Call, begun: Instant, deadline: Instant, purpose: Purpose) -> None:
        self.name = self.number = number
        self.call = call
        self.begun = begun
        self.deadline = deadline
        self.purpose = purpose
        self.sent: Instant = 0
        self.stream: StreamNumber = 0
        self.queued = True
        self.done = False
        self.held = False
        self.abandoned = False
        self.extended = False
        self.cancelling = False
        self.target: Flight | None = None
        self.formerly: list[CallNumber] = []


class CallsInFlight:
    """All calls of one session that are not answered yet.

    Invariants: numbers are handed out without a gap; every number in (`acknowledged`, next) is either in flight or
    answered; `acknowledged` never decreases; waiting calls stand in the order of their numbers. Calls answered while
    they wait are swept out of the line once they are most of it.
    """

    def __init__(self) -> None:
        self.acknowledged: CallNumber = 0
        self._next: CallNumber = 1
        self._by_number: dict[CallNumber, Flight] = {}
        self._renumbered: dict[CallNumber, Flight] = {}
        self._waiting: deque[Flight] = deque()
        self._queued = 0
        self._deadlines: list[tuple[Instant, CallNumber]] = []
        self._acquires = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Flight]:
        """All flights in the order of their numbers; a copy, so that the walker may finish them."""
        return iter(sorted(self._by_number.values(), key=lambda flight: flight.number))

    def crowded(self, call: Call) -> bool:
        """Whether too many calls wait for `call` to be taken. What lets go of something is always taken."""
        if isinstance(call, Close | Unwatch):
            return False
        return self._queued >= WAITING_LIMIT or (_waits(call) and self._acquires >= ACQUIRES_LIMIT)

    def begin(self, call: Call, now: Instant, deadline: Instant = NEVER, purpose: Purpose = Purpose.CALLER) -> Flight:
        """Give `call` its number and put it in line. The caller has asked `crowded`."""
        assert not _waits(call) or self._acquires < ACQUIRES_LIMIT, "waiting acquires leave room for other calls"
        flight = Flight(self._next, call, now, deadline, purpose)
        self._next += 1
        self._by_number[flight.number] = flight
        self._waiting.append(flight)
        self._queued += 1
        self._acquires += _waits(call)
        if deadline != NEVER:
            self._remember_deadline(flight)
        return flight

    def find(self, number: CallNumber) -> Flight | None:
        """The flight that goes, or once went, by `number`; None if it is answered."""
        return self._by_number.get(number) or self._renumbered.get(number)

    def finish(self, flight: Flight) -> None:
        """The flight is answered (or need not be): its number is done with."""
        assert not flight.done, f"call {flight.number} is answered once"
        flight.done = True
        self._acquires -= _waits(flight.call)
        del self._by_number[flight.number]
        for number in flight.formerly:
            del self._renumbered[number]
        if flight.queued:
            self._queued -= 1
            if len(self._waiting) > 2 * self._queued + _FEW:
                self._waiting = deque(waiting for waiting in self._waiting if not waiting.done)
        self._advance()

    def _advance(self) -> None:
        while self.acknowledged + 1 < self._next and self.acknowledged + 1 not in self._by_number:
            self.acknowledged += 1

    # ----------------------------------------------------------------------------------------------------- sending

    def next_to_send(self) -> Flight | None:
        """Take the next waiting call that the window lets pass, if any."""
        waiting = self._waiting
        while waiting:
            flight = waiting[0]
            if flight.done or flight.held:
                waiting.popleft()
                continue
            if flight.number - self.acknowledged > self._patience:
                self._renumber_oldest()
            if flight.number - self.acknowledged > REPLY_TABLE_LIMIT:
                return None
            waiting.popleft()
            flight.queued = False
            self._queued -= 1
            return flight
        return None

    @property
    def _patience(self) -> int:
        """How far behind the oldest call may be before waiting acquires are moved."""
        return max(REPLY_TABLE_LIMIT // 2, min(2 * self._acquires, REPLY_TABLE_LIMIT))

    def _renumber_oldest(self) -> None:
        """If the oldest unanswered calls are acquires waiting for their lock, move them to the end of the line."""
        while (flight := self._by_number.get(self.acknowledged + 1)) is not None and _patient(flight):
            del self._by_number[flight.number]
            flight.formerly.append(flight.number)
            self._renumbered[flight.number] = flight
            flight.number, self._next = self._next, self._next + 1
            self._by_number[flight.number] = flight
            flight.queued = True
            self._queued += 1
            self._waiting.append(flight)
            self._advance()

    def rewind(self) -> None:
        """The stream is gone: everything unanswered will be sent (again), in the order of its numbers."""
        self._waiting = deque(self)
        self._queued = len(self._waiting)
        for flight in self._waiting:
            flight.queued = True

    def put_back(self, flight: Flight) -> None:
        """The master refused the call without effect and another one will get it, under the same number."""
        assert not flight.done and not flight.queued
        flight.queued = True
        self._queued += 1
        self._waiting.appendleft(flight)

    def hold(self, flight: Flight) -> None:
        """Do not send the flight until `let_pass`."""
        flight.held = True

    def let_pass(self, held: list[Flight]) -> None:
        """Let these held flights be sent, in the order of their numbers among those that wait."""
        if not held:
            return
        for flight in held:
            self._queued += not flight.queued
            flight.held, flight.queued = False, True
        line = {flight.number: flight for flight in (*self._waiting, *held) if not flight.done and not flight.held}
        self._waiting = deque(line[number] for number in sorted(line))

    # --------------------------------------------------------------------------------------------------- deadlines

    @property
    def earliest_deadline(self) -> Instant:
        """When the next deadline passes of a call that is not answered yet."""
        heap = self._deadlines
        while heap and self.find(heap[0][1]) is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def postpone(self, flight: Flight, deadline: Instant) -> None:
        """Come back to `flight` at `deadline`."""
        flight.deadline = deadline
        self._remember_deadline(flight)

    def _remember_deadline(self, flight: Flight) -> None:
        """Those of answered calls stay in the heap until they come to its top, or until they are most of it."""
        heapq.heappush(self._deadlines, (flight.deadline, flight.name))
        if len(self._deadlines) > 2 * len(self._by_number) + _FEW:
            self._deadlines = [
                (flight.deadline, flight.name) for flight in self._by_number.values() if flight.deadline != NEVER
            ]
            heapq.heapify(self._deadlines)

    def overdue(self, now: Instant) -> Iterator[Flight]:
        """Take, one by one, the flights whose deadline is past."""
        heap = self._deadlines
        while heap and heap[0][0] <= now:
            deadline, name = heapq.heappop(heap)
            flight = self.find(name)
            if flight is not None and not flight.abandoned and flight.deadline == deadline:
                yield flight


def _waits(call: Call) -> bool:
    """Whether `call` is answered only when a lock is free."""
    return isinstance(call, Acquire) and call.wait


def _patient(flight: Flight) -> bool:
    """Whether the flight is an acquire that was sent on and waits for its lock, and may be sent again."""
    return _waits(flight.call) and not flight.queued and not flight.cancelling
