"""libfuse 3, loaded when something is mounted, and why it may not be had.

mfusepy knows the structures of libfuse's many versions and the prototypes of what libfuse calls. The functions that we
call are declared here: mfusepy itself offers only `fuse_main`, which installs signal handlers, does not tell what
failed, and frees everything while another thread may be about to invalidate a page.

| kind of function                            | called as | why                                                      |
|---------------------------------------------|-----------|----------------------------------------------------------|
| may wait: mount, loop, invalidate, wake     | `CDLL`    | Python runs on meanwhile                                 |
| looks at memory: context, interrupted, exit | `PyDLL`   | handing the interpreter over would cost more than it does |
"""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import sys
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fuse_mount.troubles import MountError, Trouble

if TYPE_CHECKING:
    from mfusepy import fuse_context, fuse_operations

DEVICE: Final = Path("/dev/fuse")
HELPER: Final = "fusermount3"
"""Mounts for those who are not root, and unmounts for those who were killed."""
OLDEST: Final = (3, 12)
"""The first libfuse in which the number of threads can be chosen. Each waiter for a lock occupies one."""
INSTALL: Final = "install fuse3 (apt install fuse3, dnf install fuse3, apk add fuse3)"

_CHOICE: Final = "FUSE_LIBRARY_NAME"
_CAP_SYS_ADMIN: Final = 1 << 21

Pointer = int | None
"""An address; None is NULL."""


class FuseUnavailable(MountError):
    """Nothing can be mounted here. `reason` is a sentence that says why, and what to install or do."""

    def __init__(self, reason: str) -> None:
        super().__init__(Trouble.FUSE, reason)
        self.reason = reason


class Arguments(ctypes.Structure):
    """`struct fuse_args`."""

    _fields_ = (("argc", c_int), ("argv", POINTER(c_char_p)), ("allocated", c_int))


class Library:
    """The functions of libfuse that we call, under shorter names."""

    def __init__(self, name: str, operations: type[fuse_operations], context: type[fuse_context]) -> None:
        """Declare them for the library called `name`. AttributeError: it lacks one."""
        calls, glances = ctypes.CDLL(name), ctypes.PyDLL(name)
        self.operations = operations
        # Newer libraries have no plain `fuse_new`; this is what it was, in all of them.
        self.new: Callable[[Arguments, fuse_operations, int, None], Pointer] = _declared(
            calls.fuse_new_31, c_void_p, POINTER(Arguments), POINTER(operations), c_size_t, c_void_p
        )
        self.free_arguments: Callable[[Arguments], None] = _declared(calls.fuse_opt_free_args, None, POINTER(Arguments))
        self.mount: Callable[[int, bytes], int] = _declared(calls.fuse_mount, c_int, c_void_p, c_char_p)
        self.loop: Callable[[int, Pointer], int] = _declared(calls.fuse_loop_mt, c_int, c_void_p, c_void_p)
        self.unmount: Callable[[int], None] = _declared(calls.fuse_unmount, None, c_void_p)
        self.destroy: Callable[[int], None] = _declared(calls.fuse_destroy, None, c_void_p)
        self.invalidate: Callable[[int, bytes], int] = _declared(calls.fuse_invalidate_path, c_int, c_void_p, c_char_p)
        self.wake_poll: Callable[[int], int] = _declared(calls.fuse_notify_poll, c_int, c_void_p)
        self.free_poll: Callable[[int], None] = _declared(calls.fuse_pollhandle_destroy, None, c_void_p)

        self.new_threads: Callable[[], Pointer] = _declared(glances.fuse_loop_cfg_create, c_void_p)
        set_most, set_idle = glances.fuse_loop_cfg_set_max_threads, glances.fuse_loop_cfg_set_idle_threads
        self.set_threads: Callable[[Pointer, int], None] = _declared(set_most, None, c_void_p, c_uint)
        self.set_idle_threads: Callable[[Pointer, int], None] = _declared(set_idle, None, c_void_p, c_uint)
        self.free_threads: Callable[[Pointer], None] = _declared(glances.fuse_loop_cfg_destroy, None, c_void_p)
        self.session: Callable[[int], Pointer] = _declared(glances.fuse_get_session, c_void_p, c_void_p)
        self.exit: Callable[[Pointer], None] = _declared(glances.fuse_session_exit, None, c_void_p)
        self.exited: Callable[[Pointer], int] = _declared(glances.fuse_session_exited, c_int, c_void_p)
        self.interrupted: Callable[[], int] = _declared(glances.fuse_interrupted, c_int)
        self.context: Callable[[], ctypes._Pointer[fuse_context]] = _declared(
            glances.fuse_get_context, POINTER(context)
        )


def _declared(function: Any, result: type | None, *arguments: type) -> Any:
    """A function as a library has it, for a caller who knows its type."""
    function.restype, function.argtypes = result, arguments
    return function


@functools.cache
def load() -> Library:
    """libfuse 3. Raises FuseUnavailable."""
    if sys.platform != "linux":
        raise FuseUnavailable("the mount needs Linux")
    # mfusepy chooses its library when it is imported, by this variable; nobody else shall find it there.
    chosen = os.environ.get(_CHOICE)
    os.environ[_CHOICE] = "fuse3"
    try:
        import mfusepy
    except (OSError, AttributeError, NotImplementedError) as error:
        raise FuseUnavailable(f"libfuse 3 is not there ({error}): {INSTALL}") from error
    except ImportError as error:
        raise FuseUnavailable(f"mfusepy is not there ({error}): pip install mfusepy") from error
    finally:
        if chosen is None:
            del os.environ[_CHOICE]
        else:
            os.environ[_CHOICE] = chosen
    version = (mfusepy.fuse_version_major, mfusepy.fuse_version_minor)
    if version < OLDEST:
        found, needed = (".".join(map(str, each)) for each in (version, OLDEST))
        raise FuseUnavailable(f"libfuse {found} is too old, {needed} is needed")
    try:
        return Library(mfusepy._libfuse._name, mfusepy.fuse_operations, mfusepy.fuse_context)
    except AttributeError as error:
        raise FuseUnavailable(f"this libfuse is not one we know: {error}") from error


def unavailable(*, helper: bool = False) -> str | None:
    """Why nothing can be mounted here and by this user; None: it can, as far as one sees without trying.

    `helper`: fusermount3 is needed, as for `auto_unmount`, even by root.
    """
    try:
        load()
    except FuseUnavailable as error:
        return error.reason
    return device_trouble(DEVICE) or privilege_trouble(helper)


def device_trouble(device: Path) -> str | None:
    """Why the device cannot be used."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"{device} is not there: load the kernel's module (modprobe fuse), or give it to the container"
    except PermissionError:
        advice = f"chmod 666 {device}, or mount as root; a container needs --device {device}"
        return f"{device} is closed to this user: {advice}"
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    return None


def privilege_trouble(helper: bool, status: Path = Path("/proc/self/status")) -> str | None:
    """Why this user may not mount. Without root's privileges it takes fusermount3, which has them."""
    able = _capabilities(status) & _CAP_SYS_ADMIN
    if (helper or not able) and shutil.which(HELPER) is None:
        return f"{HELPER} is not there: {INSTALL}"
    if not able and os.geteuid() == 0:
        return "this container may not mount: start it with --cap-add SYS_ADMIN"
    return None


def _capabilities(status: Path) -> int:
    """The effective ones of this process, as bits."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.partition(":")[2], 16)
    return 0
