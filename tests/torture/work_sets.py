"""Clients that add to shared sets under a lock, and fall asleep over it for longer than their session lease.

A round: take the lock, read the whole set, think, write it back with one element more, give the lock back. Now and then
the process stops itself (SIGSTOP) while it thinks; the run wakes it after a while, often one longer than the lease. It
does what most programs do: it never looks at the clock between its thoughts and its write. So without sequencers
updates are lost; how many is measured. With them none may be.
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import chubby
from tests.torture.recording import Recorder
from tests.torture.store import Customer, Reply, Request, SetKind
from tests.torture.work import ROOT_NAME, Worker

ELEMENTS = 300
"""Of one set; then the next one is begun."""
SLEEPY = 0.07
"""The share of rounds that a client sleeps through."""
THOUGHT = 0.02
"""Seconds, on average."""
FATES = {"written": "added", "refused": "refused", "unknown": "OutcomeUnknown", "failed": "NoQuorum"}
"""What is written down for what the store says."""
WAIT = 8.0
"""Seconds that one waits in line."""


class Sets(Worker):
    """All kinds of set by turns."""

    pace = 0.05
    _serial = 0

    def __init__(self, name: str, recorder: Recorder, chance: random.Random, place: str) -> None:
        super().__init__(name, recorder, chance, place)
        self._customer = Customer(Path(place))
        self._numbers = dict.fromkeys(SetKind, 0)

    def step(self, session: chubby.Session) -> None:
        """One round."""
        kind = self.chance.choice(list(SetKind))
        with session.open(ROOT_NAME + kind.lock) as handle:
            handle.acquire(timeout=WAIT)
            self._add(kind, bytes(handle.get_sequencer()))

    def _add(self, kind: SetKind, sequencer: bytes) -> None:
        """Read, think, write."""
        elements = self._read(kind, sequencer)
        if elements is None:
            return
        self._serial += 1
        element = f"{self.client}/{self._serial}"
        number = self.recorder.begin(self.client, "add", kind.value, contents=element)
        self._think()
        request = Request(kind, self._numbers[kind], sequencer, (*elements, element))
        said = self._customer.ask(request).said
        self.recorder.end(number, FATES[said])

    def _read(self, kind: SetKind, sequencer: bytes) -> tuple[str, ...] | None:
        """The set that is not full; None: it cannot be had."""
        while True:
            reply: Reply = self._customer.ask(Request(kind, self._numbers[kind], sequencer))
            if reply.said != "read":
                return None
            if len(reply.elements) < ELEMENTS:
                return reply.elements
            self._numbers[kind] += 1

    def _think(self) -> None:
        if self.chance.random() < SLEEPY:
            self.recorder.met(self.client, "sleeps")
            os.kill(os.getpid(), signal.SIGSTOP)
            self.recorder.met(self.client, "wakes")
        else:
            self.ended.wait(self.chance.expovariate(1 / THOUGHT))
