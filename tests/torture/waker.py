"""Wakes clients that fell asleep over a lock, after a while that is mostly longer than their session lease."""

from __future__ import annotations

import random
import signal
import threading
import time

from tests.torture.cell import SESSION_LEASE
from tests.torture.crew import Client

LOOK = 0.1
"""Seconds between two looks at who is asleep."""
SHORTEST, LONGEST = 0.3, 3.0
"""In session leases."""


class Waker(threading.Thread):
    """Looks at the clients of the sets."""

    def __init__(self, clients: list[Client], seed: int) -> None:
        super().__init__(name="waker", daemon=True)
        self.slept = 0
        """How many were woken."""
        self.overslept = 0
        """How many of them had slept for longer than their session lease."""
        self._clients = clients
        self._chance = random.Random(f"{seed} waker")
        self._stopped = threading.Event()
        self._due: dict[str, float] = {}

    def run(self) -> None:
        """Until told to stop."""
        while not self._stopped.wait(LOOK):
            for client in self._clients:
                self._look(client)

    def _look(self, client: Client) -> None:
        """One who is struck is left alone: its striker wakes it."""
        if client.busy.locked() or not client.asleep():
            self._due.pop(client.name, None)
            return
        now = time.monotonic()
        if client.name not in self._due:
            leases = self._chance.uniform(SHORTEST, LONGEST)
            self._due[client.name] = now + leases * SESSION_LEASE
            self.slept += 1
            self.overslept += leases > 1
        elif now >= self._due[client.name]:
            client.signal(signal.SIGCONT)

    def stop(self) -> None:
        """Wake nobody any more."""
        self._stopped.set()
        self.join()
