"""Programs that work on a mounted cell and know nothing of this project: a script of the standard library alone.

Lines of JSON, as `programs` has them: each line read is one thing to do, each line written is an answer.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import select
import signal
import sys
import threading
from collections.abc import Callable

_never = threading.Event()


def say(**what: object) -> None:
    """One line of JSON, in one write: many processes share the pipe."""
    os.write(1, json.dumps(what).encode() + b"\n")


# ------------------------------------------------------------------------------------------------------------ counting


def count(path: str, workers: str, rounds: str) -> None:
    """So many processes count up in the file, each until so many of its rounds are certain; then each says what it saw.

    A round is: flock, read a number, write the next one, unlock. It is certain if every call succeeded. If one fails
    before anything was written the round has not taken place; after that it may have.
    """
    crowd(int(workers), lambda _: say(**_count(path, int(rounds))))


def _count(path: str, rounds: int) -> dict[str, list[int]]:
    certain: list[int] = []
    maybe: list[int] = []
    errors: list[int] = []
    while len(certain) < rounds:
        written: list[int] = []
        try:
            count_up(path, written)
            certain += written
        except OSError as error:
            maybe += written
            errors.append(error.errno or 0)
            _never.wait(0.05)  # the mount may be gone for a while
    return {"certain": certain, "maybe": maybe, "errors": sorted(set(errors))}


def count_up(path: str, written: list[int]) -> None:
    """One round; `written` is what was, from the moment on at which it may have been."""
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        number = int(os.pread(file, 100, 0)) + 1
        written.append(number)
        os.pwrite(file, b"%19d\n" % number, 0)
        fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        os.close(file)


# ------------------------------------------------------------------------------------------------------------- waiting


def wait(path: str, processes: str) -> None:
    """So many processes wait for the lock of the file; each says so, who gets it says so too and gives it back.

    With SIGINT one ends and says nothing more.
    """
    crowd(int(processes), lambda number: _wait(path, number))


def _wait(path: str, number: int) -> None:
    file = os.open(path, os.O_RDONLY)
    say(waits=number, process=os.getpid())
    fcntl.flock(file, fcntl.LOCK_EX)
    say(got=number)
    fcntl.flock(file, fcntl.LOCK_UN)


def crowd(processes: int, act: Callable[[int], None]) -> None:
    """Do it in so many processes; return when all have ended. They end with this one."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            act(number)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    say(done=processes)


# ----------------------------------------------------------------------------------------------------- one open file


def obey(path: str, mode: str = "r+") -> None:
    """Open the file, say so, and do with it what the lines say: `NAME [ARGUMENT]`; say the result, or the error."""
    file = os.open(path, {"r": os.O_RDONLY, "r+": os.O_RDWR, "a": os.O_RDWR | os.O_APPEND}[mode])
    say(opened=path)
    for line in sys.stdin:
        name, _, argument = line.strip().partition(" ")
        try:
            say(result=ACTS[name](file, argument))
        except OSError as error:
            say(error=errno.errorcode[error.errno or 0])


def _flock(file: int, how: str) -> str:
    fcntl.flock(file, _LOCKS[how])
    return how


def _lockf(file: int, how: str) -> str:
    fcntl.lockf(file, _LOCKS[how])
    return how


def _mapped(file: int, _: str) -> str:
    """Through a mapping that stays, and so through the kernel's pages."""
    if file not in _maps:
        _maps[file] = mmap.mmap(file, 0, prot=mmap.PROT_READ)
    return _maps[file][:].decode()


def _poll(file: int, seconds: str) -> int:
    """The events that there are, or come in time."""
    asked = select.poll()
    asked.register(file, select.POLLPRI)
    return sum(events for _, events in asked.poll(float(seconds) * 1000))


def _write(file: int, text: str) -> int:
    os.ftruncate(file, 0)
    return os.pwrite(file, text.encode(), 0)


_maps: dict[int, mmap.mmap] = {}
_LOCKS = {
    "sh": fcntl.LOCK_SH,
    "ex": fcntl.LOCK_EX,
    "un": fcntl.LOCK_UN,
    "try-sh": fcntl.LOCK_SH | fcntl.LOCK_NB,
    "try-ex": fcntl.LOCK_EX | fcntl.LOCK_NB,
}
ACTS: dict[str, Callable[[int, str], object]] = {
    "flock": _flock,
    "lockf": _lockf,
    "read": lambda file, _: os.pread(file, 300_000, 0).decode(),
    "mapped": _mapped,
    "poll": _poll,
    "write": _write,
    "sync": lambda file, _: os.fsync(file),
    "sequencer": lambda file, _: os.getxattr(file, "user.chubby.sequencer").hex(),
    "stat": lambda file, _: os.fstat(file).st_size,
}

PROGRAMS: dict[str, Callable[..., None]] = {"count": count, "wait": wait, "obey": obey}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
