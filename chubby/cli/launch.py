"""Become a command that is bound to the life of its parent. A script of its own: `python launch.py PARENT CMD...`, with
nothing but the standard library. `chubby lock` starts its command so, `chubby cell start` its replicas.

What has to be done between fork and exec is done here, in a fresh process, and not in a child forked from one
whose gRPC threads may hold any lock at that instant.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
PYTHON = (sys.executable, "-I", "-S")
"""How scripts like this one are run: nothing is loaded that they do not need."""
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def become(parent: int, command: list[str]) -> int:
    """Replace this process by `command`; SIGTERM is its lot when `parent` dies. Returns an exit code if that fails."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked to be told
        return 128 + signal.SIGTERM
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, which the command would inherit
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"chubby: {command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(become(int(sys.argv[1]), sys.argv[2:]))
