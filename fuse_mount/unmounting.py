"""`chubby unmount`: take a mount away, live or stale, and wait until its process has ended in good order."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import subprocess
import threading
import time
from typing import Final

import msgspec

from fuse_mount import mount_table
from fuse_mount.mount_table import TYPE, Life, MountPoint
from fuse_mount.troubles import MountError, Trouble
from fuse_mount.users import children_of, server_of, users_of, wait_for_end

END_LIMIT: Final = 15.0
"""Seconds that the process of a mount has to close its session: longer than it gives itself."""
HELPER: Final = "fusermount3"
"""What unmounts for those who are not root."""
PASSING: Final = 2.0
"""Seconds for which a mount may be busy although nobody is seen to use it."""
SHOWN: Final = 5
"""So many of those who keep a mount busy are named."""

_PAUSE: Final = 0.02
_MNT_FORCE: Final = 1
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8


class Unmounted(msgspec.Struct, frozen=True):
    """It is done. `stale`: the process had gone before, or its main thread had and the rest hung.

    `server`: the process, if it goes on; `elsewhere`: because the same file system is mounted there, too.
    """

    directory: str
    source: str
    stale: bool = False
    server: int | None = None
    elsewhere: tuple[str, ...] = ()


def unmount(directory: str | os.PathLike[str], lazy: bool = False, patience: float = END_LIMIT) -> Unmounted:
    """Unmount what is at `directory`, and wait at most `patience` seconds for its process to end.

    Its process goes on while the same file system is mounted elsewhere too; and, `lazy`, while somebody uses it: then
    it is out of sight at once and ends with its last user. Raises MountError.
    """
    mount = ours_at(mount_table.resolve(directory))
    server = server_of(mount.device)
    with contextlib.ExitStack() as stack:
        watch = _watch(server, stack)
        # libfuse's helper for `auto_unmount` ends after the server, and unmounts what it finds at the directory then: a
        # new mount, if it is late. So it is waited for, too.
        helpers = [_watch(child, stack) for child in children_of(server)] if server is not None else []
        life = mount_table.probe(mount.directory) if server is None else Life.LIVE
        take_away(mount, lazy, force=life is not Life.LIVE)
        elsewhere = tuple(mount_table.elsewhere(mount))
        waits = 0.0 if lazy or elsewhere else patience
        ended = all(each is None or wait_for_end(each, waits) for each in [watch, *helpers])
        return Unmounted(mount.directory, mount.source, life is not Life.LIVE, None if ended else server, elsewhere)


def ours_at(directory: str) -> MountPoint:
    """Our mount at `directory`, a name that `mount_table.resolve` gave. Raises MountError if there is none."""
    mount = mount_table.at(directory)
    if mount is None:
        raise MountError(Trouble.NOT_MOUNTED, f"nothing is mounted at {directory}")
    if not mount.ours:
        what = f"a mount of type {mount.type} ({mount.source}), not {TYPE}: use umount"
        raise MountError(Trouble.DIRECTORY, f"what is mounted at {directory} is {what}")
    return mount


def take_away(mount: MountPoint, lazy: bool, force: bool = False) -> None:
    """Have the kernel unmount it, or `fusermount3` if the kernel does not let this user. Raises MountError.

    `force`: lazily, and all requests under way fail. For when nobody answers them any more: a thread that waits for an
    answer of its own process, which was killed meanwhile, cannot be killed either, and the mount would hang for ever.
    """
    flags = _MNT_DETACH | _MNT_FORCE if force else _MNT_DETACH if lazy else 0
    code = _umount(mount.directory, _UMOUNT_NOFOLLOW | flags)
    if code == errno.EBUSY:
        code = _umount_again(mount, flags)
    if code == errno.EPERM:
        _ask_helper(mount, lazy or force)
    elif code == errno.EBUSY:
        raise _busy(mount)
    elif code == errno.EINVAL:
        raise MountError(Trouble.NOT_MOUNTED, f"nothing is mounted at {mount.directory} any more")
    elif code:
        raise MountError(Trouble.REFUSED, f"{mount.directory} cannot be unmounted: {os.strerror(code)}")


def _watch(process: int | None, stack: contextlib.ExitStack) -> int | None:
    """A pidfd, which never means another process than this one, until the end of `stack`; None if it has ended."""
    try:
        watch = os.pidfd_open(process) if process is not None else None
    except ProcessLookupError:
        return None
    if watch is not None:
        stack.callback(os.close, watch)
    return watch


def _umount(directory: str, flags: int) -> int:
    """umount2(2): 0 or an errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.umount2(os.fsencode(directory), flags) else 0


def _umount_again(mount: MountPoint, flags: int) -> int:
    """The same once more, and again for a moment while nobody uses it but its own process, which does so in passing."""
    server, pause, code = server_of(mount.device), threading.Event(), errno.EBUSY
    own = {os.getpid(), *(children_of(server) if server is not None else ())}
    until = time.monotonic() + PASSING
    while code == errno.EBUSY and time.monotonic() < until:
        if any(user.process not in own for user in users_of(mount.directory)):
            break
        pause.wait(_PAUSE)
        code = _umount(mount.directory, _UMOUNT_NOFOLLOW | flags)
    return code


def _ask_helper(mount: MountPoint, lazy: bool) -> None:
    command = [HELPER, "-u", *(["-z"] if lazy else []), "--", mount.directory]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        why = f"only root may, or {HELPER} for whoever mounted it, and that is not installed (package fuse3)"
        raise MountError(Trouble.REFUSED, f"{mount.directory} cannot be unmounted: {why}") from None
    if done.returncode:
        if os.strerror(errno.EBUSY) in done.stderr:
            raise _busy(mount)
        raise MountError(Trouble.REFUSED, f"{mount.directory} cannot be unmounted: {done.stderr.strip()}")


def _busy(mount: MountPoint) -> MountError:
    users = [user for user in users_of(mount.directory) if user.process != os.getpid()]
    others = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    who = ", ".join(str(user) for user in users[:SHOWN]) + others if users else "a process that this user may not see"
    remedy = "end that first, or unmount it with --lazy: out of sight now, ended when its last user has"
    return MountError(Trouble.BUSY, f"{mount.directory} is in use by {who}: {remedy}")
