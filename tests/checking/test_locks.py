"""Hand-made histories of a lock (DESIGN §4 Locks, Token)."""

from __future__ import annotations

import pytest

from tests.checking.history import UNKNOWN, History
from tests.checking.locks import (
    Acquire,
    Confirm,
    Granted,
    Hold,
    LockCall,
    LockModel,
    LockResult,
    LockSaid,
    LockState,
    Release,
    TryAcquire,
    Validate,
)
from tests.checking.stories import Line, holds, lost, story

HELD: Line[LockCall, LockResult] = ("c1", 0, 1, Acquire("c1"), Granted(5))
FREED: Line[LockCall, LockResult] = ("c1", 2, 3, Release("c1"), LockSaid.RELEASED)
SHARED: Line[LockCall, LockResult] = ("c1", 0, 1, Acquire("c1", Hold.SHARED), Granted(5))


def good(*lines: Line[LockCall, LockResult]) -> bool:
    """Whether a lock can have given these answers."""
    history: History[LockCall, LockResult] = story(lines)
    return holds(history, LockModel())


def test_a_lock_goes_from_hand_to_hand() -> None:
    """A token for each hold period, each greater than the last."""
    second = ("c2", 0, 9, Acquire("c2"), Granted(8)), ("c2", 10, 11, Validate(8), LockSaid.VALID)
    assert good(HELD, FREED, *second)


@pytest.mark.parametrize(
    ("what", "call", "result"),
    [
        ("two holders", Acquire("c2"), Granted(6)),
        ("two holders of one period", TryAcquire("c2"), Granted(5)),
        ("a shared holder beside an exclusive one", Acquire("c2", Hold.SHARED), Granted(5)),
        ("a holder that is not known", Confirm("c1"), LockSaid.NOT_HELD),
        ("a holder of another period", Confirm("c1"), Granted(6)),
        ("a stranger taken for the holder", Confirm("c2"), Granted(5)),
        ("a stranger's release", Release("c2"), LockSaid.RELEASED),
        ("a holder's release refused", Release("c1"), LockSaid.NOT_HELD),
        ("a valid token refused", Validate(5), LockSaid.INVALID),
        ("an old token let through", Validate(4), LockSaid.VALID),
        ("a holder refused what it has", TryAcquire("c1"), LockSaid.CONFLICT),
        ("a holder given another token", Acquire("c1"), Granted(6)),
        ("a waiter told of a conflict", Acquire("c2"), LockSaid.CONFLICT),
    ],
)
def test_what_a_held_lock_never_says(what: str, call: LockCall, result: LockResult) -> None:
    """While c1 holds it exclusively with token 5."""
    assert not good(HELD, ("c2", 4, 5, call, result)), what


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (TryAcquire("c2"), LockSaid.CONFLICT),
        (Acquire("c1"), Granted(5)),
        (Confirm("c1"), Granted(5)),
        (Confirm("c2"), LockSaid.NOT_HELD),
        (Release("c2"), LockSaid.NOT_HELD),
        (Release("c1"), LockSaid.RELEASED),
        (Validate(5), LockSaid.VALID),
        (Validate(4), LockSaid.INVALID),
    ],
)
def test_what_a_held_lock_says(call: LockCall, result: LockResult) -> None:
    """The right answers, also to who asks again after a lost reply."""
    assert good(HELD, ("c2", 4, 5, call, result))


@pytest.mark.parametrize(
    ("what", "call", "result", "right"),
    [
        ("a token used again", Acquire("c2"), Granted(5), False),
        ("a token that goes back", Acquire("c2"), Granted(4), False),
        ("the next period", Acquire("c2"), Granted(6), True),
        ("a dead token let through", Validate(5), LockSaid.VALID, False),
        ("a dead token refused", Validate(5), LockSaid.INVALID, True),
        ("a conflict with nobody", TryAcquire("c2"), LockSaid.CONFLICT, False),
        ("a second release", Release("c1"), LockSaid.NOT_HELD, True),
        ("a second release that worked", Release("c1"), LockSaid.RELEASED, False),
    ],
)
def test_a_free_lock(what: str, call: LockCall, result: LockResult, right: bool) -> None:
    """After c1 held it with token 5 and gave it back."""
    assert good(HELD, FREED, ("c2", 4, 5, call, result)) is right, what


def test_those_who_share_have_one_token() -> None:
    """From the first who joins to the last who leaves."""
    joined = ("c2", 2, 3, Acquire("c2", Hold.SHARED), Granted(5))
    left = ("c1", 4, 5, Release("c1"), LockSaid.RELEASED)
    assert good(SHARED, joined, left, ("c1", 6, 7, Validate(5), LockSaid.VALID))
    assert not good(SHARED, ("c2", 2, 3, Acquire("c2", Hold.SHARED), Granted(6)))
    assert not good(SHARED, joined, left, ("c3", 6, 7, Acquire("c3"), Granted(6)))
    assert not good(SHARED, ("c2", 2, 3, TryAcquire("c2", Hold.SHARED), LockSaid.CONFLICT))
    assert not good(SHARED, ("c1", 2, 3, Acquire("c1"), Granted(5)))
    gone = left, ("c2", 6, 7, Release("c2"), LockSaid.RELEASED)
    assert good(SHARED, joined, *gone, ("c3", 8, 9, Acquire("c3"), Granted(6)))


def test_a_session_that_ends_gives_back_what_it_holds() -> None:
    """Recorded as a release of unknown outcome, not before its client stopped to count on it."""
    second = ("c2", 2, 9, Acquire("c2"), Granted(6))
    assert not good(HELD, second)
    assert good(HELD, second, lost("c1", 5, Release("c1")))
    assert not good(HELD, second, lost("c1", 10, Release("c1")))


def test_an_acquire_of_unknown_outcome() -> None:
    """It may hold the lock with a token that nobody was told; whoever learns the token fixes it."""
    unknown = lost("c2", 4, Acquire("c2"))
    assert good(HELD, FREED, unknown, ("c3", 5, 6, Acquire("c3"), Granted(6)))
    assert good(HELD, FREED, unknown, ("c3", 5, 6, TryAcquire("c3"), LockSaid.CONFLICT))
    confirmed = ("c2", 5, 6, Confirm("c2"), Granted(8))
    assert good(HELD, FREED, unknown, confirmed)
    assert not good(HELD, FREED, unknown, ("c2", 5, 6, Confirm("c2"), Granted(5)))
    taken = ("c3", 7, 8, Acquire("c3"), Granted(9))
    assert not good(HELD, FREED, unknown, confirmed, taken)
    assert good(HELD, FREED, unknown, confirmed, taken, lost("c4", 6, Release("c2")))


def test_what_may_be_is_not_certain() -> None:
    """A token may be, or not be, that of a hold period whose token nobody knows."""
    state = LockState(Hold.EXCLUSIVE, ("c1",), 5, exact=False)
    model = LockModel()
    assert model.step(state, Validate(7), LockSaid.INVALID) == state
    assert model.step(state, Validate(7), LockSaid.VALID) == state._replace(token=7, exact=True)
    assert model.step(state, Validate(5), LockSaid.VALID) is None
    assert model.step(state, Validate(5), LockSaid.INVALID) == state
    assert model.step(state, Validate(7), UNKNOWN) == state


def test_who_only_asks_is_known() -> None:
    """What never changes a state."""
    model = LockModel()
    for call, result in (
        (Confirm("c1"), Granted(1)),
        (Validate(1), LockSaid.VALID),
        (TryAcquire("c1"), LockSaid.CONFLICT),
        (Release("c1"), LockSaid.NOT_HELD),
    ):
        assert model.observes(call, result)
    assert not model.observes(Acquire("c1"), Granted(1))
    assert not model.observes(Release("c1"), LockSaid.RELEASED)


def test_states_tell_themselves() -> None:
    """For who reads why."""
    model = LockModel()
    assert model.show(LockState()) == "free, last token 0"
    assert model.show(LockState(Hold.SHARED, ("c1", "c2"), 5, False)) == "shared c1 c2, token above 5"
