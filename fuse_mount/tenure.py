"""Our session with the cell, and the next one when it is lost (paper §2.8).

A *tenure* is one session and all that ends with it: open files, locks, handles. When the session expires the tenure is
over: every descriptor opened in it answers EIO from then on, for a lock that was held through it may be another's.
A new session is opened at once, and those who come later work in the next tenure.

::

    start ──▶ tenure 1 ──(session expired)──▶ nobody ──(a new session)──▶ tenure 2 ──▶ ...
                 │                               │
                 └─ jeopardy: calls wait         └─ newcomers wait, PATIENCE at most
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from chubby import Handle, Session, SessionState
from chubby.client.dependant import Drop
from chubby.client.waiting import Patience, heed
from chubby.errors import ChubbyError, HandleInvalid, NoQuorum, SessionExpired
from fuse_mount.locks import Locks
from fuse_mount.reader import Reader

logger = logging.getLogger(__name__)

Connect = Callable[[Drop, float], Session]
"""Opens a session whose invalidations go to the given callable, within that many seconds."""

PATIENCE: Final = 60.0
"""Seconds that a newcomer waits for the next tenure."""
ATTEMPT: Final = 15.0
"""Seconds that one attempt to open a session takes at most."""
_PAUSE: Final = 1.0
"""Seconds between two attempts."""


class Tenure:
    """One session of ours. `number` counts them from 1; `since` is wall time in seconds."""

    def __init__(self, number: int, session: Session) -> None:
        self.number = number
        self.session = session
        self.since = time.time()
        self.reader = Reader(session)
        self.locks = Locks(self._lock_handle)

    @property
    def over(self) -> bool:
        """Whether the session is lost, and all that was done through it."""
        return self.session.state.final

    def check(self) -> None:
        """Raises SessionExpired if the tenure is over."""
        if self.over:
            raise SessionExpired("the session in which this was opened has expired")

    def _lock_handle(self, path: str, instance: int) -> Handle:
        """A handle on that instance. Raises NoNode, HandleInvalid if it is another by now."""
        handle = self.session.open(self.reader.name(path))
        if handle.instance != instance:
            self.reader.dismiss(handle)
            raise HandleInvalid(f"{path} was deleted and made again")
        return handle

    def close(self) -> None:
        """End the session in good order, if it lasts."""
        self.locks.abandon()
        self.reader.close()
        self.session.close()


class Tenures:
    """The present tenure. `begun` and `ended` are called once for each, `ended` before the next one is begun.

    `begun` must not wait for the cell, nor fail.
    """

    def __init__(
        self, connect: Connect, drop: Drop, begun: Callable[[Tenure], None], ended: Callable[[Tenure], None]
    ) -> None:
        self._connect = connect
        self._drop = drop
        self._begun = begun
        self._ended = ended
        self._present: Tenure | None = None
        self._count = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._renewal: threading.Thread | None = None
        self._last_ended = 0

    def start(self, timeout: float) -> None:
        """Begin the first tenure. Raises ChubbyError if there is no session within `timeout` seconds."""
        self._begin(self._connect(self._drop, timeout))

    def present(self) -> Tenure:
        """The tenure to work in; waits for the next one if the last is over. Raises NoQuorum."""
        tenure = self._present
        if tenure is not None and not tenure.over:
            return tenure
        return self._wait()

    def latest(self) -> Tenure | None:
        """The present one or, if that is over, the one before; for who only looks."""
        return self._present

    def close(self) -> None:
        """End the session, and open no other. Idempotent."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
            renewal = self._renewal
        if renewal is not None:
            renewal.join(ATTEMPT)
        if self._present is not None:
            self._end(self._present)

    # ------------------------------------------------------------------------------------------------------ change

    def _wait(self) -> Tenure:
        patience, until = Patience(), time.monotonic() + PATIENCE
        with self._changed:
            while True:
                tenure = self._present
                if tenure is not None and not tenure.over:
                    return tenure
                if self._closing.is_set() or time.monotonic() >= until:
                    raise NoQuorum("the session has expired, and the cell gives no other")
                if not self._changed.wait(patience.slice):
                    patience.look_up()

    def _begin(self, session: Session) -> None:
        """Work through `session` from now on; if we are closing, end it."""
        tenure = Tenure(self._count + 1, session)
        with self._changed:
            if self._closing.is_set():
                session.close()
                return
            self._count += 1
            self._begun(tenure)
            self._present = tenure
            self._changed.notify_all()
        with suppress(SessionExpired):  # closed by now
            session.on_state(lambda state: self._state(tenure, state))

    def _end(self, tenure: Tenure) -> None:
        with self._changed:
            again, self._last_ended = tenure.number <= self._last_ended, max(tenure.number, self._last_ended)
        if again:
            return
        try:
            self._ended(tenure)
        finally:
            tenure.close()

    def _state(self, tenure: Tenure, state: SessionState) -> None:
        """In the callback thread of the session."""
        with self._changed:
            if state is not SessionState.EXPIRED or self._closing.is_set():
                return
            logger.error("session %d of cell %s has expired", tenure.session.id, tenure.session.cell)
            self._renewal = threading.Thread(
                target=self._renew, args=(tenure,), name="chubby-mount-renewal", daemon=True
            )
            self._renewal.start()

    def _renew(self, lost: Tenure) -> None:
        """In a thread of its own, which has to get to its end whatever goes wrong: nobody else opens a session."""
        heed(self._check_open)
        try:
            self._end(lost)
        except Exception:
            logger.exception("session %d did not end in good order", lost.session.id)
        while not self._closing.is_set():
            try:
                session = self._connect(self._drop, ATTEMPT)
                self._begin(session)
            except ChubbyError as error:
                logger.warning("no new session yet: %s", error)
            except Exception:
                logger.exception("no new session yet")
            else:
                logger.warning("a new session, %d: files opened from now on use it", session.id)
                return
            self._closing.wait(_PAUSE)

    def _check_open(self) -> None:
        """What the renewal heeds while it waits for the cell."""
        if self._closing.is_set():
            raise NoQuorum("the mount ends")
