"""`chubby lock` on a terminal: the command is the foreground while it runs, the wrapper before and after."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

LIMIT = 60.0
WRAPPER = """
import asyncio, fcntl, os, sys, termios
from chubby.cli.command import start_command
from chubby.cli.supervisor import Supervisor
class Tenure:
    def lease_left(self):
        return 1
    async def next_turn(self):
        await asyncio.Event().wait()
async def main():
    command = await start_command(sys.argv[1:], os.environ, 5.0)
    outcome = await Supervisor(command, Tenure(), 5.0).run()
    command.close()
    print("code", outcome.code, "ours again", os.tcgetpgrp(0) == os.getpgrp(), flush=True)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
asyncio.run(main())
"""


def on_a_terminal(*arguments: str, answer: bytes) -> str:
    """What appears on the terminal when the wrapper runs a command on it and `answer` is typed at `go`."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WRAPPER, *arguments], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    seen = b""
    answered = False
    try:
        while select.select([master], [], [], LIMIT)[0]:
            try:
                seen += os.read(master, 4096)
            except OSError:  # the other side is closed
                break
            if b"go" in seen and not answered:
                os.write(master, answer)
                answered = True
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return seen.decode()


def test_the_command_may_read_from_the_terminal() -> None:
    """It is not stopped by SIGTTIN, and the terminal comes back."""
    shown = on_a_terminal("sh", "-c", "echo go; read line; echo got $line", answer=b"words\n")
    assert "got words" in shown
    assert "code 0 ours again True" in shown


def test_ctrl_c_reaches_the_command_alone() -> None:
    """As without us: the wrapper lives on to give the lock back."""
    shown = on_a_terminal("sh", "-c", "trap 'echo caught; exit 4' INT; echo go; sleep 60", answer=b"\x03")
    assert "caught" in shown
    assert "code 4 ours again True" in shown


def test_ctrl_z_does_not_hang_the_terminal() -> None:
    """The command goes on: a lock cannot be put aside."""
    script = "trap 'echo continued; exit 6' CONT; echo go; while :; do sleep 0.05; done"
    shown = on_a_terminal("bash", "-c", script, answer=b"\x1a")
    assert "continued" in shown
    assert "code 6 ours again True" in shown
