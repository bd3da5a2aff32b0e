"""A FileSystem mounted at a directory, by libfuse.

`serve` blocks its thread from the mount to the unmount, and leaves signals alone: whoever wants to obey one calls
`Mount.unmount`, from any thread. `umount(8)` and the loss of the connection end `serve` too.

    serve ── fuse_new ── fuse_mount ── mounted(mount) ── fuse_loop_mt ── fuse_unmount ── fuse_destroy ── returns
                                                             ▲
                           unmount: let nobody in, wake all who wait, then end the loop by one last request
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fuse_mount import adapter, hand
from fuse_mount.adapter_names import encoded
from fuse_mount.filesystem import FileSystem
from fuse_mount.library import Arguments, FuseUnavailable, Library, load, unavailable
from fuse_mount.life import Life
from fuse_mount.requests import Requests
from fuse_mount.troubles import MountError, Trouble

if TYPE_CHECKING:
    from mfusepy import fuse_operations

log = logging.getLogger(__name__)

__all__ = ["FuseUnavailable", "Mount", "MountOptions", "serve", "unavailable"]

SUBTYPE: Final = "chubby"
IDLE_THREADS: Final = 16
"""Threads that libfuse keeps when there is nothing to do."""
INVALIDATIONS: Final = 0.5
"""Seconds that invalidations under way have when the mount shall end, while reads are still answered."""
LEAVING: Final = 5.0
"""Seconds that others have to leave libfuse when it answers no more."""


class MountOptions(msgspec.Struct, frozen=True):
    """How to mount. `source` stands in the table of mounts where others have a disk: the name of the cell.

    `threads` bounds how many requests may be under way, so how many processes may wait for locks.
    """

    source: str
    read_only: bool = False
    allow_other: bool = False
    auto_unmount: bool = False
    threads: int = 1000
    kernel: tuple[str, ...] = ()
    """Options that mean no file system in particular, as `noexec`."""


class Mount:
    """A FileSystem that is mounted."""

    def __init__(self, library: Library, fuse: int, directory: str, life: Life) -> None:
        self._library = library
        self._fuse = fuse
        self._directory = directory
        self._life = life

    def invalidate(self, path: str) -> bool:
        """Have the kernel forget the contents and attributes of `path`.

        False: it knew nothing of it, or the mount ends. It waits for reads of that file that are under way, so it must
        never be called from one.
        """
        if not self._life.enter():
            return False
        try:
            return self._library.invalidate(self._fuse, encoded(path)) == 0
        finally:
            self._life.leave()

    @property
    def directory(self) -> str:
        """Where it is mounted: an absolute name."""
        return self._directory

    def requester(self) -> int:
        """The thread that made the request which the present thread answers."""
        return self._library.context().contents.pid

    def interrupted(self) -> bool:
        """Whether the process that made this thread's request was interrupted or killed meanwhile."""
        return bool(self._library.interrupted())

    def unmount(self) -> None:
        """End `serve`, soon: does not wait for it. From any thread, a signal handler too, as often as one likes.

        Files that are still open fail from then on (ENOTCONN), and so do calls that wait.
        """
        if self._life.close_within():
            threading.Thread(target=self._end, name="unmount", daemon=True).start()

    def _end(self) -> None:
        self._life.wait_left(INVALIDATIONS, others=1)
        self._library.exit(self._library.session(self._fuse))
        self._life.leave()
        hand.look(self._directory)  # its threads look up when they have answered a request


def serve(files: FileSystem, directory: str, options: MountOptions, mounted: Callable[[Mount], None]) -> None:
    """Mount `files` at `directory`, call `mounted`, and return when it is unmounted.

    Requests are answered as soon as `mounted` has returned: it must not look into the directory itself. What it raises
    ends the mount. Raises MountError, FuseUnavailable included, if nothing was mounted.
    """
    library = load()
    if (reason := unavailable(helper=options.auto_unmount)) is not None:
        raise FuseUnavailable(reason)
    place = mount_point(directory)
    life = Life(library)
    operations = adapter.operations(files, library, life, Requests(library, life), options.read_only)
    fuse = _new(library, operations, options)
    try:
        if library.mount(fuse, os.fsencode(place)) != 0:
            raise MountError(
                Trouble.REFUSED, f"{place} could not be mounted: libfuse has said why on the standard error"
            )
        try:
            life.begin(library.session(fuse))
            mounted(Mount(library, fuse, place, life))
            _loop(library, fuse, options.threads)
        finally:
            life.close()
            if not life.wait_left(LEAVING):
                log.error("%s: an invalidation does not end; libfuse's memory is left to it", place)
            library.unmount(fuse)
    finally:
        if life.wait_left(0):
            library.destroy(fuse)
        del operations


def mount_point(directory: str) -> str:
    """The directory with its whole name. Raises MountError."""
    place = Path(directory).resolve()
    if not place.is_dir():
        kind = "not a directory" if place.exists() else "not there"
        raise MountError(Trouble.DIRECTORY, f"{directory} is {kind}")
    return str(place)


def arguments(options: MountOptions) -> list[bytes]:
    """What libfuse reads."""
    words = [f"fsname={options.source}", f"subtype={SUBTYPE}"]
    flags = {"ro": options.read_only, "allow_other": options.allow_other, "auto_unmount": options.auto_unmount}
    words += [name for name, wanted in flags.items() if wanted]
    words += options.kernel
    quoted = [word.replace("\\", "\\\\").replace(",", "\\,") for word in words]
    return [b"chubby", b"-o", encoded(",".join(quoted))]


def _new(library: Library, operations: fuse_operations, options: MountOptions) -> int:
    words = arguments(options)
    argv = (ctypes.c_char_p * len(words))(*words)
    given = Arguments(len(words), argv, 0)
    fuse = library.new(given, operations, ctypes.sizeof(operations), None)
    library.free_arguments(given)
    if fuse is None:
        raise MountError(Trouble.FUSE, "libfuse does not take these options; it has said why on the standard error")
    return fuse


def _loop(library: Library, fuse: int, threads: int) -> None:
    configuration = library.new_threads()
    try:
        library.set_threads(configuration, threads)
        library.set_idle_threads(configuration, IDLE_THREADS)
        library.loop(fuse, configuration)
    finally:
        library.free_threads(configuration)
