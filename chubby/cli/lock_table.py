"""What happens to the command of `chubby lock` when, as one literal table (DESIGN §6, last paragraph). PURE.

The command may only run while its lock is surely held, so its process group is stopped while nobody knows, and ended
once the lock is gone::

                     JEOPARDY                  SAFE
        RUNNING ───────────────▶ FROZEN ───────────────▶ RUNNING
           │  LOST                 │ LOST, or asked to end
           ▼                       ▼
        ENDING ──── KILL_DUE ──▶ KILLED ──── GONE ──▶ ENDED   (GONE ends every state)

| event       | means                                                                                        |
|-------------|----------------------------------------------------------------------------------------------|
| JEOPARDY    | the session lease has run out on our own clock; the lock may or may not be ours              |
| SAFE        | a master has confirmed session and token: the lock was ours all the time                     |
| LOST        | the session has expired, the node is gone, or we slept through the lease: not ours any more  |
| END         | somebody asks the wrapper to end (SIGINT, SIGTERM, SIGHUP): passed on to the command         |
| OTHER       | any other signal sent to the wrapper: passed on as well                                      |
| SUSPENDED   | the terminal has stopped it (Ctrl-Z): continued, for who holds a lock cannot be put aside    |
| KILL_DUE    | the command was given its time to end, and has not                                           |
| GONE        | the command has ended (once it has to end: its whole process group has)                      |

A stopped group gets SIGTERM *before* SIGCONT: the signal is pending when it continues, so a process that does not catch
it never executes another instruction without the lock. A group that is being ended is never stopped again: it has to
clean up and go. A group asked to end while frozen is continued for it, and watched like one that has lost its lock.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from chubby.types.time import MILLISECOND, Duration


class CommandState(enum.Enum):
    """Where the command stands."""

    RUNNING = "running"
    FROZEN = "frozen"
    ENDING = "ending"
    KILLED = "killed"
    ENDED = "ended"


class Happening(enum.Enum):
    """What may happen to it; see the module."""

    JEOPARDY = "jeopardy"
    SAFE = "safe"
    LOST = "lost"
    END = "asked to end"
    OTHER = "other signal"
    SUSPENDED = "suspended"
    KILL_DUE = "kill due"
    GONE = "gone"


class Act(enum.Enum):
    """What is done to the command's process group, in order."""

    STOP = "SIGSTOP"
    CONTINUE = "SIGCONT"
    TERMINATE = "SIGTERM"
    KILL = "SIGKILL"
    PASS_ON = "the signal that came"
    ARM = "set the kill timer"


class Step(NamedTuple):
    """The state that follows, and what is done on the way."""

    state: CommandState
    acts: tuple[Act, ...] = ()


_RUN, _FROZEN, _ENDING = CommandState.RUNNING, CommandState.FROZEN, CommandState.ENDING
_KILLED, _ENDED = CommandState.KILLED, CommandState.ENDED
_END_IT: Final = (Act.TERMINATE, Act.CONTINUE, Act.ARM)

STEPS: Final[dict[tuple[CommandState, Happening], Step]] = {
    (_RUN, Happening.JEOPARDY): Step(_FROZEN, (Act.STOP,)),
    (_RUN, Happening.SAFE): Step(_RUN),
    (_RUN, Happening.LOST): Step(_ENDING, _END_IT),
    (_RUN, Happening.END): Step(_RUN, (Act.PASS_ON,)),
    (_RUN, Happening.OTHER): Step(_RUN, (Act.PASS_ON,)),
    (_RUN, Happening.SUSPENDED): Step(_RUN, (Act.CONTINUE,)),
    (_RUN, Happening.KILL_DUE): Step(_RUN),
    (_RUN, Happening.GONE): Step(_ENDED),
    (_FROZEN, Happening.JEOPARDY): Step(_FROZEN),
    (_FROZEN, Happening.SAFE): Step(_RUN, (Act.CONTINUE,)),
    (_FROZEN, Happening.LOST): Step(_ENDING, _END_IT),
    (_FROZEN, Happening.END): Step(_ENDING, (Act.PASS_ON, Act.CONTINUE, Act.ARM)),
    (_FROZEN, Happening.OTHER): Step(_FROZEN, (Act.PASS_ON,)),
    (_FROZEN, Happening.SUSPENDED): Step(_FROZEN),
    (_FROZEN, Happening.KILL_DUE): Step(_FROZEN),
    (_FROZEN, Happening.GONE): Step(_ENDED),
    (_ENDING, Happening.JEOPARDY): Step(_ENDING),
    (_ENDING, Happening.SAFE): Step(_ENDING),
    (_ENDING, Happening.LOST): Step(_ENDING),
    (_ENDING, Happening.END): Step(_ENDING, (Act.PASS_ON,)),
    (_ENDING, Happening.OTHER): Step(_ENDING, (Act.PASS_ON,)),
    (_ENDING, Happening.SUSPENDED): Step(_ENDING, (Act.CONTINUE,)),
    (_ENDING, Happening.KILL_DUE): Step(_KILLED, (Act.KILL,)),
    (_ENDING, Happening.GONE): Step(_ENDED),
    **{(_KILLED, happening): Step(_KILLED) for happening in Happening},
    (_KILLED, Happening.GONE): Step(_ENDED),
    **{(_ENDED, happening): Step(_ENDED) for happening in Happening},
}
"""Every state × every happening."""

assert set(STEPS) == {(state, happening) for state in CommandState for happening in Happening}, "the table is complete"

OVERSLEPT: Final[Duration] = 200 * MILLISECOND
"""Noticing the end of the session lease later than this means having slept through it. It is less than what our count
of the lease ends before the master's (2 % of 12 s), so up to here nobody else can have been granted the lock.
"""


def follow(state: CommandState, happening: Happening) -> Step:
    """The step that `happening` takes from `state`."""
    return STEPS[state, happening]


def judge(state: CommandState, lease_left: Duration) -> Happening | None:
    """What the session lease alone says, looked at when `lease_left` of it was left (negative: since it ended).

    A command that is RUNNING is to be frozen the moment the lease is over. Found running much later, the wrapper has
    slept (it was stopped, or the machine was), the command perhaps has not, and somebody else may hold the lock: it has
    to end, whatever a master may say later.
    """
    if state is not CommandState.RUNNING or lease_left > 0:
        return None
    return Happening.LOST if lease_left < -OVERSLEPT else Happening.JEOPARDY
