"""Starting the process of a mount, and waiting until it has mounted or has said why not."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, Final

import msgspec

from fuse_mount import mount_table
from fuse_mount.mount_table import Life
from fuse_mount.orders import Answer, Order
from fuse_mount.troubles import MountError, Trouble
from fuse_mount.users import server_of

START_LIMIT: Final = 15.0
"""Seconds for loading and mounting, beside the order's own for reaching the cell."""
STOP_LIMIT: Final = 3.0
"""Seconds that a process has to end whose mount is not wanted any more."""
PROGRAM: Final = (sys.executable, "-P", "-m", "fuse_mount")
"""What carries out an order, its last argument. (-P: modules come from where they are installed, not from here.)"""

_TOLD_TO_STDERR: Final = (Trouble.FUSE, Trouble.REFUSED, Trouble.ENDED)
"""Troubles of which libraries know more than they tell their caller."""


def check_directory(directory: str | os.PathLike[str], nonempty: bool = False) -> str:
    """The name of a directory as `Order` wants it. Raises MountError if nothing can be mounted there.

    `nonempty`: what is in it may be hidden by the mount.
    """
    name = mount_table.resolve(directory)
    mount = mount_table.at(name)
    if mount is not None and mount.ours:
        if server_of(mount.device) is None and mount_table.probe(name) is not Life.LIVE:
            why = f"the process of the mount at {name} is gone: clear it away with `chubby unmount {directory}`"
            raise MountError(Trouble.DIRECTORY, why)
        raise MountError(Trouble.MOUNTED, f"{mount.source} is mounted at {name} already")
    try:
        names = os.listdir(name)
    except FileNotFoundError:
        raise MountError(Trouble.DIRECTORY, f"{name} is not there: make the directory first") from None
    except OSError as error:
        raise MountError(Trouble.DIRECTORY, f"{name}: {error.strerror}") from None
    if names and not nonempty:
        hint = "the mount would hide what is in it: choose another, or say --nonempty"
        raise MountError(Trouble.DIRECTORY, f"{name} is not empty ({min(names)}, ...): {hint}")
    return name


def start(order: Order, program: Sequence[str] = PROGRAM) -> int:
    """Carry out `order` in a process of its own, detached from this one; its number, when it has mounted.

    Raises MountError or ChubbyError if it could not. Interrupted, it leaves neither mount nor process behind.
    """
    process = subprocess.Popen(
        [*program, text_of(order)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    with process.stdout, process.stderr:
        try:
            line = _first_line(process.stdout, order.timeout + START_LIMIT)
            answer_in(line, lambda: _all_of(process.stderr)).check()
        except BaseException:
            _end(process)
            raise
    process.returncode = 0  # it lives on without us, and Popen shall not mind
    return process.pid


def text_of(order: Order) -> str:
    """The order as the argument of a program."""
    return msgspec.json.encode(order).decode()


def answer_in(line: bytes, last_words: Callable[[], bytes]) -> Answer:
    """What a process answered in its first line, with what libfuse or Python had to say to stderr: `last_words`.

    Those are asked for only if it is not mounted.
    """
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError:
        answer = Answer("the process of the mount ended before it had mounted", Trouble.ENDED)
    if answer.trouble not in _TOLD_TO_STDERR:
        return answer
    said = " / ".join(last_words().decode(errors="replace").split("\n")).strip(" /")
    return msgspec.structs.replace(answer, message=f"{answer.message}: {said}") if said else answer


def _first_line(pipe: IO[bytes], patience: float) -> bytes:
    """Up to the first newline or the end. Raises MountError if neither comes in time."""
    deadline = time.monotonic() + patience
    coming = select.poll()
    coming.register(pipe, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if not coming.poll(max(deadline - time.monotonic(), 0.0) * 1000):
            raise MountError(Trouble.ENDED, f"the process of the mount did not mount within {patience:.0f} seconds")
        more = os.read(pipe.fileno(), 65_536)
        if not more:
            break
        line += more
    return line


def _all_of(pipe: IO[bytes] | None) -> bytes:
    return pipe.read() if pipe is not None else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asked first, forced after STOP_LIMIT."""
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT)
