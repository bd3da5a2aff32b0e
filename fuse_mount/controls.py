"""The open files of `.chubby`: a text that was made at the open, or the stream of events (see `virtual`)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from threading import Lock
from typing import Final

from chubby.errors import SessionError
from fuse_mount.attributes import View
from fuse_mount.filesystem import Attributes, Opened
from fuse_mount.names import Control, ControlFile, path_of
from fuse_mount.tenure import Tenure, Tenures
from fuse_mount.virtual import (
    EventFeed,
    EventStream,
    attributes_of_control,
    master_text,
    session_text,
    status_text,
    version_text,
)

FIRST: Final = 1 << 40
"""File numbers from here on are of controls: nobody opens so many files."""


class Controls:
    """See the module. For many threads. `began` is when the mount did, in nanoseconds since 1970."""

    def __init__(self, tenures: Tenures, feed: EventFeed, view: View, began: int) -> None:
        self._tenures = tenures
        self._feed = feed
        self._view = view
        self._began = began
        self._guard = Lock()
        self._last = FIRST
        self._open: dict[int, tuple[Control, bytes | EventStream]] = {}

    def getattr(self, control: Control) -> Attributes:
        """The attributes of one."""
        if control is Control.EVENTS:
            return attributes_of_control(control, self._view, self._feed.told, self._feed.size)
        return attributes_of_control(control, self._view, self._began)

    def open(self, control: Control) -> Opened:
        """Open one. Raises NoQuorum where the cell has to be asked."""
        made = self._feed.open() if control is Control.EVENTS else self._text(control)
        with self._guard:
            self._last += 1
            self._open[self._last] = (control, made)
            return Opened(self._last, direct_io=True, nonseekable=control is Control.EVENTS)

    def read(self, number: int, size: int, offset: int) -> bytes:
        """What is there to read."""
        _, opened = self._file(number)
        return opened.read(size) if isinstance(opened, EventStream) else opened[offset : offset + size]

    def poll(self, number: int, wake: Callable[[], None] | None) -> bool:
        """Whether there is something to read."""
        _, opened = self._file(number)
        return opened.poll(wake) if isinstance(opened, EventStream) else True

    def release(self, number: int) -> None:
        """It is closed."""
        with self._guard:
            _, opened = self._open.pop(number, (None, b""))
        if isinstance(opened, EventStream):
            self._feed.close(opened)

    def attributes(self, number: int) -> Attributes:
        """The attributes of an open one."""
        return self.getattr(self._file(number)[0])

    def name(self, number: int) -> str:
        """The path of an open one."""
        return path_of(ControlFile(self._file(number)[0]))

    def _file(self, number: int) -> tuple[Control, bytes | EventStream]:
        opened = self._open.get(number)
        if opened is None:
            raise OSError(errno.EBADF, f"{number} is no open file")
        return opened

    def _text(self, control: Control) -> bytes:
        match control:
            case Control.VERSION:
                return version_text()
            case Control.SESSION:
                return _session(self._tenures.latest())
            case Control.MASTER:
                return master_text(self._tenures.present().session.status())
            case _:
                return status_text(self._tenures.present().session.status())


def _session(tenure: Tenure | None) -> bytes:
    """What there is to say of the session, an expired one included."""
    if tenure is None:
        return b""
    session, since = tenure.session, int(tenure.since * 1000)
    try:
        figures = session.statistics()
    except SessionError:
        return f"session:    {session.id}\nstate:      {session.state.value}\n".encode()
    return session_text(figures, session.cell, tenure.number, since, tenure.locks.count)
