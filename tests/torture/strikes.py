"""Carries out what the plan says, and undoes it: whatever is struck is whole again when its strike is over, or raises.

Three threads, one for each track, share the cell, so that a master may be killed while another replica is cut off. What
they agree about:

- *One disk at a time.* Flipped bits, lost disks and replacements cost a replica its vote until it has caught up; the
  next of them waits until all vote again. So at most one memory is lost at a time, as the design assumes.
- *A replica is one strike's.* Only the track of replicas starts and ends their processes.
- *Expected ends.* A replica ends by a signal of ours, with exit code 74 on a full disk, 75 when it was replaced. Every
  other end is a finding.

| module             | track                                             |
|--------------------|---------------------------------------------------|
| `strikes_network`  | cuts and spoils ways between machines             |
| `strikes_replicas` | kills, stops, restarts replicas, spoils disks     |
| `strikes_disks`    | what it takes to spoil a disk                     |
| `strikes_clients`  | stops and kills clients and mounts                |
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.torture.plan import Kind, Strike, Track, strikes

NO_MASTER = "no master to strike: somebody else was"


class Finding(Exception):
    """Something happened that must not happen."""


class Board:
    """What is wrong right now, what has been, and what was found: shared by all threads."""

    def __init__(self) -> None:
        self.counts: Counter[Kind] = Counter()
        self.notes: Counter[str] = Counter()
        self.findings: list[str] = []
        self.stopped = threading.Event()
        self._now: dict[Track, str] = {}

    @contextmanager
    def strike(self, track: Track, strike: Strike) -> Iterator[None]:
        """While it lasts."""
        self.counts[strike.kind] += 1
        self._now[track] = strike.kind.value
        try:
            yield
        except Exception as error:
            self.findings.append(f"{strike.kind.value}: {type(error).__name__}: {error}")
        finally:
            self._now.pop(track, None)

    def spare(self, strike: Strike) -> None:
        """It could not be done: not all replicas voted. So it does not count."""
        self.counts[strike.kind] -= 1
        self.notes[f"{strike.kind.value}: put off, not all voted"] += 1

    def wrong(self) -> str:
        """What is wrong now."""
        return "; ".join(self._now[track] for track in Track if track in self._now) or "calm"

    def wait(self, seconds: float) -> bool:
        """Let so much time pass; whether the strikes are over before that."""
        return self.stopped.wait(seconds)


Acts = Mapping[Kind, Callable[[Strike], None]]


class Striker(ABC):
    """One track, in a thread that lives until it is released.

    It starts processes, and a process that is bound to the life of its parent is bound to that of the very thread.
    """

    def __init__(self, board: Board, track: Track, seed: int) -> None:
        self.board = board
        self.track = track
        self._strikes = strikes(seed, track)
        self._acts = self.acts()
        self._over = threading.Event()
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._run, name=track.value, daemon=True)

    @abstractmethod
    def acts(self) -> Acts:
        """What is done for each kind."""

    def start(self) -> None:
        """Begin to strike."""
        self._thread.start()

    def finish(self, patience: float) -> bool:
        """Wait until the last strike is over; whether it is in time."""
        return self._over.wait(patience)

    def release(self) -> None:
        """Let go of the processes that were started here: they are nobody's affair any more."""
        self._released.set()

    def _run(self) -> None:
        """Strike after strike, until told to stop; then everything is whole."""
        for strike in self._strikes:
            if self.board.wait(strike.calm):
                break
            with self.board.strike(self.track, strike):
                self._acts[strike.kind](strike)
        self._over.set()
        self._released.wait()
