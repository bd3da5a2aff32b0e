"""Numbers, the window, the patient waiter, deadlines (DESIGN §4 Sessions with a reply table)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chubby.client.in_flight import ACQUIRES_LIMIT, WAITING_LIMIT, CallsInFlight, Flight, Purpose
from chubby.types.calls import Acquire, Call, GetStat
from chubby.types.limits import REPLY_TABLE_LIMIT
from chubby.types.time import NEVER

READ = GetStat(1)


def send_all(flights: CallsInFlight) -> list[int]:
    """Send what may be sent; the numbers, in order."""
    sent = []
    while (flight := flights.next_to_send()) is not None:
        flight.stream = 1
        sent.append(flight.number)
    return sent


def begun(flights: CallsInFlight, count: int, call: Call = READ) -> list[Flight]:
    """Begin some calls."""
    return [flights.begin(call, 0) for _ in range(count)]


def test_numbers_grow_by_one_and_are_sent_in_order() -> None:
    """`CallNumber`: grows by one with each call of a session."""
    flights = CallsInFlight()
    assert [flight.number for flight in begun(flights, 5)] == [1, 2, 3, 4, 5]
    assert send_all(flights) == [1, 2, 3, 4, 5]
    assert send_all(flights) == []


def test_acknowledged_is_the_last_before_the_first_gap() -> None:
    """Replies to all calls numbered at or below it have arrived, and not one more is claimed."""
    flights = CallsInFlight()
    one, two, three, four = begun(flights, 4)
    send_all(flights)
    flights.finish(two)
    assert flights.acknowledged == 0
    flights.finish(one)
    assert flights.acknowledged == 2
    flights.finish(four)
    assert flights.acknowledged == 2
    flights.finish(three)
    assert flights.acknowledged == 4


def test_a_call_is_answered_once() -> None:
    """A second answer is a bug."""
    flights = CallsInFlight()
    (flight,) = begun(flights, 1)
    flights.finish(flight)
    assert flights.find(1) is None
    with pytest.raises(AssertionError):
        flights.finish(flight)


def test_the_window_is_the_reply_table() -> None:
    """DESIGN §4: at most 1,024 unacknowledged results, so nothing beyond is sent."""
    flights = CallsInFlight()
    all_flights = begun(flights, REPLY_TABLE_LIMIT + 10)
    assert len(send_all(flights)) == REPLY_TABLE_LIMIT
    for flight in all_flights[1:100]:
        flights.finish(flight)
    assert send_all(flights) == [], "the oldest is not answered yet"
    flights.finish(all_flights[0])
    assert send_all(flights) == [flight.number for flight in all_flights[REPLY_TABLE_LIMIT:]]


def test_an_acquire_that_waits_does_not_hold_the_window() -> None:
    """A standby may wait for its lock for days, and make other calls meanwhile."""
    flights = CallsInFlight()
    (waiter,) = begun(flights, 1, Acquire(1))
    send_all(flights)
    for _ in range(5 * REPLY_TABLE_LIMIT):
        (flight,) = begun(flights, 1)
        send_all(flights)
        assert flight.stream == 1, f"call {flight.number} was held up"
        flights.finish(flight)
        assert flight.number - flights.acknowledged <= REPLY_TABLE_LIMIT
    assert waiter.number > waiter.name == 1
    assert flights.find(1) is waiter, "its caller knows it by its first number"
    assert flights.find(waiter.number) is waiter
    number = waiter.number
    flights.finish(waiter)
    assert flights.find(1) is None and flights.find(number) is None


def test_a_renumbered_acquire_is_sent_again_behind_those_before_it() -> None:
    """Under its new number, in the order of numbers."""
    flights = CallsInFlight()
    (waiter,) = begun(flights, 1, Acquire(1))
    rest = begun(flights, REPLY_TABLE_LIMIT)
    sent = send_all(flights)
    assert sent == sorted(sent)
    assert sent.count(1) == 1
    assert waiter.number == REPLY_TABLE_LIMIT + 2
    for flight in rest:
        flights.finish(flight)
    assert waiter.number in sent or send_all(flights) == [waiter.number]


@pytest.mark.parametrize("call", [READ, Acquire(1, wait=False)])
def test_only_a_waiting_acquire_is_renumbered(call: Call) -> None:
    """Nothing else may be repeated under another number."""
    flights = CallsInFlight()
    (oldest,) = begun(flights, 1, call)
    begun(flights, 2 * REPLY_TABLE_LIMIT)
    assert len(send_all(flights)) == REPLY_TABLE_LIMIT
    assert oldest.number == 1


def test_an_acquire_being_cancelled_keeps_its_number() -> None:
    """Its CancelAcquire is on the way: it will be answered soon."""
    flights = CallsInFlight()
    (waiter,) = begun(flights, 1, Acquire(1))
    send_all(flights)
    waiter.cancelling = True
    begun(flights, REPLY_TABLE_LIMIT)
    send_all(flights)
    assert waiter.number == 1


def test_rewind_sends_everything_unanswered_again_in_order() -> None:
    """DESIGN §4: numbers are sent again unchanged after a Resume."""
    flights = CallsInFlight()
    all_flights = begun(flights, 6)
    for _ in range(4):
        flight = flights.next_to_send()
        assert flight is not None
    flights.finish(all_flights[1])
    flights.rewind()
    assert send_all(flights) == [1, 3, 4, 5, 6]


def test_held_flights_stay_and_then_take_their_place() -> None:
    """In the order of numbers among those that wait."""
    flights = CallsInFlight()
    all_flights = begun(flights, 4)
    flights.hold(all_flights[0])
    flights.hold(all_flights[2])
    first = flights.next_to_send()
    assert first is all_flights[1]
    flights.let_pass([all_flights[0], all_flights[2]])
    assert send_all(flights) == [1, 3, 4]


def test_a_refused_call_goes_first_next_time() -> None:
    """A replica that is no master took it without effect."""
    flights = CallsInFlight()
    begun(flights, 2)
    send_all(flights)
    flight = flights.find(1)
    assert flight is not None
    flights.put_back(flight)
    assert send_all(flights) == [1]


def test_deadlines_come_in_order_and_once() -> None:
    """One heap for all; a call answered in time is not in it any more."""
    flights = CallsInFlight()
    late, early, never = flights.begin(READ, 0, 20), flights.begin(READ, 0, 10), flights.begin(READ, 0)
    assert flights.earliest_deadline == 10
    assert list(flights.overdue(9)) == []
    assert list(flights.overdue(10)) == [early]
    assert list(flights.overdue(10)) == []
    flights.postpone(early, 15)
    assert flights.earliest_deadline == 15
    assert list(flights.overdue(30)) == [early, late]
    assert never.deadline == NEVER
    assert flights.earliest_deadline == NEVER


def test_answered_and_abandoned_calls_have_no_deadline() -> None:
    """Nobody is told twice, nor wakes up for it."""
    flights = CallsInFlight()
    answered, abandoned = flights.begin(READ, 0, 10), flights.begin(READ, 0, 11)
    flights.finish(answered)
    abandoned.abandoned = True
    assert flights.earliest_deadline == 11
    assert list(flights.overdue(20)) == []


def test_deadlines_of_answered_calls_do_not_pile_up() -> None:
    """A program that gives each of its calls an hour must not remember an hour of calls."""
    flights = CallsInFlight()
    early = flights.begin(GetStat(1), 0, 5)
    last = flights.begin(GetStat(1), 0, 50_000)
    for number in range(20_000):
        flights.finish(flights.begin(GetStat(1), 0, 60_000 + number))
    assert len(flights._deadlines) < 200
    assert flights.earliest_deadline == 5
    assert [flight.name for flight in flights.overdue(5)] == [early.name]
    flights.postpone(early, 49_999)
    assert [flight.name for flight in flights.overdue(70_000)] == [early.name, last.name]
    assert flights.earliest_deadline == NEVER


def test_a_renumbered_call_keeps_its_deadline() -> None:
    """Its caller's patience does not depend on the number."""
    flights = CallsInFlight()
    waiter = flights.begin(Acquire(1), 0, 50)
    send_all(flights)
    begun(flights, REPLY_TABLE_LIMIT)
    send_all(flights)
    assert waiter.number != 1
    assert list(flights.overdue(50)) == [waiter]


def test_the_line_is_bounded() -> None:
    """Without a master an application could go on asking for ever."""
    flights = CallsInFlight()
    begun(flights, WAITING_LIMIT - 1)
    assert not flights.crowded(READ)
    begun(flights, 1)
    assert flights.crowded(READ)


def test_calls_given_up_unsent_leave_the_line() -> None:
    """Without a master for a minute, each call with a second of patience: no more wait than are in flight."""
    flights = CallsInFlight()
    (first,) = begun(flights, 1)
    for _ in range(3 * WAITING_LIMIT):
        flights.finish(flights.begin(READ, 0))
    assert not flights.crowded(READ)
    assert len(flights._waiting) < 200
    assert send_all(flights) == [first.number]


def test_waiting_acquires_are_bounded_too() -> None:
    """Below the window, so that a Release always finds room."""
    flights = CallsInFlight()
    waiters = begun(flights, ACQUIRES_LIMIT, Acquire(1))
    assert flights.crowded(Acquire(2)) and not flights.crowded(READ) and not flights.crowded(Acquire(2, wait=False))
    flights.finish(waiters[0])
    assert not flights.crowded(Acquire(2))


@pytest.mark.parametrize("waiting", [1, 300, 513, 700, ACQUIRES_LIMIT])
def test_however_many_acquires_wait_other_calls_go_through(waiting: int) -> None:
    """A mount has a thousand waiters in one session. Each round of repeats is followed by other calls' progress."""
    flights = CallsInFlight()
    begun(flights, waiting, Acquire(1))
    sent = len(send_all(flights))
    assert sent == waiting
    for _ in range(2000):
        (flight,) = begun(flights, 1)
        sent += len(send_all(flights))
        assert flight.stream == 1, f"call {flight.number} was held up"
        flights.finish(flight)
    room = REPLY_TABLE_LIMIT - waiting
    assert sent <= waiting + 2000 + waiting * (2000 // min(room, max(waiting, 512 - waiting)) + 1)


class Histories(RuleBasedStateMachine):
    """Random begins, sends, answers and lost streams: the invariants of the class hold throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.flights = CallsInFlight()
        self.sent: dict[int, Flight] = {}
        self.answered: set[int] = set()
        self.last_sent = 0
        self.highest = 0

    @rule(count=st.integers(1, 300), waits=st.booleans())
    def begin(self, count: int, waits: bool) -> None:
        """Some calls begin, within the bounds: more waiting acquires would move each other for ever."""
        call = Acquire(1) if waits else READ
        for _ in range(count if len(self.flights) < 900 else 0):
            if self.flights.crowded(call):
                return
            flight = self.flights.begin(call, 0, purpose=Purpose.CALLER)
            self.highest = max(self.highest, flight.number)

    @rule()
    def send(self) -> None:
        """What may be sent goes, in order."""
        while (flight := self.flights.next_to_send()) is not None:
            assert flight.number > self.last_sent, "numbers grow on a stream"
            assert flight.number - self.flights.acknowledged <= REPLY_TABLE_LIMIT
            self.last_sent = flight.number
            self.sent[flight.number] = flight

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """One of those sent is answered, under whatever number it was sent."""
        waiting = [number for number, flight in self.sent.items() if not flight.done]
        if waiting:
            number = data.draw(st.sampled_from(waiting))
            self.flights.finish(self.sent.pop(number))

    @rule()
    def lose_the_stream(self) -> None:
        """Everything goes again."""
        self.flights.rewind()
        self.last_sent = 0

    @invariant()
    def nothing_unanswered_is_acknowledged(self) -> None:
        """The master may forget everything up to there."""
        assert all(flight.number > self.flights.acknowledged for flight in self.flights)

    @invariant()
    def the_line_is_counted_and_holds_little_else(self) -> None:
        """What was answered while it waited does not count, and does not pile up."""
        waiting = sum(flight.queued for flight in self.flights)
        assert self.flights._queued == waiting
        assert len(self.flights._waiting) <= 2 * waiting + 64 + 1

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """One that waits is given up before it was sent."""
        waiting = [flight for flight in self.flights if flight.queued]
        if waiting:
            self.flights.finish(data.draw(st.sampled_from(waiting)))

    @invariant()
    def every_flight_is_found_by_its_name(self) -> None:
        """Names last, numbers may change."""
        for flight in self.flights:
            assert self.flights.find(flight.name) is flight


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
