"""A thread for what has to be done but nobody may be kept waiting for; it is there while there is something to do."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Janitor:
    """Does the chores entrusted to it, one after the other and in order."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._chores: deque[Callable[[], object]] = deque()
        self._awake = False

    def entrust(self, chore: Callable[[], object]) -> None:
        """Have `chore` done, soon. What it raises is logged. Never waits, never fails."""
        with self._mutex:
            self._chores.append(chore)
            if self._awake:
                return
            self._awake = True
        try:
            threading.Thread(target=self._work, name="chubby-mount-janitor", daemon=True).start()
        except RuntimeError:  # no thread is to be had now; the next chore tries again
            _log.exception("some work has to wait")
            with self._mutex:
                self._awake = False

    def _work(self) -> None:
        while True:
            with self._mutex:
                if not self._chores:
                    self._awake = False
                    return
                chore = self._chores.popleft()
            try:
                chore()
            except Exception:
                _log.exception("a chore failed")
