"""A world of its own for a command: a script of the standard library alone, `python seclusion.py PARENT CMD...`.

The command gets its own processes, mounts and network (namespaces). The first process of that world does nothing but
start the command and clear away the dead. The kernel ends a world with its first process: everything that runs in it is
killed, its mounts are undone, its network is gone. The first process is killed when this script dies, and this script
when its parent dies. So nothing is left behind, whoever is killed, and however.

    parent  ->  this script  ->  first process of the new world  ->  the command, and all that it starts

SIGINT and SIGTERM are handed down to the command, which has a session of its own and so sees nothing of a terminal.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
NEW_MOUNTS, NEW_PROCESSES, NEW_NETWORK = 0x00020000, 0x20000000, 0x40000000
"""Flags of unshare(2)."""
HANDED_DOWN = (signal.SIGINT, signal.SIGTERM)

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2), of this thread. Raises OSError."""
    _checked(_libc.unshare(flags))


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    texts = [text.encode() for text in (source, target, kind, options)]
    _checked(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]))


def die_with_parent() -> None:
    """SIGKILL is our lot when the parent dies."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def settle() -> None:
    """Make the mounts of a new world private, show its own processes in /proc, and switch its loopback on."""
    mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    mount("proc", "/proc", "proc")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def seclude(parent: int, command: list[str]) -> int:
    """Run the command in a world of its own; its exit code."""
    die_with_parent()
    if os.getppid() != parent:  # it died before we asked to be told
        return 128 + signal.SIGKILL
    unshare(NEW_MOUNTS | NEW_PROCESSES | NEW_NETWORK)
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_DOWN)
    child = os.fork()
    if child == 0:
        die_with_parent()
        os._exit(_rule(command))
    _hand_down(child)
    _, status = os.waitpid(child, 0)
    return _code(status)


def _rule(command: list[str]) -> int:
    """Be the first process: start the command, clear away the dead, end with the command."""
    settle()
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_DOWN)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execvp(command[0], command)
    _hand_down(child)
    while True:
        ended, status = os.wait()
        if ended == child:
            return _code(status)


def _hand_down(child: int) -> None:
    def hand_down(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in HANDED_DOWN:
        signal.signal(number, hand_down)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_DOWN)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _checked(result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(seclude(int(sys.argv[1]), sys.argv[2:]))
