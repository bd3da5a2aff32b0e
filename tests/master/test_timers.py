"""Deadlines that are put off and cancelled (DESIGN §5: leases move with every KeepAlive)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chubby.master.timers import Timers
from chubby.types.time import NEVER


def drain(timers: Timers[str], now: int) -> list[str]:
    """Everything that is due."""
    due = []
    while (key := timers.pop(now)) is not None:
        due.append(key)
    return due


def test_due_in_order_of_deadline() -> None:
    """What ends first is taken first, and nothing before its time."""
    timers: Timers[str] = Timers()
    timers.set("late", 30)
    timers.set("early", 10)
    assert timers.next == 10
    assert drain(timers, 9) == []
    assert drain(timers, 30) == ["early", "late"]
    assert timers.next == NEVER and len(timers) == 0


def test_moved_later_and_earlier() -> None:
    """A deadline counts where it was moved last, in either direction."""
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.set("a", 50)
    assert timers.next == 50 and drain(timers, 49) == []
    timers.set("a", 20)
    assert drain(timers, 20) == ["a"]
    assert drain(timers, 100) == [], "a key is due once"


def test_cancelled_is_never_due() -> None:
    """Cancelling twice, or what was never set, does nothing."""
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.cancel("a")
    timers.cancel("a")
    timers.cancel("b")
    assert timers.next == NEVER and drain(timers, 100) == []
    timers.set("a", 5)
    assert drain(timers, 5) == ["a"]


def test_ties_in_order_of_arming() -> None:
    """Equal deadlines come in the order in which they were set: the order of keys plays no part."""
    timers: Timers[str] = Timers()
    for key in ("z", "a", "m"):
        timers.set(key, 7)
    assert drain(timers, 7) == ["z", "a", "m"]


def test_postpone_moves_all() -> None:
    """A stall moves every deadline by the same (DESIGN §3: a stall of d extends every session by d)."""
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.set("b", 20)
    timers.postpone(5)
    assert timers.next == 15
    assert drain(timers, 24) == ["a"] and drain(timers, 25) == ["b"]


def test_clear_forgets() -> None:
    """After a mastership nothing is due."""
    timers: Timers[str] = Timers()
    timers.set("a", 10)
    timers.clear()
    assert timers.next == NEVER and len(timers) == 0


def test_cancelled_entries_do_not_pile_up() -> None:
    """A million answered calls leave no heap behind."""
    timers: Timers[int] = Timers()
    timers.set(-1, 1_000_000)
    for number in range(10_000):
        timers.set(number, 500_000 + number)
        timers.cancel(number)
    assert len(timers._heap) < 200
    assert timers.next == 1_000_000


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 5), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("postpone"), st.just(0), st.integers(0, 5)),
        st.tuples(st.just("pop"), st.just(0), st.integers(0, 60)),
    ),
    max_size=60,
)


@given(steps)
def test_like_a_dictionary(script: list[tuple[str, int, int]]) -> None:
    """Against a dictionary that is searched every time: same deadlines, same dues."""
    timers: Timers[int] = Timers()
    model: dict[int, int] = {}
    for verb, key, value in script:
        if verb == "set":
            timers.set(key, value)
            model[key] = value
        elif verb == "cancel":
            timers.cancel(key)
            model.pop(key, None)
        elif verb == "postpone":
            timers.postpone(value)
            model = {name: when + value for name, when in model.items()}
        else:
            earliest = min(model.values(), default=NEVER)
            taken = timers.pop(value)
            if taken is None:
                assert earliest > value
            else:
                assert model.pop(taken) == earliest <= value
        assert timers.next == min(model.values(), default=NEVER)
        assert len(timers) == len(model)
