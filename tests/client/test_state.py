"""The automaton of a session: the table is complete, and nothing leads out of an end (DESIGN §6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.client import state as state_module
from chubby.client.state import TRANSITIONS, SessionState, Trigger, follow

PAIRS = [(state, trigger) for state in SessionState for trigger in Trigger]


@pytest.mark.parametrize(("state", "trigger"), PAIRS)
def test_only_what_the_table_says_can_happen(state: SessionState, trigger: Trigger) -> None:
    """DESIGN §6, NORMAL → JEOPARDY → SAFE | EXPIRED: every other step is a bug, and says so."""
    after = TRANSITIONS.get((state, trigger))
    if after is None:
        with pytest.raises(AssertionError, match=r"cannot follow"):
            follow(state, trigger)
    else:
        assert follow(state, trigger) is after


@pytest.mark.parametrize("state", [SessionState.EXPIRED, SessionState.CLOSED])
def test_ends_are_final(state: SessionState) -> None:
    """Once expired, every later call fails: there is no way back."""
    assert state.final
    assert not any(before is state for before, _ in TRANSITIONS)


def test_jeopardy_is_left_only_by_a_master_or_an_end() -> None:
    """Not by a late answer on the old stream: only Resume, which is sent with an empty cache, makes safe."""
    leaving = {trigger: after for (before, trigger), after in TRANSITIONS.items() if before is SessionState.JEOPARDY}
    assert leaving == {
        Trigger.RESUMED: SessionState.SAFE,
        Trigger.GRACE_RAN_OUT: SessionState.EXPIRED,
        Trigger.DISOWNED: SessionState.EXPIRED,
        Trigger.CLOSED_BY_US: SessionState.CLOSED,
    }


def test_safe_allows_what_normal_allows() -> None:
    """SAFE differs from NORMAL only in what it remembers."""
    live = {state for state in SessionState if state.live}
    assert live == {SessionState.NORMAL, SessionState.SAFE}
    for trigger in Trigger:
        normal = TRANSITIONS.get((SessionState.NORMAL, trigger))
        safe = TRANSITIONS.get((SessionState.SAFE, trigger))
        assert normal is safe or (normal, safe) == (SessionState.NORMAL, SessionState.SAFE) or normal is None


def test_no_state_is_live_and_final() -> None:
    """A session that has ended answers nothing."""
    assert not any(state.live and state.final for state in SessionState)


@given(st.lists(st.sampled_from(list(Trigger)), max_size=30))
def test_every_path_stays_inside_the_table(triggers: list[Trigger]) -> None:
    """From OPENING, following what is possible and skipping what is not, one never leaves the states."""
    state = SessionState.OPENING
    for trigger in triggers:
        if (state, trigger) in TRANSITIONS:
            state = follow(state, trigger)
        assert isinstance(state, SessionState)
        if state.final:
            return


def test_the_picture_names_every_state_and_trigger() -> None:
    """The drawing in the docstring is the first thing one reads; it must not lie."""
    picture = state_module.__doc__ or ""
    for member in SessionState:
        assert member.name in picture
    for trigger in Trigger:
        assert trigger.name in picture
