"""Clients that take, share, prove and give back locks."""

from __future__ import annotations

import chubby
from chubby.errors import ChubbyError, LockNotHeld, SequencerInvalid
from tests.torture.recording import OPEN_OUTCOMES
from tests.torture.work import Worker

LOCKS = ("/lock-0", "/lock-1")
WAIT = 3.0
"""Seconds that one waits in line."""


class Locks(Worker):
    """Takes a lock, looks now and then whether it still has it, gives it back."""

    pace = 0.08

    def begin(self, session: chubby.Session) -> None:
        """Nothing is held yet."""
        super().begin(session)
        self._held: dict[str, chubby.SequencerBytes] = {}

    def step(self, session: chubby.Session) -> None:
        """One call on one lock."""
        path = self.chance.choice(LOCKS)
        try:
            handle = self.handle(session, path)
            if path not in self._held:
                self._take(handle, path)
            elif self.chance.random() < 0.3:
                self._prove(session, path)
            else:
                self._give_back(handle, path)
        except ChubbyError as error:
            if type(error).__name__ in OPEN_OUTCOMES or not isinstance(error, chubby.LockConflict):
                self._drop(path)
            raise

    def _owner(self, handle: chubby.Handle) -> str:
        return f"{self.client}/{handle.number}"

    def _take(self, handle: chubby.Handle, path: str) -> None:
        waits = self.chance.random() < 0.7
        mode = self.chance.choice((chubby.LockMode.EXCLUSIVE, chubby.LockMode.EXCLUSIVE, chubby.LockMode.SHARED))
        delay = self.chance.choice((0.0, 0.0, 0.5))
        number = self.recorder.begin(
            self.client, "acquire" if waits else "try", path, contents=mode.name.lower(), owner=self._owner(handle)
        )
        with self.recorded(number):
            if waits:
                granted = handle.acquire(mode, timeout=WAIT, lock_delay=delay)
            else:
                granted = handle.try_acquire(mode, lock_delay=delay)
        self.recorder.end(number, "granted", token=granted.token)
        self._held[path] = handle.get_sequencer()

    def _prove(self, session: chubby.Session, path: str) -> None:
        sequencer = self._held[path]
        number = self.recorder.begin(self.client, "validate", path, token=sequencer.token)
        with self.recorded(number):
            try:
                session.check_sequencer(sequencer)
            except SequencerInvalid:
                self.recorder.end(number, "invalid")
                return
        self.recorder.end(number, "valid")

    def _give_back(self, handle: chubby.Handle, path: str) -> None:
        del self._held[path]
        number = self.recorder.begin(self.client, "release", path, owner=self._owner(handle))
        with self.recorded(number):
            try:
                handle.release()
            except LockNotHeld:
                self.recorder.end(number, "not_held")
                return
        self.recorder.end(number, "released")

    def _drop(self, path: str) -> None:
        """Nobody knows whether the handle holds the lock: close it, which gives the lock back some time."""
        self._held.pop(path, None)
        handle = self.handles.pop(path, None)
        if handle is not None:
            self.recorder.begin(self.client, "let_go", path, owner=self._owner(handle))
            handle.close()
