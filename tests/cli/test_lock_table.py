"""The table that decides what happens to a command under a lock (DESIGN §6, last paragraph)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chubby.cli.lock_table import OVERSLEPT, STEPS, Act, CommandState, Happening, Step, follow, judge
from chubby.types.limits import CLOCK_DRIFT_PPM, SESSION_LEASE
from chubby.types.time import SECOND

STOPPED_BY = {Act.STOP}
HAPPENINGS = st.lists(st.sampled_from(Happening), max_size=12)


def walk(happenings: list[Happening]) -> list[tuple[CommandState, Happening, Step]]:
    """Every step of a story."""
    state, steps = CommandState.RUNNING, []
    for happening in happenings:
        step = follow(state, happening)
        steps.append((state, happening, step))
        state = step.state
    return steps


def test_jeopardy_stops_and_safe_continues() -> None:
    """DESIGN §6: "jeopardy stops CMD's process group (SIGSTOP), safe continues it"."""
    assert follow(CommandState.RUNNING, Happening.JEOPARDY) == Step(CommandState.FROZEN, (Act.STOP,))
    assert follow(CommandState.FROZEN, Happening.SAFE) == Step(CommandState.RUNNING, (Act.CONTINUE,))


@pytest.mark.parametrize("state", [CommandState.RUNNING, CommandState.FROZEN])
def test_a_lost_lock_ends_the_command(state: CommandState) -> None:
    """DESIGN §6: "expiry ends it (SIGCONT + SIGTERM, then SIGKILL)"; SIGTERM is pending before it continues."""
    step = follow(state, Happening.LOST)
    assert step == Step(CommandState.ENDING, (Act.TERMINATE, Act.CONTINUE, Act.ARM))
    assert follow(step.state, Happening.KILL_DUE) == Step(CommandState.KILLED, (Act.KILL,))


def test_a_frozen_command_that_is_asked_to_end_may_clean_up_and_is_watched() -> None:
    """Ctrl-C during jeopardy works: the signal is passed on, the group continues, and it has so long to end."""
    step = follow(CommandState.FROZEN, Happening.END)
    assert step == Step(CommandState.ENDING, (Act.PASS_ON, Act.CONTINUE, Act.ARM))


def test_a_running_command_that_is_asked_to_end_takes_its_time() -> None:
    """It holds its lock: nobody hurries it."""
    assert follow(CommandState.RUNNING, Happening.END) == Step(CommandState.RUNNING, (Act.PASS_ON,))


@pytest.mark.parametrize("state", CommandState)
def test_whatever_ends_is_ended(state: CommandState) -> None:
    """GONE leads to ENDED from everywhere, and asks for nothing: there is nobody left to signal."""
    assert follow(state, Happening.GONE) == Step(CommandState.ENDED)


def test_ctrl_z_puts_no_lock_aside() -> None:
    """Whoever is stopped from the terminal continues, unless it is frozen: then only SAFE continues it."""
    assert follow(CommandState.RUNNING, Happening.SUSPENDED) == Step(CommandState.RUNNING, (Act.CONTINUE,))
    assert follow(CommandState.FROZEN, Happening.SUSPENDED) == Step(CommandState.FROZEN)


@given(HAPPENINGS)
def test_nothing_is_signalled_after_the_end(happenings: list[Happening]) -> None:
    """A process number that is free may be somebody else's."""
    for state, _, step in walk(happenings):
        if state is CommandState.ENDED:
            assert step == Step(CommandState.ENDED)


@given(HAPPENINGS)
def test_the_group_stands_still_exactly_while_frozen(happenings: list[Happening]) -> None:
    """Stops and continuations are paired, so that FROZEN means stopped and nothing else does."""
    stopped = False
    for _, _, step in walk(happenings):
        for act in step.acts:
            stopped = act is Act.STOP or (stopped and act not in (Act.CONTINUE, Act.KILL))
        if step.state is not CommandState.ENDED:
            assert stopped == (step.state is CommandState.FROZEN)


@given(HAPPENINGS)
def test_a_loss_is_never_taken_back(happenings: list[Happening]) -> None:
    """Once the command has to end, no word of any master lets it run on, and the timer is set once."""
    lost, armed = False, 0
    for _, _, step in walk(happenings):
        armed += step.acts.count(Act.ARM)
        lost = lost or Act.ARM in step.acts
        if lost:
            assert step.state in (CommandState.ENDING, CommandState.KILLED, CommandState.ENDED)
    assert armed <= 1


@given(HAPPENINGS, st.sampled_from([Happening.LOST, Happening.JEOPARDY]))
def test_a_command_never_runs_on_after_bad_news(happenings: list[Happening], news: Happening) -> None:
    """Whatever went before, JEOPARDY and LOST leave nothing RUNNING."""
    steps = walk([*happenings, news])
    assert steps[-1][2].state is not CommandState.RUNNING


def test_every_state_meets_every_happening() -> None:
    """The table has no holes."""
    assert len(STEPS) == len(CommandState) * len(Happening)


def test_the_lease_decides_alone() -> None:
    """A lease that runs out freezes; one that ran out while we slept ends (the first thing upon waking)."""
    assert judge(CommandState.RUNNING, 1) is None
    assert judge(CommandState.RUNNING, 0) is Happening.JEOPARDY
    assert judge(CommandState.RUNNING, -OVERSLEPT) is Happening.JEOPARDY
    assert judge(CommandState.RUNNING, -OVERSLEPT - 1) is Happening.LOST
    assert judge(CommandState.RUNNING, -3600 * SECOND) is Happening.LOST


@given(st.sampled_from([state for state in CommandState if state is not CommandState.RUNNING]), st.integers())
def test_the_lease_says_nothing_of_what_does_not_run(state: CommandState, left: int) -> None:
    """A frozen command waits for a master's word; one that ends, ends."""
    assert judge(state, left) is None


def test_oversleeping_begins_before_anybody_else_can_hold_the_lock() -> None:
    """DESIGN §5: our count ends before the master's by the drift of two clocks, which must cover what is tolerated."""
    ours = SESSION_LEASE * (1_000_000 - CLOCK_DRIFT_PPM) // (1_000_000 + CLOCK_DRIFT_PPM)
    assert SESSION_LEASE - ours > OVERSLEPT
