"""Pushes are carried out and acknowledged in order, by what rests on the cache as well (DESIGN §5 Invalidate first)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.client.cache import Cache
from chubby.client.effects import Effect, Relay, Send
from chubby.client.pushes import Pushes
from chubby.client.session_core import SessionCore
from chubby.client.state import SessionState
from chubby.client.stream import PATIENCE
from chubby.types.stream import Acknowledge, CacheKey, CacheKind, OpenSession, Push, Resume, Resumed
from chubby.types.time import to_seconds
from tests.client.script import CACHE_LEASE, LEASE, Script

A, B = CacheKey("/a", CacheKind.NODE), CacheKey("/b", CacheKind.CHILDREN)


def push(number: int, *keys: CacheKey, everything: bool = False) -> Push:
    """What the master pushes."""
    return Push(number=number, invalidate=keys, everything=everything)


class Relaying(Script):
    """A script whose session has a dependant."""

    def __init__(self) -> None:
        super().__init__()
        self.core = SessionCore(4711, lambda: 0.5, relays=True)
        self.core.start(self.now)
        self.effects.clear()
        self.drain()

    @property
    def relays(self) -> list[Relay]:
        """Asked for so far."""
        return [effect for effect in self.effects if isinstance(effect, Relay)]

    @property
    def acknowledged(self) -> list[int]:
        """Sent so far."""
        return [frame.push for frame in self.sent(Acknowledge)]

    def relayed(self, place: int) -> Relaying:
        """The dependant has dropped all up to there."""
        self.core.relayed(place, self.now)
        self.drain()
        return self

    def connect(self) -> list[Effect]:
        """The connection stands, and nothing is left at the dependant."""
        before = super().connect()
        self.relayed(self.relays[-1].place)
        return before


def ready() -> Relaying:
    """In session."""
    script = Relaying()
    script.established()
    return script


def reconnected() -> Relaying:
    """On another connection, before anything is sent over it: the dependant is asked first."""
    script = ready()
    script.disconnect()
    script.tick(0.2)
    script.core.connected(script.stream, script.now)
    script.drain()
    return script


def test_without_a_dependant_nothing_is_relayed_and_all_is_acknowledged_at_once() -> None:
    """As ever."""
    script = Script().established()
    script.receive(push(1, A), push(2, everything=True), push(3))
    assert [frame.push for frame in script.sent(Acknowledge)] == [3]
    assert not any(isinstance(effect, Relay) for effect in script.effects)


def test_a_push_is_acknowledged_when_the_dependant_has_dropped_too() -> None:
    """Until then somebody could still read the old value there, and the writer has to wait."""
    script = ready()
    script.receive(push(1, A, B))
    (relay,) = script.relays
    assert (relay.keys, relay.everything) == ((A, B), False)
    assert script.acknowledged == []
    script.relayed(relay.place)
    assert script.acknowledged == [1]


def test_what_comes_behind_waits_for_it_and_what_came_before_does_not() -> None:
    """Acknowledgements speak of all up to a number."""
    script = ready()
    script.receive(push(1), push(2, A), push(3), push(4, everything=True), push(5))
    first, second = script.relays
    assert script.acknowledged == [1] and second.everything
    script.relayed(first.place)
    assert script.acknowledged == [1, 3]
    script.relayed(second.place)
    assert script.acknowledged == [1, 3, 5]


def test_a_stream_is_greeted_when_nothing_is_left_anywhere() -> None:
    """Resume says that nothing is cached: it is the acknowledgement of whatever the old stream carried."""
    script = reconnected()
    assert script.relays[-1].everything and not script.sent(Resume)
    script.after(1)
    script.relayed(script.relays[-1].place)
    assert len(script.sent(Resume)) == 1
    script.receive(Resumed(5, LEASE, CACHE_LEASE, ()))
    script.receive(push(1))
    assert script.acknowledged == [1], "its pushes are numbered anew"


def test_leases_count_from_the_greeting_not_from_the_connection() -> None:
    """What the dependant takes is no part of the lease that the master grants later."""
    script = reconnected()
    script.after(2)
    script.relayed(script.relays[-1].place)
    greeted = script.now
    script.receive(Resumed(5, LEASE, CACHE_LEASE, ()))
    assert script.core.statistics(greeted).session_lease_left > LEASE * 97 // 100


def test_a_dependant_that_takes_too_long_costs_the_stream_and_not_the_order() -> None:
    """The next stream asks for an empty one again; the late word about the old place greets nobody."""
    script = reconnected()
    late = script.relays[-1].place
    script.forget().tick(to_seconds(2 * PATIENCE))
    script.relayed(late)
    assert not script.sent(Resume), "there is no connection any more"
    script.tick(2.1)
    script.relayed(late)
    assert not script.sent(Resume), "there is none yet"
    script.core.connected(script.stream, script.now)
    script.drain()
    assert not script.sent(Resume)
    script.relayed(script.relays[-1].place)
    assert len(script.sent(Resume)) == 1


def test_the_first_stream_waits_as_well() -> None:
    """Who knows what a dependant holds of an earlier session."""
    script = Relaying()
    Script.connect(script)
    assert script.relays and not script.sent(OpenSession)
    script.relayed(script.relays[-1].place)
    assert len(script.sent(OpenSession)) == 1


def test_jeopardy_empties_the_dependant_too() -> None:
    """DESIGN §6: "in jeopardy the cache is emptied and off", and so is what rests on it."""
    script = ready()
    script.disconnect()
    script.forget().run(12)
    assert script.states == [SessionState.JEOPARDY]
    assert [relay.everything for relay in script.relays] == [True]
    script.forget().run(50)
    assert script.states == [SessionState.EXPIRED]
    assert [relay.everything for relay in script.relays] == [True]


def test_a_late_word_after_the_stream_is_lost_acknowledges_nothing() -> None:
    """It is the next greeting that does."""
    script = ready()
    script.receive(push(1, A))
    place = script.relays[-1].place
    script.disconnect()
    script.relayed(place)
    assert script.acknowledged == []


@given(
    st.lists(st.one_of(st.sampled_from([(), (A,), (A, B)]), st.just("relayed"), st.just("stream")), max_size=40),
)
def test_nothing_is_acknowledged_that_is_still_cached_anywhere(steps: list[tuple[CacheKey, ...] | str]) -> None:
    """Any order of pushes, words of the dependant and new streams, against a list of what it was told and has done."""
    effects: list[Effect] = []
    pushes = Pushes(Cache(), effects, relays=True)
    told: list[tuple[int, int]] = []  # place, push (0: none) that the dependant has not carried out
    taken = acknowledged = 0
    for step in steps:
        if step == "stream":
            pushes.begin()
            taken = acknowledged = 0
            told = [(place, 0) for place, _ in told]
        elif step == "relayed":
            if told:
                pushes.relayed(told.pop(0)[0])
        elif not isinstance(step, str):
            assert not pushes.take(push(taken + 2, A)), "out of order: nothing is done"
            taken += 1
            assert pushes.take(push(taken, *step))
        new = [effect for effect in effects if isinstance(effect, Relay)]
        effects.clear()
        told += [(relay.place, taken if relay.keys else 0) for relay in new]
        pushes.acknowledge(1)
        for effect in effects:
            assert isinstance(effect, Send) and isinstance(effect.frame, Acknowledge)
            assert effect.frame.push > acknowledged
            acknowledged = effect.frame.push
        effects.clear()
        pending = [number for _, number in told if number]
        assert acknowledged == (min(pending) - 1 if pending else taken)
        assert pushes.waits is bool(told)
