"""What clients do, each in a process of its own, through the public interface alone.

    python -m tests.torture.work PROGRAM NAME HISTORY SEED PLACE ADDRESSES

They work until SIGTERM, one call after the other, and write down each (`recording`). A session that is lost is followed
by a new one, under a new name: for the checkers that is another client.

| program   | module         | what it does                                                            |
|-----------|----------------|-------------------------------------------------------------------------|
| `files`   | `work_files`   | reads, writes, compares and sets, makes, deletes, changes two at once   |
| `locks`   | `work_locks`   | takes, shares, proves and gives back locks                              |
| `appends` | `work_appends` | appends to files by compare-and-set of their whole content              |
| `sets`    | `work_sets`    | adds to sets under a lock, and falls asleep over it                     |
"""

from __future__ import annotations

import contextlib
import random
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import chubby
from chubby.errors import ChubbyError, HandleError, SessionError
from tests.torture.recording import Recorder, now

ROOT_NAME = "/ls/test/torture"
"""Everything of the run is below this node."""
PATIENCE = 6.0
"""Seconds that a call has."""


class Worker(ABC):
    """One client, one session after the other."""

    pace = 0.05
    """Seconds between two steps, on average."""

    def __init__(self, name: str, recorder: Recorder, chance: random.Random, place: str) -> None:
        self.name = name
        self.client = name
        self.recorder = recorder
        self.chance = chance
        self.place = place
        self.ended = threading.Event()
        self.handles: dict[str, chubby.Handle] = {}
        self._sessions = 0

    def run(self, addresses: list[str]) -> None:
        """Until it is told to end."""
        while not self.ended.is_set():
            self._sessions += 1
            self.client = f"{self.name}.{self._sessions}"
            try:
                with chubby.connect(ROOT_NAME, addresses=addresses, timeout=20, call_timeout=PATIENCE) as session:
                    self.recorder.met(self.client, "session")
                    self._live(session)
                    self.recorder.met(self.client, "goes")
            except ChubbyError as error:
                self.recorder.met(self.client, f"lost: {type(error).__name__}: {error}")
                self.ended.wait(0.2)

    def _live(self, session: chubby.Session) -> None:
        self.begin(session)
        while not self.ended.wait(self.chance.expovariate(1 / self.pace)):
            try:
                self.step(session)
            except SessionError:
                raise
            except HandleError:
                self.handles.clear()
            except ChubbyError as error:
                self.recorder.met(self.client, type(error).__name__)
            at = now()
            if session.certain:
                self.recorder.sure(self.client, at)

    def begin(self, session: chubby.Session) -> None:
        """A session begins: what was known of the one before is of no use."""
        self.handles.clear()

    @abstractmethod
    def step(self, session: chubby.Session) -> None:
        """Do one thing. May raise any ChubbyError, once that is written down."""

    def handle(self, session: chubby.Session, path: str) -> chubby.Handle:
        """An open handle of a node that is there."""
        if path not in self.handles:
            self.handles[path] = session.open(ROOT_NAME + path)
        return self.handles[path]

    @contextlib.contextmanager
    def recorded(self, number: int) -> Iterator[None]:
        """Write down the error with which the call ends, if it does."""
        try:
            yield
        except ChubbyError as error:
            self.recorder.end(number, type(error).__name__)
            raise


def main(arguments: list[str]) -> None:
    """Be a client."""
    from tests.torture.work_appends import Appends
    from tests.torture.work_files import Files
    from tests.torture.work_locks import Locks
    from tests.torture.work_sets import Sets

    programs: dict[str, Callable[[str, Recorder, random.Random, str], Worker]] = {
        "files": Files,
        "locks": Locks,
        "appends": Appends,
        "sets": Sets,
    }
    program, name, history, seed, place, addresses = arguments
    worker = programs[program](name, Recorder(Path(history)), random.Random(f"{seed} {name}"), place)
    signal.signal(signal.SIGTERM, lambda *_: worker.ended.set())
    worker.run(addresses.split(","))


if __name__ == "__main__":
    main(sys.argv[1:])
