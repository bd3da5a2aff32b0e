"""Real commands under a lock that the test gives and takes (DESIGN §6, last paragraph)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chubby.cli.command import Command, start_command
from chubby.cli.lock_table import CommandState, Happening
from chubby.cli.supervisor import Outcome, Supervisor, Turn
from chubby.types.time import SECOND, Duration

LIMIT = 30.0
"""Seconds after which waiting for a condition is a failure."""


class FakeTenure:
    """A lock in the hands of the test."""

    def __init__(self) -> None:
        """Held, for long."""
        self.left: Duration = 3600 * SECOND
        self.turns: asyncio.Queue[Turn | Exception] = asyncio.Queue()

    def lease_left(self) -> Duration:
        """As the test says."""
        return self.left

    async def next_turn(self) -> Turn:
        """The next that the test puts in."""
        turn = await self.turns.get()
        if isinstance(turn, Exception):
            raise turn
        return turn

    def tell(self, happening: Happening, reason: str = "") -> None:
        """Let this be the next turn."""
        self.turns.put_nowait(Turn(happening, reason))


class Stage:
    """A command under supervision."""

    def __init__(self, command: Command, supervisor: Supervisor, tenure: FakeTenure) -> None:
        """Begin to supervise."""
        self.command = command
        self.supervisor = supervisor
        self.tenure = tenure
        self.running = asyncio.create_task(supervisor.run())

    async def outcome(self) -> Outcome:
        """How it ended."""
        return await asyncio.wait_for(self.running, LIMIT)


Starter = Callable[..., "asyncio.Task[Stage]"]


@pytest.fixture
async def start() -> AsyncIterator[Starter]:
    """Starts a command under a fake lock; whatever is left of it at the end is killed."""
    stages: list[Stage] = []

    async def begin(*arguments: str, kill_after: float = LIMIT) -> Stage:
        command = await start_command(arguments, os.environ, kill_after)
        tenure = FakeTenure()
        stages.append(Stage(command, Supervisor(command, tenure, kill_after), tenure))
        return stages[-1]

    yield lambda *arguments, **options: asyncio.create_task(begin(*arguments, **options))
    for stage in stages:
        stage.command.send(signal.SIGKILL)
        await stage.outcome()
        stage.command.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.01)


def process_state(pid: int) -> str:
    """The letter of /proc: R, S, T (stopped), Z; "" if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


async def read_number(file: Path) -> int:
    """The number in a file that somebody is about to write."""
    await until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text())


@pytest.mark.parametrize("code", [0, 1, 42])
async def test_the_exit_code_is_that_of_the_command(start: Starter, code: int) -> None:
    """A wrapper is not noticed."""
    stage = await start("sh", "-c", f"exit {code}")
    assert await stage.outcome() == Outcome(code)


async def test_a_command_ended_by_a_signal_counts_as_in_a_shell(start: Starter) -> None:
    """128 + n."""
    stage = await start("sh", "-c", "kill -9 $$")
    assert await stage.outcome() == Outcome(128 + signal.SIGKILL)


async def test_a_missing_command_is_127(start: Starter) -> None:
    """As in a shell."""
    stage = await start("/no/such/command")
    assert await stage.outcome() == Outcome(127)


async def test_jeopardy_stops_the_whole_group_and_safe_continues_it(start: Starter, tmp_path: Path) -> None:
    """DESIGN §6: SIGSTOP to the process group, not only to the command; SIGCONT likewise."""
    child = tmp_path / "child"
    stage = await start("sh", "-c", f"sleep 60 & echo $! > {child}; wait")
    pids = [stage.command.pid, await read_number(child)]
    stage.tenure.tell(Happening.JEOPARDY)
    await until(lambda: all(process_state(pid) == "T" for pid in pids))
    stage.tenure.tell(Happening.SAFE)
    await until(lambda: all(process_state(pid) == "S" for pid in pids))
    await until(lambda: stage.supervisor.state is CommandState.RUNNING)


async def test_a_lost_lock_ends_the_command_with_sigterm(start: Starter, tmp_path: Path) -> None:
    """It may clean up: its handler runs, its exit code counts, and the reason is told."""
    ready = tmp_path / "ready"
    script = f"trap 'exit 7' TERM; echo 1 > {ready}; while :; do sleep 0.05; done"
    stage = await start("bash", "-c", script)
    await read_number(ready)
    stage.tenure.tell(Happening.LOST, "the session expired")
    assert await stage.outcome() == Outcome(7, "the session expired")


async def test_a_frozen_command_never_runs_again_without_the_lock(start: Starter, tmp_path: Path) -> None:
    """DESIGN §6: SIGTERM is pending when SIGCONT comes, so not one instruction of a command without handler follows."""
    count = tmp_path / "count"
    count.touch()
    stage = await start("bash", "-c", f"while :; do echo >> {count}; done")
    await until(lambda: count.stat().st_size > 0)
    stage.tenure.tell(Happening.JEOPARDY)
    await until(lambda: process_state(stage.command.pid) == "T")
    before = count.stat().st_size
    stage.tenure.tell(Happening.LOST, "expired")
    assert await stage.outcome() == Outcome(128 + signal.SIGTERM, "expired")
    assert count.stat().st_size == before


async def test_who_does_not_end_is_killed(start: Starter, tmp_path: Path) -> None:
    """SIGKILL after the kill time."""
    ready = tmp_path / "ready"
    stage = await start("bash", "-c", f"trap '' TERM; echo 1 > {ready}; while :; do sleep 0.05; done", kill_after=0.2)
    await read_number(ready)
    stage.tenure.tell(Happening.LOST, "expired")
    assert await stage.outcome() == Outcome(128 + signal.SIGKILL, "expired")


async def test_children_that_do_not_end_are_killed_too(start: Starter, tmp_path: Path) -> None:
    """The command's own end is not the group's: what is left of it must not run on without the lock."""
    child = tmp_path / "child"
    stubborn = f"trap '' TERM; echo $$ > {child}; while :; do sleep 0.05; done"
    stage = await start("bash", "-c", f'bash -c "{stubborn.replace("$", chr(92) + "$")}" & wait', kill_after=0.3)
    pid = await read_number(child)
    stage.tenure.tell(Happening.LOST, "expired")
    assert (await stage.outcome()).code == 128 + signal.SIGTERM
    await until(lambda: process_state(pid) in ("", "Z"))


async def test_a_lease_that_ran_out_while_we_slept_ends_the_command(start: Starter) -> None:
    """The first thing the wrapper does on waking, whatever a master may say later."""
    stage = await start("sleep", "60")
    stage.tenure.left = -10 * SECOND
    stage.tenure.tell(Happening.JEOPARDY)
    stage.tenure.tell(Happening.SAFE)
    outcome = await stage.outcome()
    assert outcome.code == 128 + signal.SIGTERM
    assert "did not run" in outcome.lost


async def test_a_lease_that_runs_out_freezes_without_being_told(start: Starter) -> None:
    """The wrapper looks at its own clock."""
    stage = await start("sleep", "60")
    stage.tenure.left = 0
    await until(lambda: process_state(stage.command.pid) == "T")
    stage.tenure.left = SECOND
    stage.tenure.tell(Happening.SAFE)
    await until(lambda: process_state(stage.command.pid) == "S")


async def test_signals_are_passed_on(start: Starter, tmp_path: Path) -> None:
    """SIGUSR1 and SIGTERM reach the command as they are."""
    log = tmp_path / "log"
    script = f"trap 'echo 1 > {log}' USR1; trap 'exit 3' TERM; echo 0 > {log}; while :; do sleep 0.05; done"
    stage = await start("bash", "-c", script)
    await read_number(log)
    stage.supervisor.signalled(signal.SIGUSR1)
    await until(lambda: log.read_text() == "1\n")
    stage.supervisor.signalled(signal.SIGTERM)
    assert await stage.outcome() == Outcome(3)


async def test_ending_a_frozen_command(start: Starter) -> None:
    """SIGINT in jeopardy: the command is continued for it, and ends."""
    stage = await start("sleep", "60")
    stage.tenure.tell(Happening.JEOPARDY)
    await until(lambda: process_state(stage.command.pid) == "T")
    stage.supervisor.signalled(signal.SIGINT)
    assert await stage.outcome() == Outcome(128 + signal.SIGINT)


async def test_who_can_no_longer_watch_the_lock_has_lost_it(start: Starter) -> None:
    """An error in what watches the lock must not leave the command running blindly."""
    stage = await start("sleep", "60")
    stage.tenure.turns.put_nowait(RuntimeError("a bug"))
    assert await stage.outcome() == Outcome(128 + signal.SIGTERM, "a bug")


async def test_the_command_keeps_environment_and_default_signals(start: Starter, tmp_path: Path) -> None:
    """Python ignores SIGPIPE; its child must not, or `yes | head` would not end."""
    out = tmp_path / "out"
    stage = await start("sh", "-c", f"grep SigIgn /proc/self/status > {out}; echo $HOME >> {out}")
    assert await stage.outcome() == Outcome(0)
    ignored, home = out.read_text().splitlines()
    assert int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1)) == 0
    assert home == os.environ.get("HOME", "")


WRAPPER = """
import asyncio, os, sys
from chubby.cli.command import start_command
async def main():
    command = await start_command(sys.argv[2:], os.environ, float(sys.argv[1]))
    print(command.pid, flush=True)
    await command.wait()
asyncio.run(main())
"""


async def wrapper(*arguments: str) -> asyncio.subprocess.Process:
    """A process that runs a command as `chubby lock` does."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRAPPER, *arguments, stdout=asyncio.subprocess.PIPE
    )


async def test_a_killed_wrapper_takes_its_command_along(tmp_path: Path) -> None:
    """DESIGN §6: "PDEATHSIG ends it when the wrapper is killed"; the guardian ends its children, stopped ones too."""
    child = tmp_path / "child"
    process = await wrapper("5", "sh", "-c", f"sleep 300 & echo $! > {child}; kill -STOP $!; wait")
    assert process.stdout is not None
    command = int(await asyncio.wait_for(process.stdout.readline(), LIMIT))
    grandchild = await read_number(child)
    await until(lambda: process_state(grandchild) == "T")
    process.kill()
    await process.wait()
    await until(lambda: process_state(command) in ("", "Z") and process_state(grandchild) in ("", "Z"))


async def test_a_killed_wrapper_takes_a_stubborn_command_along(tmp_path: Path) -> None:
    """SIGKILL comes after the kill time even if nobody but the guardian is left to send it."""
    ready = tmp_path / "ready"
    process = await wrapper("0.3", "bash", "-c", f"trap '' TERM; echo 1 > {ready}; while :; do sleep 0.05; done")
    assert process.stdout is not None
    command = int(await asyncio.wait_for(process.stdout.readline(), LIMIT))
    await read_number(ready)
    process.kill()
    await process.wait()
    await until(lambda: process_state(command) in ("", "Z"))
