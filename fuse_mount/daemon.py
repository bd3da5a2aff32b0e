"""The life of a process that serves a mount, from the first signal it may get to its end.

FUSE and the cell are served from a thread of their own; the main thread only waits for what happens and follows the
table. So a signal never strikes within libfuse or gRPC, and is obeyed while every one of libfuse's threads is blocked.

::

    STARTING ---mounted---> MOUNTED ----signal----> ENDING ---finished---> OVER
        |                       |                       |
        | signal, abandoned     | finished, by          | another signal, overdue:
        v                       v umount(8)             v at once
      ENDING                   OVER                    OVER
"""

from __future__ import annotations

import enum
import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from fuse_mount.filesystem import FileSystem
from fuse_mount.kernel import Mounted
from fuse_mount.wake import Wake

log = logging.getLogger(__name__)

END_LIMIT: Final = 10.0
"""Seconds from the first signal to the end by force. It takes milliseconds, unless the cell does not answer when the
session is to be closed.
"""
GIVE_UP_LIMIT: Final = 1.0
"""The same, if it is not mounted yet."""
TOGETHER: Final = 0.5
"""Seconds within which further signals are the first one over again. One who dies while we are bound to their life
(PDEATHSIG) sends one for each of their threads; a terminal and a service manager may both mean us.
"""


class Files(FileSystem, Protocol):
    """A file system with a life of its own."""

    def start(self) -> None:
        """Reach what it shows. Raises ChubbyError."""

    def attach(self, mount: Mounted) -> None:
        """It is mounted."""

    def close(self) -> None:
        """It is not mounted any more, or never was."""


Serve = Callable[[Callable[[Mounted], None]], None]
"""Mounts, calls its argument when that is done, and returns when it is unmounted."""


class Phase(enum.Enum):
    """Where the process stands."""

    STARTING = enum.auto()
    MOUNTED = enum.auto()
    ENDING = enum.auto()
    OVER = enum.auto()


class Happening(enum.IntEnum):
    """What happens to it. Numbers are those of `wake`, where lower ones are signals."""

    SIGNAL = 0
    MOUNTED = 200
    FINISHED = 201
    """The thread that served it is done."""
    ABANDONED = 202
    """Whoever started it has gone before it was told."""
    OVERDUE = 203
    ECHO = 204
    """A signal that says what the one before has said."""


class Act(enum.Enum):
    """What is done about it."""

    NOTHING = enum.auto()
    TELL = enum.auto()
    UNMOUNT = enum.auto()
    GIVE_UP = enum.auto()
    LEAVE = enum.auto()


TABLE: Final[dict[tuple[Phase, Happening], tuple[Phase, Act]]] = {
    (Phase.STARTING, Happening.SIGNAL): (Phase.ENDING, Act.GIVE_UP),
    (Phase.STARTING, Happening.MOUNTED): (Phase.MOUNTED, Act.TELL),
    (Phase.STARTING, Happening.FINISHED): (Phase.OVER, Act.NOTHING),
    (Phase.STARTING, Happening.ABANDONED): (Phase.ENDING, Act.GIVE_UP),
    (Phase.MOUNTED, Happening.SIGNAL): (Phase.ENDING, Act.UNMOUNT),
    (Phase.MOUNTED, Happening.FINISHED): (Phase.OVER, Act.NOTHING),
    (Phase.MOUNTED, Happening.ABANDONED): (Phase.ENDING, Act.UNMOUNT),
    (Phase.ENDING, Happening.SIGNAL): (Phase.OVER, Act.LEAVE),
    (Phase.ENDING, Happening.MOUNTED): (Phase.ENDING, Act.UNMOUNT),
    (Phase.ENDING, Happening.FINISHED): (Phase.OVER, Act.NOTHING),
    (Phase.ENDING, Happening.ABANDONED): (Phase.ENDING, Act.NOTHING),
    (Phase.ENDING, Happening.ECHO): (Phase.ENDING, Act.NOTHING),
    (Phase.ENDING, Happening.OVERDUE): (Phase.OVER, Act.LEAVE),
}
"""What follows; there is no clock but in ENDING, and nothing happens any more in OVER."""


class Left(Exception):
    """It is to end at once: whoever ran it leaves the process without waiting for any thread of it."""

    def __init__(self, number: int) -> None:
        """`number`: the last signal that came, 0 if none did."""
        super().__init__("the mount did not end in good order")
        self.number = number


class Daemon:
    """One mount from its start to its end. To be made and run in the main thread, once."""

    def __init__(
        self,
        files: Files,
        serve: Serve,
        tell: Callable[[], None],
        starter: int | None = None,
        last: Callable[[], None] | None = None,
    ) -> None:
        """`tell` is called in the main thread once it is mounted; BrokenPipeError says that nobody wanted to know.

        `starter`: a pipe to whoever started this and waits at its other end; gone before `tell`, they want no mount.
        `last` is called before Left is raised, while no signal can strike.
        """
        self.phase = Phase.STARTING
        self._files = files
        self._serve = serve
        self._tell = tell
        self._starter = starter
        self._last = last
        self._wake = Wake()
        self._mount: Mounted | None = None
        self._error: BaseException | None = None
        self._unwanted = threading.Event()
        self._number = 0
        self._asked = 0.0
        self._deadline: float | None = None

    def run(self) -> None:
        """Until it is unmounted, by whomever. Raises what kept it from being mounted, or from being served; Left."""
        worker = threading.Thread(target=self._work, name="mount", daemon=True)
        with self._wake.listening():
            if self._starter is not None:
                self._wake.watch(self._starter, Happening.ABANDONED)
            worker.start()
            while self.phase is not Phase.OVER:
                self._follow(self._next())
        worker.join()
        self._wake.close()
        if self._error is not None:
            raise self._error

    def _next(self) -> Happening:
        left = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)
        came = self._wake.next(left)
        if came is None:
            return Happening.OVERDUE
        if came < Happening.MOUNTED:
            if self.phase is Phase.ENDING and time.monotonic() < self._asked + TOGETHER:
                return Happening.ECHO
            self._number = came
            return Happening.SIGNAL
        return Happening(came)

    def _follow(self, happening: Happening) -> None:
        self.phase, act = TABLE[self.phase, happening]
        match act:
            case Act.NOTHING:
                pass
            case Act.TELL:
                self._tell_starter()
            case Act.GIVE_UP:
                self._unwanted.set()
                self._end_within(GIVE_UP_LIMIT)
            case Act.UNMOUNT:
                self._unmount()
                self._end_within(END_LIMIT)
            case Act.LEAVE:
                if self._last is not None:
                    self._last()
                raise Left(self._number)

    def _tell_starter(self) -> None:
        if self._starter is not None:
            self._wake.forget(self._starter)
        try:
            self._tell()
        except BrokenPipeError:
            self._wake.tell(Happening.ABANDONED)

    def _end_within(self, limit: float) -> None:
        self._asked = time.monotonic()
        self._deadline = self._asked + limit

    def _unmount(self) -> None:
        if self._number:
            log.info("unmounting: %s came", signal.Signals(self._number).name)
        assert self._mount is not None, "it has said that it is mounted"
        self._mount.unmount()

    def _work(self) -> None:
        """All that may block. Its last act is to wake the main thread."""
        try:
            self._files.start()
            try:
                if not self._unwanted.is_set():
                    self._serve(self._mounted)
            finally:
                self._files.close()
        except BaseException as error:
            self._error = error
        finally:
            self._wake.tell(Happening.FINISHED)

    def _mounted(self, mount: Mounted) -> None:
        self._files.attach(mount)
        self._mount = mount
        self._wake.tell(Happening.MOUNTED)
