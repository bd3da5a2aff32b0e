"""What every request has in common: who asks, until when it is worth answering, and what an error is to the kernel.

libfuse makes a new Python thread of each callback. So what a thread heeds while it waits is said anew in each one that
may wait, and never has to be taken back.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import Final

from chubby.client import waiting
from chubby.errors import ChubbyError
from fuse_mount import callers
from fuse_mount.errnos import errno_of
from fuse_mount.filesystem import Caller
from fuse_mount.library import Library
from fuse_mount.life import Life
from fuse_mount.staying import stay

log = logging.getLogger(__name__)

Callback = Callable[..., int]
Heed = Callable[[Callable[[], object]], object]

PATIENCE: Final = 5.0
"""Seconds for which a close goes on though its process was interrupted or killed: what it wrote should still go out."""
LAST_CALL: Final = 0.5
"""Seconds that a close has if the mount ends meanwhile."""


class Requests:
    """The requests of one mount."""

    def __init__(self, library: Library, life: Life, heed: Heed = waiting.heed, patience: float = PATIENCE) -> None:
        """`heed` makes the present thread's waiting call its argument now and then, and end with what that raises."""
        self._library = library
        self._life = life
        self._heed = heed
        self._patience = patience
        self._told: set[tuple[str, type[BaseException]]] = set()

    def caller(self) -> Caller:
        """Who makes the present one."""
        return callers.present(self._library.context)

    def begin(self) -> None:
        """The present one may wait: until its process is interrupted, or the mount ends."""
        self._heed(self._check)

    def begin_patiently(self) -> None:
        """The present one may wait, and for a while even if nobody cares any more."""
        self._heed(_Patient(self, time.monotonic()).check)

    def _check(self) -> None:
        if self._life.over():
            raise OSError(errno.ENOTCONN, "the mount ends")
        if self._library.interrupted():
            raise InterruptedError(errno.EINTR, "the caller was interrupted")

    def check_after(self, waited: float) -> None:
        """`_check` for one that has waited so many seconds and is patient."""
        if waited > (LAST_CALL if self._life.over() else self._patience):
            self._check()

    def answering(self, name: str, method: Callback) -> Callback:
        """`method` as libfuse may call it: errors come back as negative numbers."""

        def callback(*arguments: object) -> int:
            stay()
            try:
                return method(*arguments)
            except (OSError, ChubbyError) as error:
                return -errno_of(error)
            except BaseException as error:
                self._tell(name, error)
                return -errno.EIO

        return callback

    def _tell(self, name: str, error: BaseException) -> None:
        """A mistake of ours: with its place, but once, since whoever made the request may repeat it a million times."""
        if (name, type(error)) not in self._told:
            self._told.add((name, type(error)))
            log.error(
                "unexpected in %s; the caller gets EIO, as will others of this kind in silence", name, exc_info=error
            )


class _Patient:
    """What a patient request heeds."""

    __slots__ = ("_requests", "_since")

    def __init__(self, requests: Requests, since: float) -> None:
        self._requests, self._since = requests, since

    def check(self) -> None:
        self._requests.check_after(time.monotonic() - self._since)
