"""Stops and kills clients and mounts."""

from __future__ import annotations

import signal

from tests.torture.crew import Client, Crew
from tests.torture.plan import Kind, Strike, Track, chosen
from tests.torture.strikes import Acts, Board, Striker


class ClientStriker(Striker):
    """Stops and kills clients and mounts."""

    def __init__(self, board: Board, seed: int, crew: Crew) -> None:
        self._crew = crew
        super().__init__(board, Track.CLIENTS, seed)

    def acts(self) -> Acts:
        """See `Striker`."""
        return {
            Kind.SLEEP: self._sleep,
            Kind.KILL_CLIENT: self._kill,
            Kind.SLEEP_MOUNT: self._sleep_mount,
            Kind.KILL_MOUNT: self._kill_mount,
        }

    def _victim(self, strike: Strike) -> Client:
        clients = self._crew.clients
        return clients[chosen(strike, len(clients))[0]]

    def _sleep(self, strike: Strike) -> None:
        client = self._victim(strike)
        with client.busy:
            client.signal(signal.SIGSTOP)
            try:
                self.board.wait(strike.lasts)
            finally:
                client.signal(signal.SIGCONT)

    def _kill(self, strike: Strike) -> None:
        client = self._victim(strike)
        with client.busy:
            client.kill()
            try:
                self.board.wait(strike.lasts)
            finally:
                client.start()

    def _sleep_mount(self, strike: Strike) -> None:
        mount = self._crew.mounts[chosen(strike, len(self._crew.mounts))[0]]
        mount.signal(signal.SIGSTOP)
        try:
            self.board.wait(strike.lasts)
        finally:
            mount.signal(signal.SIGCONT)

    def _kill_mount(self, strike: Strike) -> None:
        mount = self._crew.mounts[chosen(strike, len(self._crew.mounts))[0]]
        mount.kill()
        try:
            self.board.wait(strike.lasts)
        finally:
            mount.heal()
