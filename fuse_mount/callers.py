"""Who asks: libfuse tells the thread, locks belong to the process."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuse_mount.filesystem import Caller

if TYPE_CHECKING:
    from mfusepy import fuse_context

PROC: Final = Path("/proc")

_tgkill: Callable[[int, int, int], int] | None = getattr(ctypes.PyDLL(None, use_errno=True), "tgkill", None)
"""Not every C library offers it."""


def present(context: Callable[[], ctypes._Pointer[fuse_context]]) -> Caller:
    """Who made the request that this thread answers."""
    found = context().contents
    return Caller(found.uid, found.gid, process_of(found.pid))


def process_of(thread: int, proc: Path = PROC) -> int:
    """The process of a thread by its number; 0 if it is out of sight, as from another container.

    Nearly always the thread is the process' first and bears its number. One system call tells, which sends nothing:
    reading /proc takes fifty times as long.
    """
    if thread <= 0:
        return 0
    if _tgkill is not None and (_tgkill(thread, thread, 0) == 0 or ctypes.get_errno() == errno.EPERM):
        return thread
    return _listed_process(proc / str(thread) / "status")


def _listed_process(status: Path) -> int:
    try:
        descriptor = os.open(status, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        lines = os.read(descriptor, 4096).split(b"\n")
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return next((int(line[5:]) for line in lines if line.startswith(b"Tgid:")), 0)
