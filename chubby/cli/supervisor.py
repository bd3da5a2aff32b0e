"""Running a command under a lock: what happens is looked up in `lock_table`, what it asks for is done at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from chubby.cli.lock_table import Act, CommandState, Happening, follow, judge
from chubby.cli.running import ENDING
from chubby.types.time import Duration

LOOK: Final = 0.1
"""Seconds between two looks at the session lease. Timers of the loop stand still while the machine is suspended, and
this one, being short, is the first to notice.
"""

_SIGNALS: Final[dict[Act, signal.Signals]] = {
    Act.STOP: signal.SIGSTOP,
    Act.CONTINUE: signal.SIGCONT,
    Act.TERMINATE: signal.SIGTERM,
    Act.KILL: signal.SIGKILL,
}


class Group(Protocol):
    """The command's process group, as `command.Command` is one."""

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of it."""

    async def wait(self) -> int:
        """Until the command itself has ended: its exit code, 128 + n if signal n ended it."""

    async def wait_for_group(self) -> None:
        """Until nothing of the group is left."""

    def on_suspended(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the command was stopped from the terminal."""


class Tenure(Protocol):
    """What is known of the lock while it is held."""

    def lease_left(self) -> Duration:
        """What is left of the session lease by our own clock, now."""

    async def next_turn(self) -> Turn:
        """The next change: JEOPARDY, SAFE (a master has confirmed that the lock is ours) or LOST."""


class Turn(msgspec.Struct, frozen=True):
    """A change of what we know of the lock, with the reason of a loss."""

    happening: Happening
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """How the run ended: the command's exit code; why the lock was lost meanwhile ("": it was not)."""

    code: int
    lost: str = ""


class Supervisor:
    """One command under one lock. To be made and used on one running loop."""

    def __init__(self, group: Group, tenure: Tenure, kill_after: float) -> None:
        """`group` has just been started; it has `kill_after` seconds to end once it has to."""
        self.state = CommandState.RUNNING
        self._group = group
        self._tenure = tenure
        self._kill_after = kill_after
        self._lost = ""
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> Outcome:
        """Until the command has ended, whatever happens meanwhile."""
        loop = asyncio.get_running_loop()
        helpers = [loop.create_task(self._watch_lease()), loop.create_task(self._follow_tenure())]
        for helper in helpers:
            helper.add_done_callback(self._blind)
        self._group.on_suspended(lambda: self.happen(Happening.SUSPENDED))
        try:
            return Outcome(await self._end(), self._lost)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()

    def signalled(self, number: signal.Signals) -> None:
        """This process got a signal: it is meant for the command."""
        self.happen(Happening.END if number in ENDING else Happening.OTHER, number)

    def happen(self, happening: Happening, number: signal.Signals | None = None, reason: str = "") -> None:
        """Do what the table says."""
        if happening is Happening.LOST and self.state in (CommandState.RUNNING, CommandState.FROZEN):
            self._lost = reason
        self.state, acts = follow(self.state, happening)
        for act in acts:
            if act is Act.ARM:
                self._arm()
            elif act is Act.PASS_ON:
                assert number is not None, "only a signal is passed on"
                self._group.send(number)
            else:
                self._group.send(_SIGNALS[act])

    def _arm(self) -> None:
        assert self._timer is None, "a command is ended once"
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._kill_after, self.happen, Happening.KILL_DUE)

    async def _end(self) -> int:
        code = await self._group.wait()
        if self.state in (CommandState.ENDING, CommandState.KILLED):
            await self._group.wait_for_group()
        self.happen(Happening.GONE)
        return code

    def _blind(self, helper: asyncio.Task[None]) -> None:
        """A helper has ended. If it failed, nobody watches the lock any more, so it counts as lost."""
        if not helper.cancelled() and (error := helper.exception()) is not None:
            self.happen(Happening.LOST, reason=str(error) or repr(error))

    async def _follow_tenure(self) -> None:
        while True:
            turn = await self._tenure.next_turn()
            if turn.happening is Happening.JEOPARDY:
                self._look()
            self.happen(turn.happening, reason=turn.reason)

    async def _watch_lease(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(LOOK)

    def _look(self) -> None:
        verdict = judge(self.state, self._tenure.lease_left())
        if verdict is not None:
            self.happen(verdict, reason="the session lease ran out while this process did not run")
