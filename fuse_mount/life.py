"""Whether libfuse serves, and who besides its own threads is within it.

Other threads call into libfuse (to invalidate, to wake a poll) while it may be about to end. They enter first; once the
door is closed nobody enters, and nothing is freed before the last one has left. An invalidation may wait for a read
that one of libfuse's threads answers. Hence the order: close the door, wait until all have left, then end the loop.
"""

from __future__ import annotations

import threading

from fuse_mount.library import Library, Pointer


class Life:
    """Of one mount. Any thread may call anything, a signal handler too."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._session: Pointer = None
        self._condition = threading.Condition(threading.RLock())
        self._closed = False
        self._within = 0

    def begin(self, session: Pointer) -> None:
        """libfuse has made its session."""
        self._session = session

    def over(self) -> bool:
        """Whether requests shall end: by our own will, or because the kernel has given the mount up."""
        return self._closed or (self._session is not None and bool(self._library.exited(self._session)))

    def enter(self) -> bool:
        """Whether one may call into libfuse; then `leave` follows."""
        with self._condition:
            if not self._closed:
                self._within += 1
            return not self._closed

    def leave(self) -> None:
        """The counterpart."""
        with self._condition:
            self._within -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._condition:
            self._closed = True

    def close_within(self) -> bool:
        """Let nobody else in any more, and be within, if it was open; then `leave` follows."""
        with self._condition:
            entered = self.enter()
            self._closed = True
            return entered

    def wait_left(self, timeout: float, others: int = 0) -> bool:
        """Whether all have left but so many `others`, after `timeout` seconds at the latest."""
        with self._condition:
            return self._condition.wait_for(lambda: self._within <= others, timeout)
