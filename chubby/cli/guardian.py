"""Ends a process group when its owner dies. A script of its own: `python guardian.py SECONDS`, standard library alone.

PDEATHSIG reaches the command of `chubby lock` when the wrapper is killed, but not the command's own children, and it
does not insist. So the wrapper keeps this process, in a session of its own, at the end of a pipe: it writes the number
of the group, and later `done`. An end of the pipe without `done` is the wrapper's death: the group gets SIGTERM, is
continued in case it was frozen, and gets SIGKILL after SECONDS.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

POLL = 0.05
DONE = "done"


def guard(lines: Iterable[str], patience: float) -> None:
    """Take the wrapper's `lines` to their end, and do what that asks for."""
    group, done = 0, False
    for line in lines:
        if line.strip() == DONE:
            done = True
        else:
            group = int(line)
    if group and not done:
        end_group(group, patience)


def end_group(group: int, patience: float) -> None:
    """End all processes of `group`: asked first, forced after `patience` seconds."""
    pause = signal.sigtimedwait
    try:
        os.killpg(group, signal.SIGTERM)
        os.killpg(group, signal.SIGCONT)
        due = time.monotonic() + patience
        while time.monotonic() < due:
            pause([], POLL)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    guard(sys.stdin, float(sys.argv[1]))
