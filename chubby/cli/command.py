"""The command of `chubby lock`: a process group of its own, that never outlives the wrapper."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from chubby.cli import guardian, launch

POLL: Final = 0.05
"""Seconds between two looks at what is left of a group."""
_STDIN: Final = 0


class Command:
    """One running command, its group, and its guardian."""

    def __init__(self, process: asyncio.subprocess.Process, watch: subprocess.Popen[bytes], terminal: Terminal) -> None:
        """See `start_command`."""
        self._process = process
        self._guardian = watch
        self._terminal = terminal

    @property
    def pid(self) -> int:
        """The process; also the number of its group."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    @property
    def group_lives(self) -> bool:
        """Whether any process of the group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    async def wait(self) -> int:
        """Until the command itself has ended: its exit code, 128 + n if signal n ended it."""
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    async def wait_for_group(self) -> None:
        """Until nothing of the group is left."""
        while self.group_lives:
            await asyncio.sleep(POLL)

    def on_suspended(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the command was stopped from the terminal; to be asked for once."""

        def look() -> None:
            with contextlib.suppress(ChildProcessError):
                change = os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG)
                if change is not None and change.si_status == signal.SIGTSTP:
                    callback()

        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, look)

    def close(self) -> None:
        """After the end: dismiss the guardian, take the terminal back."""
        assert self._guardian.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.write(f"{guardian.DONE}\n".encode())
            self._guardian.stdin.flush()
        self._dismiss()

    async def abandon(self) -> None:
        """When nobody can supervise the command any more: let the guardian end it, and wait for that."""
        self._dismiss()
        await self._process.wait()

    def _dismiss(self) -> None:
        """Wait for the guardian, which ends what it was not told is done."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
        assert self._guardian.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guardian.stdin.close()
        self._guardian.wait()
        self._terminal.take()


class Terminal:
    """The right to read from the terminal: the command's while it runs, if it was ours before.

    Job control gives it to one process group, and the command is in another one than we. So Ctrl-C reaches the command
    alone, as it would without us.
    """

    def __init__(self) -> None:
        """Find out whether standard input is a terminal whose foreground we are."""
        self._own = 0
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(_STDIN) == os.getpgrp():
                self._own = os.getpgrp()

    def give(self, group: int) -> None:
        """Let `group` be the foreground."""
        if self._own:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(_STDIN, group)
                os.killpg(group, signal.SIGCONT)  # it may have asked too early, which stopped it

    def take(self) -> None:
        """Be the foreground again."""
        if self._own:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                os.tcsetpgrp(_STDIN, self._own)
            signal.signal(signal.SIGTTOU, before)


async def start_command(arguments: Sequence[str], environment: Mapping[str, str], kill_after: float) -> Command:
    """Start the command with `environment` instead of ours; if we are killed it has `kill_after` seconds to end.

    Raises OSError if the system refuses, as for arguments that are too long.
    """
    watch = subprocess.Popen(
        [*launch.PYTHON, str(Path(guardian.__file__)), str(kill_after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert watch.stdin is not None
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.PYTHON,
            str(Path(launch.__file__)),
            str(os.getpid()),
            *arguments,
            env=dict(environment),
            process_group=0,
        )
    except BaseException:
        watch.stdin.close()
        watch.wait()
        raise
    watch.stdin.write(f"{process.pid}\n".encode())
    watch.stdin.flush()
    terminal = Terminal()
    terminal.give(process.pid)
    return Command(process, watch, terminal)
